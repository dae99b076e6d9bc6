//! MIDI out: ports opened by name when something is to be sent, one writer thread each.
//!
//! Senders never wait: a message is put into the port's bounded [`queue`], and the
//! port's own thread opens the port, keeps the pace, and remembers which notes sound.

mod alsa;
pub mod queue;
mod writer;

use super::hotplug::{Hotplug, PortWatcher};
use super::seq::{self, Port, SeqError};
pub use queue::{OutMessage, Pace};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use writer::Writer;

/// Ports that are written to at once at most.
pub const MAX_PORTS: usize = 32;

/// Takes a line for the user.
pub type NoteFn = Arc<dyn Fn(String) + Send + Sync>;

/// Sends bytes to a port that is open.
trait Wire {
    /// One message; the error is for the user.
    fn send(&mut self, bytes: &[u8]) -> Result<(), String>;
}

/// Opens ports by name.
trait Opener: Send + Sync {
    /// The port this name means and the way to it; the error is for the user.
    fn open(&self, wanted: &str) -> Result<(Port, Box<dyn Wire>), String>;
}

/// All outputs. Dropping it switches off what sounds and closes the ports.
pub struct Outputs {
    shared: Arc<Shared>,
    /// Keeps the announcements coming.
    _hotplug: Option<Arc<Hotplug>>,
}

struct Shared {
    opener: Arc<dyn Opener>,
    pace: Pace,
    note: NoteFn,
    writers: RwLock<HashMap<Arc<str>, Writer>>,
    /// What the sequencer had when it was last listed; the opener looks names up in it.
    ports: Arc<Mutex<Vec<Port>>>,
}

/// How an output is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputStatus {
    /// The name in the configuration.
    pub name: String,
    /// The port it means, while that is open.
    pub port: Option<String>,
    /// Messages sent.
    pub sent: u64,
    /// Messages whose value was replaced by a newer one before they were sent.
    pub merged: u64,
    /// Messages that were not sent: too many at once, or no port.
    pub dropped: u64,
    /// Notes that sound.
    pub sounding: u32,
    /// Why the last message could not be sent.
    pub error: Option<String>,
}

impl Outputs {
    /// No port is opened yet.
    ///
    /// `hotplug` is what [`Hotplug::start`] gave; its error is told when something is to be sent.
    #[must_use]
    pub fn new(hotplug: &Result<Arc<Hotplug>, SeqError>, pace: Pace, note: NoteFn) -> Self {
        // the first message need not wait for the first announcement
        let there = hotplug.as_ref().ok().and_then(|_| seq::ports().ok()).unwrap_or_default();
        let ports = Arc::new(Mutex::new(there));
        let opener = alsa::Alsa { access: hotplug.as_ref().map(|_| ()).map_err(Clone::clone), ports: ports.clone() };
        let outputs = Self::with(Arc::new(opener), pace, ports, note, hotplug.as_ref().ok().cloned());
        if let Ok(hotplug) = hotplug {
            let watcher: Arc<dyn PortWatcher> = outputs.shared.clone();
            hotplug.watch(Arc::downgrade(&watcher));
        }
        outputs
    }

    fn with(
        opener: Arc<dyn Opener>,
        pace: Pace,
        ports: Arc<Mutex<Vec<Port>>>,
        note: NoteFn,
        hotplug: Option<Arc<Hotplug>>,
    ) -> Self {
        let shared = Shared { opener, pace, note, writers: RwLock::default(), ports };
        Self { shared: Arc::new(shared), _hotplug: hotplug }
    }

    /// Puts a message into the queue of the output of this name. Never waits.
    ///
    /// False when it was dropped; that is counted.
    pub fn send(&self, name: &Arc<str>, message: impl Into<OutMessage>) -> bool {
        let message = message.into();
        if let Some(writer) = self.shared.writers.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return writer.send(message);
        }
        self.prepare([name]);
        let writers = self.shared.writers.read().unwrap_or_else(PoisonError::into_inner);
        writers.get(name).is_some_and(|writer| writer.send(message))
    }

    /// Starts the threads of these outputs, so that the first message need not.
    pub fn prepare<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>) {
        let mut writers = self.shared.writers.write().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if writers.contains_key(name) {
                continue;
            }
            if writers.len() >= MAX_PORTS {
                (self.shared.note)(format!("MIDI output \"{name}\" is not used: {MAX_PORTS} others are already"));
                return;
            }
            match Writer::start(name.clone(), self.shared.opener.clone(), self.shared.pace, self.shared.note.clone()) {
                Ok(writer) => drop(writers.insert(name.clone(), writer)),
                Err(error) => (self.shared.note)(format!("MIDI output \"{name}\" is not used: {error}")),
            }
        }
    }

    /// Forgets what waits, switches off every note that sounds, and sends all sound off and all notes off.
    pub fn panic(&self) {
        self.shared.each(Writer::panic);
    }

    /// Forgets what waits, switches off what sounds and closes the ports; returns when that is done.
    pub fn close(&self) {
        self.shared.writers.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether no message waits or is being sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.writers.read().unwrap_or_else(PoisonError::into_inner).values().all(Writer::is_idle)
    }

    /// How each of them is doing, by name.
    #[must_use]
    pub fn status(&self) -> Vec<OutputStatus> {
        let writers = self.shared.writers.read().unwrap_or_else(PoisonError::into_inner);
        let mut status: Vec<_> = writers.values().map(Writer::status).collect();
        status.sort_by(|a, b| a.name.cmp(&b.name));
        status
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        // the hot-plug thread may hold the shared part a moment longer
        self.close();
    }
}

impl Shared {
    fn each(&self, tell: impl Fn(&Writer)) {
        self.writers.read().unwrap_or_else(PoisonError::into_inner).values().for_each(tell);
    }
}

impl PortWatcher for Shared {
    fn gone(&self, client: i32, port: i32) {
        self.ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| (known.client, known.port) != (client, port));
        self.each(|writer| writer.port_gone(client, port));
    }

    fn settled(&self, ports: &[Port]) {
        ports.clone_into(&mut self.ports.lock().unwrap_or_else(PoisonError::into_inner));
        self.each(Writer::ports_changed);
    }
}
