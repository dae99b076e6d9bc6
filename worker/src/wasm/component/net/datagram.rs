//! Datagrams: the supervisor holds the sockets.

use crate::wasm::component::bindings::midimon::plugin::net;
use crate::wasm::component::host::within;
use crate::wasm::component::state::{Refused, State, out_of_turn};
use midimon_shared::host::{HostCall, HostReply, MAX_DATAGRAM, MAX_TARGET};

impl net::Host for State {
    fn send_datagram(&mut self, target: String, payload: Vec<u8>) -> Result<(), Refused> {
        let target = within("target", target, MAX_TARGET)?;
        let payload = within("datagram", payload, MAX_DATAGRAM)?;
        self.ask(HostCall::DatagramSend { target, payload }).map(drop)
    }

    fn receive_datagram(&mut self, target: String, timeout_ms: u32) -> Result<Vec<u8>, Refused> {
        let target = within("target", target, MAX_TARGET)?;
        let timeout_ms = self.wait_ms(timeout_ms);
        match self.ask(HostCall::DatagramReceive { target, timeout_ms })?.reply {
            HostReply::Datagram(bytes) => Ok(bytes),
            _ => Err(out_of_turn()),
        }
    }
}
