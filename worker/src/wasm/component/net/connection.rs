//! `net.connection`: bytes over TCP, with TLS where the guest wants it.
//!
//! Everything waits with `poll`, never past the guest's own time limit nor the end of its call.

use super::broker::failed;
use super::places::Place;
use super::target::Target;
use super::{Net, network_deadline};
use midimon_shared::host::{HostRefusal, MAX_TARGET, MAX_WAIT_MS, RefusalKind};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::ClientConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Bytes that are read or written at once.
pub const MAX_BYTES: usize = 64 * 1024;

/// A connection of a guest. Dropped is closed.
#[derive(Debug)]
pub struct Connection {
    /// Never blocks.
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    writing: Writing,
    _place: Place,
}

/// What can still be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Open,
    Finished,
    /// Part of something went out: more would be read in the wrong place.
    Torn,
}

impl Connection {
    /// Connects to `target` within `timeout_ms` (0 is the longest), and before `call`.
    ///
    /// # Errors
    /// As the supervisor refuses; too many connections are open.
    pub fn connect(net: &Net, target: &str, timeout_ms: u32, call: Instant) -> Result<Self, HostRefusal> {
        let end = End::of(longest_for_0(timeout_ms), call)?;
        Self::open(net, target, &end)
    }

    /// The same with TLS, for a server whose certificate is made out to the target's host.
    ///
    /// # Errors
    /// The same, and what is wrong with the certificate.
    pub fn connect_tls(net: &Net, target: &str, timeout_ms: u32, call: Instant) -> Result<Self, HostRefusal> {
        let end = End::of(longest_for_0(timeout_ms), call)?;
        let plain = target.strip_prefix("tcp:").unwrap_or(target);
        let (_, name) = Target::secure(plain).map_err(|error| invalid(format!("'{target}': {error}")))?;
        let mut connection = Self::open(net, target, &end)?;
        let configs = net.tls.configs(&*net.broker, end.at)?;
        let tls = ClientConnection::new(configs.any, name).map_err(|error| failed(error.to_string()))?;
        connection.tls = Some(Box::new(tls));
        connection.shake_hands(&end)?;
        Ok(connection)
    }

    fn open(net: &Net, target: &str, end: &End) -> Result<Self, HostRefusal> {
        if target.len() > MAX_TARGET {
            return Err(invalid(format!("the target has {} bytes; {MAX_TARGET} are the most", target.len())));
        }
        let place = net.connections.take().ok_or_else(|| HostRefusal {
            kind: RefusalKind::TooMany,
            message: format!("{} connections are open: close one first", super::MAX_CONNECTIONS),
        })?;
        let socket = TcpStream::from(net.broker.connect(target, end.at)?);
        socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).map_err(broken)?;
        Ok(Self { socket, tls: None, writing: Writing::Open, _place: place })
    }

    fn shake_hands(&mut self, end: &End) -> Result<(), HostRefusal> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) {
            match tls.complete_io(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let flags = interest(tls);
                    wait(&self.socket, flags, end)?;
                }
                Err(error) => return Err(failed(format!("no TLS: {error}"))),
            }
        }
        Ok(())
    }

    /// At most `max` bytes (up to [`MAX_BYTES`]), at least one; none of them once the other side has finished. Waits
    /// for the first one, at most `timeout_ms`; 0 does not wait.
    ///
    /// # Errors
    /// Nothing came in time, or the connection is broken.
    pub fn read(&mut self, max: u32, timeout_ms: u32, call: Instant) -> Result<Vec<u8>, HostRefusal> {
        let room = usize::try_from(max).unwrap_or(usize::MAX).min(MAX_BYTES);
        if room == 0 {
            return Err(invalid("no room to read into: ask for at least one byte".to_owned()));
        }
        let end = End::of(timeout_ms, call)?;
        let mut bytes = vec![0; room];
        loop {
            match self.try_read(&mut bytes, &end) {
                Ok(count) => {
                    bytes.truncate(count);
                    return Ok(bytes);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let flags = self.tls.as_ref().map_or(PollFlags::POLLIN, |tls| interest(tls));
                    wait(&self.socket, flags, &end)?;
                }
                Err(error) => return Err(broken(error)),
            }
        }
    }

    /// What can be read without waiting; 0 is the end of the stream.
    fn try_read(&mut self, bytes: &mut [u8], end: &End) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(bytes) };
        loop {
            match tls.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            // answers that TLS itself owes; what cannot go out now will at the next turn
            match tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            // the end of the stream is the reader's to judge: cut off, or said goodbye
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            // records with nothing in them are not what is waited for, however many there are
            if end.left().is_zero() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Writes all of it, within `timeout_ms` (0 does not wait). Afterwards it is on its way, or nothing more can be
    /// written.
    ///
    /// # Errors
    /// Too many bytes, too late, or the connection is broken.
    pub fn write(&mut self, bytes: &[u8], timeout_ms: u32, call: Instant) -> Result<(), HostRefusal> {
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!("{} bytes at once; {MAX_BYTES} are the most", bytes.len())));
        }
        match self.writing {
            Writing::Open => {}
            Writing::Finished => return Err(invalid("it was finished: nothing more can be written".to_owned())),
            Writing::Torn => return Err(failed("an earlier write was cut off: connect again")),
        }
        let end = End::of(timeout_ms, call)?;
        let written = self.write_all(bytes, &end);
        if written.is_err() {
            self.writing = Writing::Torn;
        }
        written
    }

    fn write_all(&mut self, mut bytes: &[u8], end: &End) -> Result<(), HostRefusal> {
        loop {
            let done = match &mut self.tls {
                None if bytes.is_empty() => return Ok(()),
                None => self.socket.write(bytes).map(|count| bytes = &bytes[count..]),
                Some(tls) => {
                    // as many as its buffer takes
                    let count = tls.writer().write(bytes).map_err(broken)?;
                    bytes = &bytes[count..];
                    if bytes.is_empty() && !tls.wants_write() {
                        return Ok(());
                    }
                    tls.write_tls(&mut self.socket).map(drop)
                }
            };
            match done {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&self.socket, PollFlags::POLLOUT, end)?,
                Err(error) => return Err(broken(error)),
            }
        }
    }

    /// Says that nothing more will be written. Once is enough.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn finish(&mut self) -> Result<(), HostRefusal> {
        if self.writing == Writing::Finished {
            return Ok(());
        }
        self.writing = Writing::Finished;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // a few bytes; where not even they find room, the end of the connection says it
            match tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(broken(error)),
                _ => {}
            }
        }
        match self.socket.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => Err(broken(error)),
            _ => Ok(()),
        }
    }
}

/// What TLS waits for.
fn interest(tls: &ClientConnection) -> PollFlags {
    let mut flags = PollFlags::POLLIN;
    flags.set(PollFlags::POLLOUT, tls.wants_write());
    flags
}

/// When a function has to return.
struct End {
    at: Instant,
    /// Whether it is its call's end, not the guest's own limit.
    of_call: bool,
}

impl End {
    fn of(timeout_ms: u32, call: Instant) -> Result<Self, HostRefusal> {
        if timeout_ms > MAX_WAIT_MS {
            return Err(invalid(format!("a wait of {timeout_ms} ms; {MAX_WAIT_MS} are the most")));
        }
        let now = Instant::now();
        let (own, last) = (now + Duration::from_millis(timeout_ms.into()), network_deadline(now, call));
        Ok(Self { at: own.min(last), of_call: last < own })
    }

    fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    fn passed(&self) -> HostRefusal {
        let message = if self.of_call { "the call's time is used up" } else { "nothing happened in time" };
        HostRefusal { kind: RefusalKind::TimedOut, message: message.to_owned() }
    }
}

fn wait(socket: &TcpStream, flags: PollFlags, end: &End) -> Result<(), HostRefusal> {
    loop {
        let left = end.left();
        if left.is_zero() {
            return Err(end.passed());
        }
        // whole milliseconds, and at least one: less would spin
        let timeout = PollTimeout::try_from(left.max(Duration::from_millis(1))).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), flags)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(failed(format!("the connection cannot be waited for: {error}"))),
        }
    }
}

const fn longest_for_0(timeout_ms: u32) -> u32 {
    if timeout_ms == 0 { MAX_WAIT_MS } else { timeout_ms }
}

fn invalid(message: String) -> HostRefusal {
    HostRefusal { kind: RefusalKind::Invalid, message }
}

fn broken(error: io::Error) -> HostRefusal {
    failed(format!("the connection is broken: {error}"))
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
