//! The threads that move HTTP while the guest computes, waits or does not run at all: one for tasks and their clock,
//! one that waits for sockets.
//!
//! They are made by the first request. Without them, a connection that is kept for the next request could not notice
//! that the other side has closed it, and a guest that computes would hold up its own answers.

use super::socket::Watcher;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::runtime::{Builder, Handle};

/// Its handshakes and parsers take a tenth of this.
const STACK: usize = 512 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Reactor(Mutex<Option<Threads>>);

/// The threads.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Runs tasks.
    pub tasks: Handle,
    /// Waits for their sockets.
    pub sockets: Arc<Watcher>,
}

impl Reactor {
    /// The threads, made now if there are none yet.
    ///
    /// # Errors
    /// There is no room for another thread or its descriptor.
    pub fn threads(&self) -> io::Result<Threads> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(threads) = &*made {
            return Ok(threads.clone());
        }
        let sockets = Arc::new(Watcher::start()?);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let tasks = runtime.handle().clone();
        // until the process ends: a worker has one guest, and that one uses the network
        let drive = move || runtime.block_on(std::future::pending::<()>());
        thread::Builder::new().name("network".to_owned()).stack_size(STACK).spawn(drive)?;
        let threads = Threads { tasks, sockets };
        *made = Some(threads.clone());
        Ok(threads)
    }
}
