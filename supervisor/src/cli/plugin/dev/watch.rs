//! Has the source changed?

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most files that are looked at; more are a sign of a directory that is no plugin's.
const MOST: usize = 5000;
/// Directories that hold what was built or fetched.
const PASSED_OVER: [&str; 4] = ["target", "node_modules", "__pycache__", "build"];
/// Files that a build writes.
const BUILT: [&str; 4] = [".mmp", ".minisig", ".wasm", ".so"];

/// The files of a source and when each was written last, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, (i64, i64, u64)>);

impl Snapshot {
    /// Of a directory, without what is hidden, was built or fetched. What cannot be read is not there.
    pub fn of(dir: &Path) -> Self {
        let mut snapshot = Self::default();
        snapshot.add(dir);
        snapshot
    }

    fn add(&mut self, dir: &Path) {
        let Ok(entries) = dir.read_dir() else { return };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let Ok(metadata) = entry.metadata() else { continue };
            if name.starts_with('.') || self.0.len() >= MOST {
                continue;
            }
            if metadata.is_dir() {
                if !PASSED_OVER.contains(&name.as_str()) {
                    self.add(&path);
                }
            } else if !BUILT.iter().any(|ending| name.ends_with(ending)) {
                self.0.insert(path, (metadata.mtime(), metadata.mtime_nsec(), metadata.len()));
            }
        }
    }
}

/// Says when to build again: once a change is over.
#[derive(Debug)]
pub struct Watch {
    built: Snapshot,
    seen: Option<Snapshot>,
    /// The last build came of a change during the one before.
    repeated: bool,
}

impl Watch {
    /// What is there now is not built yet.
    pub const fn new(now: Snapshot) -> Self {
        Self { built: now, seen: None, repeated: false }
    }

    /// A build is over: the source as it was before, and is now. What changed meanwhile is
    /// built once more; once, for it may be the build itself that writes there.
    pub fn built(&mut self, before: Snapshot, after: Snapshot) {
        self.repeated = before != after && !self.repeated;
        self.built = if self.repeated { before } else { after };
        self.seen = None;
    }

    /// Whether to build: it differs from what was built, and from one look to the next no more.
    pub fn look(&mut self, now: Snapshot) -> bool {
        if now == self.built {
            self.seen = None;
            return false;
        }
        let is_over = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn at(time: i64) -> Snapshot {
        Snapshot([("a".into(), (time, 0, 1))].into())
    }

    #[test]
    fn a_change_is_built_when_it_is_over_and_once() {
        let mut watch = Watch::new(at(1));
        watch.built(at(1), at(1));
        assert!(!watch.look(at(1)));
        assert!(!watch.look(at(2)), "an editor may be at it still");
        assert!(!watch.look(at(3)));
        assert!(watch.look(at(3)));
        watch.built(at(3), at(3));
        assert!(!watch.look(at(3)));
    }

    #[test]
    fn a_change_during_the_build_is_built_once_more_and_a_build_that_writes_never_goes_on_and_on() {
        let mut watch = Watch::new(at(1));
        watch.built(at(1), at(2));
        assert!(!watch.look(at(2)));
        assert!(watch.look(at(2)));
        watch.built(at(2), at(3));
        assert!(!watch.look(at(3)) && !watch.look(at(3)));
        // a person's next change counts again
        assert!(!watch.look(at(4)));
        assert!(watch.look(at(4)));
    }

    #[test]
    fn what_was_built_or_is_hidden_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        write("src/lib.rs");
        let before = Snapshot::of(dir.path());
        assert_eq!(before.0.len(), 1);
        for name in ["target/release/x", ".git/index", "libx.so", "x.wasm", "x-1.0.0.mmp", "node_modules/a/b.js"] {
            write(name);
        }
        assert_eq!(Snapshot::of(dir.path()), before);
        write("src/more/part.rs");
        assert_ne!(Snapshot::of(dir.path()), before);
    }
}
