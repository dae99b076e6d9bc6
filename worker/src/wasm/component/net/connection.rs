//! TCP connections.

use crate::wasm::component::bindings::midimon::plugin::net;
use crate::wasm::component::state::{Refused, State, invalid};
use wasmtime::Result;
use wasmtime::component::Resource;

/// An open connection: there is none, each attempt is refused.
#[derive(Debug)]
pub enum Connection {}

fn none() -> Refused {
    invalid("connections: this midimon does not offer them to components")
}

impl net::HostConnection for State {
    async fn connect(&mut self, _target: String, _timeout_ms: u32) -> Result<Resource<Connection>, Refused> {
        Err(none())
    }

    async fn connect_tls(&mut self, _target: String, _timeout_ms: u32) -> Result<Resource<Connection>, Refused> {
        Err(none())
    }

    async fn read(
        &mut self,
        _connection: Resource<Connection>,
        _max: u32,
        _timeout_ms: u32,
    ) -> Result<Vec<u8>, Refused> {
        Err(none())
    }

    async fn write(
        &mut self,
        _connection: Resource<Connection>,
        _bytes: Vec<u8>,
        _timeout_ms: u32,
    ) -> Result<(), Refused> {
        Err(none())
    }

    async fn finish(&mut self, _connection: Resource<Connection>) -> Result<(), Refused> {
        Err(none())
    }

    async fn drop(&mut self, _connection: Resource<Connection>) -> Result<()> {
        Ok(())
    }
}
