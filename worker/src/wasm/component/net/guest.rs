//! `net.connection` and `wasi:http` as a guest imports them.

use super::connection::Connection;
use super::{Net, http};
use crate::wasm::bounds::Bounded;
use crate::wasm::component::bindings::midimon::plugin::net;
use crate::wasm::component::link::imports;
use crate::wasm::component::state::{Phase, Refused, State, invalid};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

/// Defines what a component imports of the network.
///
/// # Errors
/// Only when a function is defined twice.
pub fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    net::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    if imports(component, "wasi:http/") {
        http::link(linker)?;
    }
    Ok(())
}

/// What a guest may use of the network now, and until when.
fn begin(state: &mut State) -> Result<(Arc<Net>, Instant), Refused> {
    match state.phase {
        Phase::Describe => Err(invalid("a plugin that says what it is can only log")),
        Phase::Live => Ok((state.plugin.net.clone(), state.bounds().deadline)),
    }
}

fn table(state: &mut State) -> &mut ResourceTable {
    state.ctx().table
}

fn keep(state: &mut State, connection: Connection) -> Result<Resource<Connection>, Refused> {
    table(state).push(connection).map_err(|full| Refused::Ended(full.into()))
}

/// The connection behind a guest's handle, and the end of its call.
fn used<'a>(state: &'a mut State, connection: &Resource<Connection>) -> Result<(&'a mut Connection, Instant), Refused> {
    let deadline = state.bounds().deadline;
    let connection = table(state).get_mut(connection).map_err(|error| Refused::Ended(error.into()))?;
    Ok((connection, deadline))
}

impl net::HostConnection for State {
    fn connect(&mut self, target: String, timeout_ms: u32) -> Result<Resource<Connection>, Refused> {
        let (net, deadline) = begin(self)?;
        keep(self, Connection::connect(&net, &target, timeout_ms, deadline)?)
    }

    fn connect_tls(&mut self, target: String, timeout_ms: u32) -> Result<Resource<Connection>, Refused> {
        let (net, deadline) = begin(self)?;
        keep(self, Connection::connect_tls(&net, &target, timeout_ms, deadline)?)
    }

    fn read(&mut self, connection: Resource<Connection>, max: u32, timeout_ms: u32) -> Result<Vec<u8>, Refused> {
        let (connection, deadline) = used(self, &connection)?;
        Ok(connection.read(max, timeout_ms, deadline)?)
    }

    fn write(&mut self, connection: Resource<Connection>, bytes: Vec<u8>, timeout_ms: u32) -> Result<(), Refused> {
        let (connection, deadline) = used(self, &connection)?;
        Ok(connection.write(&bytes, timeout_ms, deadline)?)
    }

    fn finish(&mut self, connection: Resource<Connection>) -> Result<(), Refused> {
        Ok(used(self, &connection)?.0.finish()?)
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        table(self).delete(connection)?;
        Ok(())
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let may = (self.phase == Phase::Live).then_some(self.bounds().deadline);
        self.http_parts(may)
    }
}
