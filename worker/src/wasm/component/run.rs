//! One call of a guest, up to its deadline.

use crate::wasm::deadline::DeadlinePassed;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::runtime::Runtime;
use wasmtime::Result;

/// Runs a call to its end. One that waits when its deadline passes is let go of; one that computes
/// is stopped by the epoch.
///
/// # Errors
/// What the guest trapped with, or [`DeadlinePassed`].
pub fn run<T>(runtime: &Runtime, deadline: Instant, call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(call);
    // most calls never wait: they need neither a timer nor the runtime
    if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return result;
    }
    let waited = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), call).await });
    waited.unwrap_or_else(|_| Err(DeadlinePassed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::runtime::Builder;

    #[test]
    fn a_call_that_waits_ends_at_its_deadline_and_no_other_needs_the_clock() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let past = Instant::now();
        assert_eq!(run(&runtime, past, ready(Ok(1))).unwrap(), 1);
        let error = run(&runtime, past, pending::<Result<()>>()).unwrap_err();
        assert!(error.is::<DeadlinePassed>());
        let soon = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(2)
        };
        assert_eq!(run(&runtime, past + Duration::from_secs(60), soon).unwrap(), 2);
    }
}
