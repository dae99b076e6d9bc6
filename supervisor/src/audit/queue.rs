//! Between those who record, who must not wait, and the one who writes, who may have to.

use super::event::AuditEvent;
use crate::clock::{self, Time};
use midimon_shared::PluginId;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Events of one plugin that wait at most, activity and others each.
const CAPACITY: usize = 256;

/// Something to be written.
#[derive(Debug)]
pub(super) enum Item {
    /// An event, and when it happened.
    Event(SystemTime, AuditEvent),
    /// What the plugin may do from then on.
    Grants(SystemTime, Vec<String>),
}

impl Item {
    const fn is_activity(&self) -> bool {
        matches!(self, Self::Event(_, event) if event.is_activity())
    }
}

/// What waits of one plugin: its own, so that its flood loses nobody else's events.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub items: Vec<Item>,
    activity: usize,
    /// Events that did not fit.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<PluginId, Waiting>,
    /// How often a flush was asked for, and how often it was done.
    flushes: u64,
    flushed: u64,
    closed: bool,
}

/// What the writer is to do.
#[derive(Debug)]
pub(super) struct Batch {
    pub waiting: HashMap<PluginId, Waiting>,
    /// Write what is held back too, then tell [`Queue::flushed`] this number.
    pub flush: Option<u64>,
    pub closed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    writer: Condvar,
    flusher: Condvar,
}

impl Queue {
    /// Held for a few instructions only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, plugin: &PluginId, item: Item) {
        let mut state = self.state();
        if !state.waiting.contains_key(plugin) {
            state.waiting.insert(plugin.clone(), Waiting::default());
        }
        // cannot fail: inserted above where it was missing
        let Some(waiting) = state.waiting.get_mut(plugin) else { return };
        let is_activity = item.is_activity();
        let others = waiting.items.len() - waiting.activity;
        if (if is_activity { waiting.activity } else { others }) >= CAPACITY {
            waiting.lost += 1;
            return;
        }
        waiting.activity += usize::from(is_activity);
        waiting.items.push(item);
        drop(state);
        self.writer.notify_one();
    }

    pub fn close(&self) {
        self.state().closed = true;
        self.writer.notify_one();
    }

    pub fn flush(&self, limit: Duration) {
        let mut state = self.state();
        state.flushes += 1;
        let wanted = state.flushes;
        self.writer.notify_one();
        let until = Instant::now() + limit;
        while state.flushed < wanted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.flusher.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn flushed(&self, number: u64) {
        self.state().flushed = number;
        self.flusher.notify_all();
    }

    /// Waits for something to do, no longer than until `due`.
    pub fn wait(&self, due: Option<Time>) -> Batch {
        let mut state = self.state();
        while state.waiting.is_empty() && !state.closed && state.flushed == state.flushes {
            state = match due.map(|due| due.since(clock::now())) {
                None => self.writer.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.writer.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        Batch {
            waiting: std::mem::take(&mut state.waiting),
            flush: (state.flushed < state.flushes).then_some(state.flushes),
            closed: state.closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::FileChange;

    #[test]
    fn a_full_queue_counts_what_it_loses_and_keeps_room_for_what_matters() {
        let queue = Queue::default();
        let (flooding, honest) = ("flooding".parse().unwrap(), "honest".parse().unwrap());
        let event = || AuditEvent::File { what: FileChange::Created, path: "a".into(), bytes: 0 };
        for _ in 0..10_000 {
            queue.push(&flooding, Item::Event(SystemTime::UNIX_EPOCH, event()));
        }
        queue.push(&flooding, Item::Event(SystemTime::UNIX_EPOCH, AuditEvent::Violation { what: "fork".into() }));
        queue.push(&honest, Item::Event(SystemTime::UNIX_EPOCH, event()));
        let batch = queue.wait(None);
        assert_eq!(batch.waiting[&flooding].items.len(), CAPACITY + 1);
        assert_eq!(batch.waiting[&flooding].lost, 10_000 - CAPACITY as u64);
        assert_eq!((batch.waiting[&honest].items.len(), batch.waiting[&honest].lost), (1, 0));
    }

    #[test]
    fn nobody_waits_for_a_writer_that_hangs_longer_than_they_said() {
        Queue::default().flush(Duration::from_millis(1));
    }
}
