//! The unacknowledged triggers of one worker, as a pure state machine.
//!
//! Each trigger taken in ends in exactly one count, so that at every moment
//! `received = done + failed + timed_out + dropped.* + in_flight`.
//! The worker answers in order, so the oldest is always the one under way.

use super::status::{CallCounts, DropCounts};
use crate::clock::Time;
use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::protocol::{Outcome, TrapCause, Trigger};
use midimon_shared::{BindingId, CallId};
use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Presses whose loss is remembered, so that their releases are dropped too.
const MAX_DROPPED_PRESSES: usize = 4096;

/// What the supervisor must know of a binding to route its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its number in the worker.
    pub binding: BindingId,
    /// Deadline of a call, where the mapping has one of its own.
    pub timeout: Option<Duration>,
    /// It gets the release of each press: a release is never dropped without its press.
    pub paired: bool,
}

/// Why a trigger was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DropReason {
    QueueFull,
    TooOld,
    NotRunning,
    ConfigChanged,
}

impl DropReason {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "the plugin's queue is full",
            Self::TooOld => "it waited too long",
            Self::NotRunning => "the plugin is not running",
            Self::ConfigChanged => "its mapping is gone",
        }
    }
}

/// How a call ended, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The plugin answered.
    Answered(Outcome),
    /// It ran past its deadline.
    TimedOut,
    /// The worker ended during the call.
    Crashed,
    /// It was never made.
    Dropped(DropReason),
}

/// One trigger that has no answer yet.
#[derive(Debug)]
pub struct Call {
    /// Its number.
    pub id: CallId,
    /// What to do, and until when.
    pub route: Route,
    /// Why.
    pub stamp: TriggerStamp,
    /// When it was taken in.
    pub received: Time,
    /// When it was written to the worker.
    pub written: Option<Time>,
    /// Who wants to know how it ends.
    pub waiter: Option<SyncSender<CallEnd>>,
}

impl Call {
    fn end(self, end: CallEnd) {
        if let Some(waiter) = self.waiter {
            // the waiter may have given up; then nobody wants to know
            let _ = waiter.try_send(end);
        }
    }
}

/// An answer that fits no call: a lie or a mistake of the worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an answer to call {answered}, while {} is under way", .expected.map_or("none".to_owned(), |call| format!("call {call}")))]
pub struct WrongAnswer {
    answered: u64,
    expected: Option<u64>,
}

/// A call that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// What it did.
    pub binding: BindingId,
    /// From its arrival to the answer.
    pub latency: Duration,
}

type PressKey = (BindingId, Option<u16>, [u8; 2]);

/// See the module.
#[derive(Debug)]
pub struct Ring {
    calls: VecDeque<Call>,
    written: usize,
    depth: usize,
    max_age: Duration,
    last_answer: Time,
    next_call: u64,
    counts: CallCounts,
    dropped_presses: HashSet<PressKey>,
}

impl Ring {
    /// An empty ring for at most `depth` calls, each written at most `max_age` after its arrival.
    #[must_use]
    pub fn new(depth: u32, max_age: Duration) -> Self {
        let depth = depth as usize;
        Self {
            calls: VecDeque::with_capacity(depth),
            written: 0,
            depth,
            max_age,
            last_answer: Time::default(),
            next_call: 1,
            counts: CallCounts::default(),
            dropped_presses: HashSet::new(),
        }
    }

    /// Takes new limits; calls already taken in stay.
    pub fn set_limits(&mut self, depth: u32, max_age: Duration) {
        self.depth = depth as usize;
        self.max_age = max_age;
    }

    /// Where triggers went so far.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        CallCounts { in_flight: self.calls.len() as u64, ..self.counts }
    }

    /// Takes a trigger in; `running` says whether the worker can be expected to take it.
    pub fn accept(
        &mut self,
        now: Time,
        route: Route,
        stamp: TriggerStamp,
        running: bool,
        waiter: Option<SyncSender<CallEnd>>,
    ) {
        self.counts.received += 1;
        let call = Call { id: CallId(self.next_call), route, stamp, received: now, written: None, waiter };
        self.next_call += 1;
        let release = route.paired && stamp.kind == TriggerKind::NoteRelease;
        let full =
            if release { self.dropped_presses.contains(&press_key(&call)) } else { self.calls.len() >= self.depth };
        if !running {
            self.drop_call(call, DropReason::NotRunning);
        } else if full {
            self.drop_call(call, DropReason::QueueFull);
        } else {
            if route.paired && stamp.kind == TriggerKind::NotePress {
                // the next release is this press's
                self.dropped_presses.remove(&press_key(&call));
            }
            self.calls.push_back(call);
        }
    }

    /// The next trigger to write, too old ones dropped.
    pub fn next_unwritten(&mut self, now: Time) -> Option<Trigger> {
        loop {
            let call = self.calls.get(self.written)?;
            if !self.is_due_to_drop(call, now) {
                return Some(Trigger { call: call.id, binding: call.route.binding, stamp: call.stamp });
            }
            let call = self.calls.remove(self.written)?;
            self.drop_call(call, DropReason::TooOld);
        }
    }

    fn is_due_to_drop(&self, call: &Call, now: Time) -> bool {
        if call.route.paired && call.stamp.kind == TriggerKind::NoteRelease {
            return self.dropped_presses.contains(&press_key(call));
        }
        now.since(call.received) > self.max_age
    }

    /// Says that the trigger [`Self::next_unwritten`] gave was written.
    pub fn mark_written(&mut self, now: Time) {
        if let Some(call) = self.calls.get_mut(self.written) {
            call.written = Some(now);
            self.written += 1;
        }
    }

    /// The worker says that a call ended.
    ///
    /// # Errors
    /// It is not the call under way.
    pub fn answered(&mut self, now: Time, id: CallId, outcome: Outcome) -> Result<Answered, WrongAnswer> {
        let call = self.take_front(now, id)?;
        match &outcome {
            Outcome::Ok | Outcome::Answer(_) => self.counts.done += 1,
            Outcome::Trapped { cause: TrapCause::Deadline, .. } => self.counts.timed_out += 1,
            Outcome::Failed { .. } | Outcome::Trapped { .. } => self.counts.failed += 1,
        }
        let answered = Answered { binding: call.route.binding, latency: now.since(call.received) };
        call.end(CallEnd::Answered(outcome));
        Ok(answered)
    }

    /// The worker says that a call was too old to be made.
    ///
    /// # Errors
    /// It is not the call under way.
    pub fn refused_as_too_old(&mut self, now: Time, id: CallId) -> Result<(), WrongAnswer> {
        let call = self.take_front(now, id)?;
        // the worker remembers by itself which presses it dropped, and drops their releases
        self.counts.dropped.too_old += 1;
        call.end(CallEnd::Dropped(DropReason::TooOld));
        Ok(())
    }

    fn take_front(&mut self, now: Time, id: CallId) -> Result<Call, WrongAnswer> {
        let expected = if self.written == 0 { None } else { self.calls.front().map(|call| call.id) };
        if expected != Some(id) {
            return Err(WrongAnswer { answered: id.0, expected: expected.map(|call| call.0) });
        }
        self.written -= 1;
        self.last_answer = now;
        // cannot fail: `expected` is the front's id
        self.calls.pop_front().ok_or(WrongAnswer { answered: id.0, expected: None })
    }

    /// The worker ended. The call under way failed; the others wait for the next worker.
    pub fn crashed(&mut self, timed_out: bool) {
        if self.written > 0
            && let Some(call) = self.calls.pop_front()
        {
            if timed_out {
                self.counts.timed_out += 1;
                call.end(CallEnd::TimedOut);
            } else {
                self.counts.failed += 1;
                call.end(CallEnd::Crashed);
            }
        }
        self.written = 0;
        for call in &mut self.calls {
            call.written = None;
        }
    }

    /// No worker will take what waits: everything unanswered is dropped.
    pub fn close(&mut self) {
        self.written = 0;
        while let Some(call) = self.calls.pop_front() {
            self.drop_call(call, DropReason::NotRunning);
        }
        self.dropped_presses.clear();
    }

    /// While no worker is there to write to: drops what has become too old.
    pub fn expire(&mut self, now: Time) {
        let mut index = self.written;
        while let Some(call) = self.calls.get(index) {
            if self.is_due_to_drop(call, now)
                && let Some(call) = self.calls.remove(index)
            {
                self.drop_call(call, DropReason::TooOld);
            } else {
                index += 1;
            }
        }
    }

    /// When the oldest call that was not written becomes too old.
    #[must_use]
    pub fn expiry(&self) -> Option<Time> {
        // a paired release does not expire by itself; it would keep its reader awake
        let expires = |call: &&Call| !(call.route.paired && call.stamp.kind == TriggerKind::NoteRelease);
        let oldest = self.calls.iter().skip(self.written).find(expires)?;
        Some(oldest.received + self.max_age + Duration::from_millis(1))
    }

    /// Drops unwritten calls of bindings that are gone.
    pub fn forget_bindings(&mut self, is_gone: impl Fn(BindingId) -> bool) {
        self.forget(DropReason::ConfigChanged, is_gone);
    }

    /// Drops unwritten calls of some bindings, for a reason.
    pub fn forget(&mut self, reason: DropReason, is_gone: impl Fn(BindingId) -> bool) {
        let mut index = self.written;
        while let Some(call) = self.calls.get(index) {
            if is_gone(call.route.binding)
                && let Some(call) = self.calls.remove(index)
            {
                self.drop_call(call, reason);
            } else {
                index += 1;
            }
        }
    }

    /// When the call under way is overdue: its deadline runs from its write, or
    /// from the previous answer when that came later. `default` is what calls are
    /// given whose mapping says nothing. With what it was given.
    #[must_use]
    pub fn deadline(&self, default: Duration) -> Option<(Time, Duration, &Call)> {
        let call = self.calls.front()?;
        let given = call.route.timeout.unwrap_or(default);
        Some((call.written?.max(self.last_answer) + given, given, call))
    }

    /// Whether a call of this binding is without an answer.
    #[must_use]
    pub fn has_call_of(&self, binding: BindingId) -> bool {
        self.calls.iter().any(|call| call.route.binding == binding)
    }

    /// Whether no call is without an answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether a call is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.written > 0
    }

    /// Whether calls wait to be written.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.written < self.calls.len()
    }

    fn drop_call(&mut self, call: Call, reason: DropReason) {
        let DropCounts { queue_full, too_old, not_running, config_changed } = &mut self.counts.dropped;
        *match reason {
            DropReason::QueueFull => queue_full,
            DropReason::TooOld => too_old,
            DropReason::NotRunning => not_running,
            DropReason::ConfigChanged => config_changed,
        } += 1;
        if call.route.paired {
            match call.stamp.kind {
                TriggerKind::NotePress if self.dropped_presses.len() < MAX_DROPPED_PRESSES => {
                    self.dropped_presses.insert(press_key(&call));
                }
                TriggerKind::NoteRelease => {
                    self.dropped_presses.remove(&press_key(&call));
                }
                _ => {}
            }
        }
        call.end(CallEnd::Dropped(reason));
    }
}

/// What a press and its release have in common.
fn press_key(call: &Call) -> PressKey {
    let [status, note, _] = call.stamp.message.map_or([0; 3], midimon_shared::ChannelMessage::to_bytes);
    (call.route.binding, call.stamp.device, [status & 0x0F, note])
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
