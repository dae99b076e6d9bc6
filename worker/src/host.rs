//! Asks the supervisor for what is outside the sandbox.
//!
//! A request goes out on the event pipe; its answer is one message on the request
//! socket, so that whoever waits for it never reads past triggers. Any thread of the
//! plugin may ask; they take turns.

use crate::channel::Events;
use crate::sandbox::passed::{self, Passed};
use crate::turns::Turns;
use midimon_shared::Event;
use midimon_shared::codec;
use midimon_shared::host::{HostAnswer, HostCall, HostRefusal, HostReply, HostRequest, MAX_WAIT_MS, RefusalKind};
use midimon_shared::limits::MAX_FRAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so long an answer does not come any more: the longest request, and some for the supervisor.
const LONGEST: Duration = Duration::from_millis(MAX_WAIT_MS as u64 + 10_000);

/// See the module.
#[derive(Debug)]
pub struct HostClient {
    events: Arc<Events>,
    answers: Arc<OwnedFd>,
    turn: Turns<Turn>,
}

/// Held by the one whose request is out.
#[derive(Debug, Default)]
struct Turn {
    /// Of the last request.
    id: u32,
    /// Room for one answer; nothing for plugins that never ask.
    buffer: Vec<u8>,
    frame: Vec<u8>,
    /// The last request's answer is still to come, though nobody waits for it any more: when it was asked.
    overdue: Option<Instant>,
    /// An answer did not come or made no sense: no other would be believed.
    broken: bool,
}

/// Why there is no answer.
enum Lost {
    /// It is still to come.
    Late,
    /// There will be none.
    Broken(HostRefusal),
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
        Self { events, answers, turn: Turns::new(Turn::default()) }
    }

    /// Asks, and waits for the answer; from any thread. The wait for others' turns and
    /// for the answer is bounded, since each request is.
    ///
    /// # Errors
    /// The supervisor's refusal, or [`RefusalKind::Failed`] when it cannot be asked.
    pub fn ask(&self, call: HostCall) -> Result<Answered, HostRefusal> {
        let answer = self.turn.take(None, |turn| self.ask_in_turn(turn, call, Instant::now() + LONGEST));
        answer.unwrap_or_else(|| Err(still_out()))
    }

    /// The same, waiting no longer than until `deadline`, for others' turns included.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`RefusalKind::TimedOut`] when there is no answer by then. Whether it was carried out is not
    /// known; its answer is thrown away when it comes.
    pub fn ask_by(&self, call: HostCall, deadline: Instant) -> Result<Answered, HostRefusal> {
        // a request of an earlier call may be out for longer than this one has
        let answer = self.turn.take(Some(deadline), |turn| self.ask_in_turn(turn, call, deadline));
        answer.unwrap_or_else(|| Err(still_out()))
    }

    fn ask_in_turn(&self, turn: &mut Turn, call: HostCall, deadline: Instant) -> Result<Answered, HostRefusal> {
        if turn.broken {
            return Err(failed("midimon stopped answering"));
        }
        if let Some(asked) = turn.overdue {
            // one request is out at a time
            drop(self.settle(turn, asked, deadline)?);
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
        self.settle(turn, Instant::now(), deadline)?
    }

    /// Waits for the answer to the request that is out since `asked`. The outer error is that there is none.
    fn settle(
        &self,
        turn: &mut Turn,
        asked: Instant,
        deadline: Instant,
    ) -> Result<Result<Answered, HostRefusal>, HostRefusal> {
        turn.overdue = None;
        match self.answer(turn, asked + LONGEST, deadline) {
            Ok(answer) => Ok(answer),
            Err(Lost::Late) => {
                turn.overdue = Some(asked);
                Err(timed_out("midimon has not answered in time"))
            }
            Err(Lost::Broken(refusal)) => {
                turn.broken = true;
                Err(refusal)
            }
        }
    }

    /// The answer to the request that is out; there will be none after `last`.
    fn answer(&self, turn: &mut Turn, last: Instant, deadline: Instant) -> Result<Result<Answered, HostRefusal>, Lost> {
        let broken = |message: String| Lost::Broken(failed(message));
        turn.buffer.resize(MAX_FRAME, 0);
        self.wait(last.min(deadline)).map_err(|error| match error {
            Errno::ETIMEDOUT if deadline < last => Lost::Late,
            Errno::ETIMEDOUT => Lost::Broken(timed_out("midimon does not answer")),
            error => broken(format!("the answer cannot be waited for: {error}")),
        })?;
        let received = passed::receive(self.answers.as_fd(), &mut turn.buffer)
            .map_err(|error| broken(format!("the answer cannot be read: {error}")))?;
        let Passed { bytes, mut descriptors, cut } = received;
        if bytes == 0 {
            return Err(broken("midimon is gone".to_owned()));
        }
        let answer = codec::decode::<HostAnswer>(&turn.buffer[..bytes])
            .map_err(|error| broken(format!("the answer is none: {error}")))?;
        if answer.id != turn.id {
            return Err(broken("the answer is another request's".to_owned()));
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

    /// Waits until something can be read; `ETIMEDOUT` when nothing can at the end.
    fn wait(&self, end: Instant) -> Result<(), Errno> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // up to a whole millisecond, or the rest of the last one would be a busy loop
            let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new((*self.answers).as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if left.is_zero() => return Err(Errno::ETIMEDOUT),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn still_out() -> HostRefusal {
    timed_out("another request of the plugin's is still out")
}

fn timed_out(message: &str) -> HostRefusal {
    HostRefusal { kind: RefusalKind::TimedOut, message: message.to_owned() }
}

fn failed(message: impl Into<String>) -> HostRefusal {
    HostRefusal { kind: RefusalKind::Failed, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use crate::sandbox::descriptors::Descriptors;
    use midimon_shared::codec::PREFIX;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::io::Read;
    use std::os::unix::net::UnixDatagram;
    use std::thread;

    /// A client, and the supervisor's ends of what it asks and is answered on.
    fn bed() -> (Arc<HostClient>, std::io::PipeReader, UnixDatagram) {
        let (commands, _) = std::io::pipe().unwrap();
        let (asked, events) = std::io::pipe().unwrap();
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty());
        let (answers, requests) = pair.unwrap();
        let channel = Channel::new(Descriptors { commands: commands.into(), events: events.into(), requests });
        (Arc::new(channel.host()), asked, answers.into())
    }

    /// Reads one request, and gives its number.
    fn requested(asked: &mut impl Read) -> u32 {
        let mut prefix = [0; PREFIX];
        asked.read_exact(&mut prefix).unwrap();
        let mut frame = vec![0; u32::from_le_bytes(prefix) as usize];
        asked.read_exact(&mut frame).unwrap();
        match codec::decode(&frame).unwrap() {
            Event::Request(HostRequest { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    fn connect() -> HostCall {
        HostCall::Connect { target: "h:1".into(), timeout_ms: MAX_WAIT_MS }
    }

    #[test]
    fn who_waits_behind_a_request_that_is_out_waits_no_longer_than_it_may_and_takes_its_turn_afterwards() {
        let (client, mut asked, answers) = bed();
        let slow = thread::spawn({
            let client = client.clone();
            move || client.ask(connect()).map(|answered| answered.reply)
        });
        let first = requested(&mut asked);
        let (begun, limit) = (Instant::now(), Duration::from_millis(50));
        let refused = client.ask_by(HostCall::Usage, begun + limit).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::TimedOut);
        let waited = begun.elapsed();
        assert!(waited >= limit && waited < Duration::from_secs(5), "{waited:?}");
        // one that has the time goes out as soon as the first is answered, and not before
        let next = thread::spawn(move || client.ask(connect()).map(|answered| answered.reply));
        let answer = |id| {
            let mut frame = Vec::new();
            codec::encode(&HostAnswer { id, result: Ok(HostReply::Done) }, &mut frame).unwrap();
            answers.send(&frame[PREFIX..]).unwrap();
        };
        answer(first);
        assert_eq!(slow.join().unwrap(), Ok(HostReply::Done));
        let second = requested(&mut asked);
        assert_eq!(second, first + 1, "what gave up was never asked");
        answer(second);
        assert_eq!(next.join().unwrap(), Ok(HostReply::Done));
    }
}
