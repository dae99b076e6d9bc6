//! A new connection, from the supervisor's descriptor to HTTP.

use super::super::target::Target;
use super::super::tls::Configs;
use super::super::{Net, places::Place};
use super::pool::Lease;
use super::{MAX_HEAD, error};
use hyper::client::conn::http1;
use midimon_shared::host::HostRefusal;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, Result};

/// Of a thread that asks the supervisor, and reads certificates.
const STACK: usize = 256 * 1024;

/// Connects until then. Within the reactor.
pub async fn dial(net: &Arc<Net>, target: Target, until: Instant, place: Arc<Place>) -> Result<Lease> {
    let sockets = net.reactor.threads().map_err(|error| error::of_connection(&target, &error))?.sockets;
    let work = async {
        let (descriptor, configs) = ask(net, &target, until, place).await?;
        let stream = sockets.adopt(descriptor).map_err(|error| error::of_connection(&target, &error))?;
        match configs {
            None => speak(target, stream).await,
            Some(configs) => {
                let name = target.server_name().map_err(|_| Error::HttpRequestUriInvalid)?;
                let connecting = TlsConnector::from(configs.http).connect(name, stream);
                let stream = connecting.await.map_err(|error| error::of_tls(&target, &error))?;
                speak(target, stream).await
            }
        }
    };
    timeout_at(until.into(), work).await.unwrap_or(Err(Error::ConnectionTimeout))
}

/// Asks the supervisor, on a thread: others' traffic goes on meanwhile. The thread keeps the place until it is answered,
/// so that a guest which gives up early and asks again has no more of them than places.
async fn ask(net: &Arc<Net>, target: &Target, until: Instant, place: Arc<Place>) -> Result<(OwnedFd, Option<Configs>)> {
    let (sender, answer) = oneshot::channel();
    let (asking, asked) = (net.clone(), target.clone());
    let work = move || {
        let _place = place;
        let _ = sender.send(connect(&asking, &asked, until)); // the guest may have given up
    };
    let thread = thread::Builder::new().name("connect".to_owned()).stack_size(STACK).spawn(work);
    thread.map_err(|error| Error::InternalError(Some(format!("no thread can be had: {error}"))))?;
    match answer.await {
        Ok(answer) => answer.map_err(|refusal| error::of_refusal(target, &refusal)),
        Err(_) => Err(Error::InternalError(None)),
    }
}

fn connect(net: &Net, target: &Target, until: Instant) -> Result<(OwnedFd, Option<Configs>), HostRefusal> {
    let descriptor = net.broker.connect(&target.to_string(), until)?;
    let configs = if target.secure { Some(net.tls.configs(&*net.broker, until)?) } else { None };
    Ok((descriptor, configs))
}

async fn speak(target: Target, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Lease> {
    let handshake =
        http1::Builder::new().max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| error::of_hyper(&error))?;
    let reactor = Handle::current();
    let moving = async {
        let _ = connection.await; // whoever waits for an answer is told
    };
    Ok(Lease { target, sender, _moving: reactor.spawn(moving).into(), reactor })
}
