//! What the supervisor does for a plugin: MIDI, programs, its data's usage, events, timers.

use super::{not_offered, within};
use crate::wasm::component::bindings::midimon::plugin::{data, events, midi, programs, timers};
use crate::wasm::component::state::{Refused, State, invalid, out_of_turn};
use midimon_shared::host::{HostCall, HostReply, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_MIDI, MAX_TARGET, MAX_WAIT_MS};

impl midi::Host for State {
    fn send(&mut self, port: String, message: Vec<u8>) -> Result<(), Refused> {
        let port = within("port's name", port, MAX_TARGET)?;
        let message = within("MIDI message", message, MAX_MIDI)?;
        self.ask(HostCall::MidiSend { port, message }).map(drop)
    }
}

impl programs::Host for State {
    fn run(&mut self, program: String, arguments: Vec<String>, timeout_ms: u32) -> Result<programs::Output, Refused> {
        let program = within("program's name", program, MAX_TARGET)?;
        if arguments.len() > MAX_ARGUMENTS {
            return Err(invalid(format!("{} arguments; {MAX_ARGUMENTS} are the most", arguments.len())));
        }
        let bytes: usize = arguments.iter().map(String::len).sum();
        if bytes > MAX_ARGUMENT_BYTES {
            return Err(invalid(format!("the arguments have {bytes} bytes; {MAX_ARGUMENT_BYTES} are the most")));
        }
        let timeout_ms = self.wait_ms(if timeout_ms == 0 { MAX_WAIT_MS } else { timeout_ms });
        match self.ask(HostCall::Run { program, arguments, timeout_ms })?.reply {
            HostReply::Ran { code, stdout, stderr } => Ok(programs::Output { code, stdout, stderr }),
            _ => Err(out_of_turn()),
        }
    }
}

impl data::Host for State {
    fn usage(&mut self) -> Result<data::Quota, Refused> {
        Err(not_offered("how full the data directory is"))
    }
}

impl events::Host for State {
    fn emit(&mut self, _event: String, _value: String) -> Result<(), Refused> {
        Err(not_offered("events"))
    }
}

impl timers::Host for State {
    fn after(&mut self, _id: u32, _ms: u32, _action: String, _params: String) -> Result<(), Refused> {
        Err(not_offered("timers"))
    }

    fn every(&mut self, _id: u32, _ms: u32, _action: String, _params: String) -> Result<(), Refused> {
        Err(not_offered("timers"))
    }

    fn cancel(&mut self, _id: u32) -> Result<(), Refused> {
        Err(not_offered("timers"))
    }
}
