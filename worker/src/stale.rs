//! Which triggers are too old to be worth a call.

use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::midi::{Channel, ChannelMessage, U7};
use midimon_shared::protocol::BindingId;
use std::time::Duration;

type Key = (BindingId, Option<u16>, Channel, U7);

/// Drops old triggers, but never the release of a press that was delivered to the same binding: a
/// plugin that holds something down must hear of the release, however late.
#[derive(Debug)]
pub struct StaleFilter {
    max_age: Duration,
    /// Notes whose last press was dropped.
    dropped: Vec<Key>,
}

impl StaleFilter {
    /// Notes remembered at most; the release of a forgotten one is delivered.
    const REMEMBERED: usize = 256;

    /// Drops what is older than `max_age`.
    #[must_use]
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, dropped: Vec::new() }
    }

    /// From one tick of the kernel to the next: 10 ms, and some for one that comes late.
    const TICK: Duration = Duration::from_millis(50);

    /// Whether this trigger is young, by the time of the kernel's last tick.
    #[must_use]
    pub fn is_surely_young(&self, stamp: &TriggerStamp, last_tick_ns: u64) -> bool {
        let age = Duration::from_nanos(last_tick_ns.saturating_sub(stamp.monotonic_ns));
        age.saturating_add(Self::TICK) <= self.max_age
    }

    /// Whether to drop this trigger at `now_ns` of the monotonic clock. A `paired` binding gets the
    /// release of each press.
    pub fn drops(&mut self, binding: BindingId, paired: bool, stamp: &TriggerStamp, now_ns: u64) -> bool {
        let old = u128::from(now_ns.saturating_sub(stamp.monotonic_ns)) > self.max_age.as_nanos();
        if !paired || !old && self.dropped.is_empty() {
            return old;
        }
        let Some(key) = key(binding, stamp) else {
            return old;
        };
        let known = self.dropped.iter().position(|dropped| *dropped == key);
        match (stamp.kind, known) {
            (TriggerKind::NotePress, Some(index)) if !old => {
                self.dropped.swap_remove(index);
                false
            }
            (TriggerKind::NotePress, None) if old => {
                if self.dropped.len() < Self::REMEMBERED {
                    self.dropped.push(key);
                }
                true
            }
            (TriggerKind::NoteRelease, None) => false,
            // however young: the plugin never heard of its press
            (TriggerKind::NoteRelease, Some(index)) => {
                self.dropped.swap_remove(index);
                true
            }
            _ => old,
        }
    }
}

fn key(binding: BindingId, stamp: &TriggerStamp) -> Option<Key> {
    match stamp.message? {
        ChannelMessage::NoteOn { channel, note, .. } | ChannelMessage::NoteOff { channel, note, .. } => {
            Some((binding, stamp.device, channel, note))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TriggerKind::{ControlChange, NotePress, NoteRelease};

    const UNPAIRED: u32 = 77;
    const MS: u64 = 1_000_000;

    fn stamp(kind: TriggerKind, note: u8, at_ms: u64) -> TriggerStamp {
        let status = if kind == NotePress { 0x90 } else { 0x80 };
        let message = ChannelMessage::from_bytes([status, note, 64]);
        TriggerStamp { kind, message, monotonic_ns: at_ms * MS, ..TriggerStamp::default() }
    }

    fn filter() -> impl FnMut(u32, TriggerKind, u8, u64, u64) -> bool {
        let mut filter = StaleFilter::new(Duration::from_millis(250));
        move |binding, kind, note, at_ms, now_ms| {
            filter.drops(BindingId(binding), binding != UNPAIRED, &stamp(kind, note, at_ms), now_ms * MS)
        }
    }

    #[test]
    fn what_is_older_than_the_limit_is_dropped_and_nothing_else() {
        let mut drops = filter();
        assert!(!drops(0, NotePress, 60, 1000, 1250));
        assert!(drops(0, NotePress, 60, 1000, 1251));
        assert!(drops(0, ControlChange, 1, 1000, 1251));
        assert!(!drops(0, ControlChange, 1, 2000, 1000), "a clock read in another order is no age");
    }

    #[test]
    fn the_last_tick_is_trusted_only_where_the_next_one_changes_nothing() {
        let stale = StaleFilter::new(Duration::from_millis(250));
        let young = |at_ms, last_tick_ms| stale.is_surely_young(&stamp(NotePress, 60, at_ms), last_tick_ms * MS);
        assert!(young(1000, 1200) && !young(1000, 1201));
        assert!(young(1000, 996), "the tick before it came");
        assert!(!StaleFilter::new(Duration::from_millis(49)).is_surely_young(&stamp(NotePress, 60, 1000), 996 * MS));
    }

    #[test]
    fn a_release_is_dropped_only_after_its_own_press() {
        let mut drops = filter();
        assert!(!drops(0, NotePress, 60, 0, 1));
        assert!(drops(1, NotePress, 60, 0, 900));
        assert!(!drops(0, NoteRelease, 60, 10, 900), "its press was delivered");
        assert!(drops(1, NoteRelease, 60, 10, 900), "its press was dropped");
        assert!(drops(1, NotePress, 60, 0, 900));
        assert!(drops(1, NoteRelease, 60, 890, 900), "its press was dropped, though it is young");
        assert!(!drops(1, NotePress, 60, 1000, 1001));
        assert!(!drops(1, NoteRelease, 60, 1010, 9000), "a later press was delivered");
        assert!(!drops(2, NoteRelease, 60, 0, 9000), "its press was before this worker's time");
        assert!(drops(UNPAIRED, NoteRelease, 60, 0, 9000), "a mapping of releases alone");
    }

    #[test]
    fn dropped_presses_take_bounded_memory() {
        let mut drops = filter();
        for binding in 100..10_000 {
            assert!(drops(binding, NotePress, 1, 0, 1000));
        }
        assert!(drops(100, NoteRelease, 1, 0, 1000));
        assert!(!drops(9_999, NoteRelease, 1, 0, 1000));
    }
}
