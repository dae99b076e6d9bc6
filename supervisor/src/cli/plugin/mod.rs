//! `midimon plugin`: one file a command.

mod data;

use super::{CliError, Context};
use clap::{Args, Subcommand};

/// `midimon plugin`
#[derive(Debug, Args)]
pub struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how much a plugin keeps in its data directory, or delete it
    Data(data::Data),
}

impl Plugin {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Data(command) => command.execute(context),
        }
    }
}
