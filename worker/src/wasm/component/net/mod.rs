//! The network of a component: `wasi:http` and `net.connection`, over connections that the supervisor makes.
//!
//! A worker can make no socket. Whom a guest speaks to is asked of the supervisor each time, which looks at the
//! grants, resolves the name, checks where it leads, connects, and hands the connection over. What is said on it (TLS
//! and HTTP) is the worker's own business, inside its sandbox, so that no parser of strangers' bytes runs elsewhere.
//! Datagrams go through the supervisor, which holds their sockets. Nothing here exists before a guest's first request:
//! no thread, no descriptor, no list of certificates.

mod broker;
mod connection;
mod datagram;
mod guest;
mod http;
mod reactor;
mod socket;
mod target;
mod tls;

pub use connection::Connection;
pub use guest::link;
pub use http::{HttpHooks, context as http_context};

use broker::Broker;
use http::pool::Pool;
use midimon_shared::places::{self, Places};
use reactor::Reactor;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Tls;

/// Exchanges of HTTP at once: requests without an answer, and answers that are not read to their end.
pub const MAX_EXCHANGES: usize = 16;
/// Connections that a guest has open at once.
pub const MAX_CONNECTIONS: usize = 16;

/// What a process has for its guest's network. All its instances share it.
pub struct Net {
    broker: Arc<dyn Broker>,
    tls: Tls,
    reactor: Reactor,
    pool: Arc<Pool>,
    exchanges: Places,
    connections: Places,
}

impl Net {
    /// With nothing made yet.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>) -> Arc<Self> {
        Arc::new(Self {
            broker,
            tls: Tls::default(),
            reactor: Reactor::default(),
            pool: Arc::default(),
            exchanges: Places::new(MAX_EXCHANGES),
            connections: Places::new(MAX_CONNECTIONS),
        })
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Net").finish_non_exhaustive()
    }
}

/// The most of a call's time that is kept back from its network, so that the guest can still say what went wrong.
const KEPT_BACK: Duration = Duration::from_millis(100);

/// When the network of a call ends that itself ends at `call`: a tenth of the time that is left is kept back.
fn network_deadline(now: Instant, call: Instant) -> Instant {
    let left = call.saturating_duration_since(now);
    now + (left - KEPT_BACK.min(left / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_ends_a_little_before_its_call_and_never_after() {
        let now = Instant::now();
        let after = |ms| network_deadline(now, now + Duration::from_millis(ms)) - now;
        assert_eq!(after(5_000), Duration::from_millis(4_900));
        assert_eq!(after(100), Duration::from_millis(90));
        assert_eq!(after(0), Duration::ZERO);
        assert_eq!(network_deadline(now + KEPT_BACK, now), now + KEPT_BACK);
    }
}
