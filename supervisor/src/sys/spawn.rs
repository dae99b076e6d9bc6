//! Starting a program with exactly the descriptors it is given.

use super::inherit::close_others_on_exec;
use super::pidfd::PidFd;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::ffi::{CString, NulError};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What to start, as plain data.
#[derive(Debug)]
pub struct SpawnSpec {
    /// The program file.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Its descriptors from 1 on, in order; 0 is `/dev/null`.
    pub descriptors: Vec<OwnedFd>,
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its number, for people to read; never signal it by this.
    pub pid: Pid,
    /// The handle to signal it and wait for it.
    pub pidfd: PidFd,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SpawnError {
    #[error("cannot start {}: {source}", program.display())]
    Spawn { program: PathBuf, source: Errno },
    #[error("cannot pass descriptors to {}: {source}", program.display())]
    Descriptors { program: PathBuf, source: Errno },
    #[error("a program name or argument has a NUL byte")]
    Nul(#[from] NulError),
}

/// Starts a program in a process group of its own, with an empty environment,
/// default signal handling and the given descriptors. Every descriptor midimon
/// opens is close-on-exec; what others left open in us, the worker closes first.
///
/// Uses `posix_spawn` (a vfork inside), so the cost does not grow with our memory.
/// Call it from a thread that lives as long as the child may: a child that asked
/// for `PR_SET_PDEATHSIG` dies with the *thread* that started it.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn(spec: SpawnSpec) -> Result<Child, SpawnError> {
    start(spec, &[])
}

/// As [`spawn`] for a program that is not ours: with these variables (`NAME=value`)
/// as its environment, and without what libraries left open in us.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn_foreign(spec: SpawnSpec, environment: &[String]) -> Result<Child, SpawnError> {
    close_others_on_exec();
    let environment = environment.iter().map(|text| CString::new(text.as_str())).collect::<Result<Vec<_>, _>>()?;
    start(spec, &environment)
}

fn start(spec: SpawnSpec, environment: &[CString]) -> Result<Child, SpawnError> {
    let program = CString::new(spec.program.as_os_str().as_bytes())?;
    let mut arguments = vec![program.clone()];
    for argument in spec.arguments {
        arguments.push(CString::new(argument)?);
    }
    let at_descriptors = |source| SpawnError::Descriptors { program: spec.program.clone(), source };
    let (actions, sources) = file_actions(&spec.descriptors).map_err(at_descriptors)?;
    let attributes = attributes().map_err(at_descriptors)?;
    let pid = posix_spawn(program.as_c_str(), &actions, &attributes, &arguments, environment)
        .map_err(|source| SpawnError::Spawn { program: spec.program.clone(), source })?;
    drop(sources);
    let pidfd = PidFd::open(pid).map_err(|source| {
        // not waited for yet, so the number is still this child's
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
        SpawnError::Spawn { program: spec.program.clone(), source }
    })?;
    Ok(Child { pid, pidfd })
}

/// The actions, and the duplicates that must stay open until they are carried out.
fn file_actions(descriptors: &[OwnedFd]) -> Result<(PosixSpawnFileActions, Vec<OwnedFd>), Errno> {
    let mut actions = PosixSpawnFileActions::init()?;
    // sources far above the targets, or one dup2 would overwrite another's source
    let sources = descriptors.iter().map(duplicate_high).collect::<Result<Vec<_>, _>>()?;
    actions.add_open(0, c"/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    for (source, target) in sources.iter().zip(1..) {
        actions.add_dup2(source.as_raw_fd(), target)?;
    }
    Ok((actions, sources))
}

fn attributes() -> Result<PosixSpawnAttr, Errno> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(attributes)
}

#[allow(unsafe_code)]
fn duplicate_high(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let duplicate = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(10))?;
    // SAFETY: fcntl just returned this new descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd::ProcessEnd;
    use std::io::Read;

    fn sh(script: &str) -> (Child, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = spawn(SpawnSpec {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            descriptors: vec![writer.into()],
        });
        (child.unwrap(), reader)
    }

    #[test]
    fn a_child_has_its_own_group_no_environment_and_the_given_descriptors() {
        let (child, mut output) =
            sh("readlink /proc/$$/fd/0; env | grep -v -e PWD= -e SHLVL= -e _=; cut -d' ' -f5 /proc/$$/stat");
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, ["/dev/null", &child.pid.to_string()]);
        assert_eq!(child.pidfd.wait().unwrap(), ProcessEnd::Exited(0));
    }

    #[test]
    fn a_pidfd_signals_its_process_and_then_nobody() {
        let (child, _output) = sh("read line < /dev/zero; exit 3");
        assert_eq!(child.pidfd.reap().unwrap(), None);
        child.pidfd.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), ProcessEnd::Signaled(Signal::SIGKILL));
        child.pidfd.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_death_by_a_signal_without_a_name_is_told_by_its_number() {
        let (child, _output) = sh("kill -40 $$");
        assert_eq!(child.pidfd.wait().unwrap(), ProcessEnd::RealTimeSignal(40));
        assert_eq!(child.pidfd.reap(), Err(Errno::ECHILD), "it was reaped");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = spawn(SpawnSpec { program: "/nonexistent/x".into(), arguments: vec![], descriptors: vec![] });
        assert!(error.unwrap_err().to_string().contains("/nonexistent/x"));
    }
}
