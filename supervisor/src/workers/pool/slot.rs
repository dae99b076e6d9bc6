//! One worker in the pool: carries out what its lifecycle decides, and judges
//! everything the worker sends.

use super::{Request, Settled, Shared, Source, Token};
use crate::clock::Time;
use crate::monitor::MonitorEvent;
use crate::plugins::data_dir::Usage;
use crate::sys::spawn::{Child, SpawnError, spawn as start_process};
use crate::workers::broker::desk::Desk;
use crate::workers::budget::{Budget, Held};
use crate::workers::cause::{EndCause, KillReason};
use crate::workers::data_watch::{self, DataTree, Watched};
use crate::workers::lane::{Flushed, Lane};
use crate::workers::lifecycle::{Decision, Event as LifeEvent, Lifecycle, State};
use crate::workers::log::{LogFilter, LogTail};
use crate::workers::process::{CLOSED_LIMIT, EVENTS_CLOSED, Ends, FRAME_LIMIT, LOG_PAUSE, PING_LIMIT, Process, plan};
use crate::workers::quota::{Allowed, with_fix};
use crate::workers::spec::PluginSpec;
use crate::workers::status::{PluginKind, WorkerState, WorkerStatus};
use crate::workers::violations::{DENIED_LIMIT, Violations};
use midimon_shared::protocol::Command;
use midimon_shared::sandbox::SandboxLevel;
use midimon_shared::spawn::{self, MissingLayers};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// WASM: from a call's deadline, met by the worker itself, to the kill.
const WASM_GRACE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Slot {
    index: u16,
    /// Counts processes, so that events of an ended one are told apart.
    generation: u32,
    pub(super) spec: PluginSpec,
    /// Takes effect when the running process has ended.
    pub(super) next_spec: Option<PluginSpec>,
    pub(super) lane: Arc<Lane>,
    pub(super) life: Lifecycle,
    pub(super) process: Option<Process>,
    pub(super) filter: LogFilter,
    pub(super) tail: LogTail,
    pub(super) violations: Violations,
    pub(super) budget: Budget,
    pub(super) desk: Desk,
    removed: bool,
    waiting: Vec<Settled>,
}

impl Slot {
    pub fn new(index: u16, spec: PluginSpec, lane: Arc<Lane>, quarantined: Option<String>) -> Self {
        let life = Lifecycle::new(spec.limits.clone(), quarantined);
        let budget = Budget::new(&spec.limits, spec.plugin_kind());
        Self {
            index,
            generation: 0,
            spec,
            next_spec: None,
            lane,
            life,
            process: None,
            filter: LogFilter::default(),
            tail: LogTail::default(),
            violations: Violations::default(),
            budget,
            desk: Desk::default(),
            removed: false,
            waiting: Vec::new(),
        }
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    pub const fn has_process(&self) -> bool {
        self.life.has_process()
    }

    pub const fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether a process runs that is to give way: to another version or other grants, or to none.
    pub const fn is_outgoing(&self) -> bool {
        self.has_process() && (self.removed || self.next_spec.is_some())
    }

    /// Whether a call is under way or waits, with a deadline or an age to watch.
    pub fn has_calls(&self) -> bool {
        self.lane.has_calls()
    }

    /// Starts it, or stops it first when it runs.
    pub fn start(&mut self, shared: &mut Shared, now: Time) {
        shared.quarantine.forget(&self.spec.id);
        let spec = self.next_spec.as_ref().unwrap_or(&self.spec);
        self.budget = Budget::new(&spec.limits, spec.plugin_kind());
        self.step(shared, now, LifeEvent::Start);
    }

    /// Takes another version of the plugin, or another's place after a removal.
    pub fn replace(&mut self, shared: &mut Shared, now: Time, spec: PluginSpec) {
        self.removed = false;
        self.life.set_limits(spec.limits.clone());
        self.lane.set_limits(&spec.limits);
        self.next_spec = Some(spec);
        // only somebody who means it lets it out of quarantine
        if !matches!(self.life.state(), State::Quarantined { .. }) {
            self.start(shared, now);
        }
    }

    pub fn remove(&mut self, shared: &mut Shared, now: Time) {
        self.removed = true;
        self.step(shared, now, LifeEvent::Stop);
    }

    pub(super) fn step(&mut self, shared: &mut Shared, now: Time, event: LifeEvent) {
        self.record(shared, &event);
        let before = self.state();
        let decision = self.life.step(now, event, random());
        match decision {
            Decision::Nothing => {}
            Decision::Spawn => self.spawn(shared, now),
            Decision::Shutdown => self.shut_down(now),
            Decision::Kill(reason) => self.kill(reason),
            Decision::Down => {
                self.lane.close();
                if let State::Quarantined { reason } = self.life.state() {
                    shared.quarantine.remember(&self.spec.id, reason);
                }
            }
        }
        let after = self.state();
        if before != after {
            self.report(shared, now, after);
            self.settle();
        }
    }

    /// Tells, now or when it is known, whether it became ready.
    pub fn when_settled(&mut self, reply: Settled) {
        self.waiting.push(reply);
        self.settle();
    }

    fn settle(&mut self) {
        let result = match self.life.state() {
            State::Ready { .. } => Ok(()),
            State::Stopped if self.removed => Err("stopped".to_owned()),
            State::Backoff { .. } | State::Quarantined { .. } | State::Failed { .. } => {
                Err(self.reason().unwrap_or_default())
            }
            State::Stopped | State::Starting { .. } | State::Sandboxed { .. } | State::Stopping { .. } => return,
        };
        for reply in self.waiting.drain(..) {
            let _ = reply.send(result.clone()); // who waited may have gone
        }
    }

    fn report(&mut self, shared: &Shared, now: Time, state: WorkerState) {
        let detail = self.reason().unwrap_or_default();
        match state {
            WorkerState::Quarantined | WorkerState::Failed => tracing::error!("{}: {state}: {detail}", self.spec.id),
            WorkerState::Backoff => tracing::warn!("{}: {state}: {detail}", self.spec.id),
            _ => tracing::info!("{}: {state}", self.spec.id),
        }
        if shared.monitor.is_watched() {
            let plugin = self.spec.id.clone();
            shared.monitor.publish(MonitorEvent::Worker { at: now, plugin, state: state.to_string(), detail });
        }
    }

    fn spawn(&mut self, shared: &mut Shared, now: Time) {
        self.generation += 1;
        if let Some(spec) = self.next_spec.take() {
            self.spec = spec;
        }
        self.life.set_code(self.spec.code_path.display().to_string());
        self.lane.expect_worker();
        match plan(&self.spec, &shared.programs) {
            Ok((spawn, ends)) => {
                let token = self.token();
                let requests = shared.requests.clone();
                let mut ends = Box::new(ends);
                let (id, kind, limits) = (self.spec.id.clone(), self.spec.plugin_kind(), self.spec.limits.clone());
                let (dir, cgroups) = (self.spec.data_dir.clone(), shared.cgroups.clone());
                shared.spawner.run(move || {
                    // counted and watched before there is a process: it cannot be too early for us
                    let data = match data_watch::prepare(&id, dir.as_deref(), &limits) {
                        Ok(data) => data,
                        Err(cause) => return requests.send(Request::NotSpawned { token, cause }),
                    };
                    let result = start_process(spawn);
                    // here, since the kernel takes its time; not waited for yet, so it is this process
                    ends.cgroup =
                        result.as_ref().ok().map(|child| cgroups.enter(&id, kind, &limits, child.pid.as_raw()));
                    requests.send(Request::Spawned { token, ends, data, result });
                });
            }
            Err(error) => self.step(shared, now, LifeEvent::Ended(EndCause::NotStarted(error.to_string()))),
        }
    }

    pub fn spawned(
        &mut self,
        shared: &mut Shared,
        now: Time,
        generation: u32,
        ends: Ends,
        data: Option<Box<(DataTree, Usage)>>,
        result: Result<Child, SpawnError>,
    ) {
        let child = match result {
            Ok(child) if generation == self.generation => child,
            Ok(_) => return, // cannot happen: a slot waits for each spawn it asked for
            Err(error) => {
                return self.step(shared, now, LifeEvent::Ended(EndCause::NotStarted(error.to_string())));
            }
        };
        self.tail.begin();
        self.violations.begin();
        self.budget.begin(now);
        let mut process = Process::new(child, ends);
        if let Err(error) = self.watch(shared, &process) {
            process.kill(KillReason::StoppedEarly);
            let _ = process.pidfd.wait(); // at once: it was killed
            let cause = EndCause::NotStarted(format!("it cannot be watched: {error}"));
            return self.step(shared, now, LifeEvent::Ended(cause));
        }
        if let Some(data) = data {
            match process.pidfd.try_clone() {
                Ok(pidfd) => {
                    let allowed = Allowed::from(&self.spec.limits);
                    let (token, plugin) = (self.token(), self.spec.id.clone());
                    shared.data.begin(Watched::new(token, plugin, process.pid, pidfd, allowed, *data));
                }
                Err(error) => process.kill(KillReason::Own(format!("its data cannot be watched: {error}"))),
            }
        }
        self.process = Some(process);
        self.desk.open();
        if matches!(self.life.state(), State::Stopping { .. }) {
            self.kill(KillReason::StoppedEarly);
        }
    }

    fn watch(&self, shared: &Shared, process: &Process) -> nix::Result<()> {
        let event = |source, flags| EpollEvent::new(flags, self.token().data(source));
        shared.epoll.add(&process.events, self.event_interest())?;
        shared.epoll.add(&process.log, event(Source::Log, EpollFlags::EPOLLIN))?;
        shared.epoll.add(&process.requests, event(Source::Requests, EpollFlags::EPOLLIN))?;
        shared.epoll.add(&process.pidfd, event(Source::Exit, EpollFlags::EPOLLIN))?;
        if let Some(commands) = &process.commands {
            // edge-triggered: says once that a full pipe has room again
            shared.epoll.add(commands, event(Source::Commands, EpollFlags::EPOLLOUT | EpollFlags::EPOLLET))?;
        }
        Ok(())
    }

    pub(super) const fn token(&self) -> Token {
        Token { slot: self.index, generation: self.generation }
    }

    /// Edge-triggered: otherwise every wait would begin by finding that the last answer was the last.
    fn event_interest(&self) -> EpollEvent {
        EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, self.token().data(Source::Events))
    }

    /// Has the kernel tell of the event pipe again if anything is left in it.
    pub(super) fn look_again(&self, shared: &Shared) {
        let Some(process) = &self.process else { return };
        // it may not be watched any more, after nonsense
        let _ = shared.epoll.modify(&process.events, &mut self.event_interest());
    }

    fn shut_down(&mut self, now: Time) {
        self.lane.stop_triggers();
        match &self.process {
            Some(process) if process.commands.is_none() => {
                let _ = self.lane.send(&Command::Shutdown, now); // what does not fit waits for room
            }
            // it has not said hello yet: there is nothing it could lose
            Some(_) => self.kill(KillReason::StoppedEarly),
            None => {}
        }
    }

    pub(super) fn kill(&mut self, reason: KillReason) {
        if let Some(process) = &mut self.process {
            process.kill(reason);
        }
    }

    /// Its data directory is over its quota; it is frozen already.
    pub fn over_quota(&mut self, figures: &str) {
        self.kill(KillReason::Quota(with_fix(figures, &self.spec.id)));
    }

    pub(super) fn violation(&mut self, what: impl Into<String>) {
        self.kill(KillReason::Protocol(what.into()));
    }

    pub fn write_commands(&mut self, now: Time) {
        if self.process.is_some() {
            let _: Flushed = self.lane.flush(now); // still full: the edge comes again
        }
    }

    /// Looks at every deadline of this worker.
    pub fn scan(&mut self, shared: &mut Shared, now: Time, ping: bool) {
        self.lane.expire(now);
        if self.life.next_timer().is_some_and(|due| due <= now) {
            self.step(shared, now, LifeEvent::Timer);
        }
        self.resume_log(shared, now);
        self.answer_late(shared, now);
        self.send_lights(shared, now);
        self.make_timer_calls(now);
        let grace = self.grace();
        let Some(process) = &mut self.process else { return };
        let overdue = |since: Option<Time>, limit| since.is_some_and(|since: Time| now.since(since) >= limit);
        if overdue(process.partial_since, FRAME_LIMIT) {
            process.kill(KillReason::Protocol("half a frame, and nothing more for 2 s".into()));
        } else if overdue(process.closed_since, CLOSED_LIMIT) {
            process.kill(KillReason::Protocol(EVENTS_CLOSED.into()));
        } else if let Some((call, since)) = process.denied
            && now.since(since) >= DENIED_LIMIT
        {
            process.kill(KillReason::Protocol(format!("it goes on after a forbidden system call, {call}")));
        } else if let Some((at, action, limit)) = self.lane.deadline() {
            if let Some(reason) = process.look_at_memory().and_then(|seen| self.budget.excess(&Held::from(&seen))) {
                process.kill(reason);
            }
            if at + grace <= now {
                process.kill(KillReason::CallDeadline { action: action.to_string(), limit });
            }
            // a call under way answers for the ping: the pong comes after it
            process.ping = process.ping.map(|(nonce, _)| (nonce, now));
        } else if let Some((_, since)) = process.ping {
            if now.since(since) >= PING_LIMIT {
                process.kill(KillReason::Unresponsive);
            }
        } else if ping && matches!(self.life.state(), State::Ready { .. }) {
            let nonce = now.as_nanos();
            process.ping = Some((nonce, now));
            let _: Flushed = self.lane.send(&Command::Ping { nonce }, now);
        }
    }

    const fn grace(&self) -> Duration {
        match self.spec.plugin_kind() {
            PluginKind::Native => Duration::ZERO,
            PluginKind::Wasm => WASM_GRACE,
        }
    }

    /// The earliest deadline of this worker.
    pub fn next_timer(&self) -> Option<Time> {
        let process = self.process.as_ref().filter(|process| process.kill.is_none());
        let at = |since: Option<Time>, limit| since.map(|since: Time| since + limit);
        [
            self.life.next_timer(),
            self.desk.next_timer(),
            self.desk.timers.next().filter(|_| self.may_be_called()),
            process.and_then(|process| at(process.partial_since, FRAME_LIMIT)),
            process.and_then(|process| at(process.closed_since, CLOSED_LIMIT)),
            process.and_then(|process| at(process.denied.map(|(_, since)| since), DENIED_LIMIT)),
            process.and_then(|process| at(process.log_paused, LOG_PAUSE)),
            process.and_then(|process| at(process.ping.map(|(_, since)| since), PING_LIMIT)),
            self.lane.next_timer(process.map(|_| self.grace())),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn state(&self) -> WorkerState {
        match self.life.state() {
            State::Stopped => WorkerState::Stopped,
            State::Starting { .. } => WorkerState::Starting,
            State::Sandboxed { .. } => WorkerState::Sandboxed,
            State::Ready { .. } => WorkerState::Ready,
            State::Stopping { .. } => WorkerState::Stopping,
            State::Backoff { .. } => WorkerState::Backoff,
            State::Quarantined { .. } => WorkerState::Quarantined,
            State::Failed { .. } => WorkerState::Failed,
        }
    }

    fn reason(&self) -> Option<String> {
        match self.life.state() {
            State::Backoff { reason, .. } | State::Quarantined { reason } | State::Failed { reason } => {
                Some(reason.clone())
            }
            _ => None,
        }
    }

    /// Everything but what has to be read from `/proc` or the disk.
    pub fn status(&self, now: Time) -> WorkerStatus {
        let state = match self.state() {
            WorkerState::Ready if self.lane.is_busy() => WorkerState::Busy,
            state => state,
        };
        WorkerStatus {
            id: self.spec.id.clone(),
            name: self.spec.name.clone(),
            version: self.spec.version.clone(),
            kind: self.spec.plugin_kind(),
            origin: self.spec.origin,
            state,
            reason: self.reason(),
            pid: self.process.as_ref().map(|process| process.pid),
            uptime_s: match self.life.state() {
                State::Ready { since } => Some(now.since(*since).as_secs()),
                _ => None,
            },
            restarts: self.life.restarts(),
            last_end: self.life.last_end().map(str::to_owned),
            calls: self.lane.counts(),
            latency: self.lane.latency(),
            memory_kib: None,
            cpu_ms: None,
            warning: self.process.as_ref().and(self.budget.warning()).map(str::to_owned),
            data_dir: self.spec.data_dir.clone(),
            data_bytes: 0,
            data_files: 0,
            sandbox: self.process.as_ref().map_or(SandboxLevel::None, Process::level),
            layers: self.layers(),
            allow_degraded: self.spec.missing_layers == MissingLayers::Accept,
            report_only: self.spec.violations == spawn::Violations::Report,
            violations: self.violations.count(),
            last_violation: self.violations.last().map(str::to_owned),
            limits: self.spec.limits.clone(),
            log_dropped: self.filter.dropped().lines,
            log_dropped_bytes: self.filter.dropped().bytes,
            grants: self.spec.grants.iter().map(ToString::to_string).collect(),
            not_granted: self.spec.not_granted.iter().map(ToString::to_string).collect(),
            requests: self.desk.counts(),
            services: self.desk.services(),
            log_tail: self.tail.lines().map(str::to_owned).collect(),
        }
    }
}

/// From 0 to 1; spreads restarts, nothing more.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
