//! What people can watch: messages, the mappings they hit, plugins' answers.
//!
//! Publishing costs one atomic load while nobody watches. While somebody does,
//! events go through a bounded queue; what does not fit is counted, never waited for.

use crate::clock::Time;
use midimon_shared::{ChannelMessage, PluginId};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Events that wait for one watcher at most.
pub const QUEUE: usize = 4096;

/// Something worth seeing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MonitorEvent {
    /// A MIDI message came in.
    Midi { at: Time, device: Arc<str>, message: ChannelMessage },
    /// System messages, as their bytes (SysEx is cut to its first 64).
    System { at: Time, device: Arc<str>, bytes: Vec<u8>, total: usize },
    /// A mapping took an input.
    Hit { at: Time, mapping: Arc<str>, action: Arc<str> },
    /// A plugin answered a call.
    Answer { at: Time, plugin: PluginId, pid: i32, action: Arc<str>, outcome: String, failed: bool, micros: u64 },
    /// A plugin emitted an event.
    PluginEvent { at: Time, plugin: PluginId, name: Arc<str>, value: Arc<str> },
    /// The mode changed.
    Mode { at: Time, mode: Arc<str> },
    /// A worker's state changed.
    Worker { at: Time, plugin: PluginId, state: String, detail: String },
    /// A device came or went.
    Device { at: Time, device: Arc<str>, connected: bool },
    /// An effect could not be carried out, or is worth a line.
    Note { at: Time, text: String },
}

/// Where events are published and watched.
#[derive(Debug, Default)]
pub struct Monitor {
    watching: AtomicUsize,
    missed: AtomicU64,
    watchers: Mutex<Vec<SyncSender<MonitorEvent>>>,
}

impl Monitor {
    /// Whether anybody watches; ask before building an event.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Hands an event to every watcher that has room.
    pub fn publish(&self, event: MonitorEvent) {
        if !self.is_watched() {
            return;
        }
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| match watcher.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
        self.watching.store(watchers.len(), Ordering::Relaxed);
    }

    /// Starts watching; ends when the receiver is dropped.
    pub fn watch(&self) -> Receiver<MonitorEvent> {
        let (sender, receiver) = sync_channel(QUEUE);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(sender);
        self.watching.store(watchers.len(), Ordering::Relaxed);
        receiver
    }

    /// Events no watcher had room for, since the start.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> MonitorEvent {
        MonitorEvent::Note { at: Time::default(), text: text.into() }
    }

    #[test]
    fn a_slow_watcher_misses_events_that_are_counted_and_a_gone_one_is_forgotten() {
        let monitor = Monitor::default();
        monitor.publish(note("nobody"));
        let watcher = monitor.watch();
        for _ in 0..QUEUE + 3 {
            monitor.publish(note("x"));
        }
        assert_eq!(watcher.try_iter().count(), QUEUE);
        assert_eq!(monitor.missed(), 3);
        drop(watcher);
        monitor.publish(note("x"));
        assert!(!monitor.is_watched());
    }
}
