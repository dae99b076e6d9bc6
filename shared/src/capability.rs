//! What a plugin can ask for beyond computing.

use crate::text::unshowable;
use serde::Serialize;
use std::{fmt, str::FromStr};

/// The kinds of capability, without targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapabilityKind {
    /// Files in the plugin's own data directory.
    Filesystem,
    /// Connections to named hosts and ports.
    Network,
    /// MIDI out on named ports.
    Midi,
    /// Running named programs.
    Subprocess,
    /// Keys and mouse.
    Input,
    /// Volume, media keys, brightness.
    SystemControl,
    /// Playing a sound.
    Audio,
    /// Choosing the active mode.
    Mode,
}

impl CapabilityKind {
    /// Every kind, in the order they are listed to users.
    pub const ALL: [Self; 8] = [
        Self::Filesystem,
        Self::Network,
        Self::Midi,
        Self::Subprocess,
        Self::Input,
        Self::SystemControl,
        Self::Audio,
        Self::Mode,
    ];

    /// The spelling in manifests, grants and listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Network => "network",
            Self::Midi => "midi",
            Self::Subprocess => "subprocess",
            Self::Input => "input",
            Self::SystemControl => "system-control",
            Self::Audio => "audio",
            Self::Mode => "mode",
        }
    }

    /// Whether it means nothing without a target (a host and port, a port
    /// name, a program).
    #[must_use]
    pub const fn needs_target(self) -> bool {
        matches!(self, Self::Network | Self::Midi | Self::Subprocess)
    }
}

impl fmt::Display for CapabilityKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One capability with its target, written `kind` or `kind:target`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// What it lets the plugin do.
    pub kind: CapabilityKind,
    /// With what: `host:port`, a MIDI port's name, a program's name.
    pub target: Option<String>,
}

/// Longest target, in bytes.
pub const MAX_TARGET: usize = 256;

/// Why a text is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum InvalidCapability {
    #[error("unknown capability '{}'; known: filesystem, network, midi, subprocess, input, system-control, audio, mode", .0.escape_debug())]
    Unknown(String),
    #[error("'{0}' needs a target: write '{0}:TARGET'")]
    TargetMissing(CapabilityKind),
    #[error("'{0}' takes no target")]
    TargetUnexpected(CapabilityKind),
    #[error("the target of '{0}' is over {MAX_TARGET} bytes")]
    TargetTooLong(CapabilityKind),
    #[error("the target of '{0}' has the character U+{code:04X}, which cannot be shown safely", code = u32::from(*.1))]
    TargetUnshowable(CapabilityKind, char),
    #[error("the target of '{0}' is nothing but spaces")]
    TargetBlank(CapabilityKind),
}

impl FromStr for Capability {
    type Err = InvalidCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, target) = match text.split_once(':') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        let kind = match name {
            // the spellings of MIDIMon 2.x
            "systemcontrol" | "system_control" => CapabilityKind::SystemControl,
            _ => CapabilityKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == name)
                .ok_or_else(|| InvalidCapability::Unknown(name.chars().take(80).collect()))?,
        };
        match target {
            Some("") | None if kind.needs_target() => Err(InvalidCapability::TargetMissing(kind)),
            Some(_) if !kind.needs_target() => Err(InvalidCapability::TargetUnexpected(kind)),
            Some(target) if target.len() > MAX_TARGET => Err(InvalidCapability::TargetTooLong(kind)),
            Some(target) if target.trim().is_empty() => Err(InvalidCapability::TargetBlank(kind)),
            target => match target.and_then(unshowable) {
                Some(bad) => Err(InvalidCapability::TargetUnshowable(kind, bad)),
                None => Ok(Self { kind, target: target.map(str::to_owned) }),
            },
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(formatter, "{}:{target}", self.kind),
            None => self.kind.fmt(formatter),
        }
    }
}

impl Serialize for Capability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn capabilities_survive_their_text() {
        for text in ["filesystem", "network:example.org:443", "midi:Synth Port 1", "system-control"] {
            assert_eq!(text.parse::<Capability>().unwrap().to_string(), text);
        }
        assert_eq!("system_control".parse::<Capability>().unwrap().to_string(), "system-control");
    }

    #[test]
    fn a_capability_without_its_target_is_refused() {
        assert_eq!("network".parse::<Capability>(), Err(InvalidCapability::TargetMissing(CapabilityKind::Network)));
        assert_eq!("network:".parse::<Capability>(), Err(InvalidCapability::TargetMissing(CapabilityKind::Network)));
        assert!("filesystem:/etc".parse::<Capability>().is_err());
        assert!("root".parse::<Capability>().is_err());
        assert!("midi:  ".parse::<Capability>().is_err());
    }

    #[test]
    fn a_target_that_cannot_be_shown_is_refused() {
        for bad in ["midi:a\x1b[31m", "midi:Syn\u{ad}th", "midi:a\u{202e}b", "midi:\u{301}", "subprocess:\u{200b}git"] {
            let refused = bad.parse::<Capability>();
            assert!(matches!(refused, Err(InvalidCapability::TargetUnshowable(..))), "{bad:?}: {refused:?}");
        }
        let long = format!("midi:{}", "é".repeat(129));
        assert_eq!(long.parse::<Capability>(), Err(InvalidCapability::TargetTooLong(CapabilityKind::Midi)));
    }

    proptest! {
        #[test]
        fn what_is_taken_can_be_shown_and_is_read_back_as_the_same(text in "(network|midi|subprocess|input|x)(:(?s).{0,9})?") {
            if let Ok(capability) = text.parse::<Capability>() {
                prop_assert_eq!(unshowable(&text), None);
                prop_assert_eq!(capability.to_string(), text);
            }
        }
    }
}
