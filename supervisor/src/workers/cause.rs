//! Why a worker ended, in words.

use crate::sys::pidfd::ProcessEnd;
use crate::sys::syscalls::SystemCall;
use nix::sys::signal::Signal;
use std::fmt;
use std::time::Duration;

/// Why the supervisor killed a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// A call ran past its deadline.
    CallDeadline {
        /// The plugin's action.
        action: String,
        /// What it was given.
        limit: Duration,
    },
    /// It was not ready in time.
    StartDeadline {
        /// What it was doing.
        step: &'static str,
        /// What it was given.
        limit: Duration,
    },
    /// It broke the protocol.
    Protocol(String),
    /// It did not answer a ping.
    Unresponsive,
    /// Its sandbox, looked at from outside once the plugin's code was there, was not what was asked for.
    SandboxCheck(String),
    /// Something of midimon's or of this system's is not as it must be: no code of the plugin had run, or none
    /// could have done it.
    Own(String),
    /// Its data directory is over its quota; with the figures.
    Quota(String),
    /// It took too much of something for too long: processor time, threads; with the figures.
    Budget(String),
    /// It held more memory than its limits leave room for; with the figures.
    Memory(String),
    /// It was asked to stop and did not.
    StopGrace,
    /// It was to stop before it had begun.
    StoppedEarly,
}

impl fmt::Display for KillReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallDeadline { action, limit } => {
                write!(formatter, "deadline: a call of '{action}' took longer than {} ms", limit.as_millis())
            }
            Self::StartDeadline { step, limit } => {
                write!(formatter, "deadline: {step} took longer than {} ms", limit.as_millis())
            }
            Self::Protocol(what) => write!(formatter, "protocol violation: {what}"),
            Self::Unresponsive => formatter.write_str("did not answer a ping within 2 s while idle"),
            Self::SandboxCheck(what) => write!(formatter, "sandbox check failed: {what}"),
            Self::Own(what) => write!(formatter, "a fault of midimon's or of this system's: {what}"),
            Self::Quota(figures) => write!(formatter, "quota exceeded: {figures}"),
            Self::Budget(figures) => write!(formatter, "budget exceeded: {figures}"),
            Self::Memory(figures) => write!(formatter, "out of memory: {figures}"),
            Self::StopGrace => formatter.write_str("did not stop within 2 s"),
            Self::StoppedEarly => formatter.write_str("stopped before it was ready"),
        }
    }
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// It could not even be started.
    NotStarted(String),
    /// It exited by itself.
    Exited(i32),
    /// A signal that was not ours ended it.
    Signaled {
        /// Which.
        signal: Signal,
        /// Its private memory (VmData) when last seen during a call, and its limit, in KiB.
        memory: Option<(u64, u64)>,
    },
    /// A real-time signal ended it; its number.
    RealTimeSignal(i32),
    /// It ran out of memory, and that can be proved.
    OutOfMemory(String),
    /// It made a system call the sandbox forbids; which, where it is known.
    ForbiddenCall(Option<SystemCall>),
    /// The supervisor killed it.
    Killed(KillReason),
    /// It ended, and the system does not say how.
    Unknown(String),
}

impl EndCause {
    /// What the kernel says, before anything else is known.
    #[must_use]
    pub fn from_wait(end: ProcessEnd) -> Self {
        match end {
            ProcessEnd::Exited(code) => Self::Exited(code),
            ProcessEnd::Signaled(Signal::SIGSYS) => Self::ForbiddenCall(None),
            ProcessEnd::Signaled(signal) => Self::Signaled { signal, memory: None },
            ProcessEnd::RealTimeSignal(number) => Self::RealTimeSignal(number),
        }
    }

    /// Whether the plugin did what it may not: no accident of honest code, and nobody else's fault.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::ForbiddenCall(_) | Self::Killed(KillReason::Protocol(_) | KillReason::SandboxCheck(_)))
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(formatter, "could not be started: {why}"),
            Self::Exited(0) => formatter.write_str("exit code 0 without being asked"),
            Self::Exited(code) => write!(formatter, "exit code {code}"),
            Self::Signaled { signal, memory } => {
                write!(formatter, "killed by {signal}")?;
                match memory {
                    Some((used, limit)) => write!(formatter, " (VmData {used} KiB of limit {limit} KiB)"),
                    None => Ok(()),
                }
            }
            Self::RealTimeSignal(number) => write!(formatter, "killed by signal {number} (a real-time signal)"),
            Self::OutOfMemory(evidence) => write!(formatter, "out of memory: {evidence}"),
            Self::ForbiddenCall(Some(call)) => write!(formatter, "forbidden system call {call}"),
            Self::ForbiddenCall(None) => formatter.write_str("forbidden system call (unknown)"),
            Self::Killed(reason) => reason.fmt(formatter),
            Self::Unknown(why) => write!(formatter, "it ended, and how cannot be told: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_plugin_can_have_done_is_a_violation_and_nobody_elses_fault_is() {
        let what = || "what".to_owned();
        let its = [
            EndCause::ForbiddenCall(None),
            EndCause::ForbiddenCall(Some(SystemCall(0))),
            EndCause::Killed(KillReason::Protocol(what())),
            EndCause::Killed(KillReason::SandboxCheck(what())),
        ];
        assert!(its.iter().all(EndCause::is_violation));
        let others = [
            EndCause::NotStarted(what()),
            EndCause::Exited(1),
            EndCause::OutOfMemory(what()),
            EndCause::Unknown(what()),
            EndCause::Killed(KillReason::Own(what())),
            EndCause::Killed(KillReason::Quota(what())),
            EndCause::Killed(KillReason::Budget(what())),
            EndCause::Killed(KillReason::Unresponsive),
            EndCause::Killed(KillReason::StoppedEarly),
        ];
        assert!(!others.iter().any(EndCause::is_violation));
    }
}
