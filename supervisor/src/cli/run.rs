//! `run` and `replay`: the daemon here, in the foreground.

use super::events::Printer;
use super::output::Output;
use super::{CliError, Context, log, status};
use crate::control::model::Status;
use crate::daemon::{self, RunOptions};
use crate::midi::input::InputSpec;
use crate::midi::replay::Speed;
use crate::monitor::{Monitor, MonitorEvent};
use clap::Args;
use midimon_shared::PluginId;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// What `run` and `start` have in common.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// Use this configuration instead of the home's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen to this: hardware, hardware:NAME, replay:FILE.mid, stdin or demo (repeatable)
    #[arg(long = "input", value_name = "INPUT")]
    inputs: Vec<InputSpec>,
    /// Play files N times as fast, or as fast as possible with `max`
    #[arg(long, value_name = "N", default_value_t)]
    speed: Speed,
    /// Play files again when they end
    #[arg(long = "loop")]
    looped: bool,
    /// For authors: report this plugin's forbidden system calls and let them fail, instead of
    /// ending it (repeatable; a plugin of [plugins] dir, never an installed one)
    #[arg(long = "sandbox-report", value_name = "ID")]
    sandbox_report: Vec<PluginId>,
    /// Start no plugin at all, to see whether one of them causes the trouble
    #[arg(long)]
    safe_mode: bool,
    /// Log this and what is worse: off, error, warn, info or debug
    /// (also: MIDIMON_LOG, and `level` under [logging] in the configuration)
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LevelFilter>,
}

impl Daemon {
    /// The same as arguments that mean the same in every directory.
    pub(super) fn to_arguments(&self) -> io::Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(config) = &self.config {
            arguments.extend(["--config".into(), absolute(config)?.into()]);
        }
        for input in &self.inputs {
            let mut specification = OsString::from(input.to_string());
            if let InputSpec::Replay(file) = input {
                specification = "replay:".into();
                specification.push(absolute(file)?);
            }
            arguments.extend(["--input".into(), specification]);
        }
        arguments.extend(["--speed".into(), self.speed.to_string().into()]);
        if self.looped {
            arguments.push("--loop".into());
        }
        for id in &self.sandbox_report {
            arguments.extend(["--sandbox-report".into(), id.to_string().into()]);
        }
        if self.safe_mode {
            arguments.push("--safe-mode".into());
        }
        if let Some(level) = self.log_level {
            arguments.extend(["--log-level".into(), level.to_string().into()]);
        }
        Ok(arguments)
    }

    fn options(&self, context: &Context, exit_when_done: bool) -> RunOptions {
        RunOptions {
            home: context.home.clone(),
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            speed: self.speed,
            looped: self.looped,
            report_only: self.sandbox_report.iter().cloned().collect(),
            safe_mode: self.safe_mode,
            monitor: Arc::new(Monitor::default()),
            exit_when_done,
        }
    }
}

/// `midimon run`
#[derive(Debug, Args)]
#[command(after_help = "\
Without --input it listens to the MIDI devices the configuration names, or to all.
Ctrl-C or SIGTERM stops it, SIGHUP reads the configuration again.

Examples:
  midimon run --watch
  midimon run --input replay:song.mid --speed 2 --loop
  midimon run --input stdin < raw-midi-bytes")]
pub struct Run {
    #[command(flatten)]
    daemon: Daemon,
    /// Print notes, mappings and plugins' answers as they happen
    #[arg(long, alias = "monitor")]
    watch: bool,
    /// End when every file has been played, every plugin has answered, every text is
    /// typed, every command over and every message sent
    #[arg(long, conflicts_with = "looped")]
    exit_when_done: bool,
    /// Print the final status as JSON
    #[arg(long, requires = "exit_when_done", conflicts_with = "watch")]
    json: bool,
    /// Leave the terminal's session; `midimon start` asks for this
    #[arg(long, hide = true)]
    detached: bool,
}

impl Run {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        if self.detached {
            nix::unistd::setsid().map_err(|error| CliError::Failed(format!("cannot leave the session: {error}")))?;
        }
        let options = self.daemon.options(context, self.exit_when_done);
        let _log = log::start(self.daemon.log_level, &options)?;
        let status = run(options, self.watch, &context.out)?;
        if self.exit_when_done { print(&status, self.json, &context.out) } else { Ok(()) }
    }
}

/// `midimon replay`
#[derive(Debug, Args)]
#[command(after_help = "\
The file goes through the same mappings and plugins as a device's notes would,
in this process: a daemon of the same home must be stopped first.

Examples:
  midimon replay song.mid
  midimon replay song.mid --speed max --quiet")]
pub struct Replay {
    /// A Standard MIDI File
    file: PathBuf,
    /// Use this configuration instead of the home's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Play N times as fast, or as fast as possible with `max`
    #[arg(long, value_name = "N", default_value_t)]
    speed: Speed,
    /// Print the summary only
    #[arg(long, short)]
    quiet: bool,
    /// Print the summary as JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// Log this and what is worse: off, error, warn, info or debug
    /// (also: MIDIMON_LOG, and `level` under [logging] in the configuration)
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LevelFilter>,
}

impl Replay {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let options = RunOptions {
            home: context.home.clone(),
            config: self.config,
            inputs: vec![InputSpec::Replay(self.file)],
            speed: self.speed,
            looped: false,
            report_only: BTreeSet::new(),
            safe_mode: false,
            monitor: Arc::new(Monitor::default()),
            exit_when_done: true,
        };
        let _log = log::start(self.log_level.or(self.quiet.then_some(LevelFilter::WARN)), &options)?;
        let status = run(options, !self.quiet && !self.json, &context.out)?;
        print(&status, self.json, &context.out)
    }
}

fn print(status: &Status, json: bool, out: &Output) -> Result<(), CliError> {
    if json { out.json(status) } else { out.print(&format!("\n{}", status::summary(status, &out.look))) }
}

/// Runs the daemon to its end; with `watch` everything that happens is printed meanwhile.
fn run(options: RunOptions, watch: bool, out: &Output) -> Result<Status, CliError> {
    let failed = |error: daemon::DaemonError| CliError::Failed(error.to_string());
    if !watch {
        return daemon::run(options).map_err(failed);
    }
    let (events, ended) = (options.monitor.watch(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let ended = &ended;
        // the printer's thread takes no signals: they are for the daemon, which blocks
        // them before it starts its own threads and would come too late for this one
        let signal_mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
        scope.spawn(move || print_events(&events, ended, out));
        if let Ok(before) = signal_mask {
            let _ = before.thread_set_mask(); // fails on an invalid argument only
        }
        let result = daemon::run(options).map_err(failed);
        ended.store(true, Ordering::Release);
        result
    })
}

/// Prints until the daemon has ended and nothing is left. Stops the daemon when
/// nobody reads any more.
fn print_events(events: &Receiver<MonitorEvent>, ended: &AtomicBool, out: &Output) {
    let mut printer = Printer::new(out);
    loop {
        let over = ended.load(Ordering::Acquire);
        match events.recv_timeout(Duration::from_millis(if over { 0 } else { 100 })) {
            Ok(event) => {
                if printer.print(&event).is_err() {
                    // nobody watches what was to be watched: the same as Ctrl-C
                    let _ = kill(Pid::this(), Signal::SIGTERM); // one may always signal oneself
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) if !over => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn daemon(arguments: &[&str]) -> Daemon {
        let all = ["midimon", "run"].iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Run(run) => run.daemon,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_mean_the_same_after_a_change_of_directory() {
        let arguments = daemon(&[
            "--config",
            "c.toml",
            "--input",
            "replay:a b.mid",
            "--input",
            "stdin",
            "--speed",
            "max",
            "--loop",
            "--sandbox-report",
            "echo",
        ])
        .to_arguments()
        .unwrap();
        let here = std::env::current_dir().unwrap();
        let replayed = format!("replay:{}", here.join("a b.mid").display());
        let config = here.join("c.toml");
        let expected = [
            "--config",
            config.to_str().unwrap(),
            "--input",
            &replayed,
            "--input",
            "stdin",
            "--speed",
            "max",
            "--loop",
            "--sandbox-report",
            "echo",
        ];
        assert_eq!(arguments, expected);
    }

    #[test]
    fn an_input_or_speed_that_means_nothing_is_wrong_usage() {
        for wrong in [["--input", "rplay:x"], ["--speed", "fast"]] {
            let error = Cli::try_parse_from(["midimon", "run"].iter().chain(&wrong)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
    }
}
