//! A running `midimon run`.

use crate::{Bed, Process, Watch, eventually, wait::within};
use midimon::control::client::Client;
use midimon::control::model::Status;
use midimon::control::protocol::Request;
use midimon::home::Home;
use midimon::workers::status::{WorkerState, WorkerStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest part of the daemon's log that a failure shows, in lines.
const LOG_SHOWN: usize = 80;

/// So many looks must find the same for it to count as settled.
const SETTLED: u32 = 20;

/// A daemon of a [`Bed`]; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    process: Process,
    input: Option<ChildStdin>,
    home: Home,
    log: PathBuf,
    /// A file of its own for each daemon of a bed.
    output: PathBuf,
}

impl Daemon {
    pub(crate) fn start(bed: &Bed, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let home = Home::at(&bed.home()).expect("a home that fits into a socket's address");
        let number = (0..).find(|number| !bed.path(&format!("daemon-{number}.log")).exists()).unwrap_or(0);
        let (log, output) = (bed.path(&format!("daemon-{number}.log")), bed.path(&format!("daemon-{number}.out")));
        let mut child = bed
            .command(&["run"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(File::create(&output).expect("a file for its output"))
            .stderr(File::create(&log).expect("a file for its log"))
            .spawn()
            .expect("midimon runs");
        let input = child.stdin.take();
        let process = Process::of(i32::try_from(child.id()).expect("a process id")).expect("a process not yet reaped");
        let mut daemon = Self { child, process, input, home, log, output };
        eventually("the daemon answers", || match daemon.child.try_wait() {
            Ok(Some(status)) => panic!("the daemon ended: {status}\n{}", daemon.log_text()),
            _ => daemon.call::<Status>(&Request::Status).map_err(|error| format!("{error}\n{}", daemon.log_text())),
        });
        daemon
    }

    /// The daemon as a process.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.process
    }

    /// Its worker processes.
    #[must_use]
    pub fn workers(&self) -> Vec<Process> {
        self.process.children()
    }

    /// The last lines of what it logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("the daemon's log:\n{}", lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n"))
    }

    /// Everything it printed on standard output.
    #[must_use]
    pub fn output_text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Plays raw MIDI bytes.
    ///
    /// # Panics
    /// It does not listen to standard input.
    pub fn send(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("an input that was not closed");
        if let Err(error) = input.write_all(bytes) {
            panic!("the daemon takes no more MIDI: {error}\n{}", self.log_text());
        }
    }

    /// Ends the MIDI input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Asks over the control socket, as the command line does.
    ///
    /// # Errors
    /// The daemon's refusal, or why it cannot be asked.
    pub fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, String> {
        let mut client = Client::connect(&self.home).map_err(|error| error.to_string())?;
        client.call(request).map_err(|error| error.to_string())
    }

    /// What `midimon status` says now.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn status(&self) -> Status {
        self.call(&Request::Status).unwrap_or_else(|error| panic!("status: {error}\n{}", self.log_text()))
    }

    /// What `midimon worker inspect` says now.
    ///
    /// # Panics
    /// There is no such plugin.
    #[must_use]
    pub fn worker(&self, id: &str) -> WorkerStatus {
        self.try_worker(id).unwrap_or_else(|error| panic!("inspect {id}: {error}\n{}", self.log_text()))
    }

    fn try_worker(&self, id: &str) -> Result<WorkerStatus, String> {
        self.call(&Request::WorkerInspect { id: id.parse().expect("a plugin id") })
    }

    /// Restarts a plugin's worker, as `midimon worker restart` does.
    ///
    /// # Errors
    /// Why it does not run.
    pub fn restart_worker(&self, id: &str) -> Result<WorkerStatus, String> {
        self.call(&Request::WorkerRestart { id: id.parse().expect("a plugin id") })
    }

    /// Waits until the daemon's status is as wanted.
    ///
    /// # Panics
    /// It does not become so.
    pub fn wait_status(&self, what: &str, mut wanted: impl FnMut(&Status) -> bool) -> Status {
        eventually(what, || {
            let status = self.status();
            if wanted(&status) { Ok(status) } else { Err(format!("{status:#?}\n{}", self.log_text())) }
        })
    }

    /// Waits until a worker's status is as wanted.
    ///
    /// # Panics
    /// It does not become so.
    pub fn wait_worker(&self, id: &str, what: &str, mut wanted: impl FnMut(&WorkerStatus) -> bool) -> WorkerStatus {
        eventually(&format!("{id}: {what}"), || {
            // after a start or a reload it may not be known yet
            let worker = self.try_worker(id).map_err(|error| format!("{error}\n{}", self.log_text()))?;
            if wanted(&worker) { Ok(worker) } else { Err(format!("{worker:#?}\n{}", self.log_text())) }
        })
    }

    /// Waits until a worker takes calls.
    ///
    /// # Panics
    /// It does not.
    pub fn wait_ready(&self, id: &str) -> WorkerStatus {
        self.wait_worker(id, "ready", |worker| worker.state == WorkerState::Ready)
    }

    /// Waits until a worker takes calls in another process than it had `before`: what restarts it
    /// waits for the end of the old one alone.
    ///
    /// # Panics
    /// It does not.
    pub fn wait_restarted(&self, before: &WorkerStatus) -> WorkerStatus {
        let is_another = |worker: &WorkerStatus| worker.pid != before.pid && worker.state == WorkerState::Ready;
        self.wait_worker(before.id.as_str(), "restarted", is_another)
    }

    /// Plays a note mapped to a plugin and waits for the plugin's answer; how long that took.
    ///
    /// # Panics
    /// No answer comes.
    pub fn answers(&mut self, id: &str, note: u8) -> Duration {
        let before = self.worker(id).calls.done;
        let started = Instant::now();
        self.send(&crate::midi::tap(note));
        self.wait_worker(id, "an answer", |worker| worker.calls.done > before);
        started.elapsed()
    }

    /// Watches events, as `midimon monitor` does.
    ///
    /// # Panics
    /// The daemon does not let it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let client = Client::connect(&self.home).expect("a daemon that answers");
        Watch::new(client.watch().expect("events to watch"))
    }

    /// Its open descriptors but for one log file for each plugin that has written something.
    fn descriptors(&self) -> Vec<String> {
        let mut all = self.process.descriptors();
        let mut logs = BTreeSet::new();
        all.retain(|target| !(target.contains("/logs/") && logs.insert(target.clone())));
        all
    }

    /// Its open descriptors, once nothing comes and goes any more.
    ///
    /// # Panics
    /// They do not settle.
    #[must_use]
    pub fn settled_descriptors(&self) -> Vec<String> {
        let (mut last, mut same) = (Vec::new(), 0);
        eventually("descriptors settle", || {
            let now = self.descriptors();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            if same >= SETTLED { Ok(last.clone()) } else { Err(format!("{last:#?}")) }
        })
    }

    /// Waits until it has exactly these descriptors, as [`Self::settled_descriptors`] gave them.
    ///
    /// # Panics
    /// It keeps others.
    pub fn wait_descriptors(&self, expected: &[String]) {
        eventually("no descriptor is left open", || {
            let now = self.descriptors();
            if now == expected { Ok(()) } else { Err(format!("{now:#?}\ninstead of {expected:#?}")) }
        });
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It is gone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.pid), signal).expect("a daemon that runs");
    }

    /// Stops it as a service manager does, and looks that nothing of it is left.
    ///
    /// # Panics
    /// It does not end well, or leaves a process.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "the daemon ended with {status}\n{}", self.log_text());
    }

    /// Kills it as an accident would, and looks that nothing of it is left.
    ///
    /// # Panics
    /// A process of its outlives it.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.ended();
    }

    /// Waits for its end, and for the end of all it had started.
    ///
    /// # Panics
    /// It does not end, or leaves a process.
    pub fn ended(&mut self) -> ExitStatus {
        let workers = self.workers();
        let status = eventually("the daemon ends", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err(self.log_text()),
        });
        within(Duration::from_secs(5), "no process outlives the daemon", || {
            let left: Vec<&Process> = workers.iter().filter(|worker| worker.is_alive()).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}\n{}", self.log_text())) }
        });
        status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}
