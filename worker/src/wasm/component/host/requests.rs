//! What the supervisor does for a plugin: MIDI, programs, its data's usage, events, timers.

use super::within;
use crate::wasm::component::bindings::midimon::plugin::{data, events, midi, programs, timers};
use crate::wasm::component::state::{Refused, State, invalid, out_of_turn};
use midimon_shared::host::{
    DataUsage, HostCall, HostReply, MAX_ACTION, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_EVENT_NAME, MAX_EVENT_VALUE,
    MAX_MIDI, MAX_TARGET, MAX_TIMER_PARAMS, MAX_WAIT_MS,
};

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
        match self.ask(HostCall::Usage)?.reply {
            HostReply::Usage(DataUsage { used_bytes, max_bytes, used_files, max_files }) => {
                Ok(data::Quota { used_bytes, max_bytes, used_files, max_files })
            }
            _ => Err(out_of_turn()),
        }
    }
}

impl events::Host for State {
    fn emit(&mut self, event: String, value: String) -> Result<(), Refused> {
        let event = within("event's name", event, MAX_EVENT_NAME)?;
        let value = within("event's value", value, MAX_EVENT_VALUE)?;
        self.ask(HostCall::Emit { event, value }).map(drop)
    }
}

impl timers::Host for State {
    fn after(&mut self, id: u32, ms: u32, action: String, params: String) -> Result<(), Refused> {
        set_timer(self, id, ms, false, action, params)
    }

    fn every(&mut self, id: u32, ms: u32, action: String, params: String) -> Result<(), Refused> {
        set_timer(self, id, ms, true, action, params)
    }

    fn cancel(&mut self, id: u32) -> Result<(), Refused> {
        self.ask(HostCall::TimerCancel { id }).map(drop)
    }
}

fn set_timer(state: &State, id: u32, ms: u32, every: bool, action: String, params: String) -> Result<(), Refused> {
    let action = within("action's name", action, MAX_ACTION)?;
    let params = within("action's parameters", params, MAX_TIMER_PARAMS)?;
    state.ask(HostCall::TimerSet { id, ms, every, action, params }).map(drop)
}
