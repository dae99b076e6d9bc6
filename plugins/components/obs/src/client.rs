//! One connection to OBS: a WebSocket that carries a session. Nothing in here waits past
//! the moment it was given.

use crate::protocol::{self, CLOSED_UNAUTHENTICATED, Event, MAX_MESSAGE, Reply, Request, SUBPROTOCOL};
use crate::pulse::{Need, Pulse};
use crate::session::{Broken, Session};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::error::ProtocolError;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

/// Most messages taken in one look, so that a flood leaves time for calls.
const AT_ONCE: usize = 64;
/// How long a look waits for the first byte.
const LOOK: Duration = Duration::from_millis(1);
/// How long what must be written during a look (a pong) may take.
const WRITE: Duration = Duration::from_millis(200);

/// A connection whose reads and writes end in time.
pub trait Link: Read + Write {
    /// Reads and writes fail after this, with `TimedOut` or `WouldBlock`.
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()>;
}

impl Link for midimon_plugin::Connection {
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        Self::set_timeout(self, timeout);
        Ok(())
    }
}

/// Why the connection is no more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It ended or failed.
    #[error("the connection to OBS is gone: {0}")]
    Gone(String),
    /// OBS closed it and said why.
    #[error("{}", protocol::closed(*.0))]
    Closed(u16),
    /// No answer in time.
    #[error("OBS did not answer in time")]
    Silent,
    /// What answers there is no OBS, or not one to speak with.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Lost {
    /// Whether connecting again soon would end the same way.
    pub const fn is_hopeless(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Closed(CLOSED_UNAUTHENTICATED))
    }
}

/// A link with the moment until which it may wait.
#[derive(Debug)]
struct Timed<L> {
    link: L,
    until: Instant,
}

impl<L: Link> Timed<L> {
    fn arm(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.link.set_timeout(left)
    }
}

impl<L: Link> Read for Timed<L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        self.link.read(buffer).map_err(would_block)
    }
}

impl<L: Link> Write for Timed<L> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until = self.until.max(Instant::now() + WRITE);
        self.arm()?;
        self.link.write(bytes).map_err(would_block)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.flush()
    }
}

/// The WebSocket goes on after `WouldBlock`.
fn would_block(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::TimedOut { ErrorKind::WouldBlock.into() } else { error }
}

/// OBS, connected and identified.
#[derive(Debug)]
pub struct Client<L> {
    socket: WebSocket<Timed<L>>,
    session: Session,
    pulse: Pulse,
    begun: Instant,
}

impl<L: Link> Client<L> {
    /// Shakes hands and says who we are.
    pub fn open(link: L, address: &str, password: &str, until: Instant) -> Result<Self, Lost> {
        let mut request = format!("ws://{address}/").into_client_request().map_err(gone)?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let shaken = tungstenite::client::client_with_config(request, Timed { link, until }, Some(limits));
        let (socket, _) = shaken.map_err(|error| match error {
            HandshakeError::Interrupted(_) => Lost::Silent,
            HandshakeError::Failure(error) => lost(error),
        })?;
        let (session, begun) = (Session::new(password.to_owned()), Instant::now());
        let mut client = Self { socket, session, pulse: Pulse::new(0), begun };
        client.wait(until, |session| session.is_ready().then_some(()))?;
        Ok(client)
    }

    /// Carries out one request, or several as a batch.
    pub fn ask(&mut self, requests: &[Request], until: Instant) -> Result<Vec<Reply>, Lost> {
        let text = match requests {
            [one] => self.session.request(one),
            several => self.session.batch(several),
        };
        self.socket.get_mut().until = until;
        self.send(text)?;
        self.wait(until, Session::take_replies)
    }

    /// Takes what came in the meantime, and sees to it that the other side is still there.
    pub fn look(&mut self) -> Result<(), Lost> {
        for _ in 0..AT_ONCE {
            self.socket.get_mut().until = Instant::now() + LOOK;
            if !self.step()? {
                break;
            }
        }
        match self.pulse.need(self.now_ms()) {
            Need::Nothing => Ok(()),
            Need::Ask => self.socket.send(Message::Ping(Default::default())).or_else(|error| waits(error).map(drop)),
            Need::GiveUp => Err(Lost::Silent),
        }
    }

    /// The oldest event not taken yet.
    pub fn take_event(&mut self) -> Option<Event> {
        self.session.take_event()
    }

    fn wait<T>(&mut self, until: Instant, mut found: impl FnMut(&mut Session) -> Option<T>) -> Result<T, Lost> {
        loop {
            if let Some(found) = found(&mut self.session) {
                return Ok(found);
            }
            self.socket.get_mut().until = until;
            // also a side that never stops talking is cut off in time
            if Instant::now() >= until || !self.step()? {
                return Err(Lost::Silent);
            }
        }
    }

    /// Takes one message; false when none came in time.
    fn step(&mut self) -> Result<bool, Lost> {
        let message = match self.socket.read() {
            Ok(message) => message,
            Err(error) => return waits(error),
        };
        self.pulse.heard(self.now_ms());
        match message {
            Message::Text(text) => {
                if let Some(answer) = self.session.receive(&text)? {
                    self.send(answer)?;
                }
            }
            Message::Close(frame) => return Err(Lost::Closed(frame.map_or(1005, |frame| frame.code.into()))),
            Message::Binary(_) => return Err(Broken::OutOfTurn.into()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        Ok(true)
    }

    fn send(&mut self, text: String) -> Result<(), Lost> {
        match self.socket.send(Message::text(text)) {
            Ok(()) => Ok(()),
            // what could not be written whole cannot be followed by anything
            Err(error) => Err(waits(error).map_or_else(|lost| lost, |_| Lost::Silent)),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// An error that only means that nothing came in time is none.
fn waits(error: tungstenite::Error) -> Result<bool, Lost> {
    match error {
        tungstenite::Error::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(false)
        }
        error => Err(lost(error)),
    }
}

fn lost(error: tungstenite::Error) -> Lost {
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Lost::Gone("the other side closed it".to_owned())
        }
        error => gone(error),
    }
}

fn gone(error: impl std::fmt::Display) -> Lost {
    Lost::Gone(error.to_string())
}
