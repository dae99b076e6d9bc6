//! Notices that the configuration was saved, or that what is installed has changed.

use super::router::Notice;
use crate::home::Home;
use crate::plugins::index::subscriptions;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Editors, and installations, write in several steps; the last one counts.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Watches the file's directory, since editors replace files by renaming.
/// Without a watcher, `midimon reload` and SIGHUP still work.
pub fn config(file: &Path, notices: Sender<Notice>) -> Option<RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    };
    let name = file.file_name()?.to_owned();
    let is_meant = move |path: &Path| path.file_name() == Some(&name);
    let watching = start(&[(directory, RecursiveMode::NonRecursive)], is_meant, notices, Notice::ConfigChanged);
    watching.inspect_err(|error| tracing::warn!("cannot watch {}: {error}; use `midimon reload`", file.display())).ok()
}

/// Watches what decides which installed plugins run, and with what. Commands tell the daemon
/// themselves; this is for one that was killed before it did.
pub fn store(home: &Home, notices: Sender<Notice>) -> Option<RecommendedWatcher> {
    let (plugins, grants, settings) = (home.plugins_dir(), home.grants_dir(), home.settings_dir());
    let trusted = home.trusted_keys();
    let config = trusted.parent().unwrap_or(&trusted).to_owned();
    let dirs = [
        (plugins, RecursiveMode::Recursive),
        (grants, RecursiveMode::NonRecursive),
        (settings, RecursiveMode::NonRecursive),
        (config, RecursiveMode::NonRecursive),
        (home.state_dir(), RecursiveMode::NonRecursive),
    ];
    let home = home.clone();
    let watching = start(&dirs, move |path| decides(&home, path), notices, Notice::StoreChanged);
    watching.inspect_err(|error| tracing::warn!("cannot watch what is installed: {error}")).ok()
}

/// Whether a file says what is installed, allowed, set or revoked. Files that are written to
/// replace one have names of their own, which begin with a dot.
fn decides(home: &Home, path: &Path) -> bool {
    let named = |name: &str| path.file_name() == Some(OsStr::new(name));
    let in_dir = |dir: PathBuf, extension: &str| {
        path.parent() == Some(&dir)
            && path.extension() == Some(OsStr::new(extension))
            && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let is_record = || named("installed.toml") && path.parent().and_then(Path::parent) == Some(&home.plugins_dir());
    is_record()
        || path == home.trusted_keys()
        || path == home.state_dir().join(subscriptions::FILE_NAME)
        || in_dir(home.grants_dir(), "toml")
        || in_dir(home.settings_dir(), "json")
}

/// Sends the notice after each change of a file that is meant.
fn start(
    dirs: &[(PathBuf, RecursiveMode)],
    is_meant: impl Fn(&Path) -> bool + Send + 'static,
    notices: Sender<Notice>,
    notice: Notice,
) -> notify::Result<RecommendedWatcher> {
    let (sender, changes) = channel::<()>();
    let is_change =
        |kind: &EventKind| matches!(kind, EventKind::Modify(_) | EventKind::Create(_) | EventKind::Remove(_));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if is_change(&event.kind) && event.paths.iter().any(|path| is_meant(path)) {
            let _ = sender.send(()); // nobody listens only while stopping
        }
    })?;
    for (dir, mode) in dirs {
        watcher.watch(dir, *mode)?;
    }
    let debounced = std::thread::Builder::new().name("watch".into()).spawn(move || {
        while changes.recv().is_ok() {
            while changes.recv_timeout(DEBOUNCE).is_ok() {}
            if notices.send(notice.clone()).is_err() {
                return;
            }
        }
    });
    debounced.map(|_| watcher).map_err(notify::Error::io)
}
