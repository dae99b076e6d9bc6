//! The daemon: wires the parts together and owns their shutdown.

use crate::control::model::Status;
use crate::home::Home;
use crate::midi::input::InputSpec;
use crate::midi::replay::Speed;
use crate::monitor::Monitor;
use std::path::PathBuf;
use std::sync::Arc;

/// What `midimon run` was asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the files lie.
    pub home: Home,
    /// The configuration, where it is not the home's own.
    pub config: Option<PathBuf>,
    /// Inputs in the order asked for; none means the hardware the configuration asks for.
    pub inputs: Vec<InputSpec>,
    /// How fast files are replayed.
    pub speed: Speed,
    /// Whether replayed files start again at their end.
    pub looped: bool,
    /// Where what happens is published; whoever wants all of it watches before the run.
    pub monitor: Arc<Monitor>,
    /// Whether the daemon ends when every replayed input has ended and every
    /// trigger is answered.
    pub exit_when_done: bool,
}

/// Why the daemon could not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The parts are not wired together yet.
    #[error("this build cannot run a daemon yet")]
    Unwired,
}

/// Runs the daemon until it is told to stop, or is done where that was asked
/// for; the last status before it stopped.
///
/// # Errors
/// What kept it from starting, as a sentence for the user.
pub fn run(_options: RunOptions) -> Result<Status, DaemonError> {
    Err(DaemonError::Unwired)
}
