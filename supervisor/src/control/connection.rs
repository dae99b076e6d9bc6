//! One client of the control socket.

use super::Daemon;
use super::admission::{Activity, ClientId, WATCHERS};
use super::line::{Line, read_line};
use super::protocol::{ErrorCode, Hello, MAX_REQUEST, Refusal, Request, Response};
use super::server::Shared;
use crate::clock;
use crate::monitor::MonitorEvent;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the first request may take to arrive whole.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long a client may then be idle.
const NEXT_REQUEST: Duration = Duration::from_secs(300);

/// How long a client may take to read what it asked for.
const READ_ANSWER: Duration = Duration::from_secs(5);

/// How long the daemon may take for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Events that wait for one client here, beside the monitor's own queue.
const EVENTS: usize = 256;

/// Bytes of events that are written at once.
const BATCH: usize = 32 * 1024;

type Answer = Result<serde_json::Value, Refusal>;

/// Serves one client until it leaves, breaks a rule or asks to stop the daemon.
pub(super) async fn serve(id: ClientId, stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    send(&mut writer, &encode(&Hello::ours())).await?;

    let (mut line, mut patience) = (Vec::new(), FIRST_REQUEST);
    loop {
        match timeout(patience, read_line(&mut reader, &mut line, MAX_REQUEST)).await {
            Err(_) => return Ok(()),
            Ok(read) => match read? {
                Line::End => return Ok(()),
                Line::TooLong => {
                    let refusal =
                        Refusal::new(ErrorCode::TooLong, format!("a request is at most {MAX_REQUEST} bytes long"));
                    return send(&mut writer, &encode(&Response::Error(refusal))).await;
                }
                Line::Whole => {}
            },
        }
        shared.clients().set(id, Activity::Busy, clock::now());
        let request = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => request,
            Err(error) => {
                let refusal = Refusal::new(ErrorCode::BadRequest, format!("not a request: {error}"));
                send(&mut writer, &encode(&Response::Error(refusal))).await?;
                // the place is not kept by sending garbage
                shared.clients().set(id, Activity::Idle, clock::now());
                continue;
            }
        };
        match request {
            Request::Monitor if !shared.clients().begin_watching(id, clock::now()) => {
                let refusal = Refusal::new(ErrorCode::Busy, format!("{WATCHERS} clients watch events already"));
                send(&mut writer, &encode(&Response::Error(refusal))).await?;
            }
            Request::Monitor => {
                let events = shared.daemon.monitor().watch();
                send(&mut writer, &encode(&Response::Ok(serde_json::Value::Null))).await?;
                return watch(reader, writer, events, shared).await;
            }
            Request::Stop => {
                // answered first: afterwards nobody may be left to answer
                let sent = send(&mut writer, &encode(&Response::Ok(serde_json::Value::Null))).await;
                shared.daemon.stop();
                return sent;
            }
            request => send(&mut writer, &answer(request, shared).await).await?,
        }
        patience = NEXT_REQUEST;
        shared.clients().set(id, Activity::Idle, clock::now());
    }
}

/// Works on a request where it delays nobody, and encodes its answer there too.
async fn answer(request: Request, shared: &Arc<Shared>) -> Vec<u8> {
    let work = async {
        let slow = request.is_slow();
        let _permit = if slow { shared.slow.acquire().await.ok() } else { None };
        let daemon = Arc::clone(&shared.daemon);
        tokio::task::spawn_blocking(move || encode(&response(ask(&*daemon, request)))).await
    };
    let refusal = match timeout(ANSWER, work).await {
        Ok(Ok(bytes)) => return bytes,
        Ok(Err(_)) => Refusal::new(ErrorCode::Failed, "the request failed inside the daemon: see its log"),
        Err(_) => Refusal::new(ErrorCode::Timeout, format!("no answer within {} s", ANSWER.as_secs())),
    };
    encode(&Response::Error(refusal))
}

fn ask(daemon: &dyn Daemon, request: Request) -> Answer {
    match request {
        Request::Status => {
            let mut status = daemon.status();
            // they can be long, and `worker-inspect` has them
            status.workers.iter_mut().for_each(|worker| worker.log_tail.clear());
            value(&status)
        }
        Request::WorkerList => {
            let mut workers = daemon.status().workers;
            workers.iter_mut().for_each(|worker| worker.log_tail.clear());
            value(&workers)
        }
        Request::WorkerInspect { id } => value(&daemon.worker(&id)?),
        Request::WorkerRestart { id } => value(&daemon.restart_worker(&id)?),
        Request::Reload => value(&daemon.reload()?),
        Request::PluginsChanged => value(&daemon.plugins_changed()?),
        Request::PluginCall { id, action, params, velocity } => {
            value(&daemon.call_plugin(&id, action, params, velocity)?)
        }
        Request::Panic => value(&daemon.panic()),
        Request::Mode { to } => value(&daemon.mode(to.as_ref())?),
        Request::Ports => value(&daemon.ports()?),
        Request::Monitor | Request::Stop => Err(Refusal::new(ErrorCode::BadRequest, "handled by the connection")),
    }
}

fn value(data: &impl Serialize) -> Answer {
    serde_json::to_value(data).map_err(|error| Refusal::new(ErrorCode::Failed, format!("cannot encode: {error}")))
}

fn response(answer: Answer) -> Response {
    answer.map_or_else(Response::Error, Response::Ok)
}

/// A value as one line.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // cannot fail: the types of the protocol have string keys only
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

async fn send(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    timeout(READ_ANSWER, writer.write_all(bytes))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "does not read its answers")))
}

/// Sends events until the client hangs up or does not keep up for [`READ_ANSWER`].
/// Short of that, a slow one only misses events, and is told how many.
async fn watch(
    mut reader: BufReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    events: Receiver<MonitorEvent>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let (sender, mut lines) = mpsc::channel(EVENTS);
    let daemon = Arc::clone(&shared.daemon);
    // its own thread: the pool's are for requests
    std::thread::Builder::new().name("midimon-watch".into()).spawn(move || forward(&events, &sender, &*daemon))?;

    let mut ignored = [0; 1024];
    let mut batch = Vec::new();
    loop {
        batch.clear();
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => batch.extend_from_slice(&line),
                None => return Ok(()),
            },
            read = reader.read(&mut ignored) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
        }
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            batch.extend_from_slice(&line);
        }
        send(&mut writer, &batch).await?;
    }
}

fn forward(events: &Receiver<MonitorEvent>, sender: &mpsc::Sender<Vec<u8>>, daemon: &dyn Daemon) {
    let mut missed = daemon.monitor().missed();
    loop {
        let event = match events.recv_timeout(Duration::from_millis(500)) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) if sender.is_closed() => return,
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now_missed = daemon.monitor().missed();
        if now_missed != missed {
            let count = now_missed.saturating_sub(missed);
            missed = now_missed;
            let text = format!("{count} events were missed: a watcher was too slow");
            let note = MonitorEvent::Note { at: clock::now(), text };
            if sender.blocking_send(encode(&note)).is_err() {
                return;
            }
        }
        if let Some(event) = event
            && sender.blocking_send(encode(&event)).is_err()
        {
            return;
        }
    }
}
