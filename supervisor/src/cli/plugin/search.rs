//! `plugin search`: what the indexes offer.

use super::daemon::failed;
use crate::cli::index::current;
use crate::cli::output::{Colour, Look};
use crate::cli::safe_text::safe_lines;
use crate::cli::table::{Cell, Side, Table};
use crate::cli::{CliError, Context};
use crate::plugins::index::apply::Current;
use crate::plugins::index::offers::Offers;
use crate::plugins::index::subscriptions::Subscriptions;
use crate::plugins::index::{IndexName, Listing};
use crate::plugins::minisign::{Fingerprint, PublicKey};
use crate::plugins::revocations::Revocations;
use crate::plugins::store::Store;
use crate::workers::status::PluginKind;
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;

/// `midimon plugin search`
#[derive(Debug, Args)]
#[command(after_help = "\
Every word must be in the plugin's id, name, description or authors. Each index
is looked into anew; one that cannot be used is told, and the others are searched.

Examples:
  midimon plugin search                 everything there is
  midimon plugin search obs scenes")]
pub(super) struct Search {
    /// What to look for
    words: Vec<String>,
    /// Only in this index
    #[arg(long, value_name = "NAME")]
    index: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One plugin, for people and programs.
#[derive(Debug, Serialize)]
struct Found<'f> {
    id: &'f PluginId,
    name: &'f str,
    description: &'f str,
    authors: &'f [String],
    index: &'f IndexName,
    /// The version that `plugin install` takes; the newest where there is none.
    version: String,
    kind: PluginKind,
    publisher: PublicKey,
    fingerprint: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_midimon: Option<String>,
    /// Why it cannot be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<String>,
}

impl Search {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let list = Subscriptions::load(&context.home).map_err(failed)?;
        let names: Vec<IndexName> = match &self.index {
            Some(name) => vec![list.get(name).map_err(failed)?.name.clone()],
            None => list.entries().iter().map(|entry| entry.name.clone()).collect(),
        };
        if names.is_empty() {
            return Err(failed("there is no index to search; `midimon index add DIR --key KEY` adds one"));
        }
        let mut indexes = Vec::new();
        for result in current(context, &names)? {
            match result {
                Ok(current) => indexes.push(current),
                Err((_, why)) => eprintln!("{}", safe_lines(&why)),
            }
        }
        if indexes.is_empty() {
            return Err(CliError::Reported);
        }
        // what they revoke counts already
        let revocations = Revocations::load(&context.home).map_err(failed)?;
        let offers = Offers { indexes: &indexes, revocations: &revocations, pre_releases: false };
        let store = Store::open(&context.home);
        let installed = |id: &PluginId| Some(store.get(id).ok()??.current.to_string());
        let found = search(&offers, &self.words, &installed);
        if self.json {
            context.out.json(&found)
        } else if found.is_empty() {
            context.out.line("nothing found")
        } else {
            context.out.print(&table(&found, &context.out.look))
        }
    }
}

fn search<'f>(
    offers: &Offers<'f>,
    words: &[String],
    installed: &dyn Fn(&PluginId) -> Option<String>,
) -> Vec<Found<'f>> {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let listed = |current: &'f Current| current.index.plugins.iter().map(|listing| (&current.name, listing));
    let fits = offers.indexes.iter().flat_map(listed).filter(|(_, listing)| matches(listing, &words));
    let mut found: Vec<Found<'f>> = fits.map(|(index, listing)| one(offers, index, listing, installed)).collect();
    found.sort_by(|one, other| (one.id, one.index).cmp(&(other.id, other.index)));
    found
}

fn one<'f>(
    offers: &Offers<'f>,
    index: &'f IndexName,
    listing: &'f Listing,
    installed: &dyn Fn(&PluginId) -> Option<String>,
) -> Found<'f> {
    let best = offers.best(listing);
    // cannot fail: a plugin without a version is not read
    let release = best.as_ref().copied().unwrap_or(&listing.versions[0]);
    Found {
        id: &listing.id,
        name: &listing.name,
        description: &listing.description,
        authors: &listing.authors,
        index,
        version: release.version.to_string(),
        kind: release.kind,
        publisher: release.publisher,
        fingerprint: release.publisher.fingerprint(),
        min_midimon: release.min_midimon.as_ref().map(ToString::to_string),
        unfit: best.err().map(|fault| fault.to_string()),
        installed: installed(&listing.id),
    }
}

fn matches(listing: &Listing, words: &[String]) -> bool {
    let text = [listing.id.as_str(), &listing.name, &listing.description, &listing.authors.join(" ")].join(" ");
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

fn table(found: &[Found<'_>], look: &Look) -> String {
    let columns = [("ID", Side::Left), ("VERSION", Side::Left), ("INDEX", Side::Left), ("WHAT", Side::Left)];
    let mut table = Table::new(&columns);
    for plugin in found {
        let version = match &plugin.installed {
            Some(installed) if *installed == plugin.version => format!("{installed}, installed"),
            Some(installed) => format!("{} (you have {installed})", plugin.version),
            None => plugin.version.clone(),
        };
        let what = if plugin.description.is_empty() { plugin.name } else { plugin.description };
        let what = match &plugin.unfit {
            Some(why) => Cell::new(why, Colour::Bad),
            None => what.into(),
        };
        table.row(vec![plugin.id.as_str().into(), version.into(), plugin.index.as_str().into(), what]);
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::index::testing::{index, key, listing, release};

    #[test]
    fn every_word_must_be_found_and_what_cannot_run_says_why() {
        let secret = key();
        let mut obs = listing("obs", vec![release("1.0.0", &secret)]);
        obs.description = "Switches Scenes".to_owned();
        let mut old = listing("old", vec![release("1.0.0", &secret)]);
        old.versions[0].targets = vec!["m68k".to_owned()];
        let index = index(1, vec![obs, old]);
        let indexes = [Current { name: "friends".parse().unwrap(), index, is_new: false, effects: Vec::new() }];
        let offers = Offers { indexes: &indexes, revocations: &Revocations::default(), pre_releases: false };
        let ids = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            search(&offers, &words, &|_| None).iter().map(|found| found.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&["scenes", "OBS"]), ["obs"]);
        assert_eq!(ids(&["scenes", "nowhere"]), Vec::<String>::new());
        assert_eq!(ids(&["player"]), ["obs", "old"]);
        let text = table(&search(&offers, &[], &|_| Some("0.9.0".to_owned())), &Look::plain(200));
        assert!(text.contains("1.0.0 (you have 0.9.0)  friends  Switches Scenes"), "{text}");
        assert!(text.contains("has no code for this machine"), "{text}");
    }
}
