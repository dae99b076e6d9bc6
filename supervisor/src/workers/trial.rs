//! A worker that gets no plugin: shows what the sandbox achieves on this machine.

use super::cause::{EndCause, KillReason};
use super::lifecycle::START_LIMIT;
use super::log::safe;
use super::process::{NOFILE, Process, exit_sentence, plan_program};
use super::sandbox::Flaw;
use crate::sys::spawn::{SpawnError, spawn};
use midimon_shared::pipe::ReceiveError;
use midimon_shared::protocol::{Event, ProtocolRange};
use midimon_shared::sandbox::LayerReport;
use midimon_shared::spawn::{MissingLayers, SpawnArgs, Violations};
use midimon_shared::{Limits, PluginId};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// From the end of the event pipe to the end of the process, in milliseconds.
const END_LIMIT_MS: u16 = 1000;
/// Shown of what a worker says before it gives up, in bytes.
const MAX_SAID: u64 = 1024;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The worker program's version.
    pub version: String,
    /// What its layers achieved, but for the one that is entered after a plugin is loaded.
    pub layers: Vec<LayerReport>,
}

/// Why a worker did not get as far as its plugin.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TrialError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("a pipe to it cannot be made: {0}")]
    Pipe(#[from] Errno),
    #[error("it did not enter its sandbox within {} s", .0.as_secs())]
    Deadline(Duration),
    #[error("{0}")]
    Ended(String),
    #[error("it speaks protocol {0}, this midimon speaks {ours}: they must be of one version", ours = ProtocolRange::OURS)]
    Protocol(ProtocolRange),
    #[error("its first message is not a greeting")]
    NoHello,
    #[error("{0}")]
    Sandbox(String),
}

/// Starts a worker program, waits until it has entered its sandbox, looks at that from
/// outside, and ends it. It goes on without what this system lacks, so that all is shown.
///
/// # Errors
/// See [`TrialError`].
pub fn enter_sandbox(program: &Path) -> Result<Trial, TrialError> {
    let limits = Limits::default();
    let arguments = SpawnArgs {
        // cannot fail: it is a valid id
        plugin: "doctor".parse::<PluginId>().map_err(|error| TrialError::Ended(error.to_string()))?,
        parent_pid: nix::unistd::getpid().as_raw(),
        memory_bytes: u64::from(limits.memory_mib) * 1024 * 1024,
        nofile: NOFILE,
        fsize_bytes: 0,
        data_dir: None,
        violations: Violations::End,
        missing_layers: MissingLayers::Accept,
    };
    let (spawn_spec, ends) = plan_program(program.to_owned(), &arguments)?;
    let mut process = Process::new(spawn(spawn_spec)?, ends);
    let result = greeting(&mut process);
    process.kill(KillReason::StoppedEarly);
    let _ = process.pidfd.wait(); // at once: it was killed
    result
}

fn greeting(process: &mut Process) -> Result<Trial, TrialError> {
    let deadline = Instant::now() + START_LIMIT;
    let event = loop {
        // cannot fail: what does not fit is cut to the longest wait there is
        let left =
            PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX);
        if matches!(poll(&mut [PollFd::new(process.events.as_fd(), PollFlags::POLLIN)], left), Ok(0)) {
            return Err(TrialError::Deadline(START_LIMIT));
        }
        match process.events.fill() {
            Ok(_) => {}
            Err(ReceiveError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(TrialError::Ended(end(process))),
        }
        match process.events.buffered() {
            Ok(Some(event)) => break event,
            Ok(None) => {}
            Err(_) => return Err(TrialError::NoHello),
        }
    };
    let Event::Hello(hello) = event else { return Err(TrialError::NoHello) };
    if ProtocolRange::OURS.common(hello.protocol).is_none() {
        return Err(TrialError::Protocol(hello.protocol));
    }
    process.check_sandbox(&hello.layers, MissingLayers::Accept).map_err(|flaw| match flaw {
        Flaw::Broken(what) | Flaw::Missing(what) | Flaw::Unseen(what) => TrialError::Sandbox(what),
    })?;
    Ok(Trial { version: safe(&hello.version).chars().take(40).collect(), layers: process.layers.clone() })
}

/// How it ended, and its last words.
fn end(process: &Process) -> String {
    let mut said = Vec::new();
    let _ = (&process.log).take(MAX_SAID).read_to_end(&mut said); // there is nothing more than there is
    let said = safe(String::from_utf8_lossy(&said).trim());
    // an error shows below
    let _ = poll(&mut [PollFd::new(process.pidfd.as_fd(), PollFlags::POLLIN)], END_LIMIT_MS);
    let how = match process.pidfd.reap().map(|end| end.map(EndCause::from_wait)) {
        Ok(Some(EndCause::Exited(code))) if let Some(sentence) = exit_sentence(code) => sentence.to_owned(),
        Ok(Some(end)) => end.to_string(),
        Ok(None) => "it closed its event pipe before it said hello".to_owned(),
        Err(error) => error.to_string(),
    };
    if said.is_empty() { how } else { format!("{how} ({said})") }
}
