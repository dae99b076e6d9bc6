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
//! `plugin.toml` that says what it is; `docs/first-plugin.md` has the whole way.
//!
//! The same source builds both ways:
//!
//! | | `cargo build --release` | `cargo build --release --target wasm32-wasip2` |
//! |---|---|---|
//! | is | a native library, talking through `include/midimon_plugin.h` | a component of the world in `plugins/wit` |
//! | `plugin.toml` | `kind = "native"` | `kind = "wasm"` |
//! | a panic | ends the call with an error | ends the call and the instance; a new one is started |
//! | threads | yes | no |
//!
//! What a plugin prints goes to its log (`midimon logs ID`). [`test`](mod@test) runs a plugin in
//! a unit test, or as midimon does.

// the guides' examples are compiled and run with those of the documentation
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/first-plugin.md")]
    mod first_plugin {}
    #[doc = include_str!("../../../docs/porting.md")]
    mod porting {}
    #[cfg(feature = "http")]
    #[doc = include_str!("../../../docs/plugin-reference/sdk.md")]
    mod sdk {}
    #[doc = include_str!("../../../docs/plugin-reference/testing.md")]
    mod testing {}
}

mod call;
#[cfg(target_family = "wasm")]
pub mod component;
mod connection;
mod error;
pub mod ffi;
mod host;
#[cfg(feature = "http")]
pub mod http;
#[cfg(not(target_family = "wasm"))]
mod native;
mod outcome;
mod params;
#[cfg(not(target_family = "wasm"))]
pub mod test;

#[cfg(target_family = "wasm")]
extern crate self as midimon_plugin; // the generated bindings name the crate from the outside

/// The side of midimon that this is built for. Both have the same functions.
#[cfg(target_family = "wasm")]
use component as backend;
#[cfg(not(target_family = "wasm"))]
use native as backend;

pub use call::{Context, Trigger};
pub use connection::Connection;
pub use error::{Error, HostError, Refusal};
pub use host::{Host, Level, Light, Mouse, Ran, System, Usage};
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub use native::Table;
pub use outcome::{Effect, Outcome};
pub use params::Params;

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

/// Exports a plugin from this crate. Use it once. The same source builds as a native library
/// (`cargo build --release`) and as a component (`cargo build --release --target wasm32-wasip2`).
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        const _: () = {
            /// Gives midimon the plugin's functions.
            #[allow(unsafe_code)] // the one name midimon looks for
            #[unsafe(no_mangle)]
            extern "C" fn midimon_plugin_v1() -> *const $crate::ffi::Plugin {
                &$crate::Table::<$plugin>::TABLE
            }
        };
    };
}

/// Exports a plugin from this crate. Use it once. The same source builds as a native library
/// (`cargo build --release`) and as a component (`cargo build --release --target wasm32-wasip2`).
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        #[allow(unsafe_code)] // the names midimon looks for
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
    $crate::component::bindings::export_component!(Exported with_types_in $crate::component::bindings);
        };
    };
}
