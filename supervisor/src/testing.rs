//! What the unit tests of several modules wait with: for a state itself, and never for a time.

use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

/// Nothing takes this long unless it is broken; a busy machine must not fail a test.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often is looked.
const POLL: Duration = Duration::from_millis(1);

/// Looks until there is something to return.
#[track_caller]
pub fn eventually<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}; last seen: {seen:?}"),
        }
        std::thread::sleep(POLL);
    }
}

/// Looks until it is so.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || if holds() { Ok(()) } else { Err(()) });
}

/// The process number that a script writes into a file, as a line.
#[track_caller]
pub fn pid_in(file: &Path) -> String {
    eventually("a process number", || match std::fs::read_to_string(file) {
        Ok(text) if text.ends_with('\n') => Ok(text.trim().to_owned()),
        other => Err(other),
    })
}

/// Waits until a process has ended. What is orphaned is reaped by init, or remains a zombie where there is none.
#[track_caller]
pub fn ended(pid: &str) {
    let stat = Path::new("/proc").join(pid).join("stat");
    eventually("its end", || match std::fs::read_to_string(&stat) {
        Ok(stat) if !stat.contains(") Z ") => Err(stat),
        _ => Ok(()),
    });
}
