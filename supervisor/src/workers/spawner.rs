//! The one thread that starts processes. It lives as long as the supervisor,
//! since a worker dies with the *thread* that started it (`PR_SET_PDEATHSIG`).

use crate::sys::spawn::{Child, SpawnError, SpawnSpec, spawn};
use std::sync::mpsc::{Sender, channel};

type Job = Box<dyn FnOnce() + Send>;

/// A handle on the thread; it ends with the last handle.
#[derive(Clone, Debug)]
pub struct Spawner {
    jobs: Sender<Job>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, receiver) = channel::<Job>();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            for job in receiver {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does something that starts a process, on the spawner's thread.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // the thread lives while a handle does
        let _ = self.jobs.send(Box::new(job));
    }

    /// Starts a process and waits for that.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn_and_wait(&self, spec: SpawnSpec) -> Result<Child, SpawnError> {
        let (sender, receiver) = channel();
        let program = spec.program.clone();
        self.run(move || drop(sender.send(spawn(spec))));
        receiver.recv().unwrap_or_else(|_| Err(SpawnError::Spawn { program, source: nix::errno::Errno::ECHILD }))
    }
}
