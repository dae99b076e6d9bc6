//! What stopped a guest, named by the limit that was meant for it.

use super::bounds::Bounds;
use super::deadline::DeadlinePassed;
use crate::log::{self, Level, bounded};
use midimon_shared::limits::MAX_ANSWER;
use midimon_shared::protocol::{Outcome, TrapCause};
use std::fmt;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

/// A guest that did not return; its instance is of no further use.
#[derive(Debug)]
pub struct Halt {
    cause: TrapCause,
    message: String,
}

impl Halt {
    /// Named by whoever noticed it.
    pub fn because(cause: TrapCause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    /// There is no instance because its data directory is gone.
    pub fn no_data_dir(error: &Error) -> Self {
        Self::because(TrapCause::Trap, format!("its data directory cannot be opened: {}", error.root_cause()))
    }

    /// Names what is behind the runtime's error; a backtrace goes to the log, for the plugin's author.
    pub fn new(error: &Error, bounds: &Bounds) -> Self {
        let trap = error.downcast_ref::<Trap>();
        let exit = error.downcast_ref::<I32Exit>();
        let (cause, message) = match (trap, bounds.meter.refused()) {
            _ if error.is::<DeadlinePassed>() => (TrapCause::Deadline, DeadlinePassed.to_string()),
            (Some(Trap::Interrupt), _) => (TrapCause::Deadline, DeadlinePassed.to_string()),
            (Some(Trap::OutOfFuel), _) => (TrapCause::Fuel, "it used up its fuel".to_owned()),
            (Some(Trap::StackOverflow), _) => (TrapCause::Stack, "it used up its stack".to_owned()),
            (_, Some(refused)) => (TrapCause::Memory, refused.to_owned()),
            _ if exit.is_some() => {
                (TrapCause::Trap, format!("it ended itself with exit code {}", exit.map_or(0, |exit| exit.0)))
            }
            (Some(trap), None) => (TrapCause::Trap, trap.to_string()),
            (None, None) => (TrapCause::Trap, error.root_cause().to_string()),
        };
        log::write(Level::Error, &format!("{message}: {error:?}"));
        Self { cause, message: bounded(&message, MAX_ANSWER).to_owned() }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<Halt> for Outcome {
    fn from(Halt { cause, message }: Halt) -> Self {
        Self::Trapped { cause, message }
    }
}
