//! `plugin remove`.

use super::daemon::{failed, lock, tell};
use crate::cli::units::{bytes, count};
use crate::cli::{CliError, Context};
use crate::plugins::data_dir::{DataDirs, Usage};
use clap::Args;
use midimon_shared::PluginId;
use std::io::{self, IsTerminal, Write};

#[derive(Debug, Args)]
#[command(after_help = "\
It removes the plugin's versions, grants, settings and data. With --keep-data its data
and settings wait for the same publisher's plugin; `remove` again deletes them.")]
pub(super) struct Remove {
    /// The plugin's id
    name: PluginId,
    /// Keep its data and settings
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Remove {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = lock(context)?;
        let record = store.get(&self.name);
        let is_there = !matches!(record, Ok(None)) || matches!(store.kept(&self.name), Ok(Some(_)));
        if is_there && !self.yes {
            self.ask(context)?;
        }
        if let Ok(Some(record)) = record {
            // it writes no more when its data goes
            store.set_enabled(&record.id, false, Some("it was being removed".to_owned())).map_err(failed)?;
            tell(context)?;
        }
        store.remove(&self.name, self.keep_data).map_err(failed)?;
        tell(context)?;
        let kept = if self.keep_data { "; its data is kept for its publisher" } else { "" };
        context.out.line(&format!("{} is removed{kept}", self.name))
    }

    fn ask(&self, context: &Context) -> Result<(), CliError> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(CliError::Failed("add --yes to remove it without being asked".to_owned()));
        }
        let usage = DataDirs::open(&context.home.plugin_data_dir()).and_then(|dirs| dirs.usage(&self.name));
        let data = match usage {
            _ if self.keep_data => " (its data stays)".to_owned(),
            Ok(Usage { files: 0, .. }) | Err(_) => String::new(),
            Ok(usage) => format!(" and its data: {} ({})", count(usage.files, "file"), bytes(usage.bytes)),
        };
        eprint!("Remove {}{data}? [y/N] ", self.name);
        let mut answer = String::new();
        io::stderr().flush().and_then(|()| io::stdin().read_line(&mut answer)).map_err(CliError::Output)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(CliError::Failed("nothing was removed".to_owned())),
        }
    }
}
