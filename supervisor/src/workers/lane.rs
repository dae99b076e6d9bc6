//! The way of triggers to one worker, shared by the threads that receive MIDI
//! and the thread that reads the answers.
//!
//! Its lock is only ever held for bookkeeping and non-blocking writes, so no
//! slow party can hold it.

mod timers;

use super::bindings::{BindError, BindSpec, BindingTable};
use super::ring::{Answered, CallEnd, DropReason, Ring, Route, WrongAnswer};
use super::status::{CallCounts, LatencySummary};
use super::waker::Waker;
use crate::clock::Time;
use crate::sys::quick;
use hdrhistogram::Histogram;
use midimon_shared::codec::{self, TriggerFrame};
use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::MAX_PART;
use midimon_shared::pipe::WriteEnd;
use midimon_shared::protocol::{Command, NameKind, Names, Outcome};
use midimon_shared::{BindingId, CallId, Limits, PluginId};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A place in the order of one worker's triggers, see [`Lane::ticket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Names behind the indices in a [`TriggerStamp`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameTables {
    /// Modes.
    pub modes: Vec<Arc<str>>,
    /// Device aliases.
    pub devices: Vec<Arc<str>>,
}

/// See the module.
#[derive(Debug)]
pub struct Lane {
    plugin: PluginId,
    tickets: AtomicU64,
    waker: Arc<Waker>,
    /// Whether a call is under way, and whether one is or waits, as the last who held the lock left it.
    busy: AtomicBool,
    has_calls: AtomicBool,
    inner: Mutex<Inner>,
}

/// The lane's lock. Letting go of it says what can be known without it.
struct Locked<'l> {
    lane: &'l Lane,
    inner: MutexGuard<'l, Inner>,
}

#[derive(Debug)]
struct Inner {
    ring: Ring,
    bindings: BindingTable,
    names: NameTables,
    timeout: Duration,
    /// Whether a worker is running or will be soon.
    running: bool,
    channel: Option<Channel>,
    next_ticket: u64,
    /// Triggers whose turn has not come: another thread took an earlier ticket.
    early: BTreeMap<u64, (Route, TriggerStamp)>,
    latency: Histogram<u64>,
}

/// The pipe to a living worker.
#[derive(Debug)]
struct Channel {
    commands: WriteEnd<Command>,
    /// Frames that wait for room in the pipe, before any trigger.
    backlog: Vec<u8>,
    /// The worker is ready for triggers.
    open: bool,
}

/// Whether frames are left that wait for room in the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flushed {
    /// Everything was written.
    All,
    /// The pipe is full, or another thread is to write them.
    Blocked,
}

impl Lane {
    /// A lane without a worker.
    #[must_use]
    pub fn new(plugin: PluginId, limits: &Limits, waker: Arc<Waker>) -> Self {
        let inner = Inner {
            ring: Ring::new(limits.queue_depth, Duration::from_millis(limits.max_age_ms.into())),
            bindings: BindingTable::default(),
            names: NameTables::default(),
            timeout: Duration::from_millis(limits.timeout_ms.into()),
            running: false,
            channel: None,
            next_ticket: 0,
            early: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, 600_000_000, 2).expect("bounds"), // cannot fail: they are in order
        };
        let (busy, has_calls) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { plugin, tickets: AtomicU64::new(0), waker, busy, has_calls, inner: Mutex::new(inner) }
    }

    /// Whose lane it is.
    #[must_use]
    pub const fn plugin(&self) -> &PluginId {
        &self.plugin
    }

    fn lock(&self) -> Locked<'_> {
        Locked { lane: self, inner: self.inner.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// A place in the order of this worker's triggers. Take it while holding the
    /// lock that orders events, then call [`Self::trigger`] with it without that lock.
    /// Every ticket must be used.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a trigger to the worker, or queues it, or drops and counts it. Never waits.
    pub fn trigger(&self, ticket: Ticket, route: Route, stamp: TriggerStamp, now: Time) {
        let mut inner = self.lock();
        if ticket.0 != inner.next_ticket {
            inner.early.insert(ticket.0, (route, stamp));
            return;
        }
        inner.accept(now, route, stamp, None);
        while let Some((route, stamp)) = {
            let next = inner.next_ticket;
            inner.early.remove(&next)
        } {
            inner.accept(now, route, stamp, None);
        }
        let flushed = inner.flush(now);
        drop(inner);
        self.waker.written(flushed);
    }

    /// Binds an action by hand, calls it, and reports to `waiter` how that ends.
    ///
    /// # Errors
    /// The action cannot be bound.
    pub fn call(
        &self,
        spec: &BindSpec,
        stamp: TriggerStamp,
        now: Time,
        waiter: SyncSender<CallEnd>,
    ) -> Result<(), BindError> {
        let mut inner = self.lock();
        let (binding, is_new) = inner.bindings.manual(spec)?;
        if is_new {
            // its number may have been another binding's
            inner.ring.forget_bindings(|waiting| waiting == binding);
            inner.tell_bindings(&[binding]);
        }
        if let Some(route) = inner.bindings.route(binding) {
            let running = inner.running;
            inner.ring.accept(now, route, stamp, running, Some(waiter));
        }
        let flushed = inner.flush(now);
        drop(inner);
        self.waker.written(flushed);
        Ok(())
    }

    /// Takes the names behind indices; a living worker is told of them.
    pub fn set_names(&self, names: NameTables, now: Time) {
        let mut inner = self.lock();
        if inner.names == names {
            return;
        }
        inner.names = names;
        inner.tell_names();
        let flushed = inner.flush(now);
        drop(inner);
        self.waker.written(flushed);
    }

    /// Takes the configuration's bindings; a living worker is told the difference, before any trigger that
    /// comes from now on. Returns how to route calls, one for each binding.
    ///
    /// # Errors
    /// A binding is too large or they are too many; nothing has changed then.
    pub fn configure(&self, specs: &[BindSpec], now: Time) -> Result<Vec<Route>, BindError> {
        let mut inner = self.lock();
        let (ids, news) = inner.bindings.configure(specs)?;
        let Inner { ring, bindings, .. } = &mut *inner;
        ring.forget_bindings(|binding| bindings.is_gone(binding) || news.contains(&binding));
        inner.tell_bindings(&news);
        let routes = ids.into_iter().filter_map(|id| inner.bindings.route(id)).collect();
        // a worker that is written to takes this processor from whoever waits for the reload: the pool's thread does it
        let flushed = if inner.has_backlog() { Flushed::Blocked } else { inner.flush(now) };
        drop(inner);
        self.waker.written(flushed);
        Ok(routes)
    }

    /// Takes new limits.
    pub fn set_limits(&self, limits: &Limits) {
        let mut inner = self.lock();
        inner.ring.set_limits(limits.queue_depth, Duration::from_millis(limits.max_age_ms.into()));
        inner.timeout = Duration::from_millis(limits.timeout_ms.into());
    }

    /// Says that a worker is there or on its way; until then triggers are dropped.
    pub(super) fn expect_worker(&self) {
        self.lock().running = true;
    }

    /// Takes the pipe to a worker that waits for its code; queues `first`, names and bindings.
    pub(super) fn attach(&self, commands: WriteEnd<Command>, first: &Command, now: Time) -> Flushed {
        let mut inner = self.lock();
        let mut channel = Channel { commands, backlog: Vec::new(), open: false };
        channel.queue(first);
        inner.channel = Some(channel);
        inner.tell_names();
        let ids: Vec<BindingId> = inner.bindings.ids().collect();
        inner.tell_bindings(&ids);
        inner.flush(now)
    }

    /// The worker is ready: triggers go through from now on.
    pub(super) fn open(&self, now: Time) -> Flushed {
        let mut inner = self.lock();
        if let Some(channel) = &mut inner.channel {
            channel.open = true;
        }
        inner.flush(now)
    }

    /// Sends a command that is no trigger.
    pub(super) fn send(&self, command: &Command, now: Time) -> Flushed {
        let mut inner = self.lock();
        if let Some(channel) = &mut inner.channel {
            channel.queue(command);
        }
        inner.flush(now)
    }

    /// No more triggers to this worker, but it can still be told things.
    pub(super) fn stop_triggers(&self) {
        let mut inner = self.lock();
        if let Some(channel) = &mut inner.channel {
            channel.open = false;
        }
    }

    /// Writes what waits, as far as there is room.
    pub(super) fn flush(&self, now: Time) -> Flushed {
        self.lock().flush(now)
    }

    /// The worker has ended; the call under way is lost, the others wait for the next worker.
    pub(super) fn detach(&self, timed_out: bool) {
        let mut inner = self.lock();
        inner.channel = None;
        inner.ring.crashed(timed_out);
        let Inner { ring, bindings, .. } = &mut *inner;
        // its timers were the process's own
        ring.forget(DropReason::NotRunning, |binding| bindings.is_timers(binding));
        bindings.forget_timers();
    }

    /// No worker will follow: what waits is dropped, and so is what comes.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.running = false;
        inner.channel = None;
        inner.ring.close();
    }

    /// Drops what has waited too long while no worker can take it.
    pub(super) fn expire(&self, now: Time) {
        let mut inner = self.lock();
        if !inner.is_open() {
            inner.ring.expire(now);
        }
    }

    /// The worker says that a call ended; the next ones are written.
    pub(super) fn answered(
        &self,
        now: Time,
        call: CallId,
        outcome: Outcome,
    ) -> Result<(Answered, Flushed), WrongAnswer> {
        let mut inner = self.lock();
        let answered = inner.ring.answered(now, call, outcome)?;
        let micros = u64::try_from(answered.latency.as_micros()).unwrap_or(u64::MAX);
        inner.latency.saturating_record(micros.max(1));
        Ok((answered, inner.flush_unwritten(now)))
    }

    /// The worker says that a call was too old.
    pub(super) fn refused_as_too_old(&self, now: Time, call: CallId) -> Result<Flushed, WrongAnswer> {
        let mut inner = self.lock();
        inner.ring.refused_as_too_old(now, call)?;
        Ok(inner.flush_unwritten(now))
    }

    /// When the call under way is overdue, its action and what it was given.
    pub(super) fn deadline(&self) -> Option<(Time, Arc<str>, Duration)> {
        let inner = self.lock();
        let (at, given, call) = inner.ring.deadline(inner.timeout)?;
        Some((at, inner.bindings.action(call.route.binding), given))
    }

    /// Whether a call is under way or waits. With the lock: what was written before is seen.
    pub(super) fn has_calls(&self) -> bool {
        !self.lock().ring.is_empty()
    }

    /// Whether a call is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// When the call under way is overdue by `grace` (without one it does not
    /// matter), or the oldest trigger that waits for a worker becomes too old.
    pub(super) fn next_timer(&self, grace: Option<Duration>) -> Option<Time> {
        if !self.has_calls.load(Ordering::Acquire) {
            return None;
        }
        let inner = self.lock();
        let overdue = grace.and_then(|grace| Some(inner.ring.deadline(inner.timeout)?.0 + grace));
        let expiry = if inner.is_open() { None } else { inner.ring.expiry() };
        overdue.into_iter().chain(expiry).min()
    }

    /// The action behind a binding.
    #[must_use]
    pub fn action(&self, binding: BindingId) -> Arc<str> {
        self.lock().bindings.action(binding)
    }

    /// Whether a binding is a timer's.
    pub(super) fn is_timers(&self, binding: BindingId) -> bool {
        self.lock().bindings.is_timers(binding)
    }

    /// Where triggers went.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        let inner = self.lock();
        let mut counts = inner.ring.counts();
        // taken in by another thread a moment ago
        counts.received += inner.early.len() as u64;
        counts.in_flight += inner.early.len() as u64;
        counts
    }

    /// How long answers took.
    #[must_use]
    pub fn latency(&self) -> LatencySummary {
        let inner = self.lock();
        let at = |quantile| if inner.latency.is_empty() { 0 } else { inner.latency.value_at_quantile(quantile) };
        LatencySummary {
            p50_us: at(0.5),
            p99_us: at(0.99),
            max_us: if inner.latency.is_empty() { 0 } else { inner.latency.max() },
        }
    }
}

impl Deref for Locked<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // the lock itself is let go of after this
        self.lane.busy.store(self.inner.ring.is_busy(), Ordering::Release);
        self.lane.has_calls.store(!self.inner.ring.is_empty(), Ordering::Release);
    }
}

impl Inner {
    fn is_open(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| channel.open)
    }

    fn has_backlog(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| !channel.backlog.is_empty())
    }

    fn accept(&mut self, now: Time, route: Route, stamp: TriggerStamp, waiter: Option<SyncSender<CallEnd>>) {
        self.next_ticket += 1;
        self.ring.accept(now, route, stamp, self.running, waiter);
    }

    fn flush_unwritten(&mut self, now: Time) -> Flushed {
        if self.ring.has_unwritten() { self.flush(now) } else { Flushed::All }
    }

    fn flush(&mut self, now: Time) -> Flushed {
        let Self { ring, channel: Some(channel), .. } = self else { return Flushed::All };
        if channel.write_backlog() == Flushed::Blocked {
            return Flushed::Blocked;
        }
        if !channel.open {
            return Flushed::All;
        }
        while let Some(trigger) = ring.next_unwritten(now) {
            match quick::write(channel.commands.as_fd(), TriggerFrame::new(trigger).as_bytes()) {
                Ok(_) => ring.mark_written(now), // below PIPE_BUF: all or nothing
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // the worker is gone; its end is handled where its pidfd is watched
                Err(_) => return Flushed::All,
            }
        }
        Flushed::All
    }

    fn tell_bindings(&mut self, ids: &[BindingId]) {
        let Self { channel: Some(channel), bindings, .. } = self else { return };
        for &id in ids {
            bindings.commands(id).for_each(|command| channel.queue(&command));
        }
    }

    fn tell_names(&mut self) {
        let Self { channel: Some(channel), names, .. } = self else { return };
        for (kind, names) in [(NameKind::Mode, &names.modes), (NameKind::Device, &names.devices)] {
            names_commands(kind, names).for_each(|command| channel.queue(&command));
        }
    }
}

impl Channel {
    fn queue(&mut self, command: &Command) {
        // cannot fail: every command is built below the frame limit
        let _ = codec::encode(command, &mut self.backlog);
    }

    fn write_backlog(&mut self) -> Flushed {
        let mut written = 0;
        while written < self.backlog.len() {
            match self.commands.write_frames(&self.backlog[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => written = self.backlog.len(), // the worker is gone
            }
        }
        self.backlog.drain(..written);
        if self.backlog.is_empty() { Flushed::All } else { Flushed::Blocked }
    }
}

/// The commands that tell names, in parts; an empty list is told too.
fn names_commands(kind: NameKind, names: &[Arc<str>]) -> impl Iterator<Item = Command> {
    let mut parts = vec![Names { kind, first: 0, names: Vec::new() }];
    let mut size = 0;
    for (index, name) in names.iter().enumerate() {
        size += name.len() + 8;
        if size > MAX_PART {
            size = name.len() + 8;
            parts.push(Names { kind, first: u16::try_from(index).unwrap_or(u16::MAX), names: Vec::new() });
        }
        if let Some(part) = parts.last_mut() {
            part.names.push(name.to_string());
        }
    }
    parts.into_iter().map(Command::Names)
}
