//! When a data directory is counted, and what follows: a pure state machine,
//! time, changes and counts in, decisions out.
//!
//! ```text
//! quiet ──a change──▶ counted again and again ──nothing grew for 1 s──▶ quiet
//!                       │ near the quota           │ over it
//!                       ▼                          ▼
//!               frozen, counted, file limit     stopped
//! ```
//!
//! Between two counts a plugin writes as fast as the page cache takes it, some
//! 3 GiB/s, so what it can go over its quota by is bounded, not zero.

use crate::clock::Time;
use crate::plugins::data_dir::Usage;
use midimon_shared::{Limits, PluginId};
use std::time::Duration;

/// From one count to the next while nothing grows fast.
pub const RELAXED: Duration = Duration::from_millis(10);
/// From one count to the next at least.
const HURRIED: Duration = Duration::from_millis(2);
/// For so long after the first change nobody knows yet how fast it grows.
const UNKNOWN: Duration = Duration::from_millis(20);
/// Counting takes no more than one part in so many of the time,
const SHARE: u32 = 4;
/// unless that would put the next count off for longer than this.
const LONGEST: Duration = Duration::from_millis(30);
/// Without a change for so long it is quiet.
const QUIET_AFTER: Duration = Duration::from_secs(1);
/// How long a worker stays frozen at most while a long write of its goes on.
pub const FREEZE_LIMIT: Duration = Duration::from_millis(20);
/// From one freeze to the next at least, so that calls still get done.
const FREEZE_EVERY: Duration = Duration::from_millis(250);
/// How long a worker stays frozen at most, however long counting takes.
pub const FREEZE_MOST: Duration = Duration::from_millis(500);
/// From one try to count to the next where the supervisor lacks what that takes.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How often a frozen worker is looked at.
const FROZEN_LOOK: Duration = Duration::from_millis(1);
/// Free space below which a plugin that deletes files may write no more: what was
/// deleted while it was open takes space, and nobody can count it. Bytes.
pub const DISK_RESERVE: u64 = 256 * MIB;

const MIB: u64 = 1024 * 1024;

/// What a plugin may have in its data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Lengths of all files together.
    pub bytes: u64,
    /// Everything that has a name.
    pub files: u64,
}

impl From<&Limits> for Allowed {
    fn from(limits: &Limits) -> Self {
        Self { bytes: u64::from(limits.quota_mib) * MIB, files: limits.quota_files.into() }
    }
}

impl Allowed {
    /// What is too much about a usage, with the figures.
    #[must_use]
    pub fn excess(&self, usage: &Usage) -> Option<String> {
        if usage.bytes > self.bytes {
            Some(format!("{} of {} MiB", mib(usage.bytes), self.bytes / MIB))
        } else if usage.files > self.files {
            Some(format!("{} files of {}", thousands(usage.files), thousands(self.files)))
        } else if !usage.complete {
            Some("what lies there cannot be counted: too deep, or made unreadable".to_owned())
        } else {
            None
        }
    }
}

/// The figures, and what the user can do.
#[must_use]
pub fn with_fix(figures: &str, plugin: &PluginId) -> String {
    format!(
        "{figures}; make room with `midimon plugin data {plugin} --clear`, or raise quota_mib or quota_files \
         under [plugins.{plugin}], then `midimon worker restart {plugin}`"
    )
}

/// `12.3 of 64 MiB, 17 of 4,096 files`
#[must_use]
pub fn usage_text(bytes: u64, files: u64, allowed: &Allowed) -> String {
    format!("{} of {} MiB, {} of {} files", mib(bytes), allowed.bytes / MIB, thousands(files), thousands(allowed.files))
}

fn mib(bytes: u64) -> String {
    // rounded up: never shown as what is allowed
    let tenths = bytes.saturating_mul(10).div_ceil(MIB);
    if tenths.is_multiple_of(10) { format!("{}", tenths / 10) } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

/// `4,097`
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// Stop the process without ending it, then count.
    Freeze,
    /// Let no file grow beyond this, in bytes, and let a frozen process go on.
    FileLimit(u64),
    /// Let a frozen process go on.
    Thaw,
    /// It is over: freeze it and have it killed, with the figures.
    Stop(String),
}

/// One count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// What lies there.
    pub usage: Usage,
    /// The processor time counting took. Not the time on the clock: on a busy machine
    /// that would put off the next count just when it matters.
    pub took: Duration,
    /// Free space of the file system, in bytes.
    pub free: u64,
    /// Whether it deleted anything since it was started.
    pub deletes: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Quota {
    allowed: Allowed,
    last: Usage,
    counted: Option<Time>,
    next: Option<Time>,
    /// When it was quiet last.
    woken: Time,
    quiet_at: Time,
    file_limit: u64,
    frozen: Option<Time>,
    thawed: Option<(Time, u64)>,
    hidden: Option<Time>,
}

impl Quota {
    /// Of a directory that was just counted, and is within what is allowed.
    #[must_use]
    pub fn new(allowed: Allowed, usage: Usage, now: Time) -> Self {
        // counted once more at once: it may be near its quota from the beginning
        Self {
            allowed,
            last: usage,
            counted: None,
            next: Some(now),
            woken: now,
            quiet_at: now,
            file_limit: allowed.bytes,
            frozen: None,
            thawed: None,
            hidden: None,
        }
    }

    /// When to count next; never while nothing changes.
    #[must_use]
    pub const fn next(&self) -> Option<Time> {
        self.next
    }

    /// Whether it is frozen: to be counted once it stands still, or [`FREEZE_LIMIT`] is over.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether a frozen one is waited for no longer.
    #[must_use]
    pub fn is_frozen_long(&self, now: Time) -> bool {
        self.frozen.is_some_and(|since| now.since(since) >= FREEZE_LIMIT)
    }

    /// Whether a frozen one has to go on, counted or not.
    #[must_use]
    pub fn is_overdue(&self, now: Time) -> bool {
        self.frozen.is_some_and(|since| now.since(since) >= FREEZE_MOST)
    }

    /// The supervisor lacks what counting takes: it goes on, and is counted soon.
    pub fn uncounted(&mut self, now: Time) -> Decision {
        self.next = Some(now + TRY_AGAIN);
        self.quiet_at = now + QUIET_AFTER;
        if self.frozen.take().is_some() { Decision::Thaw } else { Decision::Nothing }
    }

    /// A frozen one does not stand still yet.
    pub fn still_moving(&mut self, now: Time) {
        self.next = Some(now + FROZEN_LOOK);
    }

    /// Something changed in the directory.
    pub fn changed(&mut self, now: Time) {
        self.quiet_at = now + QUIET_AFTER;
        if self.next.is_none() {
            self.woken = now;
            self.next = Some(now);
        }
    }

    /// It wrote to a file after it had deleted it. Once is what a late flush does;
    /// again within a second is over, since nobody can count that file.
    pub fn hidden_write(&mut self, now: Time) -> Decision {
        let before = self.hidden.replace(now);
        if before.is_some_and(|before| now.since(before) <= QUIET_AFTER) {
            self.next = None;
            return Decision::Stop("it goes on writing to a file it deleted, which cannot be counted".to_owned());
        }
        Decision::Nothing
    }

    /// It was counted.
    pub fn counted(&mut self, now: Time, count: &Count) -> Decision {
        let usage = count.usage;
        let frozen = self.frozen.take();
        let growth = usage.bytes.saturating_sub(self.last.bytes);
        let since = self.counted.map_or(RELAXED, |before| now.since(before)).max(Duration::from_millis(1));
        if usage != self.last {
            self.quiet_at = now + QUIET_AFTER;
        }
        self.last = usage;
        self.counted = Some(now);
        self.next = (now < self.quiet_at).then(|| now + self.interval(now, growth, since, count.took));

        if let Some(excess) = self.allowed.excess(&usage) {
            // what cannot be counted may have moved meanwhile: once more, standing still
            if !usage.complete && frozen.is_none() && usage.bytes <= self.allowed.bytes {
                return self.freeze(now);
            }
            self.next = None;
            return Decision::Stop(excess);
        }
        if count.deletes && count.free < DISK_RESERVE && now < self.quiet_at {
            self.next = None;
            return Decision::Stop(format!(
                "only {} MiB are left on the disk, and what it deleted while it was open cannot be counted",
                count.free / MIB
            ));
        }
        if frozen.is_some() {
            self.thawed = Some((now, usage.bytes));
            return self.set_file_limit(usage).unwrap_or(Decision::Thaw);
        }
        if usage.bytes < self.allowed.bytes / 4 * 3 {
            self.thawed = None;
            return self.set_file_limit(usage).unwrap_or(Decision::Nothing);
        }
        match self.thawed {
            // near its quota for the first time, or much has changed since it was last frozen
            None => self.freeze(now),
            Some((at, bytes))
                if usage.bytes.abs_diff(bytes) > self.allowed.bytes / 64 && now.since(at) >= FREEZE_EVERY =>
            {
                self.freeze(now)
            }
            // it deleted something: what it may write again it may write at once
            Some((_, bytes)) if usage.bytes < bytes => self.set_file_limit(usage).unwrap_or(Decision::Nothing),
            Some(_) => Decision::Nothing,
        }
    }

    fn freeze(&mut self, now: Time) -> Decision {
        self.frozen = Some(now);
        self.next = Some(now + FROZEN_LOOK);
        Decision::Freeze
    }

    /// The lowest limit that refuses no write within the quota: any file may take what is left.
    fn set_file_limit(&mut self, usage: Usage) -> Option<Decision> {
        let near = usage.bytes >= self.allowed.bytes / 4 * 3;
        let left = self.allowed.bytes - usage.bytes.min(self.allowed.bytes);
        let limit = if near { usage.largest + left } else { self.allowed.bytes };
        if limit == self.file_limit {
            return None;
        }
        self.file_limit = limit;
        Some(Decision::FileLimit(limit))
    }

    /// Half the time in which the rest would be full at the present pace.
    fn interval(&self, now: Time, growth: u64, since: Duration, took: Duration) -> Duration {
        let left = self.allowed.bytes.saturating_sub(self.last.bytes) as f64;
        let per_second = growth as f64 / since.as_secs_f64();
        let full_in = if per_second > 0.0 { left / per_second / 2.0 } else { f64::MAX };
        let longest = if now.since(self.woken) < UNKNOWN { HURRIED } else { RELAXED };
        let wanted = Duration::try_from_secs_f64(full_in).unwrap_or(RELAXED).clamp(HURRIED, longest);
        wanted.max((took * SHARE).min(LONGEST))
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
