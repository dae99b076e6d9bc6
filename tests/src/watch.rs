//! The daemon's events as they happen.

use crate::DEADLINE;
use midimon::control::client::Events;
use midimon::monitor::MonitorEvent;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// What a plugin answered to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its words, or what stopped it.
    pub outcome: String,
    /// It was an error.
    pub failed: bool,
    /// The worker's process.
    pub pid: i32,
}

/// Events from when it was made.
#[derive(Debug)]
pub struct Watch {
    events: Receiver<MonitorEvent>,
}

impl Watch {
    pub(crate) fn new(events: Events) -> Self {
        let (sender, receiver) = channel();
        // ends with the daemon, or with the first event after nobody listens
        std::thread::spawn(move || {
            for line in events.map_while(Result::ok) {
                let event = serde_json::from_slice(&line).expect("an event as the daemon writes it");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { events: receiver }
    }

    /// The next event that `pick` wants; those before it are gone.
    ///
    /// # Panics
    /// None comes.
    pub fn next<T>(&self, what: &str, mut pick: impl FnMut(MonitorEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => {
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
                Err(error) => panic!("{what}: {error} within {DEADLINE:?}"),
            }
        }
    }

    /// The next answer of a plugin.
    ///
    /// # Panics
    /// None comes.
    #[must_use]
    pub fn answer(&self, of: &str) -> Answer {
        self.next(&format!("an answer of {of}"), |event| match event {
            MonitorEvent::Answer { plugin, outcome, failed, pid, .. } if plugin.as_str() == of => {
                Some(Answer { outcome, failed, pid })
            }
            _ => None,
        })
    }
}
