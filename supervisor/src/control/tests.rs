//! The socket from both ends, with a daemon that only remembers what it was asked.

use super::admission::{PLACES, WATCHERS};
use super::client::{Client, ClientError};
use super::model::*;
use super::protocol::*;
use super::server::{Server, ServerError};
use super::*;
use crate::clock::Time;
use crate::home::{Home, Lock};
use crate::monitor::MonitorEvent;
use crate::testing::until;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Fake {
    monitor: Monitor,
    panics: AtomicUsize,
    stops: AtomicUsize,
    reloads_waiting: AtomicUsize,
    may_reload: (Mutex<bool>, Condvar),
}

impl Daemon for Fake {
    fn status(&self) -> Status {
        Status {
            version: "0".into(),
            pid: 1,
            uptime_s: 2,
            home: "/h".into(),
            config: ConfigStatus { path: "/h/c".into(), state: ConfigState::Ok, modes: 1, mappings: 3 },
            mode: Some("Default".into()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            engine: EngineCounts::default(),
            missed_events: self.monitor.missed(),
            safe_mode: false,
            problems: Vec::new(),
            workers: Vec::new(),
        }
    }

    fn worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal> {
        Err(Refusal::new(ErrorCode::NotFound, format!("no plugin '{id}'")))
    }

    fn restart_worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal> {
        self.worker(id)
    }

    fn reload(&self) -> Result<ReloadReport, Refusal> {
        self.reloads_waiting.fetch_add(1, Ordering::SeqCst);
        let (may, changed) = &self.may_reload;
        drop(changed.wait_while(may.lock().unwrap(), |may| !*may).unwrap());
        Ok(ReloadReport { path: "/h/c".into(), modes: 1, mappings: 3, warnings: None, plugins: Vec::new() })
    }

    fn plugins_changed(&self) -> Result<PluginsReport, Refusal> {
        Ok(PluginsReport { not_yet: None, problems: Vec::new() })
    }

    fn call_plugin(&self, id: &PluginId, action: String, params: Params, _: Option<u8>) -> Result<String, Refusal> {
        self.worker(id)?;
        Ok(format!("{action} {}", serde_json::Value::from(params)))
    }

    fn panic(&self) {
        self.panics.fetch_add(1, Ordering::SeqCst);
    }

    fn stop(&self) {
        self.stops.fetch_add(1, Ordering::SeqCst);
    }

    fn mode(&self, target: Option<&ModeTarget>) -> Result<ModeReport, Refusal> {
        let mode = target.map_or("Default".into(), |target| format!("{target:?}"));
        Ok(ModeReport { mode, modes: Vec::new() })
    }

    fn ports(&self) -> Result<Ports, Refusal> {
        Ok(Ports::default())
    }

    fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}

struct Bed {
    home: Home,
    daemon: Arc<Fake>,
    server: Server,
    _temp: tempfile::TempDir,
}

fn bed() -> Bed {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::at(temp.path()).unwrap();
    let daemon = Arc::new(Fake::default());
    let server = Server::start(&home.socket(), daemon.clone()).unwrap();
    Bed { home, daemon, server, _temp: temp }
}

impl Bed {
    fn raw(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.home.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        BufReader::new(stream)
    }

    fn client(&self) -> Client {
        Client::connect(&self.home).unwrap()
    }

    fn status(&self) -> Status {
        self.client().call(&Request::Status).unwrap()
    }
}

fn line(reader: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

#[test]
fn a_client_gets_what_it_asks_for_over_one_connection() {
    let bed = bed();
    let mut client = bed.client();
    assert_eq!(client.call::<Status>(&Request::Status).unwrap().config.mappings, 3);
    client.call::<()>(&Request::Panic).unwrap();
    assert_eq!(bed.daemon.panics.load(Ordering::SeqCst), 1);
    let to = Some(ModeTarget::Name("DJ".into()));
    assert_eq!(client.call::<ModeReport>(&Request::Mode { to }).unwrap().mode, "Name(\"DJ\")");
    let inspect = Request::WorkerInspect { id: "echo".parse().unwrap() };
    let refused = client.call::<WorkerStatus>(&inspect).unwrap_err();
    assert!(matches!(refused, ClientError::Refused(Refusal { code: ErrorCode::NotFound, .. })), "{refused}");
    assert_eq!(refused.to_string(), "no plugin 'echo'");
}

#[test]
fn the_server_greets_with_its_version_and_the_socket_is_private() {
    let bed = bed();
    let hello: Hello = serde_json::from_str(&line(&mut bed.raw())).unwrap();
    assert_eq!(hello, Hello::ours());
    assert_eq!(std::fs::metadata(bed.home.socket()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_line_that_never_ends_is_cut_off_at_the_limit() {
    let bed = bed();
    let mut client = bed.raw();
    line(&mut client);
    let chunk = [b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 400_000_000 {
        match client.get_mut().write(&chunk) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    // the limit, and what the kernel's buffers of this socket hold
    assert!(sent < 2_000_000, "{sent} bytes were taken");
    assert!(line(&mut client).contains("too-long"));
    bed.status();
}

#[test]
fn garbage_is_answered_with_an_error_and_the_next_request_is_served() {
    let bed = bed();
    let mut client = bed.raw();
    line(&mut client);
    for garbage in [&b"\x00\xff\xfe{{{"[..], b"", b"{\"request\":\"fly\"}", &[b'['; 60_000]] {
        client.get_mut().write_all(garbage).unwrap();
        client.get_mut().write_all(b"\n").unwrap();
        assert!(line(&mut client).starts_with(r#"{"error":{"code":"bad-request""#));
    }
    client.get_mut().write_all(b"{\"request\":\"status\"}\n").unwrap();
    assert!(line(&mut client).starts_with(r#"{"ok":{"version""#));
}

#[test]
fn silent_clients_do_not_keep_out_one_that_asks() {
    let bed = bed();
    let silent: Vec<_> = (0..6 * PLACES).map(|_| bed.raw()).collect();
    let start = Instant::now();
    for _ in 0..10 {
        bed.status();
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(silent);
}

#[test]
fn watchers_keep_their_place_one_too_many_is_told_and_nobody_else_is_kept_out() {
    let bed = bed();
    let mut watching: Vec<_> = (0..WATCHERS).map(|_| bed.client().watch().unwrap()).collect();
    let refused = bed.client().watch().map(drop).unwrap_err();
    assert!(matches!(refused, ClientError::Refused(Refusal { code: ErrorCode::Busy, .. })), "{refused}");
    bed.status();
    bed.daemon.monitor.publish(MonitorEvent::Note { at: Time::default(), text: "still here".into() });
    for events in &mut watching {
        assert!(String::from_utf8(events.next().unwrap().unwrap()).unwrap().contains("still here"));
    }
    drop(watching);
    until("a place is free again", || bed.client().watch().is_ok());
}

#[test]
fn reloads_that_take_long_delay_nobody_else() {
    let bed = bed();
    let reloading: Vec<_> = (0..20)
        .map(|_| {
            let mut client = bed.client();
            std::thread::spawn(move || client.call::<ReloadReport>(&Request::Reload))
        })
        .collect();
    until("a reload has begun", || bed.daemon.reloads_waiting.load(Ordering::SeqCst) > 0);
    for _ in 0..50 {
        bed.status();
    }
    let (may, changed) = &bed.daemon.may_reload;
    *may.lock().unwrap() = true;
    changed.notify_all();
    for client in reloading {
        assert_eq!(client.join().unwrap().unwrap().mappings, 3);
    }
}

#[test]
fn a_watcher_that_does_not_read_delays_nobody_and_is_counted() {
    let bed = bed();
    let mut deaf = bed.raw();
    deaf.get_mut().write_all(b"{\"request\":\"monitor\"}\n").unwrap();
    line(&mut deaf);
    line(&mut deaf);
    let text = "x".repeat(500);
    // faster than it could be taken for dead
    until("its buffers are full", || {
        for _ in 0..1000 {
            bed.daemon.monitor.publish(MonitorEvent::Note { at: Time::default(), text: text.clone() });
        }
        bed.daemon.monitor.missed() > 10
    });
    assert!(bed.status().missed_events > 10);
}

#[test]
fn watching_ends_when_the_client_hangs_up() {
    let bed = bed();
    let mut events = bed.client().watch().unwrap();
    bed.daemon.monitor.publish(MonitorEvent::Mode { at: Time::default(), mode: "DJ".into() });
    let event: MonitorEvent = serde_json::from_slice(&events.next().unwrap().unwrap()).unwrap();
    assert!(matches!(event, MonitorEvent::Mode { mode, .. } if &*mode == "DJ"));
    drop(events);
    until("nobody watches", || {
        bed.daemon.monitor.publish(MonitorEvent::Note { at: Time::default(), text: String::new() });
        !bed.daemon.monitor.is_watched()
    });
}

#[test]
fn stop_is_answered_before_it_is_done_and_the_end_takes_the_socket_away() {
    let bed = bed();
    let mut client = bed.client();
    client.call::<()>(&Request::Stop).unwrap();
    until("the daemon was told", || bed.daemon.stops.load(Ordering::SeqCst) == 1);
    let mut other = bed.raw();
    line(&mut other);
    drop(bed.server);
    assert!(!bed.home.socket().exists());
    assert_eq!(other.read(&mut [0; 1]).unwrap(), 0);
    assert!(matches!(Client::connect(&bed.home), Err(ClientError::NoDaemon)));
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::at(temp.path()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.socket()).unwrap());
    assert!(matches!(Client::connect(&home), Err(ClientError::NoDaemon)));
    let server = Server::start(&home.socket(), Arc::new(Fake::default())).unwrap();
    Client::connect(&home).unwrap().call::<Status>(&Request::Status).unwrap();
    let second = Server::start(&home.socket(), Arc::new(Fake::default()));
    assert!(matches!(second, Err(ServerError::InUse(_))));
    drop(server);
    std::fs::write(home.socket(), "precious").unwrap();
    let third = Server::start(&home.socket(), Arc::new(Fake::default()));
    assert!(matches!(third, Err(ServerError::NotASocket(_))));
    assert_eq!(std::fs::read(home.socket()).unwrap(), b"precious");
}

#[test]
fn a_daemon_without_a_socket_is_told_apart_from_no_daemon() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::at(temp.path()).unwrap();
    assert!(matches!(Client::connect(&home), Err(ClientError::NoDaemon)));
    let _lock = Lock::take(&home).unwrap();
    assert!(matches!(Client::connect(&home), Err(ClientError::NoSocket { pid: Some(_), .. })));
}
