//! What a plugin's name means: a version some index offers.

use crate::cli::index::current;
use crate::cli::plugin::daemon::failed;
use crate::cli::{CliError, Context};
use crate::plugins::index::IndexName;
use crate::plugins::index::apply::Current;
use crate::plugins::index::choose::{Unavailable, Wanted};
use crate::plugins::index::install::Indexed;
use crate::plugins::index::offers::Offers;
use crate::plugins::index::subscriptions::Subscriptions;
use crate::plugins::revocations::Revocations;
use clap::Args;
use semver::Version;

/// Where names are looked up.
#[derive(Debug, Args)]
pub(super) struct Lookup {
    /// Take it from this index
    #[arg(long, value_name = "NAME")]
    pub(super) index: Option<String>,
    /// Take a pre-release, too, when it is the newest
    #[arg(long)]
    pub(super) pre: bool,
}

/// The indexes at this moment.
pub(super) struct Indexes {
    indexes: Vec<Current>,
    revocations: Revocations,
    pre_releases: bool,
}

impl Lookup {
    /// Looks into the indexes anew. One that cannot be used is an error: what it would
    /// offer under the same name, or revoke, is not known.
    pub(super) fn indexes(&self, context: &Context) -> Result<Indexes, CliError> {
        let list = Subscriptions::load(&context.home).map_err(failed)?;
        let names: Vec<IndexName> = match &self.index {
            Some(name) => vec![list.get(name).map_err(failed)?.name.clone()],
            None => list.entries().iter().map(|entry| entry.name.clone()).collect(),
        };
        if names.is_empty() {
            return Err(failed("there is no index to look it up in; `midimon index add DIR --key KEY` adds one"));
        }
        let mut indexes = Vec::new();
        for result in current(context, &names)? {
            let (name, why) = match result {
                Ok(current) => {
                    indexes.push(current);
                    continue;
                }
                Err(refused) => refused,
            };
            let others = names.iter().filter(|other| **other != name).map(|other| format!("--index {other}"));
            let others = others.collect::<Vec<_>>().join(" or ");
            let way_out = if others.is_empty() { others } else { format!("\nto leave it out, add {others}") };
            return Err(failed(format!("{why}{way_out}")));
        }
        // with what they revoke
        let revocations = Revocations::load(&context.home).map_err(failed)?;
        Ok(Indexes { indexes, revocations, pre_releases: self.pre })
    }
}

impl Indexes {
    /// What is wanted, newer than `above` where that is given.
    pub(super) fn find(&self, wanted: &Wanted, above: Option<&Version>) -> Result<Indexed, Unavailable> {
        let Self { indexes, revocations, pre_releases } = self;
        let offers = Offers { indexes, revocations, pre_releases: *pre_releases };
        let chosen = offers.choose(wanted, above)?;
        let from = revocations.indexes.entries().iter().find(|entry| entry.name == *chosen.name);
        // somebody may have removed the index at this moment
        let gone = || Unavailable::NotListed { id: wanted.id.clone(), similar: None };
        Ok(Indexed::new(from.ok_or_else(gone)?, &chosen))
    }
}
