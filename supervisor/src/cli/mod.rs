//! The command line: one file a command family. Commands parse, ask the daemon
//! or run it, and print; what is printed comes from pure functions.

mod audit;
mod check;
mod control;
mod doctor;
mod events;
mod hidden_line;
mod index;
mod key;
mod log;
mod logs;
pub mod output;
mod plugin;
mod ports;
mod run;
pub mod safe_text;
mod sandbox_view;
mod start;
mod status;
pub mod table;
mod tail;
pub mod units;
mod worker;
mod worker_view;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{ErrorCode, Refusal};
use crate::home::{Home, HomeError};
use clap::{CommandFactory, Parser, Subcommand};
use output::{Colour, Look, Output};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  midimon start                          run in the background
  midimon status                         what runs, what it did, what went wrong
  midimon run --watch                    run here and see every note
  midimon replay song.mid                play a file through your mappings
  midimon check                          look for mistakes in the configuration

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon";

/// Turns MIDI controllers into macro pads; plugins run in sandboxed processes of their own.
#[derive(Debug, Parser)]
#[command(name = "midimon", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    /// Keep all files in DIR (also: MIDIMON_HOME)
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run here, until Ctrl-C
    Run(run::Run),
    /// Run in the background
    Start(start::Start),
    /// Stop the daemon and wait until it is gone
    Stop(start::Stop),
    /// Show what runs, what it did, and what went wrong
    Status(status::Status),
    /// Read the configuration again
    Reload(control::Reload),
    /// Release every key and note, silence every output
    Panic(control::Panic),
    /// Show or change the mode
    Mode(control::Mode),
    /// List MIDI ports
    Ports(ports::Ports),
    /// Watch notes, mappings and plugins' answers as they happen
    Monitor(events::Monitor),
    /// Look for mistakes in a configuration
    Check(check::Check),
    /// Play a MIDI file through the mappings and plugins, then end
    Replay(run::Replay),
    /// Show the daemon's and the plugins' logs
    Logs(logs::Logs),
    /// Show what a plugin did: files, requests, violations, grants
    Audit(audit::Audit),
    /// Install, update and manage plugins; make, sign and check packages
    Plugin(plugin::Plugin),
    /// Say where plugins are found by name, or make such a place
    Index(index::Index),
    /// Make keys to sign plugins with, and say whose keys are trusted
    Key(key::Key),
    /// List, inspect and restart plugins' workers
    Worker(worker::Worker),
    /// Show what this machine offers a sandbox, and how to get more
    Doctor(doctor::Doctor),
    /// Explain a diagnostic's code
    Explain(check::Explain),
}

/// What every command is given.
struct Context {
    home: Home,
    out: Output,
}

impl Context {
    fn connect(&self) -> Result<Client, CliError> {
        Ok(Client::connect(&self.home)?)
    }
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The daemon could not be asked or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Standard output is closed or full.
    #[error("cannot print: {0}")]
    Output(io::Error),
    /// Anything else, as a sentence.
    #[error("{0}")]
    Failed(String),
    /// It failed, and everything about it is printed already.
    #[error("failed")]
    Reported,
}

impl CliError {
    fn sentence(&self) -> String {
        match self {
            // the message is a list of diagnostics, each with a heading of its own
            Self::Client(ClientError::Refused(Refusal { code: ErrorCode::Config, message })) => {
                format!("the configuration has errors; the one before it stays in force\n\n{}", message.trim_end())
            }
            error => error.to_string(),
        }
    }

    /// Says so where there is something to say.
    fn report(&self) -> ExitCode {
        match self {
            // whoever read the output has seen enough
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Reported => {}
            error => {
                let look = Look { coloured: output::coloured_stderr(), width: 80 };
                eprintln!("{} {}", look.paint(Colour::Bad, "error:"), safe_text::safe_lines(&error.sentence()));
            }
        }
        match self {
            Self::Client(ClientError::NoDaemon) => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }
}

/// The command line, for what checks that documents speak of commands that are there.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program: parses the command line, runs the command, returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), CliError> {
    let context = Context { home: Home::resolve(cli.home.as_deref())?, out: Output::stdout() };
    match cli.command {
        Command::Run(command) => command.execute(&context),
        Command::Start(command) => command.execute(&context),
        Command::Stop(command) => command.execute(&context),
        Command::Status(command) => command.execute(&context),
        Command::Reload(command) => command.execute(&context),
        Command::Panic(command) => command.execute(&context),
        Command::Mode(command) => command.execute(&context),
        Command::Ports(command) => command.execute(&context),
        Command::Monitor(command) => command.execute(&context),
        Command::Check(command) => command.execute(&context),
        Command::Replay(command) => command.execute(&context),
        Command::Logs(command) => command.execute(&context),
        Command::Audit(command) => command.execute(&context),
        Command::Plugin(command) => command.execute(&context),
        Command::Index(command) => command.execute(&context),
        Command::Key(command) => command.execute(&context),
        Command::Worker(command) => command.execute(&context),
        Command::Doctor(command) => command.execute(&context),
        Command::Explain(command) => command.execute(&context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn the_home_can_stand_before_or_after_the_command() {
        for arguments in [["midimon", "--home", "/h", "status"], ["midimon", "status", "--home", "/h"]] {
            assert_eq!(Cli::try_parse_from(arguments).unwrap().home, Some("/h".into()));
        }
    }
}
