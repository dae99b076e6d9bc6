//! A worker's process seen from the supervisor: its pipes, and what we know of its end.

use super::budget::MAX_THREADS;
use super::cause::{EndCause, KillReason};
use super::cgroup::Membership;
use super::sandbox::{Confinement, Flaw, judge, judge_lockdown};
use super::spec::PluginSpec;
use crate::clock::Time;
use crate::sys::pidfd::PidFd;
use crate::sys::proc_status::{Living, ProcStatus};
use crate::sys::spawn::{Child, SpawnSpec};
use crate::sys::syscalls::SystemCall;
use midimon_shared::exit::WorkerExit;
use midimon_shared::pipe::{ReadEnd, WriteEnd};
use midimon_shared::protocol::{Command, Event};
use midimon_shared::sandbox::{LayerReport, SandboxLevel};
use midimon_shared::spawn::{MissingLayers, SpawnArgs};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::unistd::pipe2;
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Open files a worker may have.
pub(super) const NOFILE: u64 = 64;
/// From the first byte of a frame to its last.
pub(super) const FRAME_LIMIT: Duration = Duration::from_secs(2);
/// From the end of the event pipe to the end of the process.
pub(super) const CLOSED_LIMIT: Duration = Duration::from_millis(250);
/// What it did wrong then.
pub(super) const EVENTS_CLOSED: &str = "it closed its event pipe";
/// How long a flood of log lines is left in its pipe.
pub(super) const LOG_PAUSE: Duration = Duration::from_millis(20);
/// From a ping to its answer.
pub(super) const PING_LIMIT: Duration = Duration::from_secs(2);

/// Our ends of the pipes to a worker that is being started.
#[derive(Debug)]
pub(super) struct Ends {
    pub commands: WriteEnd<Command>,
    pub events: ReadEnd<Event>,
    pub log: File,
    pub requests: OwnedFd,
    /// Known when it was started.
    pub cgroup: Option<Membership>,
}

/// A started worker.
#[derive(Debug)]
pub(super) struct Process {
    pub pid: i32,
    pub pidfd: PidFd,
    /// Until the lane takes it.
    pub commands: Option<WriteEnd<Command>>,
    pub events: ReadEnd<Event>,
    pub log: File,
    pub requests: OwnedFd,
    pub cgroup: Option<Membership>,
    /// When the first byte of an unfinished frame came.
    pub partial_since: Option<Time>,
    /// When its event pipe ended.
    pub closed_since: Option<Time>,
    /// When its log was left to wait in its pipe.
    pub log_paused: Option<Time>,
    /// The ping that has no answer yet.
    pub ping: Option<(u64, Time)>,
    pub kill: Option<KillReason>,
    /// The forbidden call it reported first, and when.
    pub denied: Option<(SystemCall, Time)>,
    /// How many it reported.
    pub denials: u32,
    /// What holds of its sandbox.
    pub layers: Vec<LayerReport>,
    /// System-call filters it had before it got its code.
    filters: u32,
    pub out_of_memory: Option<u64>,
    /// Messages that come once and have come: bits of the inbox's.
    pub seen: u8,
    /// Its private memory when last looked at during a call, in KiB.
    pub memory_kib: Option<u64>,
}

/// What to start for a plugin, and our ends of its pipes.
pub(super) fn plan(spec: &PluginSpec, programs: &Path) -> Result<(SpawnSpec, Ends), Errno> {
    let arguments = SpawnArgs {
        plugin: spec.id.clone(),
        parent_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        memory_bytes: u64::from(spec.limits.memory_mib) * 1024 * 1024,
        nofile: NOFILE,
        fsize_bytes: u64::from(spec.limits.quota_mib) * 1024 * 1024,
        data_dir: spec.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned()),
        violations: spec.violations,
        missing_layers: spec.missing_layers,
    };
    plan_program(programs.join(spec.program.file_name()), &arguments)
}

/// How to start a worker program, and our ends of its pipes.
pub(super) fn plan_program(program: PathBuf, arguments: &SpawnArgs) -> Result<(SpawnSpec, Ends), Errno> {
    let (commands_theirs, commands) = pipe2(OFlag::O_CLOEXEC)?;
    let (events, events_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let (log, log_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let (requests, requests_theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    for ours in [commands.as_fd(), events.as_fd(), log.as_fd(), requests.as_fd()] {
        fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let log_again = log_theirs.try_clone().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    let spawn = SpawnSpec {
        program,
        arguments: arguments.to_argv(),
        descriptors: vec![log_theirs, log_again, commands_theirs, events_theirs, requests_theirs],
    };
    let ends = Ends {
        commands: WriteEnd::new(commands),
        events: ReadEnd::new(events),
        log: File::from(log),
        requests,
        cgroup: None,
    };
    Ok((spawn, ends))
}

impl Process {
    pub fn new(child: Child, ends: Ends) -> Self {
        Self {
            pid: child.pid.as_raw(),
            pidfd: child.pidfd,
            commands: Some(ends.commands),
            events: ends.events,
            log: ends.log,
            requests: ends.requests,
            cgroup: ends.cgroup,
            partial_since: None,
            closed_since: None,
            log_paused: None,
            ping: None,
            kill: None,
            denied: None,
            denials: 0,
            layers: Vec::new(),
            filters: 0,
            out_of_memory: None,
            seen: 0,
            memory_kib: None,
        }
    }

    /// Looks at the sandbox from outside, before it gets its code.
    pub fn check_sandbox(&mut self, claimed: &[LayerReport], missing: MissingLayers) -> Result<(), Flaw> {
        let seen = ProcStatus::read(self.pid).map_err(|error| hidden(self.pid, &error))?;
        self.layers = judge(claimed, &seen, *Confinement::ours(), missing)?;
        self.filters = seen.seccomp_filters;
        self.layers.extend(self.cgroup.as_ref().map(Membership::report));
        Ok(())
    }

    /// Looks at every thread, once it says that its plugin is loaded.
    pub fn check_lockdown(&mut self) -> Result<(), Flaw> {
        let seen = ProcStatus::read_tasks(self.pid, MAX_THREADS + 1).map_err(|error| hidden(self.pid, &error))?;
        let report = judge_lockdown(&seen, &self.layers, self.filters).map_err(Flaw::Broken)?;
        self.layers.push(report);
        self.layers.sort_by_key(|report| report.layer);
        Ok(())
    }

    /// Its sandbox in one word.
    pub fn level(&self) -> SandboxLevel {
        SandboxLevel::of(&self.layers)
    }

    /// Passes the descriptor of the plugin's code.
    pub fn send_code(&self, code: BorrowedFd<'_>) -> Result<(), Errno> {
        let fds = [code.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(self.requests.as_raw_fd(), &[IoSlice::new(&[0])], &message, MsgFlags::MSG_DONTWAIT, None)?;
        Ok(())
    }

    /// Looks at its memory and threads, and remembers the memory for the case that it dies of that.
    /// `None` while it ends.
    pub fn look_at_memory(&mut self) -> Option<Living> {
        let seen = ProcStatus::read_living(self.pid, MAX_THREADS + 1).ok()?;
        self.memory_kib = Some(seen.status.vm_data_kib);
        Some(seen)
    }

    /// Kills the process; the first reason counts.
    pub fn kill(&mut self, reason: KillReason) {
        self.kill.get_or_insert(reason);
        // an error would mean it has ended already, and its pidfd says so
        let _ = self.pidfd.signal(Signal::SIGKILL);
    }

    /// Why it ended, from everything that is known.
    pub fn cause(&self, end: EndCause, limit_kib: u64, newest_lines: &[&str]) -> EndCause {
        let killed = matches!(end, EndCause::Signaled { signal: Signal::SIGKILL, .. });
        match &self.kill {
            // else it had ended by itself before the kill reached it
            Some(reason) if killed || matches!(reason, KillReason::Protocol(_)) => {
                return EndCause::Killed(reason.clone());
            }
            _ => {}
        }
        // before memory: a worker's own word on that is no excuse for what it did
        if let Some((call, _)) = self.denied {
            return EndCause::ForbiddenCall(Some(call));
        }
        if end == EndCause::ForbiddenCall(None) {
            return end;
        }
        if let Some(evidence) = self.cgroup.as_ref().and_then(Membership::out_of_memory).filter(|_| killed) {
            return EndCause::OutOfMemory(evidence);
        }
        if let Some(requested) = self.out_of_memory {
            return EndCause::OutOfMemory(format!("{requested} bytes more were asked for (limit {limit_kib} KiB)"));
        }
        match end {
            EndCause::Signaled { signal: Signal::SIGABRT, .. } if let Some(line) = allocator_message(newest_lines) => {
                EndCause::OutOfMemory(format!("{line} (limit {limit_kib} KiB)"))
            }
            EndCause::Signaled { signal, .. } => {
                EndCause::Signaled { signal, memory: self.memory_kib.map(|memory| (memory, limit_kib)) }
            }
            end => end,
        }
    }
}

/// `/proc` does not show what it must.
fn hidden(pid: i32, error: &std::io::Error) -> Flaw {
    Flaw::Unseen(format!("/proc/{pid} cannot be read ({error}); is /proc mounted with hidepid?"))
}

/// What Rust's allocator says before it aborts, exactly: a plugin can write it too, but no other words.
fn allocator_message<'a>(newest_lines: &[&'a str]) -> Option<&'a str> {
    newest_lines.iter().copied().find(|line| {
        let number = line.strip_prefix("memory allocation of ").and_then(|rest| rest.strip_suffix(" bytes failed"));
        number.is_some_and(|number| number.parse::<u64>().is_ok_and(|bytes| bytes.to_string() == number))
    })
}

/// An exit code of a worker program, in words.
pub(super) fn exit_sentence(code: i32) -> Option<&'static str> {
    WorkerExit::from_code(code).filter(|exit| *exit != WorkerExit::Done).map(WorkerExit::sentence)
}
