//! Effects on the outside world: keys, text, programs, MIDI out.
//!
//! [`Executor`] takes them and never makes its caller wait. Every process that
//! is started on the user's behalf is started here, and reaped here.

mod children;
mod executor;
mod keyboard;
pub mod keys;
mod notes;
mod template;
mod typist;
mod uinput;
mod x11;

pub use children::ChildrenStatus;
pub use executor::{Executor, ExecutorStatus};
pub use keyboard::{KeyboardChoice, usable_keyboards};
pub use typist::TypistStatus;
