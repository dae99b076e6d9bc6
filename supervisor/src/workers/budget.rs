//! How much a plugin may take over time: processor time, threads, memory.
//!
//! Pure: looks at the process and the time go in, what follows from them comes out.
//! All work counts, that done for calls too: a plugin may be quick often, or slow
//! seldom, but not keep a core busy for good.

use super::cause::KillReason;
use super::status::PluginKind;
use crate::clock::Time;
use crate::sys::proc_status::Living;
use midimon_shared::Limits;
use midimon_shared::spawn::WASM_OVERHEAD;
use std::collections::VecDeque;
use std::time::Duration;

/// Most threads of a worker, and so most that are looked at; the WASM runtime and every honest plugin stay far below.
pub const MAX_THREADS: usize = 64;
/// Memory a worker may hold beyond its plugin's, in KiB: what libraries write when they are loaded, the main
/// thread's stack, page tables.
const SLACK_KIB: u64 = 64 * 1024;
/// Over the budget in this part of the window is worth a warning.
const WARN_PART: u32 = 6;
/// Looks kept for one window.
const KEPT: u32 = 240;
/// Work from this part of a core on, in percent, is watched closely.
const BUSY_PERCENT: u32 = 50;
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The same while one of the workers is busy.
const LOOK_CLOSELY: Duration = Duration::from_millis(250);

/// When to look at all workers again; `busy` says whether one of them was.
#[must_use]
pub const fn look_after(busy: bool) -> Duration {
    if busy { LOOK_CLOSELY } else { LOOK_EVERY }
}

/// What a look at a process saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Processor time since the process began.
    pub worked: Duration,
    /// What it holds.
    pub held: Held,
    /// Its main thread has ended, while others go on or are about to end.
    pub main_ended: bool,
}

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its threads.
    pub threads: u32,
    /// Memory that is its alone, page tables too, in KiB.
    pub memory_kib: u64,
}

impl From<&Living> for Held {
    fn from(seen: &Living) -> Self {
        Self { threads: seen.status.threads, memory_kib: seen.status.held_kib() }
    }
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    Fine,
    /// From now on it takes more than it may take for long; the figures.
    Warning(String),
    /// It took more than it may, and is to be killed.
    Exceeded(KillReason),
}

/// One plugin's account. It goes on when its worker is restarted, or a plugin could
/// clear it by crashing in time.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Of one core; 0 is no limit.
    percent: u32,
    window: Duration,
    /// In MiB: what the plugin may have, and the process with it.
    memory_mib: (u64, u64),
    /// The last look saw its main thread ended.
    main_ended: bool,
    /// Looks within the window, oldest first, not closer than the window's [`KEPT`]th part.
    history: VecDeque<(Time, Duration)>,
    /// The newest look: when, and all work until then, of earlier processes too.
    newest: (Time, Duration),
    /// All work of earlier processes.
    earlier: Duration,
    busy: bool,
    warning: Option<String>,
}

impl Budget {
    /// An account nothing was taken from.
    #[must_use]
    pub fn new(limits: &Limits, kind: PluginKind) -> Self {
        let plugin = u64::from(limits.memory_mib);
        let runtime = match kind {
            PluginKind::Native => 0,
            PluginKind::Wasm => WASM_OVERHEAD / (1024 * 1024),
        };
        Self {
            percent: limits.cpu_percent,
            window: Duration::from_secs(limits.cpu_window_s.max(1).into()),
            memory_mib: (plugin, plugin + runtime + SLACK_KIB / 1024),
            main_ended: false,
            history: VecDeque::new(),
            newest: (Time::default(), Duration::ZERO),
            earlier: Duration::ZERO,
            busy: false,
            warning: None,
        }
    }

    /// A new process begins.
    pub fn begin(&mut self, now: Time) {
        self.earlier = self.newest.1;
        self.busy = false;
        self.main_ended = false;
        self.keep(now, self.earlier);
    }

    /// Whether the last look saw it work so much that the next one is wanted soon.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// What it takes too much of now, while it does.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Why a process must not go on that holds so much.
    #[must_use]
    pub fn excess(&self, held: &Held) -> Option<KillReason> {
        if held.threads as usize > MAX_THREADS {
            return Some(KillReason::Budget(format!("{} threads (limit {MAX_THREADS})", held.threads)));
        }
        let (plugin, process) = self.memory_mib;
        (held.memory_kib > process * 1024).then(|| {
            let has = held.memory_kib.div_ceil(1024);
            let more = process - plugin;
            KillReason::Memory(format!("{has} MiB of {process} MiB (memory_mib = {plugin}, and {more} for all else)"))
        })
    }

    /// Takes a look into account.
    pub fn look(&mut self, now: Time, look: Look) -> Finding {
        let (before, worked_before) = self.newest;
        let worked = (self.earlier + look.worked).max(worked_before);
        self.keep(now, worked);
        let close = if self.percent == 0 { BUSY_PERCENT } else { self.percent.min(BUSY_PERCENT) };
        self.busy = look.main_ended || worked - worked_before > share(now.since(before), close);
        // twice: a process that ends as a whole may look so for a moment
        if std::mem::replace(&mut self.main_ended, look.main_ended) && look.main_ended {
            return Finding::Exceeded(KillReason::Protocol("its main thread has ended and others go on".to_owned()));
        }
        if let Some(reason) = self.excess(&look.held) {
            return Finding::Exceeded(reason);
        }
        if self.percent == 0 {
            return Finding::Fine;
        }
        if let Some(figures) = self.over(now, self.window) {
            return Finding::Exceeded(KillReason::Budget(figures));
        }
        let warned = self.warning.take().is_some();
        self.warning = self.over(now, self.window / WARN_PART);
        match &self.warning {
            Some(figures) if !warned => Finding::Warning(figures.clone()),
            _ => Finding::Fine,
        }
    }

    fn keep(&mut self, now: Time, worked: Duration) {
        self.newest = (now, worked);
        while self.history.front().is_some_and(|&(at, _)| now.since(at) > self.window) {
            self.history.pop_front();
        }
        if self.history.back().is_none_or(|&(at, _)| now.since(at) >= self.window / KEPT) {
            self.history.push_back((now, worked));
        }
    }

    /// The figures, when it surely worked more than its share of the last `window`:
    /// what it did before the oldest look within is not held against it.
    fn over(&self, now: Time, window: Duration) -> Option<String> {
        let first = self.history.partition_point(|&(at, _)| now.since(at) > window);
        let &(_, worked_before) = self.history.get(first)?;
        let worked = self.newest.1.saturating_sub(worked_before);
        let seconds = |duration: Duration| duration.as_millis() as f64 / 1000.0;
        (worked > share(window, self.percent)).then(|| {
            format!(
                "{:.1} s of processor time within {} s (limit {} % of a core)",
                seconds(worked),
                seconds(window),
                self.percent
            )
        })
    }
}

/// So many percent of a time.
fn share(time: Duration, percent: u32) -> Duration {
    time.saturating_mul(percent) / 100
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
