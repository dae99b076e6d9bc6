//! `midimon plugin`: one file a command.

mod data;
mod package;
mod sign;
mod verify;

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
    /// Make a package of a plugin's directory
    Pack(package::Pack),
    /// Sign a package
    Sign(sign::Sign),
    /// Check a package and explain every check
    Verify(verify::Verify),
    /// Show how much a plugin keeps in its data directory, or delete it
    Data(data::Data),
}

impl Plugin {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Pack(command) => command.execute(context),
            Command::Sign(command) => command.execute(context),
            Command::Verify(command) => command.execute(context),
            Command::Data(command) => command.execute(context),
        }
    }
}
