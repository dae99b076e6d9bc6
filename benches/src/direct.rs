//! A worker talked to over its own pipes, with nobody in between.

use crate::Result;
use midimon::clock::now;
use midimon::plugins::SealedCode;
use midimon::sys::spawn::{Child, SpawnSpec, spawn};
use midimon_shared::codec::TriggerFrame;
use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::Limits;
use midimon_shared::pipe::{ReadEnd, WriteEnd};
use midimon_shared::protocol::{Bind, CodeKind, Load, Outcome, Trigger};
use midimon_shared::spawn::{MissingLayers, SpawnArgs, Violations};
use midimon_shared::{BindingId, CallId, Command, Event, PluginId};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::unistd::pipe2;
use std::fs::File;
use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Its pipes, and the calls made so far. Dropping it ends the process.
pub struct Worker {
    child: Child,
    commands: WriteEnd<Command>,
    events: ReadEnd<Event>,
    calls: u64,
    /// Closing them would end the worker.
    _requests: OwnedFd,
    _log: File,
}

/// What is started.
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// What comes before a worker's own arguments.
    pub arguments: Vec<String>,
    /// What it runs.
    pub kind: CodeKind,
}

/// A started process and our ends of its descriptors.
struct Spawned {
    child: Child,
    commands: OwnedFd,
    events: OwnedFd,
    log: File,
    requests: OwnedFd,
}

fn spawn_worker(program: &Program, plugin: &PluginId, limits: &Limits) -> Result<Spawned> {
    let own = SpawnArgs {
        plugin: plugin.clone(),
        parent_pid: i32::try_from(std::process::id())?,
        memory_bytes: u64::from(limits.memory_mib) << 20,
        nofile: 64,
        fsize_bytes: u64::from(limits.quota_mib) << 20,
        data_dir: None,
        violations: Violations::End,
        missing_layers: MissingLayers::Refuse,
    };
    let (commands_theirs, commands) = pipe2(OFlag::O_CLOEXEC)?;
    let (events, events_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let (log, log_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let flags = SockFlag::SOCK_CLOEXEC;
    let (requests, requests_theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    let child = spawn(SpawnSpec {
        program: program.path.clone(),
        arguments: program.arguments.iter().cloned().chain(own.to_argv()).collect(),
        descriptors: vec![log_theirs.try_clone()?, log_theirs, commands_theirs, events_theirs, requests_theirs],
    })?;
    Ok(Spawned { child, commands, events, log: File::from(log), requests })
}

/// Everything a process writes to its log until it has ended.
pub fn last_words(program: &Program) -> Result<String> {
    let mut spawned = spawn_worker(program, &"bench".parse()?, &Limits::default())?;
    let mut text = String::new();
    spawned.log.read_to_string(&mut text)?;
    spawned.child.pidfd.wait()?;
    Ok(text)
}

impl Worker {
    /// Starts it, gives it the code and binds its action `quiet`.
    pub fn start(program: &Program, code: &SealedCode) -> Result<Self> {
        let plugin: PluginId = "bench".parse()?;
        let limits = Limits::default();
        let Spawned { child, commands, events, log, requests } = spawn_worker(program, &plugin, &limits)?;
        let mut worker = Self {
            child,
            commands: WriteEnd::new(commands),
            events: ReadEnd::new(events),
            calls: 0,
            _requests: requests,
            _log: log,
        };
        match worker.events.receive()? {
            Event::Hello(_) => {}
            other => return Err(format!("{other:?} instead of Hello").into()),
        }
        let (data_dir, settings) = (None, "{}".to_owned());
        worker.commands.send(&Command::Load(Load {
            plugin,
            kind: program.kind,
            data_dir,
            settings,
            limits: (&limits).into(),
        }))?;
        let fds = [code.as_fd().as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        let socket = worker._requests.as_raw_fd();
        sendmsg::<()>(socket, &[IoSlice::new(&[0])], &message, MsgFlags::empty(), None)?;
        match worker.events.receive()? {
            Event::Ready(_) => {}
            other => return Err(format!("{other:?} instead of Ready").into()),
        }
        worker.commands.send(&Command::Bind(Bind {
            binding: BindingId(0),
            action: "quiet".to_owned(),
            timeout_ms: 0,
            paired: false,
            params: "{}".to_owned(),
            more: false,
        }))?;
        Ok(worker)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.pid.as_raw()
    }

    /// One trigger, there and back; nanoseconds.
    pub fn round_trip(&mut self) -> Result<u64> {
        self.calls += 1;
        let call = CallId(self.calls);
        let started = now();
        let stamp = TriggerStamp { velocity: Some(100), monotonic_ns: started.as_nanos(), ..TriggerStamp::default() };
        let frame = TriggerFrame::new(Trigger { call, binding: BindingId(0), stamp });
        self.commands.write_frames(frame.as_bytes())?;
        match self.events.receive()? {
            Event::Done { call: answered, outcome: Outcome::Ok } if answered == call => {
                Ok(now().as_nanos() - started.as_nanos())
            }
            other => Err(format!("{other:?} instead of an answer").into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.pidfd.signal(Signal::SIGKILL); // it may have ended
        let _ = self.child.pidfd.wait();
    }
}
