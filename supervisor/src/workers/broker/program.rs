//! Programs that plugins run: exactly the one granted, no shell, no input, a clean
//! environment, an end within its time, with all it started.

use super::refusal;
use super::session::Session;
use super::wait::{Woken, wait};
use crate::sys::pidfd::ProcessEnd;
use crate::sys::spawn::{Child, SpawnSpec, spawn_foreign};
use midimon_shared::host::{HostRefusal, HostReply, MAX_OUTPUT, RefusalKind};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Uid, access};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a program without a path is looked for, and its own `PATH`.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a program is told of the user's environment: home and language, and where the session
/// is, without which no desktop program finds the sound server, the bus or the screen. None
/// of it is secret, and nothing else is told: keys and tokens live in such variables too.
const TOLD: [&str; 8] = [
    "HOME",
    "LANG",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "WAYLAND_DISPLAY",
    "DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_ID",
];
/// Reads of what a program left in a pipe (64 KiB) when it ended, at most.
const LAST_READS: usize = 64;

/// Runs a program to its end, `limit` at most.
pub fn run(
    program: &str,
    arguments: &[String],
    limit: Duration,
    session: &Session,
    data: &Path,
) -> Result<HostReply, HostRefusal> {
    let deadline = Instant::now() + limit;
    let path = resolve(program, data)?;
    let (stdout, stdout_theirs) = pipe()?;
    let (stderr, stderr_theirs) = pipe()?;
    let spec =
        SpawnSpec { program: path, arguments: arguments.to_vec(), descriptors: vec![stdout_theirs, stderr_theirs] };
    let child = spawn_foreign(spec, &environment(|name| std::env::var(name).ok()))
        .map_err(|error| failed(error.to_string()))?;
    let mut kept = [Kept::new(stdout), Kept::new(stderr)];
    let woken = read_until_end(&child, &mut kept, deadline, session);
    if matches!(woken, Ok(Woken::Ready)) {
        // what it wrote before it ended; others it started may hold the pipe open for ever
        kept.iter_mut().for_each(Kept::take_rest);
    }
    // not reaped yet, so its number is still its group's, which may be more than itself
    let _ = killpg(child.pid, Signal::SIGKILL);
    let end = child.pidfd.wait().map_err(|error| failed(error.desc()))?;
    match woken {
        Ok(Woken::Ready) => {}
        Ok(Woken::Late) => {
            let message = format!("{program} was killed: it took longer than {} ms", limit.as_millis());
            return Err(refusal(RefusalKind::TimedOut, message));
        }
        Ok(Woken::Ended) => return Err(failed("the process has ended")),
        Err(error) => return Err(failed(error)),
    }
    let code = match end {
        ProcessEnd::Exited(code) => code,
        ProcessEnd::Signaled(signal) => 128 + signal as i32,
        ProcessEnd::RealTimeSignal(number) => 128 + number,
    };
    let [stdout, stderr] = kept.map(|kept| kept.bytes);
    Ok(HostReply::Ran { code, stdout, stderr })
}

/// Reads what it writes until it ends, [`Woken::Ready`], or may not go on.
fn read_until_end(child: &Child, kept: &mut [Kept; 2], deadline: Instant, session: &Session) -> Result<Woken, String> {
    loop {
        let mut wanted: Vec<(BorrowedFd<'_>, PollFlags)> = vec![(child.pidfd.as_fd(), PollFlags::POLLIN)];
        wanted.extend(kept.iter().filter_map(|kept| Some((kept.pipe.as_ref()?.as_fd(), PollFlags::POLLIN))));
        let woken = wait(session, &wanted, deadline).map_err(|error| error.desc().to_owned())?;
        if woken != Woken::Ready || has_ended(child)? {
            return Ok(woken);
        }
        for kept in kept.iter_mut() {
            kept.read();
        }
    }
}

/// Whether it has ended, without reaping it.
fn has_ended(child: &Child) -> Result<bool, String> {
    let mut fds = [nix::poll::PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)];
    let ready = nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO).map_err(|error| error.desc().to_owned())?;
    Ok(ready > 0)
}

/// A pipe and what is kept of it.
struct Kept {
    /// Gone when it has ended.
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl Kept {
    fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe.into()), bytes: Vec::new() }
    }

    /// One read; what is over the limit is let go. True when something was there.
    fn read(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut chunk = [0; 4096];
        match pipe.read(&mut chunk) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(count) => {
                let room = MAX_OUTPUT - self.bytes.len();
                self.bytes.extend_from_slice(&chunk[..count.min(room)]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(_) => false, // nothing is there now
        }
    }

    fn take_rest(&mut self) {
        for _ in 0..LAST_READS {
            if !self.read() {
                return;
            }
        }
    }
}

/// The file a granted program means, if it may be run.
fn resolve(program: &str, data: &Path) -> Result<PathBuf, HostRefusal> {
    let not_found = || failed(format!("there is no program '{program}' (looked for in {PATH})"));
    let named = if program.starts_with('/') {
        PathBuf::from(program)
    } else if program.is_empty() || program.contains('/') || program.starts_with('.') {
        return Err(refusal(RefusalKind::Invalid, "a program is a name or an absolute path"));
    } else {
        let mut places = PATH.split(':').map(|directory| Path::new(directory).join(program));
        places.find(|path| is_executable(path)).ok_or_else(not_found)?
    };
    // the file behind links: what is checked is what is started
    let path = fs::canonicalize(&named).map_err(|_| not_found())?;
    if !is_executable(&path) {
        return Err(failed(format!("{} is no program", path.display())));
    }
    check(&path, data).map_err(|why| refusal(RefusalKind::NotGranted, format!("{}: {why}", path.display())))?;
    Ok(path)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) && access(path, AccessFlags::X_OK).is_ok()
}

/// Whether only its owner, who is root or the user, can make it another program.
fn check(path: &Path, data: &Path) -> Result<(), String> {
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    if path.starts_with(&data) {
        return Err("it lies where plugins can write".to_owned());
    }
    for place in path.ancestors() {
        let metadata = fs::symlink_metadata(place).map_err(|error| error.to_string())?;
        let owner = metadata.uid();
        if owner != 0 && owner != Uid::effective().as_raw() {
            return Err(format!("{} belongs to another user", place.display()));
        }
        let (by_others, by_group) = (metadata.mode() & 0o002 != 0, metadata.mode() & 0o020 != 0);
        // in a sticky directory nobody can replace what is another's
        let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        if (by_others || (by_group && metadata.gid() != 0)) && !is_sticky {
            return Err(format!("{} can be written by others", place.display()));
        }
    }
    Ok(())
}

/// A program's environment, made of the user's.
fn environment(user: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let told = TOLD.into_iter().filter_map(|name| Some(format!("{name}={}", user(name)?)));
    std::iter::once(format!("PATH={PATH}")).chain(told).collect()
}

fn pipe() -> Result<(OwnedFd, OwnedFd), HostRefusal> {
    let ends = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (ours, theirs) = io::pipe()?;
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((ours.into(), theirs.into()))
    };
    ends().map_err(|error| failed(error.to_string()))
}

fn failed(why: impl Into<String>) -> HostRefusal {
    refusal(RefusalKind::Failed, why)
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
