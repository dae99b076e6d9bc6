//! Why a worker ends early.

use midimon_shared::WorkerExit;
use std::fmt;

/// An exit code and what led to it.
#[derive(Debug)]
pub struct Stop {
    /// The step that failed.
    pub exit: WorkerExit,
    /// What went wrong, for the log; may be empty.
    pub detail: String,
}

impl Stop {
    /// Ends with `exit` because of `cause`.
    pub fn new(exit: WorkerExit, cause: impl fmt::Display) -> Self {
        Self { exit, detail: cause.to_string() }
    }

    /// For `map_err`: what was tried, in front of the cause.
    pub fn during<E: fmt::Display>(exit: WorkerExit, what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self { exit, detail: format!("{what}: {error}") }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            self.exit.fmt(formatter)
        } else {
            write!(formatter, "{} ({})", self.exit, self.detail)
        }
    }
}
