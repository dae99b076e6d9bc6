//! What plugins did, one line each in `audit/ID.jsonl`, written by the supervisor alone.
//!
//! [`Audit::record`] never blocks: events wait in a bounded [`queue`] for the
//! thread that shortens floods ([`flood`]) and writes the files ([`file`]).
//! What had to be let go is counted in the log itself.

mod event;
mod file;
mod flood;
mod queue;
mod writer;

pub use event::{AuditEvent, Entry, FileChange};

use midimon_shared::PluginId;
use queue::{Item, Queue};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The file a plugin's log is in, within the audit directory.
#[must_use]
pub fn file_name(plugin: &PluginId) -> String {
    format!("{plugin}.jsonl")
}

/// Where events are recorded. The default records nothing; a clone records to the same place.
#[derive(Clone, Debug, Default)]
pub struct Audit(Option<Arc<Recorder>>);

/// The last one gone, the writer writes what is left and ends.
#[derive(Debug)]
struct Recorder(Arc<Queue>);

impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Audit {
    /// Starts the thread that writes below `dir`, which is made when it is
    /// missing and must be ours.
    ///
    /// # Errors
    /// The directory cannot be used, or the thread cannot be started.
    pub fn start(dir: PathBuf) -> io::Result<Self> {
        let dir = file::AuditDir::open(&dir)?;
        let queue = Arc::new(Queue::default());
        let writers = queue.clone();
        std::thread::Builder::new().name("audit".into()).spawn(move || writer::run(&writers, &dir))?;
        Ok(Self(Some(Arc::new(Recorder(queue)))))
    }

    /// Records what a plugin did, or what was done with it. Never blocks: what does
    /// not fit the queue is counted and written as [`AuditEvent::Lost`].
    pub fn record(&self, plugin: &PluginId, event: AuditEvent) {
        if let Some(recorder) = &self.0 {
            recorder.0.push(plugin, Item::Event(SystemTime::now(), event.shown()));
        }
    }

    /// Records how what a plugin may do differs from what it might when this was
    /// last called, by an earlier run too. Never blocks.
    pub fn grants(&self, plugin: &PluginId, capabilities: impl IntoIterator<Item = String>) {
        if let Some(recorder) = &self.0 {
            recorder.0.push(plugin, Item::Grants(SystemTime::now(), capabilities.into_iter().collect()));
        }
    }

    /// Waits until everything recorded so far is written, `limit` at most. Not for
    /// threads that must not wait.
    pub fn flush(&self, limit: Duration) {
        if let Some(recorder) = &self.0 {
            recorder.0.flush(limit);
        }
    }
}

#[cfg(test)]
mod tests;
