//! Waits on loopback for the browser that comes back, once.
//!
//! Anybody on this computer can connect, and any web page can make a browser ask for
//! something here. So only programs of this user (and root's) are listened to, and nothing but
//! the right path with this login's state ends the wait; everyone else gets a page, and only
//! so much time, room and company.

use super::flow::{Answer, Flow, redirect_uri};
use super::pasted::Pasted;
use super::peer::{Looks, Peer, peer};
use super::request::{self, Page, Request};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
pub(super) const PART: usize = 4096;

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
    /// A request of another user's program.
    OtherUser,
    /// A request of a program of which cannot be seen whose it is.
    UnknownUser,
    /// A pasted line that is no address of this login.
    NoAddress,
}

/// A port on loopback.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
    /// Who is at the other end.
    peer: fn(&TcpStream) -> Peer,
}

/// Somebody who connected.
struct Visitor {
    stream: TcpStream,
    peer: Peer,
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
        Ok(Self { port: socket.local_addr()?.port(), socket, peer })
    }

    /// The port it has.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits so long for the code, from the browser or in a line of `pasted`; the port is
    /// free again afterwards. The first who asks where to begin is sent on to `service`, and
    /// nobody without one. `notice` hears of what came and did not count, of other users' once.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait(
        self,
        flow: &Flow,
        mut service: Option<&str>,
        pasted: Option<BorrowedFd<'_>>,
        limit: Duration,
        mut notice: impl FnMut(Notice),
    ) -> Result<Zeroizing<String>, WaitError> {
        let deadline = Instant::now() + limit;
        let mut visitors: Vec<Visitor> = Vec::new();
        let mut strangers: Vec<Notice> = Vec::new();
        let mut pasted = pasted.map(Pasted::new);
        let mut looks = Looks::default();
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
                        Answer::Begin | Answer::Elsewhere | Answer::Unreadable | Answer::NotThisLogin => {
                            notice(Notice::NoAddress);
                        }
                    }
                }
                if !more {
                    pasted = None;
                }
            }
            // from the last, so that the places of the others stay
            for index in ready.visitors.into_iter().rev() {
                match visitors[index].hear(flow, &mut service, self.port) {
                    None => {}
                    Some(Heard::Done) => drop(visitors.swap_remove(index)),
                    Some(Heard::NotThisLogin) => {
                        visitors.swap_remove(index);
                        notice(Notice::NotThisLogin);
                    }
                    Some(Heard::Stranger(stranger)) => {
                        visitors.swap_remove(index);
                        if !strangers.contains(&stranger) {
                            strangers.push(stranger);
                            notice(stranger);
                        }
                    }
                    Some(Heard::Code(code)) => return Ok(code),
                    Some(Heard::Refused { error, description }) => {
                        return Err(WaitError::Refused { error, description });
                    }
                }
            }
            if ready.listener {
                self.accept(&mut visitors, &mut looks, Instant::now())?;
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

    fn accept(&self, visitors: &mut Vec<Visitor>, looks: &mut Looks, now: Instant) -> io::Result<()> {
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
        let peer = if looks.may(now) { (self.peer)(&stream) } else { Peer::Unknown };
        visitors.push(Visitor { stream, peer, said: room(request::MAX_HEAD), until: now + PATIENCE });
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

/// One of another user's before our own. False where there is nobody.
fn drop_oldest(visitors: &mut Vec<Visitor>) -> bool {
    let oldest = (0..visitors.len()).min_by_key(|index| {
        let visitor = &visitors[*index];
        (visitor.peer == Peer::Ours, visitor.until)
    });
    oldest.map(|index| visitors.swap_remove(index)).is_some()
}

/// For so many bytes and one part more.
pub(super) fn room(most: usize) -> Zeroizing<Vec<u8>> {
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
    Stranger(Notice),
    Refused {
        error: String,
        description: String,
    },
    Code(Zeroizing<String>),
}

impl Visitor {
    /// Reads what it says; `None` while it is not done. Who is sent on to the service takes its address.
    fn hear(&mut self, flow: &Flow, service: &mut Option<&str>, port: u16) -> Option<Heard> {
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
        match self.peer {
            Peer::Ours => {}
            Peer::Other => return Some(self.gets(Page::Stranger, Heard::Stranger(Notice::OtherUser))),
            Peer::Unknown => return Some(self.gets(Page::Stranger, Heard::Stranger(Notice::UnknownUser))),
        }
        Some(match flow.read(&target) {
            Answer::Begin => match service.take() {
                Some(service) => self.is_told(&request::sent_on(service), Heard::Done),
                None => self.gets(Page::NotSentOn, Heard::Done),
            },
            Answer::Elsewhere => self.gets(Page::NotFound, Heard::Done),
            Answer::Unreadable => self.gets(Page::BadRequest, Heard::Done),
            Answer::NotThisLogin => self.gets(Page::NotThisLogin, Heard::NotThisLogin),
            Answer::Refused { error, description } => self.gets(Page::Refused, Heard::Refused { error, description }),
            Answer::Code(code) => self.gets(Page::Arrived, Heard::Code(code)),
        })
    }

    fn gets(&mut self, page: Page, heard: Heard) -> Heard {
        self.is_told(&page.response(), heard)
    }

    /// A response is smaller than what the kernel takes at once; who does not read it goes without.
    fn is_told(&mut self, response: &str, heard: Heard) -> Heard {
        let _ = self.stream.write_all(response.as_bytes());
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        heard
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
