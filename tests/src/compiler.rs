//! A compiler that is stopped in the middle of its work: what is seen meanwhile does not hang on how fast it is.

use crate::{Bed, Daemon, Process, eventually};
use midimon::control::model::Status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// So many modules may be compiled before they are stopped: a busy machine may pause whoever is to stop them.
const TRIES: usize = 5;

/// How long compiling may take, as the daemon lets it: it runs below everything else.
pub const COMPILING: Duration = Duration::from_secs(300);

/// The compiler of one plugin. It does nothing until it is let go on, and ends with its daemon.
#[derive(Debug)]
pub struct HeldCompiler {
    id: String,
    process: Process,
}

impl HeldCompiler {
    /// Starts a daemon whose only module is the plugin `id`'s, and stops its compiler.
    ///
    /// # Panics
    /// It is always too fast: make the module slower.
    #[must_use]
    pub fn start(bed: &Bed, arguments: &[&str], id: &str) -> (Daemon, Self) {
        let attempt = |_| {
            let daemon = bed.start_with(arguments);
            if let Some(held) = Self::of(&daemon, id) {
                return Some((daemon, held));
            }
            daemon.stop();
            for entry in fs::read_dir(bed.home().join("compiled")).expect("the compiled code") {
                fs::remove_file(entry.expect("an entry").path()).expect("a file of compiled code");
            }
            None
        };
        (0..TRIES).find_map(attempt).expect("a compiler that is still at work when it is looked for")
    }

    /// Adds a plugin to a daemon that runs, and stops its compiler. `write` writes one with this id, and with
    /// code that is another for each number: what was compiled once is not compiled again.
    ///
    /// # Panics
    /// It is always too fast: make the module slower.
    #[must_use]
    pub fn add(daemon: &Daemon, name: &str, mut write: impl FnMut(&str, usize)) -> Self {
        let attempt = |number| {
            let id = format!("{name}-{number}");
            write(&id, number);
            daemon.signal(Signal::SIGHUP);
            Self::of(daemon, &id)
        };
        (0..TRIES).find_map(attempt).expect("a compiler that is still at work when it is looked for")
    }

    /// Stops the compiler as soon as there is one; none where the plugin is compiled or refused already.
    fn of(daemon: &Daemon, id: &str) -> Option<Self> {
        eventually(&format!("{id} is compiled"), || {
            let compiler = daemon.workers().into_iter().find(is_compiler);
            if let Some(process) = compiler.filter(stop) {
                return Ok(Some(Self { id: id.to_owned(), process }));
            }
            let status = daemon.status();
            let is_there = status.workers.iter().any(|worker| worker.id.as_str() == id);
            let refused = format!("plugin {id}: ");
            let is_over = is_there || status.problems.iter().any(|problem| problem.starts_with(&refused));
            if is_over { Ok(None) } else { Err(format!("{:?}\n{}", status.problems, daemon.log_text())) }
        })
    }

    /// The plugin's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the daemon says that it still waits for it.
    #[must_use]
    pub fn is_awaited(&self, status: &Status) -> bool {
        let still = format!("still compiling {}", self.id);
        status.problems.iter().any(|problem| problem.split(';').next() == Some(&still))
    }

    /// Lets it work on.
    ///
    /// # Panics
    /// It is gone.
    pub fn resume(self) {
        kill(Pid::from_raw(self.process.pid), Signal::SIGCONT).expect("a compiler that was stopped");
    }
}

/// Whether it compiles a module: the same program is asked for its version before.
fn is_compiler(process: &Process) -> bool {
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.pid)).unwrap_or_default();
    read("comm").trim_end() == "midimon-compile" && !read("cmdline").contains("--print-key")
}

/// Whether the process could be stopped before its end.
fn stop(process: &Process) -> bool {
    let sent = kill(Pid::from_raw(process.pid), Signal::SIGSTOP);
    sent.is_ok()
        && eventually("it stops or ends", || match (process.is_stopped(), process.is_alive()) {
            (true, _) => Ok(true),
            (_, false) => Ok(false),
            _ => Err(format!("{process:?} runs")),
        })
}
