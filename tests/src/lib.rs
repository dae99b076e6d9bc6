//! The bed end-to-end tests run in: a home of their own, the real binaries, raw
//! MIDI bytes in, and what `midimon status` says out.
//!
//! Build first with `make plugins`. Nothing here sleeps to hope: every wait has
//! a condition, a deadline ([`DEADLINE`]) and a message that shows the daemon's log.
//!
//! ```no_run
//! use midimon_tests::{Bed, Config, midi};
//!
//! let bed = Bed::new();
//! bed.install("echo");
//! bed.configure(&Config::new().note(60, "echo", "say"));
//! let mut daemon = bed.start();
//! daemon.wait_ready("echo");
//! daemon.send(&midi::tap(60));
//! daemon.wait_worker("echo", "an answer", |echo| echo.calls.done == 1);
//! daemon.stop();
//! ```
#![forbid(unsafe_code)]

pub mod accounts;
pub mod bed;
pub mod binaries;
pub mod commands;
pub mod compiler;
pub mod config;
pub mod daemon;
pub mod guest;
pub mod installed;
pub mod login;
pub mod midi;
pub mod mounts;
pub mod net_guest;
pub mod packages;
pub mod pages;
pub mod process;
pub mod refusal;
pub mod terminal;
pub mod trio;
pub mod wait;
pub mod watch;
pub mod web;
#[path = "../beds/xvfb.rs"]
pub mod xvfb;

pub use bed::Bed;
pub use compiler::HeldCompiler;
pub use config::Config;
pub use daemon::Daemon;
pub use guest::Guest;
pub use login::Login;
pub use net_guest::NetGuest;
pub use packages::Publisher;
pub use process::Process;
pub use refusal::Refusal;
pub use terminal::{Session, Terminal};
pub use trio::Trio;
pub use wait::{DEADLINE, eventually};
pub use watch::Watch;
