//! The other end of the control socket.

use super::protocol::{Hello, MAX_RESPONSE, PROTOCOL, Refusal, Request, Response};
use crate::home::{Holder, Home, Lock};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the daemon may take for an answer that needs no work.
const ANSWER: Duration = Duration::from_secs(10);

/// How long it may take for one that does; a little more than it allows itself.
const SLOW_ANSWER: Duration = Duration::from_secs(35);

/// How long connecting and sending may take, in seconds.
const CONNECT_S: i64 = 5;

/// Why the daemon could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ClientError {
    #[error("no daemon: start one with `midimon start`")]
    NoDaemon,
    #[error(
        "the daemon{} holds this home, but its control socket '{}' is not there: \
         it is just starting or stopping, or the socket was deleted (then end it with SIGTERM)",
        .pid.map_or(String::new(), |pid| format!(" (pid {pid})")), .socket.display()
    )]
    NoSocket { pid: Option<i32>, socket: PathBuf },
    #[error("cannot reach the daemon at '{}': {source}", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the daemon does not answer within {} s: look at its log, and end it with SIGKILL if it hangs", .0.as_secs())]
    Silent(Duration),
    #[error("the connection to the daemon broke: {0}")]
    Broken(io::Error),
    #[error("the daemon hung up")]
    HungUp,
    #[error(
        "the daemon (midimon {daemon}) speaks control protocol {theirs}, this midimon {PROTOCOL}: restart the daemon with `midimon stop` and `midimon start`"
    )]
    Version { daemon: String, theirs: u32 },
    #[error("what answers at the control socket is no midimon daemon: {0}")]
    Malformed(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    greeted: bool,
    patience: Duration,
}

impl Client {
    /// Connects to the daemon of this home.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] when none runs.
    pub fn connect(home: &Home) -> Result<Self, ClientError> {
        let socket = home.socket();
        let stream = connect_within(&socket, CONNECT_S).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => match Lock::holder(home) {
                Holder::Nobody => ClientError::NoDaemon,
                Holder::Daemon { pid } => ClientError::NoSocket { pid, socket: socket.clone() },
            },
            _ => ClientError::Connect { socket: socket.clone(), source },
        })?;
        Ok(Self { reader: BufReader::new(stream), greeted: false, patience: ANSWER })
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// What the daemon refuses is [`ClientError::Refused`].
    pub fn call<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ClientError> {
        let slow = request.is_slow();
        self.patience = if slow { SLOW_ANSWER } else { ANSWER };
        self.reader.get_ref().set_read_timeout(Some(self.patience)).map_err(ClientError::Broken)?;
        // cannot fail: requests have string keys only
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        // not after the hello: whoever has asked at once is never taken for silent.
        // An error here is told better by what the daemon said before it hung up.
        let sent = self.reader.get_mut().write_all(&line);
        if !self.greeted {
            let hello: Hello = self.read_as()?;
            if hello.protocol != PROTOCOL {
                return Err(ClientError::Version { daemon: hello.midimon, theirs: hello.protocol });
            }
            self.greeted = true;
        }
        let response = self.read_as::<Response>()?;
        sent.map_err(ClientError::Broken)?;
        match response {
            Response::Ok(data) => {
                serde_json::from_value(data).map_err(|error| ClientError::Malformed(error.to_string()))
            }
            Response::Error(refusal) => Err(refusal.into()),
        }
    }

    /// Starts watching events.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn watch(mut self) -> Result<Events, ClientError> {
        self.call::<()>(&Request::Monitor)?;
        // events may be far apart
        self.reader.get_ref().set_read_timeout(None).map_err(ClientError::Broken)?;
        Ok(Events { client: self })
    }

    /// The daemon's next line; a refusal may come in the hello's place.
    fn read_as<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let line = self.read_line()?.ok_or(ClientError::HungUp)?;
        serde_json::from_slice(&line).map_err(|error| match serde_json::from_slice(&line) {
            Ok(Response::Error(refusal)) => refusal.into(),
            _ => ClientError::Malformed(error.to_string()),
        })
    }

    fn read_line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut line = Vec::new();
        let limit = MAX_RESPONSE as u64 + 1;
        self.reader.by_ref().take(limit).read_until(b'\n', &mut line).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => ClientError::HungUp,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent(self.patience),
            _ => ClientError::Broken(error),
        })?;
        match line.pop() {
            Some(b'\n') => Ok(Some(line)),
            Some(_) if line.len() >= MAX_RESPONSE => Err(ClientError::Malformed("its line does not end".into())),
            _ => Ok(None),
        }
    }
}

/// The daemon's events, each as its line of JSON, until it stops.
#[derive(Debug)]
pub struct Events {
    client: Client,
}

impl Iterator for Events {
    type Item = Result<Vec<u8>, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.client.read_line() {
            Err(ClientError::HungUp) => None,
            line => line.transpose(),
        }
    }
}

/// `UnixStream::connect` would wait for ever on a daemon that accepts nobody.
fn connect_within(path: &Path, seconds: i64) -> io::Result<UnixStream> {
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&stream, sockopt::SendTimeout, &TimeVal::seconds(seconds))?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(stream))
}
