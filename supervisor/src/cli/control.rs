//! `reload`, `panic`, `mode`: short orders to the daemon.

use super::safe_text::{safe_lines, safe_text};
use super::units::count;
use super::{CliError, Context};
use crate::control::client::Client;
use crate::control::model::{ModeReport, ReloadReport};
use crate::control::protocol::{ModeTarget, Request};
use clap::Args;

/// `midimon reload`
#[derive(Debug, Args)]
#[command(after_help = "An error in the file changes nothing: what was in force before stays.")]
pub struct Reload {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let report: ReloadReport = context.connect()?.call(&Request::Reload)?;
        if self.json {
            return context.out.json(&report);
        }
        context.out.line(&format!(
            "reloaded {}: {}, {}",
            safe_text(&report.path.to_string_lossy()),
            count(report.modes as u64, "mode"),
            count(report.mappings as u64, "mapping"),
        ))?;
        report.warnings.iter().chain(&report.plugins).try_for_each(|line| context.out.line(&safe_lines(line)))
    }
}

/// `midimon panic`
#[derive(Debug, Args)]
pub struct Panic {}

impl Panic {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        context.connect()?.call::<()>(&Request::Panic)?;
        context.out.line("everything is released")
    }
}

/// `midimon mode`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midimon mode             list the modes
  midimon mode Gaming      go to that mode
  midimon mode next        go to the one after this (or: prev)")]
pub struct Mode {
    /// Where to go: a mode's name, `next` or `prev`; without it the modes are listed
    #[arg(value_name = "NAME")]
    to: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Mode {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let mut client = context.connect()?;
        let to = self.to.as_deref().map(|to| target(&mut client, to)).transpose()?;
        let listing = to.is_none();
        let report: ModeReport = client.call(&Request::Mode { to })?;
        if self.json {
            context.out.json(&report)
        } else if listing {
            context.out.print(&modes(&report))
        } else {
            context.out.line(&format!("mode: {}", safe_text(&report.mode)))
        }
    }
}

/// A mode that is called `next` is meant when there is one.
fn target(client: &mut Client, to: &str) -> Result<ModeTarget, CliError> {
    let direction = match to {
        "next" => ModeTarget::Next,
        "prev" | "previous" => ModeTarget::Previous,
        name => return Ok(ModeTarget::Name(name.to_owned())),
    };
    let report: ModeReport = client.call(&Request::Mode { to: None })?;
    Ok(if report.modes.iter().any(|mode| mode == to) { ModeTarget::Name(to.to_owned()) } else { direction })
}

fn modes(report: &ModeReport) -> String {
    let line = |mode: &String| format!("{} {}\n", if *mode == report.mode { '*' } else { ' ' }, safe_text(mode));
    report.modes.iter().map(line).collect()
}
