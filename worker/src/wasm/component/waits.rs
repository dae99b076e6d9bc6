//! `wasi:io`: the functions of WASI that can wait, made to end at the call's deadline.
//!
//! wasmtime-wasi's own for synchronous guests wait in a runtime that nothing drives here, and for as long as it takes.
//! No other function waits in one: those of files block, those of sockets refuse.

use super::state::State;
use crate::wasm::bounds::Bounded;
use crate::wasm::deadline::DeadlinePassed;
use std::convert::identity;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::runtime::Runtime;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::io::poll as futures;
use wasmtime_wasi::p2::bindings::io::streams::{HostInputStream as Input, HostOutputStream as Output};
use wasmtime_wasi::p2::bindings::sync::io::poll::{self, Pollable};
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, InputStream, OutputStream};
use wasmtime_wasi::p2::{StreamError, StreamResult};

/// Defines `wasi:io/poll` and `wasi:io/streams`.
///
/// # Errors
/// Only when a function is defined twice.
pub fn link(linker: &mut Linker<State>) -> Result<()> {
    poll::add_to_linker::<_, Waits<'static>>(linker, waits)?;
    streams::add_to_linker::<_, Waits<'static>>(linker, waits)
}

/// The streams and pollables of an instance, and how long a call of it may wait for them.
struct Waits<'a> {
    table: &'a mut ResourceTable,
    runtime: &'static Runtime,
    deadline: Instant,
}

impl HasData for Waits<'static> {
    type Data<'a> = Waits<'a>;
}

fn waits(state: &mut State) -> Waits<'_> {
    let (runtime, deadline) = (state.plugin.runtime, state.bounds().deadline);
    Waits { table: state.ctx().table, runtime, deadline }
}

impl Waits<'_> {
    /// What the guest waits for.
    ///
    /// # Errors
    /// Its own, or `late` of [`DeadlinePassed`].
    fn wait<T, E>(
        &mut self,
        late: fn(wasmtime::Error) -> E,
        wait: impl AsyncFnOnce(&mut ResourceTable) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut wait = pin!(wait(self.table));
        // most waits are over before they begin: they need neither a timer nor the runtime
        if let Poll::Ready(result) = wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        let deadline = self.deadline.into();
        let waited = self.runtime.block_on(async { tokio::time::timeout_at(deadline, wait).await });
        waited.unwrap_or_else(|_| Err(late(DeadlinePassed.into())))
    }
}

impl poll::Host for Waits<'_> {
    fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> Result<Vec<u32>> {
        self.wait(identity, async |table| futures::Host::poll(table, pollables).await)
    }
}

impl poll::HostPollable for Waits<'_> {
    fn ready(&mut self, pollable: Resource<Pollable>) -> Result<bool> {
        self.wait(identity, async |table| futures::HostPollable::ready(table, pollable).await)
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        self.wait(identity, async |table| futures::HostPollable::block(table, pollable).await)
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        futures::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for Waits<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, error)
    }
}

impl streams::HostInputStream for Waits<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        Input::read(self.table, stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.wait(StreamError::Trap, async |table| Input::blocking_read(table, stream, len).await)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        Input::skip(self.table, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        self.wait(StreamError::Trap, async |table| Input::blocking_skip(table, stream, len).await)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> Result<Resource<Pollable>> {
        Input::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> Result<()> {
        self.wait(identity, async |table| Input::drop(table, stream).await)
    }
}

impl streams::HostOutputStream for Waits<'_> {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> StreamResult<u64> {
        Output::check_write(self.table, stream)
    }

    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        Output::write(self.table, stream, bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.wait(StreamError::Trap, async |table| Output::blocking_write_and_flush(table, stream, bytes).await)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        Output::write_zeroes(self.table, stream, len)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        self.wait(StreamError::Trap, async |table| Output::blocking_write_zeroes_and_flush(table, stream, len).await)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        Output::flush(self.table, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        self.wait(StreamError::Trap, async |table| Output::blocking_flush(table, stream).await)
    }

    fn splice(&mut self, to: Resource<OutputStream>, from: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        Output::splice(self.table, to, from, len)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.wait(StreamError::Trap, async |table| Output::blocking_splice(table, to, from, len).await)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> Result<Resource<Pollable>> {
        Output::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> Result<()> {
        self.wait(identity, async |table| Output::drop(table, stream).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::runtime::Builder;
    use tokio::time::sleep;

    #[test]
    fn a_wait_ends_at_its_deadline_and_what_is_over_needs_no_clock() {
        let runtime: &Runtime = Box::leak(Box::new(Builder::new_current_thread().enable_time().build().unwrap()));
        let _entered = runtime.enter();
        let past = Instant::now();
        let mut table = ResourceTable::new();
        let mut waits = Waits { table: &mut table, runtime, deadline: past };
        assert_eq!(waits.wait(identity, async |_| ready(Ok(1)).await).unwrap(), 1);
        assert!(waits.wait(identity, async |_| pending::<Result<()>>().await).unwrap_err().is::<DeadlinePassed>());
        waits.deadline = past + Duration::from_secs(60);
        let soon = waits.wait(identity, async |_| {
            sleep(Duration::from_millis(1)).await;
            Ok(2)
        });
        assert_eq!(soon.unwrap(), 2);
    }
}
