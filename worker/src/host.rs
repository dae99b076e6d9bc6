//! Asks the supervisor for what is outside the sandbox.
//!
//! A request goes out on the event pipe; its answer is one message on the request
//! socket, so that whoever waits for it never reads past triggers. Any thread of the
//! plugin may ask; they take turns.

use crate::channel::Events;
use crate::sandbox::passed::{self, Passed};
use midimon_shared::Event;
use midimon_shared::codec;
use midimon_shared::host::{HostAnswer, HostCall, HostRefusal, HostReply, HostRequest, MAX_WAIT_MS, RefusalKind};
use midimon_shared::limits::MAX_FRAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much longer than the longest request the supervisor may take to answer.
const GRACE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct HostClient {
    events: Arc<Events>,
    answers: Arc<OwnedFd>,
    turn: Mutex<Turn>,
}

/// Held by the one whose request is out.
#[derive(Debug, Default)]
struct Turn {
    /// Of the last request.
    id: u32,
    /// Room for one answer; nothing for plugins that never ask.
    buffer: Vec<u8>,
    frame: Vec<u8>,
    /// An answer did not come or made no sense: no other would be believed.
    broken: bool,
}

/// What came of a request.
#[derive(Debug)]
pub struct Answered {
    /// The reply.
    pub reply: HostReply,
    /// The descriptor of [`HostReply::Connected`] and [`HostReply::Roots`].
    pub descriptor: Option<OwnedFd>,
}

impl HostClient {
    /// Over these two; nothing else reads `answers` from now on.
    #[must_use]
    pub fn new(events: Arc<Events>, answers: Arc<OwnedFd>) -> Self {
        Self { events, answers, turn: Mutex::default() }
    }

    /// Asks, and waits for the answer; from any thread. The wait for others' turns and
    /// for the answer is bounded, since each request is.
    ///
    /// # Errors
    /// The supervisor's refusal, or [`RefusalKind::Failed`] when it cannot be asked.
    pub fn ask(&self, call: HostCall) -> Result<Answered, HostRefusal> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.broken {
            return Err(failed("midimon stopped answering"));
        }
        let Some(id) = turn.id.checked_add(1) else {
            return Err(failed("so many requests that their numbers ran out"));
        };
        turn.id = id;
        let mut frame = std::mem::take(&mut turn.frame);
        let sent = self.events.send_with(&Event::Request(HostRequest { id, call }), &mut frame);
        frame.shrink_to(1024);
        turn.frame = frame;
        if let Err(error) = sent {
            // one over the frame limit was not sent, and the next may be
            turn.broken = error.kind() != std::io::ErrorKind::InvalidData;
            return Err(failed(format!("midimon cannot be asked: {error}")));
        }
        let answer = self.answer(&mut turn);
        turn.broken = answer.is_err();
        answer?
    }

    /// The answer to the request that is out; an error when there will be none.
    fn answer(&self, turn: &mut Turn) -> Result<Result<Answered, HostRefusal>, HostRefusal> {
        turn.buffer.resize(MAX_FRAME, 0);
        self.wait()?;
        let received = passed::receive(self.answers.as_fd(), &mut turn.buffer)
            .map_err(|error| failed(format!("the answer cannot be read: {error}")))?;
        let Passed { bytes, mut descriptors, cut } = received;
        if bytes == 0 {
            return Err(failed("midimon is gone"));
        }
        let answer = codec::decode::<HostAnswer>(&turn.buffer[..bytes])
            .map_err(|error| failed(format!("the answer is none: {error}")))?;
        if answer.id != turn.id {
            return Err(failed("the answer is another request's"));
        }
        let descriptor = descriptors.pop();
        Ok(match answer.result {
            // a process with all its descriptors in use gets the message without it
            Ok(HostReply::Connected | HostReply::Roots) if descriptor.is_none() => {
                Err(failed("the answer's descriptor found no room: too many are open"))
            }
            Ok(_) if cut => Err(failed("the answer was cut")),
            Ok(reply) => Ok(Answered { reply, descriptor }),
            Err(refusal) => Err(refusal),
        })
    }

    /// Waits until something can be read.
    fn wait(&self) -> Result<(), HostRefusal> {
        let deadline = Instant::now() + Duration::from_millis(MAX_WAIT_MS.into()) + GRACE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new((*self.answers).as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if left.is_zero() => {
                    let message = "midimon does not answer".to_owned();
                    return Err(HostRefusal { kind: RefusalKind::TimedOut, message });
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(failed(format!("the answer cannot be waited for: {error}"))),
            }
        }
    }
}

fn failed(message: impl Into<String>) -> HostRefusal {
    HostRefusal { kind: RefusalKind::Failed, message: message.into() }
}
