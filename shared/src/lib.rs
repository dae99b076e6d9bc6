//! What midimon's supervisor and its workers must agree on.
//!
//! Both sides compile against this crate and nothing else of the project:
//! the messages on the pipes ([`protocol`]), how they become bytes ([`codec`]),
//! a pipe that can only be used in its own direction ([`pipe`]), what a plugin
//! is told about a trigger ([`context`]), and the values all of these are made
//! of ([`midi`], [`id`], [`capability`], [`limits`]); how a worker is started
//! ([`spawn`]), what its sandbox achieved ([`sandbox`], [`landlock`]), what it can ask for
//! ([`host`]) and how it says why it ended ([`exit`]); the C interface of
//! native plugins ([`abi`]); how many of something there are at once ([`places`]);
//! and what text can be shown ([`text`]).
#![forbid(unsafe_code)]

pub mod abi;
pub mod capability;
pub mod codec;
pub mod context;
pub mod exit;
pub mod host;
pub mod id;
pub mod landlock;
pub mod limits;
pub mod midi;
pub mod pipe;
pub mod places;
pub mod protocol;
pub mod sandbox;
pub mod spawn;
pub mod text;

pub use capability::{Capability, CapabilityKind};
pub use context::TriggerContext;
pub use exit::WorkerExit;
pub use id::PluginId;
pub use limits::Limits;
pub use midi::{Channel, ChannelMessage, U7, U14};
pub use protocol::{BindingId, CallId, Command, Event};
