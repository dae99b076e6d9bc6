//! What a worker's sandbox is made of, and how much of it holds.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest text of a [`LayerReport`], in bytes.
pub const MAX_DETAIL: usize = 200;

/// The layers, in the order a worker enters them; the last two are the supervisor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Six descriptors, no environment, `/` as directory.
    Descriptors,
    /// Default signal handling.
    Signals,
    /// Resource limits (`setrlimit`).
    Limits,
    /// Lower priority; first to go when memory runs out.
    Priority,
    /// No capability in any set.
    Capabilities,
    /// Dies with the supervisor.
    Lifeline,
    /// Not dumpable: nobody of the same user can look in.
    Dumpable,
    /// No exec gains anything.
    NoNewPrivs,
    /// File system, network and scopes.
    Landlock,
    /// The system-call filter under which the plugin is loaded.
    Seccomp,
    /// The second filter: no new executable memory, no calls only the loader needs.
    Lockdown,
    /// Memory, threads and processor time, held by a cgroup (v2) where one is delegated.
    Cgroup,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Self; 12] = [
        Self::Descriptors,
        Self::Signals,
        Self::Limits,
        Self::Priority,
        Self::Capabilities,
        Self::Lifeline,
        Self::Dumpable,
        Self::NoNewPrivs,
        Self::Landlock,
        Self::Seccomp,
        Self::Lockdown,
        Self::Cgroup,
    ];

    /// As in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Signals => "signals",
            Self::Limits => "limits",
            Self::Priority => "priority",
            Self::Capabilities => "capabilities",
            Self::Lifeline => "lifeline",
            Self::Dumpable => "dumpable",
            Self::NoNewPrivs => "no-new-privs",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Lockdown => "lockdown",
            Self::Cgroup => "cgroup",
        }
    }

    /// Whether a plugin is not started without it (unless its user accepts that).
    #[must_use]
    pub const fn is_baseline(self) -> bool {
        !matches!(self, Self::Cgroup)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How much of a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerState {
    /// All that midimon knows to ask for.
    Active,
    /// Less: this system cannot do all of it.
    Degraded,
    /// Nothing: this system does not have it.
    Unavailable,
}

impl fmt::Display for LayerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        })
    }
}

/// What one layer achieved.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LayerReport {
    /// Which.
    pub layer: Layer,
    /// How much of it holds.
    pub state: LayerState,
    /// What holds, or why not, in a line of at most [`MAX_DETAIL`] bytes.
    pub detail: String,
}

impl LayerReport {
    /// A layer that holds in full.
    #[must_use]
    pub fn active(layer: Layer, detail: impl Into<String>) -> Self {
        Self { layer, state: LayerState::Active, detail: detail.into() }
    }
}

/// A sandbox in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxLevel {
    /// There is no process, or nothing holds.
    None,
    /// A layer of the baseline is missing.
    Degraded,
    /// The whole baseline holds, some of it less than this midimon could ask for.
    Baseline,
    /// Every layer holds in full, the cgroup included.
    Full,
}

impl SandboxLevel {
    /// The word for these layers.
    #[must_use]
    pub fn of(layers: &[LayerReport]) -> Self {
        let state = |layer| layers.iter().find(|report| report.layer == layer).map(|report| report.state);
        let holds = |layer: &Layer| matches!(state(*layer), Some(LayerState::Active | LayerState::Degraded));
        if !Layer::ALL.iter().any(holds) {
            Self::None
        } else if !Layer::ALL.iter().filter(|layer| layer.is_baseline()).all(holds) {
            Self::Degraded
        } else if Layer::ALL.iter().all(|layer| state(*layer) == Some(LayerState::Active)) {
            Self::Full
        } else {
            Self::Baseline
        }
    }
}

impl fmt::Display for SandboxLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::None => "none",
            Self::Degraded => "degraded",
            Self::Baseline => "baseline",
            Self::Full => "full",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_that_of_the_weakest_baseline_layer() {
        let mut layers: Vec<LayerReport> = Layer::ALL.map(|layer| LayerReport::active(layer, "")).into();
        assert_eq!(SandboxLevel::of(&layers), SandboxLevel::Full);
        let at = |layer| Layer::ALL.iter().position(|other| *other == layer).unwrap();
        layers[at(Layer::Cgroup)].state = LayerState::Unavailable;
        assert_eq!(SandboxLevel::of(&layers), SandboxLevel::Baseline);
        layers[at(Layer::Landlock)].state = LayerState::Degraded;
        assert_eq!(SandboxLevel::of(&layers), SandboxLevel::Baseline);
        layers[at(Layer::Landlock)].state = LayerState::Unavailable;
        assert_eq!(SandboxLevel::of(&layers), SandboxLevel::Degraded);
        layers.retain(|report| report.layer != Layer::Landlock);
        assert_eq!(SandboxLevel::of(&layers), SandboxLevel::Degraded);
        assert_eq!(SandboxLevel::of(&[]), SandboxLevel::None);
    }
}
