//! Notices that the configuration file was saved.

use super::router::Notice;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Editors write in several steps; the last one counts.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Watches the file's directory, since editors replace files by renaming.
/// Without a watcher, `midimon reload` and SIGHUP still work.
pub fn start(file: &Path, notices: Sender<Notice>) -> Option<RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    };
    let name = file.file_name()?.to_owned();
    let (sender, changes) = channel::<()>();
    let is_change =
        |kind: &EventKind| matches!(kind, EventKind::Modify(_) | EventKind::Create(_) | EventKind::Remove(_));
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if is_change(&event.kind) && event.paths.iter().any(|path| path.file_name() == Some(&name)) {
            let _ = sender.send(()); // nobody listens only while stopping
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let watcher = match watching {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!("cannot watch {}: {error}; use `midimon reload` after a change", file.display());
            return None;
        }
    };
    let debounced = std::thread::Builder::new().name("config-watch".into()).spawn(move || {
        while changes.recv().is_ok() {
            while changes.recv_timeout(DEBOUNCE).is_ok() {}
            if notices.send(Notice::ConfigChanged).is_err() {
                return;
            }
        }
    });
    debounced.ok().map(|_| watcher)
}
