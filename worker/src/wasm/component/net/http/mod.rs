//! `wasi:http`: requests of a guest, each checked, sent and bounded.
//!
//! No redirect is followed here: the guest sees it, and following it is a new request, checked like any other.

mod body;
mod dial;
mod error;
mod exchange;
mod named;
mod options;
pub(super) mod pool;
mod request;
#[cfg(test)]
mod tests;

use super::{Net, network_deadline};
use crate::wasm::component::state::State;
use http::{Request, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpCtx, WasiHttpHooks};

/// Bytes of a response's head, and headers in it: what hyper buffers at most.
pub const MAX_HEAD: usize = 64 * 1024;
/// Bytes of a request's body, and of a response's.
pub const MAX_BODY: u64 = 64 * 1024 * 1024;
/// Bytes that a guest writes into a request's body at once; two such pieces wait to be sent. They lie in memory that
/// no limit of the guest's counts, for each request that it has begun.
const PIECE: usize = 16 * 1024;
/// Bytes of the headers that a guest puts together for a request: the same is true of them.
const MAX_FIELDS: usize = 32 * 1024;

/// What `wasi:http` does in one instance's store.
#[derive(Debug)]
pub struct HttpHooks {
    net: Arc<Net>,
    /// When the call ends whose requests these are; `None` while none may be sent.
    pub until: Option<Instant>,
}

impl HttpHooks {
    /// For an instance that may not send any yet.
    pub fn new(net: Arc<Net>) -> Self {
        Self { net, until: None }
    }
}

/// Defines `wasi:http`.
///
/// # Errors
/// Only when a function is defined twice.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(linker)?;
    named::link(linker)?;
    options::link(linker)
}

/// The limits of what a guest puts together.
pub fn context() -> WasiHttpCtx {
    let mut context = WasiHttpCtx::new();
    context.set_field_size_limit(MAX_FIELDS);
    context
}

type Sending = dyn Future<Output = Result<()>> + Send;
type Answer = (Response<WasiBody>, Box<Sending>);

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_read: Box<Sending>,
    ) -> Box<dyn Future<Output = Result<Answer>> + Send> {
        let begun = match self.until {
            Some(call) => {
                let until = network_deadline(Instant::now(), call);
                exchange::begin(&self.net, request, options.unwrap_or_default(), until)
            }
            None => Err(Error::HttpRequestDenied),
        };
        Box::new(async move {
            let response = begun?.await?;
            // the connection moves by itself, on the reactor
            let nothing_left: Pin<Box<Sending>> = Box::pin(std::future::ready(Ok(())));
            Ok((response, Box::new(nothing_left) as Box<Sending>))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}
