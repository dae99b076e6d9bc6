//! The thread that writes the logs.

use super::event::{AuditEvent, Entry, time};
use super::file::{AuditDir, AuditFile};
use super::flood::Flood;
use super::queue::{Item, Queue, Waiting};
use crate::clock;
use midimon_shared::PluginId;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::SystemTime;

/// What is known of one plugin's log.
struct Log {
    flood: Flood,
    file: Option<AuditFile>,
    grants: Option<BTreeSet<String>>,
    /// Whether it was said that the log cannot be written.
    said: bool,
}

/// Writes until the queue is closed and empty.
pub(super) fn run(queue: &Queue, dir: &AuditDir) {
    let mut logs: HashMap<PluginId, Log> = HashMap::new();
    loop {
        let batch = queue.wait(logs.values().filter_map(|log| log.flood.next()).min());
        for (plugin, waiting) in batch.waiting {
            let log = logs.entry(plugin.clone()).or_insert_with(|| Log::new(plugin.clone()));
            log.take(dir, &plugin, waiting);
        }
        let (now, at) = (clock::now(), time(SystemTime::now()));
        let finish = batch.closed || batch.flush.is_some();
        for (plugin, log) in &mut logs {
            let entries = if finish { log.flood.finish(now, &at) } else { log.flood.due(now, &at) };
            log.write(dir, plugin, &entries);
        }
        if let Some(number) = batch.flush {
            queue.flushed(number);
        }
        if batch.closed {
            return;
        }
    }
}

impl Log {
    fn new(plugin: PluginId) -> Self {
        Self { flood: Flood::new(plugin), file: None, grants: None, said: false }
    }

    fn take(&mut self, dir: &AuditDir, plugin: &PluginId, waiting: Waiting) {
        let now = clock::now();
        let mut entries = Vec::new();
        for item in waiting.items {
            match item {
                Item::Event(at, event) => entries.extend(self.flood.take(now, time(at), event)),
                Item::Grants(at, capabilities) => {
                    // what was used with the grants before stands before the word that they are gone
                    entries.extend(self.flood.finish(now, &time(at)));
                    self.write(dir, plugin, &std::mem::take(&mut entries));
                    self.grants(dir, plugin, at, capabilities.into_iter().collect());
                }
            }
        }
        if waiting.lost > 0 {
            self.flood.lose(now, waiting.lost);
        }
        self.write(dir, plugin, &entries);
    }

    /// Writes what differs from the grants that were recorded last, and then remembers it.
    fn grants(&mut self, dir: &AuditDir, plugin: &PluginId, at: SystemTime, now: BTreeSet<String>) {
        let before = self.grants.take().unwrap_or_else(|| dir.read_grants(plugin));
        let event =
            |event: AuditEvent| Entry { time: time(at), plugin: plugin.clone(), event: event.shown(), times: 1 };
        let granted = now.difference(&before).map(|capability| AuditEvent::Granted { capability: capability.clone() });
        let withdrawn =
            before.difference(&now).map(|capability| AuditEvent::Withdrawn { capability: capability.clone() });
        let entries: Vec<Entry> = withdrawn.chain(granted).map(event).collect();
        if !self.write(dir, plugin, &entries) {
            // they are recorded with the next grants: those remembered stay what they were
            self.grants = Some(before);
            return;
        }
        if !entries.is_empty()
            && let Err(error) = dir.write_grants(plugin, &now)
        {
            // they are recorded once more in the next run
            tracing::warn!("cannot remember the grants of {plugin}: {error}");
        }
        self.grants = Some(now);
    }

    /// Says whether all was written.
    fn write(&mut self, dir: &AuditDir, plugin: &PluginId, entries: &[Entry]) -> bool {
        if entries.is_empty() {
            return true;
        }
        match self.try_write(dir, plugin, entries) {
            Ok(()) => {
                self.said = false;
                true
            }
            Err(error) => {
                self.file = None;
                let lost =
                    |entry: &Entry| if let AuditEvent::Lost { count } = entry.event { count } else { entry.times };
                let lost = entries.iter().map(lost).sum();
                self.flood.lose(clock::now(), lost);
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!("cannot write the audit log of {plugin}: {error}");
                }
                false
            }
        }
    }

    fn try_write(&mut self, dir: &AuditDir, plugin: &PluginId, entries: &[Entry]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(dir.open_log(plugin)?),
        };
        for entry in entries {
            file.write(entry)?;
        }
        Ok(())
    }
}
