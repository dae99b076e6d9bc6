//! `index build`: an index of the packages in a directory.

use crate::cli::key::read_secret;
use crate::cli::plugin::daemon::failed;
use crate::cli::safe_text::safe_text;
use crate::cli::units::count;
use crate::cli::{CliError, Context};
use crate::plugins::index::build::{Recipe, build};
use crate::plugins::index::choose::Wanted;
use crate::plugins::index::{IndexName, RevokedKey, RevokedVersion};
use crate::plugins::minisign::PublicKey;
use crate::timestamp::Timestamp;
use clap::Args;
use midimon_shared::PluginId;
use semver::Version;
use std::path::PathBuf;

/// `midimon index build`
#[derive(Debug, Args)]
#[command(after_help = "\
Every package *.mmp in DIR must be signed (*.mmp.minisig) with a key whose *.pub file is in DIR, or that
--publisher names. The index there before gives the new one its number, and what it revoked or withdrew
stays so. Make a new index before the old one expires; until then nobody can be kept from seeing it.

Examples:
  midimon key generate -o index
  midimon index build /srv/midi-plugins --name friends --key index.key
  midimon index build /srv/midi-plugins --name friends --key index.key --revoke notes@1.0.0 --reason \"loses notes\"")]
pub(super) struct Build {
    /// The directory with the packages; the index is written there
    dir: PathBuf,
    /// What it is called: lower-case letters, digits, '-' and '.'
    #[arg(long)]
    name: IndexName,
    /// The secret key to sign it with
    #[arg(long, value_name = "PATH.key")]
    key: PathBuf,
    /// How long it holds, at most 90
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u64,
    /// A publisher's public key, or the file with it (repeatable)
    #[arg(long, value_name = "KEY")]
    publisher: Vec<String>,
    /// Number it N instead of one more than the index before
    #[arg(long, value_name = "N")]
    serial: Option<u64>,
    /// Let nobody be given this version any more who does not ask for it (repeatable)
    #[arg(long, value_name = "NAME@VERSION")]
    yank: Vec<Wanted>,
    /// Stop this version wherever it runs (repeatable)
    #[arg(long, value_name = "NAME@VERSION", requires = "reason")]
    revoke: Vec<Wanted>,
    /// Stop everything signed with this key wherever it runs: the key, or the file with it (repeatable)
    #[arg(long, value_name = "KEY", requires = "reason")]
    revoke_key: Vec<String>,
    /// Why, for --revoke and --revoke-key
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Build {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let key = |text: &String| {
            PublicKey::from_text_or_file(text).map_err(|error| failed(format!("'{}': {error}", safe_text(text))))
        };
        let reason = self.reason.unwrap_or_default();
        let revoked_key = |text| Ok::<_, CliError>(RevokedKey { key: key(text)?, reason: reason.clone() });
        let revoked_version = |wanted| {
            let (id, version) = one_version(wanted)?;
            Ok::<_, CliError>(RevokedVersion { id, version, reason: reason.clone() })
        };
        let recipe = Recipe {
            name: self.name,
            days: self.days,
            publishers: self.publisher.iter().map(key).collect::<Result<_, _>>()?,
            serial: self.serial,
            yank: self.yank.iter().map(one_version).collect::<Result<_, _>>()?,
            revoke_keys: self.revoke_key.iter().map(revoked_key).collect::<Result<_, _>>()?,
            revoke_versions: self.revoke.iter().map(revoked_version).collect::<Result<_, _>>()?,
        };
        let secret = read_secret(&self.key)?;
        let built = build(&self.dir, &secret, &recipe, Timestamp::now()).map_err(failed)?;
        built.write(&self.dir).map_err(failed)?;
        let index = &built.index;
        let versions = index.plugins.iter().map(|listing| listing.versions.len() as u64).sum();
        context.out.print(&format!(
            "index      {}, number {}\noffers     {}, {}\nexpires    {}\npublic key {}\n",
            index.name,
            index.serial,
            count(index.plugins.len() as u64, "plugin"),
            count(versions, "version"),
            index.expires,
            secret.public()
        ))
    }
}

fn one_version(wanted: &Wanted) -> Result<(PluginId, Version), CliError> {
    let version = wanted.version.clone();
    version
        .map(|version| (wanted.id.clone(), version))
        .ok_or_else(|| failed(format!("write {0}@VERSION, not {0}", wanted.id)))
}
