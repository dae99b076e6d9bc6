//! The thread that watches all workers: their events, logs, ends and deadlines.
//!
//! One epoll set, never a blocking call on a worker. [`slot`] carries out one
//! worker's life, [`inbox`] takes what it sends; here is what they share.

mod alarm;
mod guard;
mod inbox;
mod logs;
mod look;
mod requests;
mod slot;

use super::broker::{Broker, Outcome};
use super::cause::EndCause;
use super::cgroup::Cgroups;
use super::data_watch::{DataTree, DataWatcher};
use super::lane::Lane;
use super::lifecycle::Event as LifeEvent;
use super::log_file::LogFiles;
use super::spawner::Spawner;
use super::spec::PluginSpec;
use super::status::WorkerStatus;
use super::waker::Waker;
use crate::audit::Audit;
use crate::clock::{self, Time};
use crate::monitor::Monitor;
use crate::plugins::data_dir::Usage;
use crate::sys::quick;
use crate::sys::spawn::{Child, SpawnError};
use alarm::Alarm;
use midimon_shared::PluginId;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use slot::Slot;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// While calls come in, deadlines are looked at this often at least.
const ACTIVE_SCAN: Duration = Duration::from_millis(50);
/// How long after the last call that goes on.
const ACTIVE_FOR: Duration = Duration::from_secs(2);
/// What is due so soon is done now, so that rounds of pings and looks come together.
const ROUND_SLACK: Duration = Duration::from_millis(20);
/// How often idle workers are pinged, all together.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Why nothing is started any more.
pub(super) const STOPPING: &str = "midimon is stopping";
/// Events taken from the kernel at once.
const BATCH: usize = 64;

/// What other threads ask of the pool.
pub(super) enum Request {
    /// Add a plugin, or replace it, and start it unless it is quarantined.
    Install { spec: Box<PluginSpec>, lane: Arc<Lane> },
    /// Stop a plugin and forget it.
    Remove(PluginId),
    /// Start a plugin, or stop it first when it runs. Answers whether it is known.
    Restart(PluginId, Sender<bool>),
    /// A process was started, or not.
    Spawned {
        token: Token,
        ends: Box<super::process::Ends>,
        data: Option<Box<(DataTree, Usage)>>,
        result: Result<Child, SpawnError>,
    },
    /// No process was started.
    NotSpawned { token: Token, cause: EndCause },
    /// A worker's data directory is over its quota, and it is frozen.
    OverQuota { token: Token, figures: String },
    /// What a plugin asked for is done, or failed.
    Performed { token: Token, outcome: Outcome },
    /// What can be said about all plugins.
    Status(Sender<Vec<WorkerStatus>>),
    /// Whether a process runs that is to give way.
    Outgoing(Sender<bool>),
    /// Tell when a plugin is ready, or why it will not be.
    Settled(PluginId, Settled),
    /// Stop all workers, and the pool when the last one has ended.
    Shutdown,
}

/// Where it is told that a plugin is ready, or why it will not be.
pub(super) type Settled = Sender<Result<(), String>>;

/// Where requests go in; wakes the pool.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    sender: Sender<Request>,
    pub waker: Arc<Waker>,
}

impl Requests {
    pub fn send(&self, request: Request) {
        // a pool that has ended needs no requests
        let _ = self.sender.send(request);
        self.waker.wake();
    }

    /// Sends a request and waits for its answer; `None` when the pool has ended.
    pub fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (sender, receiver) = channel();
        self.send(request(sender));
        receiver.recv().ok()
    }
}

/// Which worker an epoll event is about, and which life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    slot: u16,
    generation: u32,
}

/// Which descriptor of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Events,
    Commands,
    Log,
    Requests,
    Exit,
}

impl Source {
    const ALL: [Self; 5] = [Self::Events, Self::Commands, Self::Log, Self::Requests, Self::Exit];
}

const WAKER: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;

impl Token {
    const fn data(self, source: Source) -> u64 {
        (self.generation as u64) << 32 | (self.slot as u64) << 8 | source as u64
    }

    fn from_data(data: u64) -> Option<(Self, Source)> {
        let source = *Source::ALL.get((data & 0xFF) as usize)?;
        Some((Self { slot: (data >> 8) as u16, generation: (data >> 32) as u32 }, source))
    }
}

/// What a pool is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub spawner: Spawner,
    pub cgroups: Cgroups,
    /// Where the worker programs are.
    pub programs: PathBuf,
    pub quarantine: super::quarantine::Quarantine,
    pub logs: Option<LogFiles>,
    pub audit: Audit,
    pub broker: Broker,
    pub monitor: Arc<Monitor>,
}

/// What every slot needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub epoll: Epoll,
    pub requests: Requests,
    pub spawner: Spawner,
    pub cgroups: Cgroups,
    pub programs: PathBuf,
    pub quarantine: super::quarantine::Quarantine,
    pub logs: Option<LogFiles>,
    pub audit: Audit,
    pub data: DataWatcher,
    pub broker: Broker,
    pub monitor: Arc<Monitor>,
    /// Where log bytes are read to, whoever wrote them.
    pub chunk: Box<[u8]>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Shared,
    alarm: Alarm,
    receiver: Receiver<Request>,
    /// What the kernel told in one wait.
    told: Box<[EpollEvent; BATCH]>,
    slots: Vec<Slot>,
    by_id: HashMap<PluginId, usize>,
    /// When the thread last woke; reading the clock once a round is enough.
    now: Time,
    active_until: Time,
    next_scan: Time,
    next_ping: Time,
    next_look: Time,
    stopping: bool,
}

impl Pool {
    /// A pool without workers, and the way to ask it.
    ///
    /// # Errors
    /// A descriptor cannot be made.
    pub fn new(parts: Parts) -> Result<(Self, Requests), Errno> {
        let (sender, receiver) = channel();
        let requests = Requests { sender, waker: Arc::new(Waker::new()?) };
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*requests.waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        let alarm = Alarm::new()?;
        epoll.add(&alarm, EpollEvent::new(EpollFlags::EPOLLIN, ALARM))?;
        let Parts { spawner, cgroups, programs, quarantine, logs, audit, broker, monitor } = parts;
        let data = DataWatcher::start(requests.clone(), audit.clone())
            .map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
        let shared = Shared {
            epoll,
            requests: requests.clone(),
            spawner,
            cgroups,
            programs,
            quarantine,
            logs,
            audit,
            data,
            broker,
            monitor,
            chunk: vec![0; logs::LOG_CHUNK].into(),
        };
        let now = clock::now();
        let pool = Self {
            shared,
            alarm,
            receiver,
            told: Box::new([EpollEvent::empty(); BATCH]),
            slots: Vec::new(),
            by_id: HashMap::new(),
            now,
            active_until: now,
            next_scan: now,
            next_ping: now + PING_EVERY,
            next_look: now,
            stopping: false,
        };
        Ok((pool, requests))
    }

    /// Runs until [`Request::Shutdown`] was carried out.
    pub fn run(mut self) {
        while self.run_once(None) {}
    }

    /// Waits for events, `at_most` so long, and handles them. False once shut down.
    pub fn run_once(&mut self, at_most: Option<Duration>) -> bool {
        let parked = self.park();
        // cannot fail: the time is valid; a short sleep would do as well
        let at_most = self.alarm.at_latest(self.next_scan).map_or(Some(ACTIVE_SCAN), |()| at_most);
        let count = quick::wait(&self.shared.epoll, &mut *self.told, timeout(at_most)).unwrap_or(0);
        if parked {
            self.shared.requests.waker.unpark();
        }
        self.now = clock::now();
        let now = self.now;
        for index in 0..count {
            let event = self.told[index];
            match event.data() {
                WAKER => self.woken(now),
                ALARM => self.alarm.rang(),
                data => {
                    if let Some((token, source)) = Token::from_data(data) {
                        self.handle(now, token, source, event.events());
                    }
                }
            }
        }
        if now >= self.next_scan {
            self.scan(now);
        }
        !self.is_finished()
    }

    /// Before a long wait, calls that were written meanwhile are looked for once
    /// more: after this, when it says true, they wake us.
    fn park(&mut self) -> bool {
        if self.now < self.active_until {
            return false;
        }
        self.shared.requests.waker.park();
        let busy = self.slots.iter().any(Slot::has_calls);
        if busy {
            self.shared.requests.waker.unpark();
            self.stay_active(self.now);
        }
        !busy
    }

    fn stay_active(&mut self, now: Time) {
        self.active_until = now + ACTIVE_FOR;
        self.next_scan = self.next_scan.min(now + ACTIVE_SCAN);
    }

    fn handle(&mut self, now: Time, token: Token, source: Source, flags: EpollFlags) {
        let Some(slot) = self.slots.get_mut(usize::from(token.slot)) else { return };
        if slot.generation() != token.generation {
            return; // an event of a process that ended a moment ago
        }
        match source {
            Source::Events => {
                if slot.read_events(&mut self.shared, now, flags.contains(EpollFlags::EPOLLHUP)) {
                    self.stay_active(now);
                }
            }
            Source::Commands => slot.write_commands(now),
            Source::Log => slot.read_log(&mut self.shared, now),
            Source::Requests => {
                slot.read_request(&mut self.shared, flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP))
            }
            Source::Exit => slot.read_exit(&mut self.shared, now),
        }
        self.next_scan = self.next_scan.min(slot_timer(&self.slots[usize::from(token.slot)], now));
    }

    fn woken(&mut self, now: Time) {
        self.shared.requests.waker.clear();
        while let Ok(request) = self.receiver.try_recv() {
            self.request(now, request);
        }
        for slot in &mut self.slots {
            slot.write_commands(now);
        }
        self.stay_active(now);
        self.next_scan = now;
    }

    fn request(&mut self, now: Time, request: Request) {
        match request {
            // nothing begins any more; who waits for it is told, or finds nobody to ask
            Request::Install { .. } | Request::Restart(..) if self.stopping => {}
            Request::Settled(_, reply) if self.stopping => drop(reply.send(Err(STOPPING.to_owned()))),
            Request::Install { spec, lane } => self.install(now, *spec, lane),
            Request::Remove(id) => {
                if let Some(&index) = self.by_id.get(&id) {
                    self.slots[index].remove(&mut self.shared, now);
                }
            }
            Request::Restart(id, reply) => {
                let slot = self.by_id.get(&id).map(|&index| &mut self.slots[index]).filter(|slot| !slot.is_removed());
                let _ = reply.send(slot.is_some());
                if let Some(slot) = slot {
                    slot.start(&mut self.shared, now);
                }
            }
            Request::Spawned { token, ends, data, result } => {
                if let Some(slot) = self.slots.get_mut(usize::from(token.slot)) {
                    slot.spawned(&mut self.shared, now, token.generation, *ends, data, result);
                }
            }
            Request::NotSpawned { token, cause } => {
                let slot = self.slots.get_mut(usize::from(token.slot));
                if let Some(slot) = slot.filter(|slot| slot.generation() == token.generation) {
                    slot.step(&mut self.shared, now, LifeEvent::Ended(cause));
                }
            }
            Request::OverQuota { token, figures } => {
                let slot = self.slots.get_mut(usize::from(token.slot));
                if let Some(slot) = slot.filter(|slot| slot.generation() == token.generation) {
                    slot.over_quota(&figures);
                }
            }
            Request::Performed { token, outcome } => {
                if let Some(slot) = self.slots.get_mut(usize::from(token.slot)) {
                    slot.performed(&self.shared, token.generation, outcome);
                }
            }
            Request::Status(reply) => {
                let shown = self.slots.iter().filter(|slot| !slot.is_removed());
                let _ = reply.send(shown.map(|slot| slot.status(now)).collect());
            }
            Request::Outgoing(reply) => {
                let _ = reply.send(self.slots.iter().any(Slot::is_outgoing));
            }
            Request::Settled(id, reply) => match self.by_id.get(&id) {
                Some(&index) => self.slots[index].when_settled(reply),
                None => drop(reply.send(Err("not loaded".to_owned()))),
            },
            Request::Shutdown => {
                self.stopping = true;
                for slot in &mut self.slots {
                    slot.remove(&mut self.shared, now);
                }
            }
        }
    }

    fn install(&mut self, now: Time, spec: PluginSpec, lane: Arc<Lane>) {
        let quarantined = self.shared.quarantine.reason(&spec.id).map(str::to_owned);
        if let Some(&index) = self.by_id.get(&spec.id) {
            self.slots[index].replace(&mut self.shared, now, spec);
            return;
        }
        let index = self.slots.len();
        let Ok(number) = u16::try_from(index) else { return };
        self.by_id.insert(spec.id.clone(), index);
        self.slots.push(Slot::new(number, spec, lane, quarantined.clone()));
        if quarantined.is_none() {
            self.slots[index].start(&mut self.shared, now);
        }
    }

    /// Looks at every deadline.
    fn scan(&mut self, now: Time) {
        let due = now + ROUND_SLACK;
        let ping = due >= self.next_ping;
        if ping {
            self.next_ping = now + PING_EVERY;
        }
        if due >= self.next_look {
            self.look(now);
        }
        for slot in &mut self.slots {
            slot.scan(&mut self.shared, now, ping);
        }
        let timers = self.slots.iter().map(|slot| slot_timer(slot, now)).min();
        self.next_scan = timers.map_or(self.next_ping, |timer| timer.min(self.next_ping));
        if self.slots.iter().any(|slot| slot.process.is_some()) {
            self.next_scan = self.next_scan.min(self.next_look);
        }
        if now < self.active_until {
            self.next_scan = self.next_scan.min(now + ACTIVE_SCAN);
        }
    }

    fn is_finished(&self) -> bool {
        self.stopping && !self.slots.iter().any(Slot::has_process)
    }
}

fn slot_timer(slot: &Slot, now: Time) -> Time {
    slot.next_timer().unwrap_or(now + Duration::from_secs(3600))
}

/// In milliseconds, rounded up, so that the time has passed when the wait ends; for ever (-1) without one.
fn timeout(at_most: Option<Duration>) -> i32 {
    let millis = |at_most: Duration| at_most.as_nanos().div_ceil(1_000_000).min(60_000);
    at_most.map_or(-1, |at_most| i32::try_from(millis(at_most)).unwrap_or(60_000))
}

#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod tests;
