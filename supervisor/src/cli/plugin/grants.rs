//! `plugin grant` and `revoke`.

use super::daemon::{failed, lock, record, tell, tell_and_print, told};
use crate::cli::{CliError, Context};
use crate::plugins::grants::{ConsentFault, GrantChange};
use crate::plugins::store::Locked;
use crate::plugins::{GrantFile, Manifest};
use clap::Args;
use midimon_shared::{Capability, PluginId};

#[derive(Debug, Args)]
#[command(after_help = "\
A plugin that runs is restarted with it. Only what the plugin asks for can be granted;
`midimon plugin info NAME` shows what that is.

Examples:
  midimon plugin grant notes filesystem
  midimon plugin grant obs network:192.168.1.7:4455")]
pub(super) struct Grant {
    /// The plugin's id
    name: PluginId,
    /// What it may do: CAPABILITY or CAPABILITY:TARGET
    capability: Capability,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A plugin that runs is restarted without it; it is told when it tries, and so are you.

Example:
  midimon plugin revoke obs network:192.168.1.7:4455")]
pub(super) struct Revoke {
    /// The plugin's id
    name: PluginId,
    /// What it may do no more: CAPABILITY or CAPABILITY:TARGET
    capability: Capability,
}

/// The manifest of the version that runs, and the grants.
fn read(store: &Locked, id: &PluginId) -> Result<(Manifest, GrantFile), CliError> {
    let record = record(store, id)?;
    let manifest = store.current_files(&record).and_then(|files| files.manifest()).map_err(failed)?;
    let grants = store.grants(id).map_err(failed)?.ok_or(ConsentFault::NoGrants).map_err(failed)?;
    // it must be this plugin's, and complete: a grant is no substitute for being shown the rest
    grants.effective(&manifest, record.publisher.as_ref()).map_err(failed)?;
    Ok((manifest, grants))
}

/// Nothing was to change. The daemon is told all the same where that is so already: an earlier
/// command may have ended between the file and its word to the daemon.
fn unchanged(context: &Context, fault: &GrantChange) -> CliError {
    match fault {
        GrantChange::NotGranted(_) | GrantChange::GrantedAlready(_) => match tell(context) {
            Ok(_) => failed(fault),
            Err(error) => failed(format!("{fault}, but the running daemon could not be told: {}", error.sentence())),
        },
        GrantChange::NotAsked { .. } | GrantChange::WhichAsk { .. } | GrantChange::BadTarget { .. } => failed(fault),
    }
}

impl Grant {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = lock(context)?;
        let (manifest, mut grants) = read(&store, &self.name)?;
        grants.grant(&manifest, &self.capability).map_err(|fault| unchanged(context, &fault))?;
        store.save_grants(&grants).map_err(failed)?;
        tell_and_print(context, &self.name, &format!("{} may use {}", self.name, self.capability))
    }
}

impl Revoke {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = lock(context)?;
        let mut grants = store.grants(&self.name).map_err(failed)?.ok_or(ConsentFault::NoGrants).map_err(failed)?;
        grants.revoke(&self.capability).map_err(|fault| unchanged(context, &fault))?;
        told(context, store.take_grants(&grants))?;
        tell_and_print(context, &self.name, &format!("{} may no longer use {}", self.name, self.capability))
    }
}
