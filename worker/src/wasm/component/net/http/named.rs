//! `http-error-code` of `wasi:http/types`: the name of the error that a body ended with.
//!
//! wasmtime-wasi-http (48.0.8) looks for a `p2` code in the stream's error, where a body of ours has left the crate's
//! other kind of error, and finds no name. So this one function is ours.

use crate::wasm::component::state::State;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// Where wasmtime-wasi-http defines it.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Puts the function in the place of wasmtime-wasi-http's, which is linked before.
///
/// # Errors
/// It cannot be defined.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let name = |mut store: StoreContextMut<'_, State>, (error,): (Resource<IoError>,)| {
        let error = store.data_mut().ctx().table.get(&error)?;
        let named = error.downcast_ref::<ErrorCode>().cloned();
        Ok((named.or_else(|| error.downcast_ref::<Error>().map(code)),))
    };
    linker.instance(TYPES)?.func_wrap("http-error-code", name)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Of what bodies end with here.
fn code(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseTrailerSectionSize(*size),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        Error::TlsProtocolError => ErrorCode::TlsProtocolError,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}
