//! The one thread that starts processes. It lives as long as the supervisor,
//! since a worker dies with the *thread* that started it (`PR_SET_PDEATHSIG`).

use crate::sys::spawn::{Child, SpawnError, SpawnSpec, spawn};
use std::sync::mpsc::{Sender, channel};

type Reply = Box<dyn FnOnce(Result<Child, SpawnError>) + Send>;

/// A handle on the thread; it ends with the last handle.
#[derive(Clone, Debug)]
pub struct Spawner {
    requests: Sender<(SpawnSpec, Reply)>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start() -> std::io::Result<Self> {
        let (requests, receiver) = channel::<(SpawnSpec, Reply)>();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            for (spec, reply) in receiver {
                reply(spawn(spec));
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a process and gives it to `reply`, on the spawner's thread.
    pub fn spawn(&self, spec: SpawnSpec, reply: impl FnOnce(Result<Child, SpawnError>) + Send + 'static) {
        // the thread lives while a handle does
        let _ = self.requests.send((spec, Box::new(reply)));
    }

    /// Starts a process and waits for that.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn_and_wait(&self, spec: SpawnSpec) -> Result<Child, SpawnError> {
        let (sender, receiver) = channel();
        let program = spec.program.clone();
        self.spawn(spec, move |result| drop(sender.send(result)));
        receiver.recv().unwrap_or_else(|_| Err(SpawnError::Spawn { program, source: nix::errno::Errno::ECHILD }))
    }
}
