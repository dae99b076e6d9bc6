//! `plugin data`: what a plugin keeps, with or without a daemon.

use crate::cli::safe_text::safe_text;
use crate::cli::units::{bytes, count};
use crate::cli::{CliError, Context};
use crate::control::client::ClientError;
use crate::control::protocol::{ErrorCode, Request};
use crate::plugins::data_dir::{BigFile, Cleared, DataDirs, Usage};
use crate::workers::quota::{Allowed, usage_text};
use crate::workers::status::WorkerStatus;
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Files that are listed.
const BIGGEST: usize = 10;

#[derive(Debug, Args)]
#[command(after_help = "\
A plugin over its quota is stopped; its data stays where it is, to be read.

Examples:
  midimon plugin data notes              how much, and the largest files
  midimon plugin data notes --clear      delete everything in it (asks first)
  midimon worker restart notes           start the plugin again afterwards")]
pub(super) struct Data {
    /// The plugin's id
    name: PluginId,
    /// Delete everything in it
    #[arg(long)]
    clear: bool,
    /// Do not ask
    #[arg(long, requires = "clear")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    plugin: PluginId,
    path: PathBuf,
    usage: Usage,
    /// Known while a daemon runs that has loaded the plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    biggest: Vec<BigFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared: Option<Cleared>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Quota {
    bytes: u64,
    files: u64,
}

impl Data {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let failed = |error: crate::plugins::data_dir::DataDirError| CliError::Failed(error.to_string());
        let worker = self.worker(context)?;
        let parent = context.home.plugin_data_dir();
        let none = || CliError::Failed(format!("'{}' has no data directory in '{}'", self.name, parent.display()));
        if !parent.is_dir() {
            return Err(none());
        }
        let dirs = DataDirs::open(&parent).map_err(failed)?;
        if dirs.open_existing(&self.name).map_err(failed)?.is_none() {
            return Err(none());
        }
        let mut report = Report {
            path: dirs.path(&self.name),
            usage: dirs.usage(&self.name).map_err(failed)?,
            quota: worker
                .as_ref()
                .map(|worker| Allowed::from(&worker.limits))
                .map(|Allowed { bytes, files }| Quota { bytes, files }),
            biggest: Vec::new(),
            cleared: None,
            plugin: self.name.clone(),
        };
        if self.clear {
            self.may_clear(&report, worker.as_ref())?;
            report.cleared = Some(dirs.clear(&self.name).map_err(failed)?);
            report.usage = dirs.usage(&self.name).map_err(failed)?;
        } else {
            report.biggest = dirs.biggest(&self.name, BIGGEST).map_err(failed)?;
        }
        if self.json {
            context.out.json(&report)?
        } else {
            context.out.print(&text(&report))?
        }
        match report.cleared.and_then(|cleared| cleared.left) {
            Some(why) => Err(CliError::Failed(format!("not everything could be deleted: {why}"))),
            None => Ok(()),
        }
    }

    /// What the daemon says about the plugin, if there is one that knows it.
    fn worker(&self, context: &Context) -> Result<Option<WorkerStatus>, CliError> {
        let mut client = match context.connect() {
            Ok(client) => client,
            Err(CliError::Client(ClientError::NoDaemon)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match client.call(&Request::WorkerInspect { id: self.name.clone() }) {
            Ok(worker) => Ok(Some(worker)),
            Err(ClientError::Refused(refusal)) if refusal.code == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn may_clear(&self, report: &Report, worker: Option<&WorkerStatus>) -> Result<(), CliError> {
        if let Some(pid) = worker.and_then(|worker| worker.pid) {
            return Err(CliError::Failed(format!(
                "'{0}' is running (pid {pid}) and may be writing: set `enabled = false` under [plugins.{0}] and run \
                 `midimon reload`, or run `midimon stop`, then clear it",
                self.name
            )));
        }
        if self.yes {
            return Ok(());
        }
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(CliError::Failed("add --yes to delete without being asked".to_owned()));
        }
        eprint!("Delete {} in {}? [y/N] ", what(&report.usage), safe_text(&report.path.to_string_lossy()));
        let mut answer = String::new();
        io::stderr().flush().and_then(|()| io::stdin().read_line(&mut answer)).map_err(CliError::Output)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(CliError::Failed("nothing was deleted".to_owned()))
        }
    }
}

fn what(usage: &Usage) -> String {
    format!("{} ({})", count(usage.files, "file"), bytes(usage.bytes))
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10} {value}\n"));
    line("directory", safe_text(&report.path.to_string_lossy()).into_owned());
    if let Some(cleared) = &report.cleared {
        line("deleted", format!("{} ({})", count(cleared.files, "file"), bytes(cleared.bytes)));
    }
    let usage = &report.usage;
    match report.quota {
        Some(Quota { bytes, files }) => {
            line("data", usage_text(usage.bytes, usage.files, &Allowed { bytes, files }));
        }
        None => line("data", what(usage)),
    }
    if !usage.complete {
        line("note", "this is not all of it: the tree is too deep, too large, or in part unreadable".to_owned());
    }
    for (index, file) in report.biggest.iter().enumerate() {
        let name = if index == 0 { "largest" } else { "" };
        line(name, format!("{:>8}  {}", bytes(file.bytes), safe_text(&file.path.to_string_lossy())));
    }
    if report.cleared.is_some() && report.quota.is_some() {
        line("next", format!("midimon worker restart {}", report.plugin));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_figures_and_forges_nothing() {
        let report = Report {
            plugin: "notes".parse().unwrap(),
            path: "/h/plugin-data/notes".into(),
            usage: Usage { bytes: 13 * 1024 * 1024, files: 4_097, largest: 12, complete: true },
            quota: Some(Quota { bytes: 64 * 1024 * 1024, files: 4_096 }),
            biggest: vec![BigFile { bytes: 2_048, path: "a/\u{1b}[2J".into() }, BigFile { bytes: 1, path: "b".into() }],
            cleared: None,
        };
        let expected = "\
directory  /h/plugin-data/notes
data       13 of 64 MiB, 4,097 of 4,096 files
largest        2.0K  a/\\u{1b}[2J
                 1B  b
";
        assert_eq!(text(&report), expected);
    }
}
