//! What this machine offers the sandbox and the daemon, and the exact way to more.
//!
//! [`facts`] looks and changes nothing; [`findings`] judges, purely.

mod facts;
mod findings;

pub use facts::{Facts, Program};
pub use findings::findings;

use midimon_shared::sandbox::{LayerReport, SandboxLevel};
use serde::Serialize;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All that midimon can use is there.
    Ok,
    /// It works, and there could be more.
    Limited,
    /// It does not work.
    Missing,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How well it is.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it, where it is not well.
    pub fix: Option<String>,
    /// Plugins do not start without it.
    pub baseline: bool,
}

/// Everything found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Plugins can run in the whole baseline of the sandbox.
    pub ok: bool,
    /// What a plugin's sandbox would be here.
    pub sandbox: SandboxLevel,
    /// Each thing, the sandbox's first.
    pub findings: Vec<Finding>,
    /// The layers of a worker that was started without a plugin; empty when it could not be.
    pub layers: Vec<LayerReport>,
}

impl Report {
    /// Judges what was found.
    #[must_use]
    pub fn new(facts: &Facts) -> Self {
        let findings = findings(facts);
        let ok = !findings.iter().any(|finding| finding.baseline && finding.state == State::Missing);
        let layers = facts.layers();
        Self { ok, sandbox: findings::level(&layers), findings, layers }
    }
}
