//! `midimon index`: where plugins are found by name, and making such a place.

mod build;
mod effects;
mod user;

pub(super) use effects::current;

use super::{CliError, Context};
use clap::{Args, Subcommand};

/// `midimon index`
#[derive(Debug, Args)]
pub struct Index {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add the index in a directory, signed with a key you know
    Add(user::Add),
    /// List the indexes you added
    List(user::List),
    /// Show what is known of an index
    Show(user::Show),
    /// Look into the indexes anew, and take back what they revoke
    Update(user::Update),
    /// Forget an index; what was installed stays
    Remove(user::Remove),
    /// Make an index of the packages in a directory, and sign it
    Build(build::Build),
}

impl Index {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Add(command) => command.execute(context),
            Command::List(command) => command.execute(context),
            Command::Show(command) => command.execute(context),
            Command::Update(command) => command.execute(context),
            Command::Remove(command) => command.execute(context),
            Command::Build(command) => command.execute(context),
        }
    }
}
