//! Connections that are kept for the next request: handshakes cost more than requests.
//!
//! They are kept for the very target they were granted and made for. Grants change with the process alone.

use super::super::target::Target;
use hyper::client::conn::http1::SendRequest;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi_http::WasiBody;

/// Connections that are kept.
const MAX_IDLE: usize = 2;
/// For how long: servers close theirs after 5 s and more.
const IDLE: Duration = Duration::from_secs(10);

/// A connection on which a request can be sent, or is under way. Dropped is closed.
pub struct Lease {
    pub target: Target,
    pub sender: SendRequest<WasiBody>,
    /// Moves it, while it lives.
    pub _moving: AbortOnDropJoinHandle<()>,
    /// Where.
    pub reactor: Handle,
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Lease").field(&self.target).finish()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Idle>);

#[derive(Debug, Default)]
struct Idle {
    /// With the time at which each ends; the oldest first.
    kept: Vec<(Instant, Lease)>,
    /// Whether a task waits for that time.
    watched: bool,
}

impl Pool {
    /// A connection to that target, the latest that was kept: it may not have noticed yet that it is closed.
    pub fn take(&self, target: &Target) -> Option<Lease> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.forget(Instant::now());
        let place = idle.kept.iter().rposition(|(_, lease)| lease.target == *target)?;
        Some(idle.kept.remove(place).1)
    }

    /// Keeps a connection whose last answer was read to its end.
    pub fn give(self: &Arc<Self>, lease: Lease) {
        let reactor = lease.reactor.clone();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.forget(now);
        idle.kept.push((now + IDLE, lease));
        if idle.kept.len() > MAX_IDLE {
            idle.kept.remove(0);
        }
        if !std::mem::replace(&mut idle.watched, true) {
            let pool = self.clone();
            reactor.spawn(async move {
                while let Some(next) = pool.watch(Instant::now()) {
                    tokio::time::sleep_until(next.into()).await;
                }
            });
        }
    }

    /// Closes what is due; when the next is, if there is one.
    fn watch(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.forget(now);
        let next = idle.kept.first().map(|(end, _)| *end);
        idle.watched = next.is_some();
        next
    }
}

impl Idle {
    fn forget(&mut self, now: Instant) {
        self.kept.retain(|(end, lease)| *end > now && !lease.sender.is_closed());
    }
}
