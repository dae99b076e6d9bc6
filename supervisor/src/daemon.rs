//! The daemon: wires the parts together and owns their shutdown.

use crate::home::Home;
use std::path::PathBuf;

/// What `midimon run` was asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the files lie.
    pub home: Home,
    /// The configuration, where it is not the home's own.
    pub config: Option<PathBuf>,
    /// Inputs as written after `--input` (`replay:FILE.mid`, `stdin`, a port's
    /// name), in order; none means the hardware inputs the configuration asks for.
    pub inputs: Vec<String>,
    /// Factor on the speed of replayed files; infinite is as fast as possible.
    pub speed: f64,
    /// Whether replayed files start again at their end.
    pub looped: bool,
    /// Whether what happens is printed as it happens.
    pub watch: bool,
    /// Whether the daemon ends when every replayed input has ended and every
    /// trigger is answered.
    pub exit_when_done: bool,
}
