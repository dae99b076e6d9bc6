//! WASM modules are compiled ahead of time by `midimon-compile`, a short-lived
//! process with limits of its own, so that no worker needs a compiler.

use super::SealedCode;
use super::code::create_memfd;
use crate::sys::spawn::{SpawnError, SpawnSpec};
use crate::workers::spawner::Spawner;
use midimon_shared::exit::WorkerExit;
use midimon_shared::spawn::CompileArgs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Memory of a compile job, in bytes; the largest modules seen take 400 MiB.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// Processor time of a compile job, in seconds.
const CPU_SECONDS: u64 = 60;
/// From its start to its end.
const DEADLINE: Duration = Duration::from_secs(90);
/// What is kept of what it says, in bytes.
const MAX_MESSAGE: u64 = 4096;

/// Why a module could not be compiled.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CompileError {
    #[error("{0}")]
    Refused(String),
    #[error("the compiler was stopped: it took longer than {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("the compiler ended with {0}; is the module too large?")]
    Ended(String),
    #[error("cannot start the compiler: {0}")]
    Spawn(#[from] SpawnError),
    #[error("cannot talk to the compiler: {0}")]
    Io(#[from] io::Error),
}

/// Compiles modules, each only once while its code is in use.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
    spawner: Spawner,
    in_use: Mutex<HashMap<[u8; 32], Weak<SealedCode>>>,
}

impl Compiler {
    /// A compiler that runs `midimon-compile` of the directory `programs`.
    #[must_use]
    pub fn new(programs: &Path, spawner: Spawner) -> Self {
        Self { program: programs.join("midimon-compile"), spawner, in_use: Mutex::default() }
    }

    /// The module's native code.
    ///
    /// # Errors
    /// It is not a module that can run here, or compiling took too much.
    pub fn compile(&self, module: &SealedCode) -> Result<Arc<SealedCode>, CompileError> {
        let known = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).get(&module.digest()).cloned();
        if let Some(code) = known.and_then(|code| code.upgrade()) {
            return Ok(code);
        }
        let code = Arc::new(self.run(module)?);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|_, code| code.strong_count() > 0);
        in_use.insert(module.digest(), Arc::downgrade(&code));
        Ok(code)
    }

    fn run(&self, module: &SealedCode) -> Result<SealedCode, CompileError> {
        let (messages, their_messages) = io::pipe()?;
        let artifact = create_memfd()?;
        let arguments = CompileArgs {
            parent_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            memory_bytes: MEMORY,
            cpu_seconds: CPU_SECONDS,
        };
        let child = self.spawner.spawn_and_wait(SpawnSpec {
            program: self.program.clone(),
            arguments: arguments.to_argv(),
            descriptors: vec![
                their_messages.try_clone()?.into(),
                their_messages.into(),
                module.duplicate()?,
                artifact.try_clone()?.into(),
            ],
        })?;
        let ended_in_time = wait_readable(child.pidfd.as_fd(), DEADLINE)?;
        if !ended_in_time {
            child.pidfd.signal(Signal::SIGKILL).map_err(io::Error::from)?;
        }
        let status = child.pidfd.wait().map_err(io::Error::from)?;
        let mut message = Vec::new();
        messages.take(MAX_MESSAGE).read_to_end(&mut message)?;
        match status {
            _ if !ended_in_time => Err(CompileError::Deadline),
            WaitStatus::Exited(_, 0) => Ok(SealedCode::seal(artifact)?),
            WaitStatus::Exited(_, code) => {
                let said = crate::workers::log::safe(String::from_utf8_lossy(&message).trim());
                let known = WorkerExit::from_code(code).map(WorkerExit::sentence);
                Err(CompileError::Refused(match (said.is_empty(), known) {
                    (false, _) => said,
                    (true, Some(sentence)) => sentence.to_owned(),
                    (true, None) => format!("the compiler ended with exit code {code}"),
                }))
            }
            WaitStatus::Signaled(_, signal, _) => Err(CompileError::Ended(signal.to_string())),
            other => Err(CompileError::Ended(format!("{other:?}"))),
        }
    }
}

fn wait_readable(fd: impl AsFd, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
