//! `midimon plugin`: one file a command.

mod call;
mod config;
pub(super) mod daemon;
mod data;
mod dev;
mod grants;
mod info;
mod install;
mod life;
mod list;
mod login;
mod loosened;
mod new;
mod package;
mod remove;
mod search;
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
    /// Begin a plugin: a directory that builds
    New(new::New),
    /// Build a plugin, run it, call it from the keyboard, and again when it changes
    Dev(dev::Dev),
    /// Make a package of a plugin's directory
    Pack(package::Pack),
    /// Sign a package
    Sign(sign::Sign),
    /// Check a package and explain every check
    Verify(verify::Verify),
    /// Find plugins in the indexes you added
    Search(search::Search),
    /// Install a plugin: see who signed it and what it may do, agree, done
    Install(install::Install),
    /// Install another version of a plugin
    Update(install::Update),
    /// List the plugins: installed ones, and what runs
    List(list::List),
    /// Show everything about an installed plugin: publisher, versions, grants, settings
    Info(info::Info),
    /// Start an installed plugin again that was disabled
    Enable(life::Enable),
    /// Stop an installed plugin and start it no more
    Disable(life::Disable),
    /// Go back to the version before
    Rollback(life::Rollback),
    /// Remove an installed plugin, and its data
    Remove(remove::Remove),
    /// Let a plugin do something it asks for
    Grant(grants::Grant),
    /// Take back what a plugin may do
    Revoke(grants::Revoke),
    /// Show or change a plugin's settings
    Config(config::Config),
    /// Log in to the service a plugin speaks to, as you
    Login(login::Login),
    /// Call an action of a running plugin
    Call(call::Call),
    /// Show how much a plugin keeps in its data directory, or delete it
    Data(data::Data),
}

impl Plugin {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::New(command) => command.execute(context),
            Command::Dev(command) => command.execute(context),
            Command::Pack(command) => command.execute(context),
            Command::Sign(command) => command.execute(context),
            Command::Verify(command) => command.execute(context),
            Command::Search(command) => command.execute(context),
            Command::List(command) => command.execute(context),
            Command::Info(command) => command.execute(context),
            Command::Enable(command) => command.execute(context),
            Command::Disable(command) => command.execute(context),
            Command::Rollback(command) => command.execute(context),
            Command::Remove(command) => command.execute(context),
            Command::Grant(command) => command.execute(context),
            Command::Revoke(command) => command.execute(context),
            Command::Config(command) => command.execute(context),
            Command::Login(command) => command.execute(context),
            Command::Call(command) => command.execute(context),
            Command::Data(command) => command.execute(context),
            Command::Install(command) => command.execute(context),
            Command::Update(command) => command.execute(context),
        }
    }
}
