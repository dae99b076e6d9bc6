//! `plugin enable`, `disable` and `rollback`.

use super::daemon::{failed, lock, record, tell_and_print, told};
use crate::cli::{CliError, Context};
use clap::Args;
use midimon_shared::PluginId;

#[derive(Debug, Args)]
pub(super) struct Enable {
    /// The plugin's id
    name: PluginId,
}

#[derive(Debug, Args)]
pub(super) struct Disable {
    /// The plugin's id
    name: PluginId,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The version that runs now stays here too: `rollback` again goes back to it.
The plugin's grants stay as they are.")]
pub(super) struct Rollback {
    /// The plugin's id
    name: PluginId,
}

impl Enable {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        lock(context)?.set_enabled(&self.name, true, None).map_err(failed)?;
        tell_and_print(context, &self.name, &format!("{} is enabled", self.name))
    }
}

impl Disable {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let done = lock(context)?.set_enabled(&self.name, false, None).map(drop);
        told(context, done)?;
        tell_and_print(context, &self.name, &format!("{} is disabled", self.name))
    }
}

impl Rollback {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = lock(context)?;
        let from = record(&store, &self.name)?.current;
        let to = store.rollback(&self.name).map_err(failed)?.current;
        tell_and_print(context, &self.name, &format!("{}: from {from} back to {to}", self.name))
    }
}
