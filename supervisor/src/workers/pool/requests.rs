//! What a worker asks for: checked, carried out, answered on its socket.

use super::slot::Slot;
use super::{Request, Shared};
use crate::audit::AuditEvent;
use crate::clock::{self, Time};
use crate::sys::unread::unread;
use crate::workers::broker::desk::Taken;
use crate::workers::broker::{Outcome, Permit, Session, Subject};
use crate::workers::lifecycle::State;
use midimon_shared::codec::{self, PREFIX};
use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::host::{HostAnswer, HostRefusal, HostReply, HostRequest, RefusalKind};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

impl Slot {
    /// Takes a request, and answers it at once where that needs no waiting.
    pub fn requested(&mut self, shared: &Shared, now: Time, request: HostRequest) {
        // what was under way before a violation is nobody's business any more
        if self.process.as_ref().is_none_or(|process| process.kill.is_some() || process.denied.is_some()) {
            return;
        }
        if matches!(self.life.state(), State::Starting { .. }) {
            return self.violation("a request before its code was loaded");
        }
        // its library reads an answer before it asks again: whoever does not hoards what answers carry
        if self.process.as_ref().is_some_and(|process| unread(process.requests.as_fd()).is_ok_and(|bytes| bytes > 0)) {
            return self.violation("a request before it has read the last answer");
        }
        // what the user has just taken away is gone before the worker is
        let grants: Vec<_> = [Some(&self.spec), self.next_spec.as_ref()].into_iter().flatten().collect();
        let grants: Vec<_> = grants.iter().map(|spec| &spec.grants).collect();
        match self.desk.take(now, &grants, request, &|device| shared.broker.output_of(device)) {
            Taken::Nothing | Taken::HeldBack => {}
            Taken::Violation(what) => self.violation(what),
            Taken::Refused(refusal) => self.answer(shared, Err(refusal).into()),
            Taken::Permitted(permit, session) => self.permitted(shared, now, permit, &session),
        }
    }

    fn permitted(&mut self, shared: &Shared, now: Time, permit: Permit, session: &Arc<Session>) {
        let result = match permit {
            Permit::TimerSet(order) => self.desk.timers.set(now, order),
            Permit::TimerCancel(id) => {
                self.desk.timers.cancel(id);
                Ok(())
            }
            Permit::Light { lamp, value } => self.desk.lights.set(now, lamp, value),
            permit => return self.perform(shared, permit, session),
        };
        self.send_lights(shared, now);
        self.answer(shared, result.map(|()| HostReply::Done).into());
    }

    /// Has what is permitted done by the broker.
    fn perform(&mut self, shared: &Shared, permit: Permit, session: &Arc<Session>) {
        let sent = match &permit {
            Permit::MidiSend { port, message } => Some((port.clone(), message.clone())),
            _ => None,
        };
        let (token, requests) = (self.token(), shared.requests.clone());
        let done = move |outcome| requests.send(Request::Performed { token, outcome });
        if let Some(outcome) = shared.broker.perform(&self.spec, permit, session, done) {
            if let Some((port, message)) = sent.filter(|_| outcome.result.is_ok()) {
                self.desk.sent(&port, &message);
            }
            self.answer(shared, outcome);
        }
    }

    /// Sends the lights whose turn has come.
    pub fn send_lights(&mut self, shared: &Shared, now: Time) {
        let Some(effects) = shared.broker.effects() else { return };
        for (port, message) in self.desk.lights.due(now) {
            // an output that is full counts what it drops
            let _ = effects.send_midi(&port, &message);
        }
    }

    /// Whether timers are listened to: from its start on, until it is told to stop.
    pub fn may_be_called(&self) -> bool {
        matches!(self.life.state(), State::Ready { .. })
    }

    /// Makes the calls of timers whose time has come.
    pub fn make_timer_calls(&mut self, now: Time) {
        if !self.may_be_called() {
            return;
        }
        for (place, spec) in self.desk.timers.due(now, &*self.lane) {
            let (kind, unix_ms) = (TriggerKind::Timer, clock::unix_ms_at(now));
            let stamp = TriggerStamp { kind, unix_ms, monotonic_ns: now.as_nanos(), ..TriggerStamp::default() };
            // cannot fail: what a timer calls is far below the limits of a binding
            let _ = self.lane.timer(place, &spec, stamp, now);
        }
    }

    /// What took its time is done; of an earlier process it is nobody's.
    pub fn performed(&mut self, shared: &Shared, generation: u32, outcome: Outcome) {
        if generation == self.generation() {
            self.answer(shared, outcome);
        }
    }

    /// Tells those who asked too much, when their time has come.
    pub fn answer_late(&mut self, shared: &Shared, now: Time) {
        if let Some(refusal) = self.desk.due(now) {
            self.answer(shared, Err(refusal).into());
        }
    }

    fn answer(&mut self, shared: &Shared, Outcome { result, descriptor }: Outcome) {
        let kind = result.as_ref().err().map(|refusal| refusal.kind);
        let Some((id, subject)) = self.desk.answered(kind) else { return };
        let received = match &result {
            Ok(HostReply::Datagram(bytes)) => bytes.len(),
            Ok(HostReply::Ran { stdout, stderr, .. }) => stdout.len() + stderr.len(),
            _ => 0,
        };
        // what was tried and did not work was allowed all the same
        let refused = matches!(kind, Some(RefusalKind::NotGranted | RefusalKind::Invalid | RefusalKind::TooMany));
        let reason = result.as_ref().err().map(|refusal| refusal.message.clone());
        self.record_use(shared, subject, received, !refused, reason);
        match self.send_answer(&HostAnswer { id, result }, descriptor) {
            // it has ended: its exit says why
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN | Errno::ECONNREFUSED) => {}
            Err(error) => self.violation(format!("it does not take its answers: {}", error.desc())),
        }
    }

    /// The process has ended: what it left on is switched off, and what it did not wait for is recorded.
    pub fn close_desk(&mut self, shared: &Shared) {
        if let Some(subject) = self.desk.close(shared.broker.effects()) {
            self.record_use(shared, subject, 0, true, Some("its process ended before the answer".to_owned()));
        }
    }

    fn record_use(&self, shared: &Shared, subject: Subject, received: usize, allowed: bool, reason: Option<String>) {
        let Subject { what, target, arguments, bytes } = subject;
        let (what, bytes) = (what.to_owned(), bytes + received as u64);
        let event = AuditEvent::Use { what, target, arguments, more_arguments: 0, bytes, allowed, reason };
        shared.audit.record(&self.spec.id, event);
    }

    /// Sends one message, or nothing where there is no process any more.
    fn send_answer(&self, answer: &HostAnswer, descriptor: Option<OwnedFd>) -> Result<(), Errno> {
        let Some(process) = &self.process else { return Ok(()) };
        let mut frame = Vec::with_capacity(128);
        if codec::encode(answer, &mut frame).is_err() {
            // outputs and datagrams are cut below the limit, so this has no chance to be too long
            let message = "the answer is too long".to_owned();
            let result = Err(HostRefusal { kind: RefusalKind::Failed, message });
            codec::encode(&HostAnswer { id: answer.id, result }, &mut frame).map_err(|_| Errno::EMSGSIZE)?;
        }
        let numbers: Vec<i32> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(process.requests.as_raw_fd(), &[IoSlice::new(&frame[PREFIX..])], control, flags, None)?;
        Ok(())
    }
}
