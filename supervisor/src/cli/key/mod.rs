//! `midimon key`: a publisher's own keys, and whose keys the user trusts.

mod generate;
mod store;
mod write;

pub(super) use generate::read_secret;

use super::{CliError, Context};
use clap::{Args, Subcommand};

/// `midimon key`
#[derive(Debug, Args)]
pub struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key to sign plugins with
    Generate(generate::Generate),
    /// List the publishers' keys that are trusted or revoked
    List(store::List),
    /// Trust a publisher's key under a name
    Trust(store::Trust),
    /// Trust a key no longer, and stop its plugins
    Revoke(store::Revoke),
    /// Show a key and what is thought of it
    Show(store::Show),
}

impl Key {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Generate(command) => command.execute(context),
            Command::List(command) => command.execute(context),
            Command::Trust(command) => command.execute(context),
            Command::Revoke(command) => command.execute(context),
            Command::Show(command) => command.execute(context),
        }
    }
}
