//! From the user's word on what is new to what is granted. Pure.

use super::plan::{Plan, State, Wanted};
use super::words::{self, Risk};
use crate::plugins::grants::{Answer, GrantFile};
use crate::plugins::manifest::check_target;
use midimon_shared::capability::{Capability, CapabilityKind};
use std::collections::BTreeSet;

/// The user's word on one new thing a plugin wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It may have this: what it asked for, or what was typed for it.
    Allow(Capability),
    /// It may not.
    Deny,
}

impl Choice {
    /// How much harm it can do.
    #[must_use]
    pub fn risk(&self) -> Risk {
        match self {
            Self::Allow(capability) => words::risk(capability),
            Self::Deny => Risk::Low,
        }
    }
}

/// Why what was typed is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is no target for {kind}: {why}", .typed.escape_debug())]
pub struct BadTarget {
    kind: CapabilityKind,
    typed: String,
    why: String,
}

/// Reads a target somebody typed.
///
/// # Errors
/// It names nothing that a plugin could be given; with the reason.
pub fn typed_target(kind: CapabilityKind, typed: &str) -> Result<Capability, BadTarget> {
    let bad = |why: String| BadTarget { kind, typed: typed.chars().take(80).collect(), why };
    let capability: Capability = format!("{kind}:{typed}")
        .parse()
        .map_err(|error: midimon_shared::capability::InvalidCapability| bad(error.to_string()))?;
    check_target(&capability).map_err(|error| bad(error.to_string()))?;
    Ok(capability)
}

impl Plan {
    /// The grants for this version after the user's word on each of [`Self::new_items`],
    /// in their order; what has no word is denied, what was said before stays. Committing
    /// adds what the version before needs, should it be gone back to.
    #[must_use]
    pub fn agree(&self, choices: &[Choice]) -> GrantFile {
        let mut asked = BTreeSet::new();
        let mut granted = BTreeSet::new();
        let mut answers = Vec::new();
        let mut choices = choices.iter();
        for item in &self.items {
            let allowed = match &item.state {
                State::Allowed(capability) => Some(capability),
                State::Denied => None,
                State::New => choices.next().and_then(|choice| match choice {
                    Choice::Allow(capability) => Some(capability),
                    Choice::Deny => None,
                }),
            };
            match &item.wanted {
                Wanted::Fixed(wanted) => {
                    asked.insert(wanted.clone());
                    // nothing but what was asked for, whatever the choice says
                    granted.extend(allowed.filter(|allowed| *allowed == wanted).cloned());
                }
                Wanted::Typed { kind, prompt } => {
                    let capability = allowed.filter(|allowed| allowed.kind == *kind).cloned();
                    answers.push(Answer { kind: *kind, prompt: prompt.clone(), capability });
                }
            }
        }
        GrantFile {
            plugin: self.id.clone(),
            publisher: self.signer.key().copied(),
            asked: asked.into_iter().collect(),
            granted: granted.into_iter().collect(),
            answers,
        }
    }
}
