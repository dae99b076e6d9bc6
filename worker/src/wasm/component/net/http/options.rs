//! `handle` of `wasi:http/outgoing-handler`: the options of a request end with it.
//!
//! wasmtime-wasi-http (48.0.8) reads them and leaves them in the instance's table, which a guest cannot empty: one that
//! sets a timeout would be ended by its thousandth request. So this function is ours, around that crate's.

use crate::wasm::component::state::State;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as _};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{RequestOptions, WasiHttpView};

/// Where wasmtime-wasi-http defines it.
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
type Sent = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

/// Puts the function in the place of wasmtime-wasi-http's, which is linked before.
///
/// # Errors
/// It cannot be defined.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(HANDLER)?.func_wrap("handle", |mut store: StoreContextMut<'_, State>, given: Given| {
        Ok((handle(store.data_mut(), given)?,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The outer error ends the guest.
fn handle(state: &mut State, (request, options): Given) -> wasmtime::Result<Sent> {
    let mut http = state.http();
    let given = options.as_ref().map(Resource::rep);
    let sent = http.handle(request, options);
    if let Some(given) = given {
        http.table.delete(Resource::<RequestOptions>::new_own(given))?;
    }
    match sent {
        Ok(future) => Ok(Ok(future)),
        Err(error) => http.convert_error_code(error).map(Err),
    }
}
