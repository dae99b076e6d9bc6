//! What a midimon plugin in Rust is written with: one trait and one macro.
//!
//! ```
//! use midimon_plugin::{Context, Error, Metadata, Outcome, Params, Plugin, export_plugin};
//!
//! #[derive(Default)]
//! struct Counter {
//!     presses: u64,
//! }
//!
//! impl Plugin for Counter {
//!     fn describe() -> Metadata {
//!         Metadata { name: "Counter", version: env!("CARGO_PKG_VERSION"), description: "Counts presses" }
//!     }
//!
//!     fn handle(&mut self, action: &str, _params: &Params<'_>, _context: &Context<'_>) -> Result<Outcome, Error> {
//!         match action {
//!             "count" => {
//!                 self.presses += 1;
//!                 Ok(Outcome::answer(format!("{} so far", self.presses)))
//!             }
//!             _ => Err(Error::unknown_action(action)),
//!         }
//!     }
//! }
//!
//! export_plugin!(Counter);
//! ```
//!
//! In `Cargo.toml`: `[lib] crate-type = ["cdylib"]`. Beside the library lies a
//! `plugin.toml` that says what it is; `docs/plugins.md` has the whole way.
//!
//! The library talks to midimon through the C interface of
//! `include/midimon_plugin.h`, so plugin and midimon need not be built with the
//! same compiler. What a plugin prints goes to its log (`midimon logs ID`).
//! A panic ends the call with an error, not the plugin.

mod call;
mod export;
pub mod ffi;
mod host;
mod request;
mod services;

pub use call::{Context, Params, Trigger};
#[doc(hidden)]
pub use export::Table;
pub use host::{Host, Level};
pub use request::{HostError, Mouse, Ran, Refusal, System};
pub use services::{Light, Usage};

use std::fmt::Display;

/// A plugin. One value lives as long as the plugin's process, and gets its calls
/// one at a time.
pub trait Plugin: Default + 'static {
    /// What it is. Shown to people; midimon goes by `plugin.toml`.
    fn describe() -> Metadata;

    /// Starts it: keep the host to log or to find the data directory.
    /// `settings` are the user's for this plugin; `{}` where there are none.
    ///
    /// # Errors
    /// It cannot run; midimon shows why.
    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        let _ = (host, settings);
        Ok(())
    }

    /// Performs one call.
    ///
    /// # Errors
    /// The call failed; counted and shown, the plugin goes on.
    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error>;

    /// Ends it: save what must be saved. The process ends after it.
    fn shutdown(&mut self) {}
}

/// What a plugin says it is.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Its name, for people.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for, in a line.
    pub description: &'static str,
}

/// What a call that went well has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// A text for people (at most 4096 bytes of it are kept).
    pub answer: Option<String>,
}

impl Outcome {
    /// Nothing to say.
    #[must_use]
    pub const fn ok() -> Self {
        Self { answer: None }
    }

    /// Says something to people.
    #[must_use]
    pub fn answer(text: impl Into<String>) -> Self {
        Self { answer: Some(text.into()) }
    }
}

/// Why a call, or the start of a plugin, failed. `?` makes one of every error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: i32,
    message: String,
}

impl Error {
    /// The code of an error that has none of its own.
    pub const GENERAL: i32 = 1;
    /// The code of an action the plugin does not have.
    pub const UNKNOWN_ACTION: i32 = 2;
    /// The code of a panic.
    pub const PANIC: i32 = -1;

    /// An error in the plugin's own words.
    #[must_use]
    pub fn new(message: impl Display) -> Self {
        Self { code: Self::GENERAL, message: message.to_string() }
    }

    /// There is no such action.
    #[must_use]
    pub fn unknown_action(action: &str) -> Self {
        Self::new(format_args!("there is no action '{action}'")).with_code(Self::UNKNOWN_ACTION)
    }

    /// The same with another code; 0 would mean success and becomes [`Error::GENERAL`].
    #[must_use]
    pub const fn with_code(mut self, code: i32) -> Self {
        self.code = if code == 0 { Self::GENERAL } else { code };
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

// As `anyhow` has it: without being an error itself, it can be made of every error.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
