//! The messages between the supervisor and a worker.
//!
//! [`Command`] travels from the supervisor to a worker (descriptor 3),
//! [`Event`] from a worker to the supervisor (descriptor 4). They are separate
//! types, so that neither side can send, or be made to accept, the other's.
//!
//! ```text
//! worker                            supervisor
//!   enters its sandbox
//!   Hello{versions} ──────────────▶  checks versions, and /proc/PID/status from outside
//!                   ◀──────────────  Load{…} and the code's descriptor on 5, Names, Bind …
//!   loads the code, calls its init
//!   Ready{metadata} ──────────────▶  Trigger …
//!   Done | Dropped  ──────────────▶
//! ```

use crate::{context::TriggerStamp, host::HostRequest, id::PluginId, limits::WorkerLimits, sandbox::LayerReport};
use bincode::{Decode, Encode};
use std::fmt;

/// Descriptor on which a worker reads [`Command`]s.
pub const COMMAND_FD: i32 = 3;
/// Descriptor on which a worker writes [`Event`]s.
pub const EVENT_FD: i32 = 4;
/// Descriptor of a worker's Unix SEQPACKET socket: descriptors and answers to host requests.
pub const REQUEST_FD: i32 = 5;

/// The range of protocol versions a program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProtocolRange {
    /// Oldest.
    pub min: u16,
    /// Newest.
    pub max: u16,
}

impl ProtocolRange {
    /// What this build speaks.
    pub const OURS: Self = Self { min: 1, max: 1 };

    /// The newest version both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

impl fmt::Display for ProtocolRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { min, max } if min == max => write!(formatter, "{min}"),
            Self { min, max } => write!(formatter, "{min}-{max}"),
        }
    }
}

/// Numbers a call; the supervisor never uses one twice for a worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CallId(pub u64);

/// Numbers an action with its parameters, as sent ahead in [`Bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BindingId(pub u32);

/// What a plugin's code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CodeKind {
    /// A shared library of the C ABI.
    Native,
    /// A WASM core module of the MIDIMon 2.5-2.7 ABI, compiled ahead of time.
    WasmCore,
    /// A WASM component of the world `midimon:plugin/midimon-plugin`, compiled ahead of time.
    WasmComponent,
}

/// From the supervisor to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// Take the code that comes over [`REQUEST_FD`] and load it. Once, first.
    Load(Load),
    /// Names behind the indices in a [`TriggerStamp`].
    Names(Names),
    /// An action and its parameters behind a [`BindingId`].
    Bind(Bind),
    /// Call the plugin.
    Trigger(Trigger),
    /// Answer with [`Event::Pong`].
    Ping {
        /// To be repeated in the answer.
        nonce: u64,
    },
    /// Let the plugin finish, then exit.
    Shutdown,
}

/// Everything a worker needs to load its plugin.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Load {
    /// Whose code it is.
    pub plugin: PluginId,
    /// What the code is.
    pub kind: CodeKind,
    /// Its data directory, when it may have one.
    pub data_dir: Option<String>,
    /// Its settings as a JSON object.
    pub settings: String,
    /// Limits the worker enforces itself.
    pub limits: WorkerLimits,
}

impl std::fmt::Debug for Load {
    /// Settings can be secret: only their length is shown.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plugin, kind, data_dir, settings, limits } = self;
        let mut shown = formatter.debug_struct("Load");
        shown.field("plugin", plugin).field("kind", kind).field("data_dir", data_dir);
        shown.field("settings_bytes", &settings.len()).field("limits", limits).finish()
    }
}

/// Which names a [`Names`] message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum NameKind {
    /// Modes.
    Mode,
    /// Device aliases.
    Device,
}

/// Names from index `first` on; earlier ones stay, later ones are forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Names {
    /// Of what.
    pub kind: NameKind,
    /// Index of the first one here.
    pub first: u16,
    /// The names in order.
    pub names: Vec<String>,
}

/// An action with its parameters, in one part or several.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Bind {
    /// How triggers will name it. Binding an id again replaces it.
    pub binding: BindingId,
    /// The plugin's action.
    pub action: String,
    /// Deadline of a call, in milliseconds; 0 is the plugin's own.
    pub timeout_ms: u32,
    /// It gets the release of each press: a release is dropped for its age
    /// only when its press was.
    pub paired: bool,
    /// The next part of the parameters, a JSON object when put together.
    pub params: String,
    /// Whether another part follows, in the next `Bind` of the same id.
    pub more: bool,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Trigger {
    /// To be repeated in the answer.
    pub call: CallId,
    /// What to do.
    pub binding: BindingId,
    /// Why.
    pub stamp: TriggerStamp,
}

/// From a worker to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The sandbox is entered; waiting for [`Command::Load`].
    Hello(Hello),
    /// The code is loaded and its init succeeded.
    Ready(Ready),
    /// Loading failed; the worker exits.
    LoadFailed {
        /// What went wrong, for the user.
        message: String,
    },
    /// A call ended.
    Done {
        /// Which.
        call: CallId,
        /// How.
        outcome: Outcome,
    },
    /// A call was too old when read, and was not made.
    Dropped {
        /// Which.
        call: CallId,
    },
    /// Answer to [`Command::Ping`].
    Pong {
        /// As in the ping.
        nonce: u64,
    },
    /// Asks for something outside the sandbox. The answer, a [`crate::host::HostAnswer`], comes
    /// over [`REQUEST_FD`]; the next request follows it.
    Request(HostRequest),
    /// The sandbox refused a system call; the worker exits, unless it was started to report only.
    Denied {
        /// The system call's number on this architecture.
        number: u32,
    },
    /// The plugin ran out of memory and the worker knows; it exits or the call fails.
    OutOfMemory {
        /// Bytes that were asked for.
        requested: u64,
    },
}

/// A worker's first message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// What it speaks.
    pub protocol: ProtocolRange,
    /// The worker program's version.
    pub version: String,
    /// What each layer of its sandbox achieved, in the order they were entered.
    pub layers: Vec<LayerReport>,
}

/// What the plugin says it is. Hostile text: cap and escape before showing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Well, with nothing to say.
    Ok,
    /// Well, with a text for people.
    Answer(String),
    /// The plugin reported an error.
    Failed {
        /// The plugin's own code, never 0.
        code: i32,
        /// Its own words, may be empty.
        message: String,
    },
    /// WASM code trapped or met a limit; the instance was replaced.
    Trapped {
        /// Which limit or trap.
        cause: TrapCause,
        /// The runtime's words.
        message: String,
    },
}

/// What stopped a WASM call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TrapCause {
    /// An illegal operation of the guest: unreachable, division by zero, out of bounds …
    Trap,
    /// The fuel for one call was used up.
    Fuel,
    /// The deadline passed.
    Deadline,
    /// The stack was used up.
    Stack,
    /// The memory limit was met.
    Memory,
    /// The guest broke the ABI: a pointer out of range, text that is not UTF-8.
    Abi,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_spoken() {
        let range = |min, max| ProtocolRange { min, max };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(2, 5).common(range(1, 3)), Some(3));
        assert_eq!(range(1, 1).common(range(2, 2)), None);
        assert_eq!(range(1, 2).to_string(), "1-2");
    }
}
