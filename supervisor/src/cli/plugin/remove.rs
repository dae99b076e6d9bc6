//! `plugin remove`.

use super::config::in_development;
use super::daemon::{failed, lock, tell, workers};
use crate::cli::units::{bytes, count};
use crate::cli::{CliError, Context};
use crate::control::model::NotYet;
use crate::plugins::data_dir::{DataDirs, Usage};
use crate::plugins::store::{Installed, Store, StoreError};
use crate::workers::status::Origin;
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

/// What there is to remove.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Installed(Box<Installed>),
    /// Its record is damaged.
    Damaged,
    /// What was kept of it.
    Kept,
    Nothing,
}

fn look(store: &Store, id: &PluginId) -> Seen {
    match store.get(id) {
        Ok(Some(record)) => Seen::Installed(Box::new(record)),
        Err(_) => Seen::Damaged,
        Ok(None) if matches!(store.kept(id), Ok(None)) => Seen::Nothing,
        Ok(None) => Seen::Kept,
    }
}

impl Remove {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let seen = look(&Store::open(&context.home), &self.name);
        if seen != Seen::Nothing && !self.yes {
            // nobody waits for the answer
            self.ask(context)?;
        }
        let store = lock(context)?;
        let found = look(&store, &self.name);
        if found != seen && !self.yes {
            return Err(failed(format!(
                "'{}' changed while you were asked; nothing was removed, run it again",
                self.name
            )));
        }
        if !self.keep_data {
            self.not_in_development(context)?;
        }
        if let Seen::Installed(record) = found {
            // it writes no more when its data goes
            match store.set_enabled(&record.id, false, Some("it was being removed".to_owned())) {
                // it is not started any more, and what is removed makes room
                Ok(_) | Err(StoreError::NoRoom { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
            if let Some(not_yet @ NotYet::Stopping) = tell(context)?.and_then(|report| report.not_yet) {
                return Err(failed(format!("{} is disabled, and nothing of it was removed: {not_yet}", self.name)));
            }
        }
        store.remove(&self.name, self.keep_data).map_err(failed)?;
        tell(context)?;
        let kept = if self.keep_data { "; its data is kept for its publisher" } else { "" };
        context.out.line(&format!("{} is removed{kept}", self.name))
    }

    /// A plugin of `[plugins] dir` that has the same id has the same data.
    fn not_in_development(&self, context: &Context) -> Result<(), CliError> {
        let runs = workers(context)?.iter().any(|worker| worker.id == self.name && worker.origin == Origin::Dev);
        if runs || in_development(context, &self.name).is_some() {
            return Err(failed(format!(
                "a plugin in [plugins] dir has the id '{0}' too, and its data is this plugin's: `--keep-data` \
                 removes the installed one only",
                self.name
            )));
        }
        Ok(())
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
