//! Shortens what one plugin causes too often, so that a flood neither fills the
//! disk nor pushes out everything else.
//!
//! Pure: time comes in as an argument.

use super::event::{AuditEvent, Entry};
use crate::clock::Time;
use crate::workers::rate::TokenBucket;
use midimon_shared::PluginId;
use std::collections::HashMap;
use std::time::Duration;

/// The same file or use again within this time becomes part of one line.
pub const SAME: Duration = Duration::from_secs(1);
/// Lines a second that are written for long.
const PER_SECOND: u32 = 20;
/// Lines that are written at once.
const BURST: u32 = 200;

/// The repetitions of an event since a line of it was written.
#[derive(Debug)]
struct Repeated {
    until: Time,
    times: u64,
    bytes: u64,
    last: String,
}

/// What one plugin did lately.
#[derive(Debug)]
pub(super) struct Flood {
    plugin: PluginId,
    /// By the event without its bytes. No more than lines were allowed in the last second.
    recent: HashMap<AuditEvent, Repeated>,
    activity: TokenBucket,
    /// What is not activity has an allowance of its own, which no flood of files takes.
    life: TokenBucket,
    lost: u64,
    /// When the loss is told at the latest.
    tell: Option<Time>,
}

impl Flood {
    pub fn new(plugin: PluginId) -> Self {
        Self {
            plugin,
            recent: HashMap::new(),
            activity: TokenBucket::new(PER_SECOND, BURST),
            life: TokenBucket::new(PER_SECOND, BURST),
            lost: 0,
            tell: None,
        }
    }

    fn entry(&self, time: String, event: AuditEvent, times: u64) -> Entry {
        Entry { time, plugin: self.plugin.clone(), event, times }
    }

    /// Takes an event in and gives the line to write now, if any.
    pub fn take(&mut self, now: Time, time: String, event: AuditEvent) -> Option<Entry> {
        if let AuditEvent::Lost { count } = event {
            self.lose(now, count);
            return None;
        }
        if !event.is_activity() {
            if self.life.take(now) {
                return Some(self.entry(time, event, 1));
            }
            self.lose(now, 1);
            return None;
        }
        let mut key = event.clone();
        let bytes = key.bytes_mut().map_or(0, std::mem::take);
        if let Some(repeated) = self.recent.get_mut(&key) {
            repeated.times += 1;
            repeated.bytes = match &event {
                // how much in all, and how long at last
                AuditEvent::Use { .. } => repeated.bytes.saturating_add(bytes),
                _ => bytes,
            };
            repeated.last = time;
            return None;
        }
        if !self.activity.take(now) {
            self.lose(now, 1);
            return None;
        }
        self.recent.insert(key, Repeated { until: now + SAME, times: 0, bytes: 0, last: String::new() });
        Some(self.entry(time, event, 1))
    }

    /// Counts events that were let go.
    pub fn lose(&mut self, now: Time, count: u64) {
        self.lost = self.lost.saturating_add(count);
        self.tell.get_or_insert(now + SAME);
    }

    /// The lines of what has been repeated for a second, and of what was let go.
    pub fn due(&mut self, now: Time, time: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        let due: Vec<AuditEvent> =
            self.recent.iter().filter(|(_, repeated)| repeated.until <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(repeated) = self.recent.remove(&key) else { continue };
            if repeated.times == 0 {
                continue;
            }
            if !self.activity.take(now) {
                self.lose(now, repeated.times);
                continue;
            }
            let mut event = key.clone();
            if let Some(bytes) = event.bytes_mut() {
                *bytes = repeated.bytes;
            }
            entries.push(self.entry(repeated.last, event, repeated.times));
            // one line a second, for as long as it goes on
            self.recent.insert(key, Repeated { until: now + SAME, times: 0, bytes: 0, last: String::new() });
        }
        entries.sort_by(|a, b| a.time.cmp(&b.time));
        if self.tell.is_some_and(|tell| tell <= now) {
            entries.extend(self.take_lost(time));
        }
        entries
    }

    /// The lines of everything that is held back, due or not.
    pub fn finish(&mut self, now: Time, time: &str) -> Vec<Entry> {
        for repeated in self.recent.values_mut() {
            repeated.until = now;
        }
        let mut entries = self.due(now, time);
        entries.extend(self.take_lost(time));
        entries
    }

    fn take_lost(&mut self, time: &str) -> Option<Entry> {
        self.tell = None;
        let count = std::mem::take(&mut self.lost);
        (count > 0).then(|| self.entry(time.to_owned(), AuditEvent::Lost { count }, 1))
    }

    /// When [`Self::due`] has something to do next.
    pub fn next(&self) -> Option<Time> {
        self.recent.values().map(|repeated| repeated.until).chain(self.tell).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::FileChange;

    fn flood() -> Flood {
        Flood::new("notes".parse().unwrap())
    }

    fn written(path: &str, bytes: u64) -> AuditEvent {
        AuditEvent::File { what: FileChange::Written, path: path.into(), bytes }
    }

    fn ms(ms: u64) -> Time {
        Time::from_millis(10_000 + ms)
    }

    #[test]
    fn the_same_change_within_a_second_is_one_more_line_with_the_count_and_the_last_size() {
        let mut flood = flood();
        assert!(flood.take(ms(0), "t0".into(), written("a", 1)).is_some());
        for number in 1..=500 {
            assert!(flood.take(ms(number), format!("t{number}"), written("a", number)).is_none());
        }
        assert!(flood.due(ms(999), "now").is_empty());
        assert_eq!(flood.next(), Some(ms(1000)));
        let entries = flood.due(ms(1000), "now");
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].times, &*entries[0].time, &entries[0].event), (500, "t500", &written("a", 500)));
        assert!(flood.due(ms(2000), "now").is_empty());
        assert_eq!(flood.next(), None, "an idle plugin costs nothing");
    }

    #[test]
    fn the_bytes_of_a_use_are_added_up() {
        let sent = |bytes| AuditEvent::Use {
            what: "datagram".into(),
            target: "example.org:9000".into(),
            arguments: Vec::new(),
            more_arguments: 0,
            bytes,
            allowed: true,
            reason: None,
        };
        let mut flood = flood();
        for _ in 0..4 {
            let _: Option<Entry> = flood.take(ms(0), String::new(), sent(100));
        }
        assert_eq!(flood.due(ms(1000), "now")[0].event, sent(300));
    }

    #[test]
    fn a_flood_of_new_names_is_cut_and_its_loss_counted() {
        let mut flood = flood();
        let mut lines = Vec::new();
        for number in 0..100_000 {
            let at = ms(number / 10);
            lines.extend(flood.take(at, String::new(), written(&number.to_string(), 0)));
            if number % 1000 == 0 {
                lines.extend(flood.due(at, "now"));
            }
        }
        lines.extend(flood.finish(ms(10_000), "now"));
        let lost: u64 =
            lines.iter().map(|entry| if let AuditEvent::Lost { count } = entry.event { count } else { 0 }).sum();
        let kept = lines.iter().filter(|entry| matches!(entry.event, AuditEvent::File { .. })).count();
        assert!((BURST as usize..=BURST as usize + 10 * PER_SECOND as usize + 1).contains(&kept), "{kept}");
        assert_eq!(kept as u64 + lost, 100_000);
        assert!(lines.len() - kept <= 12, "one line of loss a second");
    }

    #[test]
    fn losses_told_from_elsewhere_add_up_and_take_no_allowance() {
        let mut flood = flood();
        for _ in 0..1000 {
            assert!(flood.take(ms(0), String::new(), AuditEvent::Lost { count: 7 }).is_none());
        }
        assert!(flood.take(ms(0), String::new(), written("a", 0)).is_some());
        let entries = flood.due(ms(1000), "now");
        assert_eq!(entries.iter().map(|entry| &entry.event).collect::<Vec<_>>(), [&AuditEvent::Lost { count: 7000 }]);
    }

    #[test]
    fn names_in_turn_cannot_buy_a_line_each_second() {
        let mut flood = flood();
        let mut lines = 0;
        for second in 0..100 {
            for number in 0..200 {
                lines += usize::from(
                    flood.take(ms(second * 1000), String::new(), written(&number.to_string(), 0)).is_some(),
                );
            }
            lines += flood.due(ms(second * 1000 + 999), "now").len();
        }
        assert!(lines <= BURST as usize + 100 * (PER_SECOND as usize + 1), "{lines}");
    }

    #[test]
    fn files_never_take_the_place_of_starts_ends_and_violations() {
        let mut flood = flood();
        for number in 0..10_000 {
            let _: Option<Entry> = flood.take(ms(0), String::new(), written(&number.to_string(), 0));
        }
        let violation = AuditEvent::Violation { what: "ptrace".into() };
        assert!(flood.take(ms(0), String::new(), violation).is_some());
    }
}
