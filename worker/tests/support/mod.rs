//! Starts the real worker programs as the supervisor does, and talks to them.
#![allow(dead_code)] // each test file uses its part

pub mod components;
pub mod guests;
pub mod plugins;
pub mod refusing;
pub mod requests;

use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::limits::InstanceMode;
use midimon_shared::limits::WorkerLimits;
use midimon_shared::pipe::{ReadEnd, WriteEnd};
use midimon_shared::protocol::*;
use midimon_shared::spawn::{MissingLayers, SpawnArgs, Violations};
use midimon_shared::{Command, Event, WorkerExit};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::ffi::CString;
use std::fs::File;
use std::io::{IoSlice, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

pub const NATIVE: &str = env!("CARGO_BIN_EXE_midimon-worker");
pub const WASM: &str = env!("CARGO_BIN_EXE_midimon-worker-wasm");
pub const WASM_NET: &str = env!("CARGO_BIN_EXE_midimon-worker-wasm-net");

/// Longer than anything here takes; only a bug waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn limits() -> WorkerLimits {
    WorkerLimits {
        memory_bytes: 128 << 20,
        table_elements: 10_000,
        fuel: 100_000_000,
        timeout_ms: 5_000,
        max_age_ms: 250,
        instance: InstanceMode::Persistent,
    }
}

pub fn load(kind: CodeKind, limits: WorkerLimits) -> Load {
    Load { plugin: "test".parse().unwrap(), kind, data_dir: None, settings: "{\"a\":1}".into(), limits }
}

pub fn stamp() -> TriggerStamp {
    TriggerStamp { monotonic_ns: monotonic_ns(), kind: TriggerKind::Manual, ..TriggerStamp::default() }
}

pub fn monotonic_ns() -> u64 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_nanos() as u64
}

/// Where the supervisor finds the programs.
pub fn program(name: &str) -> std::path::PathBuf {
    let beside = Path::new(NATIVE).parent().unwrap().to_owned();
    let path = std::env::var_os("MIDIMON_BIN_DIR").map_or(beside, Into::into).join(name);
    assert!(path.exists(), "{} is missing: run make build", path.display());
    path
}

pub fn sealed_memfd(bytes: &[u8]) -> OwnedFd {
    let fd = memfd_create("code", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let mut file = File::from(fd);
    file.write_all(bytes).unwrap();
    file.rewind().unwrap(); // whoever gets it shares the position
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

/// A copy of a descriptor at 10 or above, so that no dup2 of the spawn overwrites another's source.
fn high(fd: impl AsFd) -> OwnedFd {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(10)).unwrap();
    // SAFETY: the kernel has just made it, and nothing else knows it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Spawns a program with exactly these descriptors as 0, 1, 2 …
pub fn spawn(program: &Path, argv: &[String], environment: &[&str], fds: &[OwnedFd]) -> Pid {
    let mut actions = PosixSpawnFileActions::init().unwrap();
    let sources: Vec<_> = fds.iter().map(high).collect();
    for (number, source) in sources.iter().enumerate() {
        actions.add_dup2(source.as_raw_fd(), number as i32).unwrap();
    }
    let attributes = PosixSpawnAttr::init().unwrap();
    let text = |text: &str| CString::new(text).unwrap();
    let argv: Vec<_> = std::iter::once(text("program")).chain(argv.iter().map(|argument| text(argument))).collect();
    let environment: Vec<_> = environment.iter().map(|variable| text(variable)).collect();
    posix_spawn(program, &actions, &attributes, &argv, &environment).unwrap()
}

pub fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

pub struct Worker {
    pub pid: Pid,
    pub commands: Option<WriteEnd<Command>>,
    pub events: ReadEnd<Event>,
    pub requests: OwnedFd,
    log: File,
    reaped: bool,
}

impl Worker {
    pub fn args() -> SpawnArgs {
        SpawnArgs {
            plugin: "test".parse().unwrap(),
            parent_pid: std::process::id() as i32,
            memory_bytes: 128 << 20,
            nofile: 64,
            fsize_bytes: 1 << 20,
            data_dir: None,
            violations: Violations::End,
            missing_layers: MissingLayers::Refuse,
        }
    }

    pub fn spawn(program: &str) -> Self {
        Self::spawn_with(program, &Self::args().to_argv(), &[])
    }

    pub fn spawn_with(program: &str, argv: &[String], environment: &[&str]) -> Self {
        let (command_reader, command_writer) = std::io::pipe().unwrap();
        let (event_reader, event_writer) = std::io::pipe().unwrap();
        let (log_reader, log_writer) = std::io::pipe().unwrap();
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let log_copy = log_writer.try_clone().unwrap();
        let fds = [null(), log_writer.into(), log_copy.into(), command_reader.into(), event_writer.into(), theirs];
        let pid = spawn(Path::new(program), argv, environment, &fds);
        Self {
            pid,
            commands: Some(WriteEnd::new(command_writer.into())),
            events: ReadEnd::new(event_reader.into()),
            requests: ours,
            log: File::from(OwnedFd::from(log_reader)),
            reaped: false,
        }
    }

    pub fn send(&self, command: &Command) {
        self.commands.as_ref().unwrap().send(command).unwrap();
    }

    pub fn send_descriptors(&self, fds: &[&OwnedFd]) {
        let numbers: Vec<_> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let message = [ControlMessage::ScmRights(&numbers)];
        let control = if fds.is_empty() { &[][..] } else { &message[..] };
        sendmsg::<()>(self.requests.as_raw_fd(), &[IoSlice::new(&[0])], control, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    }

    /// The next event; `None` when the worker has closed the pipe.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.buffered().unwrap() {
                return Some(event);
            }
            let mut fds = [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::try_from(PATIENCE).unwrap()).unwrap();
            assert_eq!(ready, 1, "the worker says nothing");
            self.events.fill().ok()?;
        }
    }

    pub fn expect_hello(&mut self) {
        match self.next() {
            Some(Event::Hello(hello)) => assert_eq!(hello.protocol, ProtocolRange::OURS),
            other => panic!("{other:?} instead of Hello; log: {}", self.end().1),
        }
    }

    /// Says hello and sends the code.
    pub fn load(&mut self, load: Load, code: &OwnedFd) -> Event {
        self.expect_hello();
        self.send(&Command::Load(load));
        self.send_descriptors(&[code]);
        self.next().unwrap_or_else(|| panic!("no answer to Load"))
    }

    /// A worker that has loaded this code.
    pub fn ready(program: &str, load: Load, code: &OwnedFd) -> Self {
        Self::ready_as(program, &Self::args(), load, code)
    }

    /// A worker that has loaded this code and may use a directory.
    pub fn ready_with_data(program: &str, data: &Path, load: Load, code: &OwnedFd) -> Self {
        let data_dir = Some(data.to_str().unwrap().to_owned());
        let args = SpawnArgs { data_dir: data_dir.clone(), ..Self::args() };
        Self::ready_as(program, &args, Load { data_dir, ..load }, code)
    }

    /// A worker started with these arguments that has loaded this code.
    pub fn ready_as(program: &str, args: &SpawnArgs, load: Load, code: &OwnedFd) -> Self {
        let mut worker = Self::spawn_with(program, &args.to_argv(), &[]);
        match worker.load(load, code) {
            Event::Ready(_) => worker,
            other => panic!("{other:?} instead of Ready; log: {}", worker.end().1),
        }
    }

    pub fn bind(&self, id: u32, action: &str, params: &str, timeout_ms: u32) {
        let (action, params) = (action.to_owned(), params.to_owned());
        let binding = BindingId(id);
        self.send(&Command::Bind(Bind { binding, action, timeout_ms, paired: true, params, more: false }));
    }

    pub fn trigger(&self, call: u64, binding: u32, stamp: TriggerStamp) {
        self.send(&Command::Trigger(Trigger { call: CallId(call), binding: BindingId(binding), stamp }));
    }

    /// Calls binding 0 and returns how it ended.
    pub fn call(&mut self, stamp: TriggerStamp) -> Outcome {
        self.call_of(0, stamp)
    }

    /// Calls a binding and returns how it ended.
    pub fn call_of(&mut self, binding: u32, stamp: TriggerStamp) -> Outcome {
        self.trigger(7, binding, stamp);
        match self.next() {
            Some(Event::Done { call: CallId(7), outcome }) => outcome,
            other => panic!("{other:?} instead of Done; log: {}", self.end().1),
        }
    }

    /// Closes its commands, waits for its end, and returns its exit and its whole log.
    pub fn end(&mut self) -> (Option<WorkerExit>, String) {
        self.commands = None;
        let mut log = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        // the log ends when the process does
        while Instant::now() < deadline {
            let mut fds = [PollFd::new(self.log.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::try_from(PATIENCE).unwrap()).unwrap();
            let mut buffer = [0; 4096];
            match self.log.read(&mut buffer).unwrap() {
                0 => break,
                count => log.extend_from_slice(&buffer[..count]),
            }
        }
        let log = String::from_utf8_lossy(&log).into_owned();
        let exit = match self.wait() {
            WaitStatus::Exited(_, code) => WorkerExit::from_code(code),
            _ => None,
        };
        (exit, log)
    }

    pub fn wait(&mut self) -> WaitStatus {
        self.reaped = true;
        waitpid(self.pid, None).unwrap()
    }

    /// Waits for the process's end and everything it logged, with the channel left open.
    pub fn exit(mut self) -> (Option<WorkerExit>, String) {
        while self.next().is_some() {}
        self.end()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Compiles a module as the supervisor does. The error is the job's exit and its last words.
pub fn compile(module: &[u8]) -> Result<OwnedFd, (Option<WorkerExit>, String)> {
    let args = midimon_shared::spawn::CompileArgs {
        parent_pid: std::process::id() as i32,
        memory_bytes: 512 << 20,
        cpu_seconds: 60,
    };
    let (log_reader, log_writer) = std::io::pipe().unwrap();
    let (mut artifact_reader, artifact_writer) = std::io::pipe().unwrap();
    let log_copy = log_writer.try_clone().unwrap();
    let fds = [null(), log_writer.into(), log_copy.into(), sealed_memfd(module), artifact_writer.into()];
    let pid = spawn(&program("midimon-compile"), &args.to_argv(), &[], &fds);
    drop(fds);
    let mut artifact = Vec::new();
    artifact_reader.read_to_end(&mut artifact).unwrap();
    let mut log = String::new();
    File::from(OwnedFd::from(log_reader)).read_to_string(&mut log).unwrap();
    match waitpid(pid, None).unwrap() {
        WaitStatus::Exited(_, 0) => Ok(sealed_memfd(&artifact)),
        WaitStatus::Exited(_, code) => Err((WorkerExit::from_code(code), log)),
        other => panic!("{other:?}; log: {log}"),
    }
}

/// Clears O_CLOEXEC, for a descriptor that is meant to leak.
pub fn inheritable(fd: &OwnedFd) {
    fcntl(fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
}
