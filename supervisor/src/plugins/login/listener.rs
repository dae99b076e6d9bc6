//! Waits on loopback for the browser that comes back, once.
//!
//! Anybody on this computer can connect, and any web page can make a browser ask for
//! something here. So nothing but the right path with this login's state ends the wait;
//! everyone else gets a page, and only so much time, room and company.

use super::flow::{Answer, Flow, redirect_uri};
use super::request::{self, Page, Request};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Most connections at once; browsers open some on suspicion. The oldest makes room.
const MAX_CONNECTIONS: usize = 8;
/// How long one may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// Read at once, in bytes.
const PART: usize = 4096;
/// Longest line that is read of what is pasted, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// Why no code came.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum WaitError {
    #[error(
        "port {port} of 127.0.0.1 is taken, and the answer arrives there: end what uses it, or choose another with \
         --port PORT and register {} with the service", redirect_uri(*port)
    )]
    Taken { port: u16 },
    #[error("the answer cannot be waited for: {0}")]
    Io(#[from] io::Error),
    #[error("nobody came back within {} s; run it again, --timeout gives more time", .0.as_secs())]
    TimedOut(Duration),
    #[error("the login was refused: {error:?}{}", if description.is_empty() { String::new() } else { format!(", {description:?}") })]
    Refused { error: String, description: String },
}

impl From<Errno> for WaitError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// What somebody came with that is not the answer, in a sentence for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An answer of another login, or of somebody else's making.
    NotThisLogin,
    /// A pasted line that is no address of this login.
    NoAddress,
}

/// A port on loopback.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
}

/// Somebody who connected.
struct Visitor {
    stream: TcpStream,
    /// The code comes in it: it is wiped, and has room for all, since growing would leave a copy.
    said: Zeroizing<Vec<u8>>,
    until: Instant,
}

impl Listener {
    /// Takes this port, or any that is free.
    ///
    /// # Errors
    /// It is taken.
    pub fn bind(port: Option<u16>) -> Result<Self, WaitError> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).map_err(|error| match port {
            Some(port) if error.kind() == ErrorKind::AddrInUse => WaitError::Taken { port },
            _ => error.into(),
        })?;
        socket.set_nonblocking(true)?;
        Ok(Self { port: socket.local_addr()?.port(), socket })
    }

    /// The port it has.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits so long for the code, from the browser or in a line of `pasted`; the port is
    /// free again afterwards. `notice` hears of what came and did not count.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait(
        self,
        flow: &Flow,
        pasted: Option<BorrowedFd<'_>>,
        limit: Duration,
        mut notice: impl FnMut(Notice),
    ) -> Result<Zeroizing<String>, WaitError> {
        let deadline = Instant::now() + limit;
        let mut visitors: Vec<Visitor> = Vec::new();
        let mut pasted = pasted.map(|from| Pasted { from, line: room(MAX_LINE), skips: false });
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(WaitError::TimedOut(limit));
            }
            visitors.retain(|visitor| visitor.until > now);
            let next = visitors.iter().map(|visitor| visitor.until).fold(deadline, Instant::min);
            let ready = self.ready(&visitors, pasted.as_ref().map(|pasted| pasted.from), next - now)?;
            if ready.pasted
                && let Some(paste) = &mut pasted
            {
                let more = paste.fill();
                while let Some(answer) = paste.next(flow) {
                    match answer {
                        Answer::Code(code) => return Ok(code),
                        Answer::Refused { error, description } => {
                            return Err(WaitError::Refused { error, description });
                        }
                        _ => notice(Notice::NoAddress),
                    }
                }
                if !more {
                    pasted = None;
                }
            }
            // from the last, so that the places of the others stay
            for index in ready.visitors.into_iter().rev() {
                match visitors[index].hear(flow, self.port) {
                    None => {}
                    Some(Heard::Done) => drop(visitors.swap_remove(index)),
                    Some(Heard::NotThisLogin) => {
                        visitors.swap_remove(index);
                        notice(Notice::NotThisLogin);
                    }
                    Some(Heard::Code(code)) => return Ok(code),
                    Some(Heard::Refused { error, description }) => {
                        return Err(WaitError::Refused { error, description });
                    }
                }
            }
            if ready.listener {
                self.accept(&mut visitors)?;
            }
        }
    }

    /// Waits until something happens.
    fn ready(&self, visitors: &[Visitor], pasted: Option<BorrowedFd<'_>>, wait: Duration) -> nix::Result<Ready> {
        let descriptors = visitors.iter().map(|visitor| visitor.stream.as_fd());
        let all = std::iter::once(self.socket.as_fd()).chain(pasted).chain(descriptors);
        let mut polled: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // rounded up, or it would spin through the last millisecond
        let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, wait) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(errno),
        }
        let is_ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        let first = 1 + usize::from(pasted.is_some());
        Ok(Ready {
            listener: is_ready[0],
            pasted: pasted.is_some() && is_ready[1],
            visitors: (0..visitors.len()).filter(|index| is_ready[first + index]).collect(),
        })
    }

    fn accept(&self, visitors: &mut Vec<Visitor>) -> io::Result<()> {
        let stream = match self.socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return not_accepted(error, visitors),
        };
        if stream.set_nonblocking(true).is_err() {
            return Ok(());
        }
        if visitors.len() == MAX_CONNECTIONS {
            drop_oldest(visitors);
        }
        visitors.push(Visitor { stream, said: room(request::MAX_HEAD), until: Instant::now() + PATIENCE });
        Ok(())
    }
}

/// Somebody has hung up again; or there is nothing to take a connection with, and whoever waits goes
/// on waiting: then the oldest makes room, and without one there is an end.
fn not_accepted(error: io::Error, visitors: &mut Vec<Visitor>) -> io::Result<()> {
    let no_room = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    let is_no_room = error.raw_os_error().is_some_and(|code| no_room.contains(&Errno::from_raw(code)));
    if is_no_room && !drop_oldest(visitors) { Err(error) } else { Ok(()) }
}

/// False where there is nobody.
fn drop_oldest(visitors: &mut Vec<Visitor>) -> bool {
    let oldest = (0..visitors.len()).min_by_key(|index| visitors[*index].until);
    oldest.map(|index| visitors.swap_remove(index)).is_some()
}

/// For so many bytes and one part more.
fn room(most: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(most + PART + 1))
}

/// What there is to do.
#[derive(Debug, Default)]
struct Ready {
    listener: bool,
    pasted: bool,
    visitors: Vec<usize>,
}

/// What a visitor came for.
enum Heard {
    /// Nothing, or it got its page.
    Done,
    NotThisLogin,
    Refused {
        error: String,
        description: String,
    },
    Code(Zeroizing<String>),
}

impl Visitor {
    /// Reads what it says; `None` while it is not done.
    fn hear(&mut self, flow: &Flow, port: u16) -> Option<Heard> {
        let mut part = Zeroizing::new([0; PART]);
        match self.stream.read(&mut part[..]) {
            Ok(0) => return Some(Heard::Done),
            Ok(count) => self.said.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return None,
            Err(_) => return Some(Heard::Done),
        }
        let target = match request::read(&self.said, port) {
            Request::Partial => return None,
            Request::Refused(page) => return Some(self.gets(page, Heard::Done)),
            Request::Get(target) => target,
        };
        Some(match flow.read(&target) {
            Answer::Elsewhere => self.gets(Page::NotFound, Heard::Done),
            Answer::Unreadable => self.gets(Page::BadRequest, Heard::Done),
            Answer::NotThisLogin => self.gets(Page::NotThisLogin, Heard::NotThisLogin),
            Answer::Refused { error, description } => self.gets(Page::Refused, Heard::Refused { error, description }),
            Answer::Code(code) => self.gets(Page::Arrived, Heard::Code(code)),
        })
    }

    /// A page is smaller than what the kernel takes at once; who does not read it goes without.
    fn gets(&mut self, page: Page, heard: Heard) -> Heard {
        let _ = self.stream.write_all(page.response().as_bytes());
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        heard
    }
}

/// What somebody pastes, line by line.
struct Pasted<'f> {
    from: BorrowedFd<'f>,
    line: Zeroizing<Vec<u8>>,
    /// The line is too long: the rest of it does not count either.
    skips: bool,
}

impl Pasted<'_> {
    /// Reads what is there; false at the end, which ends the last line too.
    fn fill(&mut self) -> bool {
        let mut part = Zeroizing::new([0; PART]);
        match read(self.from, &mut part[..]) {
            Ok(0) => {
                self.line.push(b'\n');
                false
            }
            Ok(count) => {
                self.line.extend_from_slice(&part[..count]);
                true
            }
            Err(errno) => matches!(errno, Errno::EINTR | Errno::EAGAIN),
        }
    }

    /// What the next whole line says; empty ones say nothing.
    fn next(&mut self, flow: &Flow) -> Option<Answer> {
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.line.drain(..=end).collect());
            if std::mem::take(&mut self.skips) {
                return Some(Answer::Elsewhere);
            }
            match std::str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Some(flow.read_pasted(text)),
                Err(_) => return Some(Answer::Elsewhere),
            }
        }
        if self.line.len() > MAX_LINE {
            self.line.clear();
            self.skips = true;
        }
        None
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
