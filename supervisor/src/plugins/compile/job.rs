//! One run of `midimon-compile`. It reads a stranger's module, so what it sends
//! back is bounded in size and time, and nothing it says is believed.

use crate::plugins::SealedCode;
use crate::plugins::code::create_memfd;
use crate::sys::pidfd::ProcessEnd;
use crate::sys::spawn::{Child, SpawnError, SpawnSpec};
use midimon_shared::exit::WorkerExit;
use midimon_shared::spawn::CompileArgs;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Starts a process, as [`crate::sys::spawn::spawn`] does.
pub type SpawnFn = dyn Fn(SpawnSpec) -> Result<Child, SpawnError> + Send + Sync;

/// Longest time a job may take: many times what its processor time is, as it runs below everything else
/// and a busy machine leaves it little.
pub const DEADLINE: Duration = Duration::from_secs(300);
/// Processor time it may use. The largest components seen, which bring all of Python, take 14 s.
const CPU_SECONDS: u64 = 60;
/// Memory it may use; the largest ones seen take 400 MiB.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// What is read of its log, in bytes.
const MAX_LOG: usize = 4096;

/// Why a module was not compiled. The caller puts the file's name in front.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CompileError {
    #[error("{} is missing; run make build", program.display())]
    NoCompiler { program: PathBuf },
    #[error("cannot start the compiler: {0}")]
    Spawn(#[from] SpawnError),
    #[error("cannot talk to the compiler: {0}")]
    Io(#[from] io::Error),
    #[error("not compiled after {} s; is the module hostile or very large?", .0.as_secs())]
    Deadline(Duration),
    #[error("it becomes more than {} MiB of compiled code", super::cache::MAX_ARTIFACT >> 20)]
    TooLarge,
    #[error("cannot be compiled: {0}")]
    Failed(String),
    #[error("compiling it was stopped, as midimon itself stops")]
    Stopped,
}

impl From<Errno> for CompileError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Ends all jobs, for good: what runs is killed, what comes is refused.
#[derive(Debug)]
pub(super) struct Stop(EventFd);

impl Stop {
    /// One that was not pulled.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    pub fn new() -> Result<Self, Errno> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Self)
    }

    /// Ends them.
    pub fn pull(&self) {
        let _ = self.0.write(1); // fails only when it was pulled already, and nobody ever reads it
    }

    /// Whether it was pulled.
    pub fn is_pulled(&self) -> bool {
        poll(&mut [self.poll_fd()], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}

/// When a job has to end.
#[derive(Clone, Copy)]
struct Until<'a> {
    deadline: Instant,
    stop: &'a Stop,
}

impl<'a> Until<'a> {
    fn deadline(stop: &'a Stop) -> Self {
        Self { deadline: Instant::now() + DEADLINE, stop }
    }

    /// Waits for one of these.
    fn wait<'b>(self, files: impl IntoIterator<Item = BorrowedFd<'b>>) -> Result<(), CompileError> {
        let mut polled = vec![self.stop.poll_fd()];
        polled.extend(files.into_iter().map(|file| PollFd::new(file, PollFlags::POLLIN)));
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CompileError::Deadline(DEADLINE)); // also for a job that never stops talking
            }
            // rounded up, or the last millisecond would be waited for in a busy loop
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, left) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) if polled[0].any() == Some(true) => return Err(CompileError::Stopped),
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Compiles a module in a process of its own.
pub(super) fn run(
    program: &Path,
    spawn: &SpawnFn,
    module: &SealedCode,
    stop: &Stop,
) -> Result<SealedCode, CompileError> {
    run_until(program, spawn, module, Until::deadline(stop), super::cache::MAX_ARTIFACT)
}

fn run_until(
    program: &Path,
    spawn: &SpawnFn,
    module: &SealedCode,
    until: Until<'_>,
    max_output: u64,
) -> Result<SealedCode, CompileError> {
    let (output, output_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let arguments = CompileArgs {
        parent_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        memory_bytes: MEMORY_BYTES,
        cpu_seconds: CPU_SECONDS,
    };
    let spec = SpawnSpec {
        program: program.to_owned(),
        arguments: arguments.to_argv(),
        descriptors: vec![module.duplicate()?, output_theirs],
    };
    let sent = talk(spec, spawn, Some(File::from(output)), until, max_output)?;
    Ok(SealedCode::seal(sent.code)?)
}

/// What compiled code depends on besides the module, in the compiler's own words:
/// wasmtime's version, its settings, this processor's features.
pub(super) fn compatibility_key(program: &Path, spawn: &SpawnFn, stop: &Stop) -> Result<String, CompileError> {
    let spec =
        SpawnSpec { program: program.to_owned(), arguments: vec!["--print-key".to_owned()], descriptors: Vec::new() };
    let sent = talk(spec, spawn, None, Until::deadline(stop), 0)?;
    Ok(String::from_utf8_lossy(&sent.said).into_owned())
}

/// Starts the job with a log pipe in front of its descriptors, and takes in what
/// it sends until it has ended well.
fn talk(
    spec: SpawnSpec,
    spawn: &SpawnFn,
    output: Option<File>,
    until: Until<'_>,
    max_output: u64,
) -> Result<Streams, CompileError> {
    if until.stop.is_pulled() {
        return Err(CompileError::Stopped);
    }
    let (log, log_theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let mut descriptors = vec![log_theirs.try_clone()?, log_theirs];
    descriptors.extend(spec.descriptors);
    let child = match spawn(SpawnSpec { descriptors, ..spec }) {
        Err(SpawnError::Spawn { program, source: Errno::ENOENT }) => return Err(CompileError::NoCompiler { program }),
        spawned => Job(spawned?),
    };
    let mut streams =
        Streams { output, log: Some(File::from(log)), code: create_memfd()?, written: 0, said: Vec::new() };
    while streams.are_open() {
        until.wait([&streams.output, &streams.log].into_iter().flatten().map(AsFd::as_fd))?;
        streams.read(max_output)?;
    }
    match child.end(until)? {
        ProcessEnd::Exited(0) => Ok(streams),
        end => Err(CompileError::Failed(explain(end, &streams.said))),
    }
}

/// What the job sends.
struct Streams {
    output: Option<File>,
    log: Option<File>,
    code: File,
    written: u64,
    said: Vec<u8>,
}

impl Streams {
    fn are_open(&self) -> bool {
        self.output.is_some() || self.log.is_some()
    }

    /// One read of each pipe that has something.
    fn read(&mut self, max_output: u64) -> Result<(), CompileError> {
        let mut buffer = [0; 64 * 1024];
        if let Some(count) = read_ready(&mut self.output, &mut buffer)? {
            self.written += count as u64;
            if self.written > max_output {
                return Err(CompileError::TooLarge);
            }
            self.code.write_all(&buffer[..count])?;
        }
        if let Some(count) = read_ready(&mut self.log, &mut buffer)? {
            // the last words are the ones that explain
            self.said.extend_from_slice(&buffer[..count]);
            self.said.drain(..self.said.len().saturating_sub(MAX_LOG));
        }
        Ok(())
    }
}

/// Reads once when that does not block; the end of a pipe closes it.
fn read_ready(pipe: &mut Option<File>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let Some(file) = pipe else { return Ok(None) };
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    if poll(&mut polled, PollTimeout::ZERO)? == 0 {
        return Ok(None);
    }
    match file.read(buffer) {
        Ok(0) => {
            *pipe = None;
            Ok(None)
        }
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

/// The process; killed and reaped when dropped.
struct Job(Child);

impl Job {
    /// Waits for its end.
    fn end(self, until: Until<'_>) -> Result<ProcessEnd, CompileError> {
        until.wait([self.0.pidfd.as_fd()])?;
        Ok(self.0.pidfd.wait()?)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Both fail when it was reaped already, and then there is nothing to do.
        let _ = self.0.pidfd.signal(Signal::SIGKILL);
        let _ = self.0.pidfd.wait();
    }
}

/// Its last line, made safe to show, else what its end means.
fn explain(end: ProcessEnd, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    // a runtime's hint at a backtrace explains nothing
    let explains = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    if let Some(line) = said.lines().rev().find(explains) {
        return crate::workers::log::safe(line.trim());
    }
    match end {
        ProcessEnd::Exited(code) => WorkerExit::from_code(code)
            .map_or_else(|| format!("the compiler exited with {code}"), |exit| exit.sentence().to_owned()),
        ProcessEnd::Signaled(Signal::SIGXCPU) => format!("it takes more than {CPU_SECONDS} s to compile"),
        ProcessEnd::Signaled(signal) => format!("the compiler was killed by {signal}"),
        ProcessEnd::RealTimeSignal(number) => format!("the compiler was killed by signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::spawn;
    use crate::testing::pid_in;

    /// Runs a shell script as the compiler.
    fn job(script: &str, deadline: Duration) -> Result<SealedCode, CompileError> {
        job_until(script, Until { deadline: Instant::now() + deadline, stop: &Stop::new().unwrap() })
    }

    fn job_until(script: &str, until: Until<'_>) -> Result<SealedCode, CompileError> {
        let script = script.to_owned();
        let spawn = move |spec: SpawnSpec| {
            assert_eq!(spec.program, Path::new("midimon-compile"));
            assert!(CompileArgs::from_argv(spec.arguments).is_ok());
            let arguments = vec!["-c".into(), script.clone()];
            spawn(SpawnSpec { program: "/bin/sh".into(), arguments, descriptors: spec.descriptors })
        };
        let module = SealedCode::copy(&mut &b"module"[..], 100).unwrap();
        run_until(Path::new("midimon-compile"), &spawn, &module, until, 100_000)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_the_compiler_wrote_is_the_code() {
        let code = job("echo noise; cat <&3 >&4; printf more >&4", LONG).unwrap();
        let mut bytes = Vec::new();
        code.for_each_piece(|piece| bytes.extend_from_slice(piece)).unwrap();
        assert_eq!(bytes, b"modulemore");
    }

    #[test]
    fn a_failure_is_explained_by_the_last_line_else_by_the_exit_code() {
        let message = |script: &str| job(script, LONG).unwrap_err().to_string();
        assert_eq!(
            message("echo first; printf 'bad \\033[31m byte\\n' >&2; exit 1"),
            r"cannot be compiled: bad \u{1b}[31m byte"
        );
        assert!(message("echo cause; echo 'note: see there'; exit 1").ends_with(": cause"));
        assert!(message("exit 120").contains(WorkerExit::CompileInput.sentence()));
        assert!(message("exit 7").contains("exited with 7"));
        assert!(message("kill -SEGV $$").contains("SIGSEGV"));
    }

    #[test]
    fn a_job_that_never_ends_is_killed_at_the_deadline() {
        for script in ["exec sleep 1000", "exec >&- 2>&- 4>&-; exec sleep 1000", "yes"] {
            let started = Instant::now();
            assert!(matches!(job(script, Duration::from_millis(200)), Err(CompileError::Deadline(_))), "{script}");
            assert!(started.elapsed() < LONG / 2);
        }
    }

    #[test]
    fn a_job_under_way_is_killed_when_all_jobs_are_stopped_and_none_starts_after_that() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let (stop, started) = (Stop::new().unwrap(), Instant::now());
        let until = Until { deadline: started + LONG, stop: &stop };
        let script = format!("echo $$ > {}; exec sleep 1000", file.display());
        let pid = std::thread::scope(|scope| {
            let job = scope.spawn(|| job_until(&script, until));
            let pid = pid_in(&file);
            stop.pull();
            assert!(matches!(job.join().unwrap(), Err(CompileError::Stopped)));
            pid
        });
        assert!(started.elapsed() < LONG / 2);
        assert!(!Path::new("/proc").join(pid).exists(), "killed and reaped");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(job_until(&script, until), Err(CompileError::Stopped)));
        assert!(!file.exists());
    }

    #[test]
    fn more_output_than_allowed_is_refused_and_a_flooded_log_is_bounded() {
        assert!(matches!(job("yes >&4", LONG), Err(CompileError::TooLarge)));
        let message = job("yes flood | head -n 200000; echo last; exit 3", LONG).unwrap_err().to_string();
        assert_eq!(message, "cannot be compiled: last");
    }

    #[test]
    fn a_missing_compiler_says_how_to_build_it() {
        let module = SealedCode::copy(&mut &b"module"[..], 100).unwrap();
        let message = run(Path::new("/nonexistent/midimon-compile"), &spawn, &module, &Stop::new().unwrap())
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nonexistent/midimon-compile is missing; run make build"), "{message}");
    }
}
