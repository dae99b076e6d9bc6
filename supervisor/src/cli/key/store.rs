//! `key list`, `trust`, `revoke` and `show`.

use crate::cli::output::{Colour, Look};
use crate::cli::plugin::daemon::{failed, lock, tell};
use crate::cli::safe_text::{safe_lines, safe_text};
use crate::cli::table::{Cell, Side, Table};
use crate::cli::{CliError, Context};
use crate::control::model::PluginsReport;
use crate::plugins::Revocations;
use crate::plugins::index::IndexName;
use crate::plugins::index::subscriptions::Subscription;
use crate::plugins::minisign::{Fingerprint, PublicKey};
use crate::plugins::trust::{Entry, How, PublisherName, Standing, TrustError, TrustStore};
use crate::timestamp::Timestamp;
use clap::Args;
use midimon_shared::PluginId;
use midimon_shared::text::quoted;
use serde::Serialize;

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        Self::Failed(error.to_string())
    }
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Compare the fingerprint with what the publisher says elsewhere before you trust
a key. The name is what midimon shows from then on; it stays with this key.

Examples:
  midimon key trust publisher.pub --name \"A. Player\"
  midimon key trust RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8 --name \"A. Player\"")]
pub(super) struct Trust {
    /// The text that begins with RW, or the file that has it
    #[arg(value_name = "KEY_OR_FILE")]
    key: String,
    /// What you know the publisher as
    #[arg(long)]
    name: PublisherName,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A revoked key stays revoked: nothing signed with it is installed or started any
more. A publisher who lost a key needs a new one.")]
pub(super) struct Revoke {
    /// The publisher's name, the text that begins with RW, or the file that has it
    #[arg(value_name = "NAME_OR_KEY")]
    key: String,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The publisher's name, the text that begins with RW, or the file that has it
    #[arg(value_name = "NAME_OR_FILE")]
    key: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One key, for people and programs.
#[derive(Debug, Serialize)]
struct Shown<'s> {
    key: PublicKey,
    key_id: String,
    fingerprint: Fingerprint,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<How>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Timestamp>,
    /// The indexes that say nothing signed with it must be used, whatever the user says of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revoked_by: Vec<RevokedBy<'s>>,
}

/// An index that revokes a key.
#[derive(Debug, Serialize)]
struct RevokedBy<'s> {
    index: &'s IndexName,
    reason: &'s str,
}

impl<'s> Shown<'s> {
    fn new(key: PublicKey, known: &'s Revocations) -> Self {
        let (word, entry): (_, Option<&Entry>) = match known.trust.standing(&key) {
            Standing::Unknown => ("unknown", None),
            Standing::Trusted(entry) => ("trusted", Some(entry)),
            Standing::Revoked(entry) => ("revoked", Some(entry)),
        };
        Self {
            key,
            key_id: key.key_id_hex(),
            fingerprint: key.fingerprint(),
            standing: word,
            name: entry.map(|entry| entry.name.as_str()),
            since: entry.map(|entry| entry.since),
            how: entry.map(|entry| entry.how),
            revoked: entry.and_then(|entry| entry.revoked),
            revoked_by: known.indexes.entries().iter().filter_map(|index| RevokedBy::new(index, &key)).collect(),
        }
    }

    fn standing_cell(&self) -> Cell {
        if let (Some(by), "trusted" | "unknown") = (self.revoked_by.first(), self.standing) {
            return Cell::new(format!("revoked by {}", by.index), Colour::Bad);
        }
        match self.standing {
            "trusted" => Cell::new("trusted", Colour::Good),
            "revoked" => Cell::new("revoked", Colour::Bad),
            word => Cell::new(word, Colour::Notice),
        }
    }

    fn text(&self, look: &Look) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12} {value}\n"));
        if let Some(name) = self.name {
            line("name", &safe_text(name));
        }
        let colour = match self.standing {
            "trusted" => Colour::Good,
            "revoked" => Colour::Bad,
            _ => Colour::Notice,
        };
        line("standing", &look.paint(colour, self.standing));
        line("fingerprint", &self.fingerprint.to_string());
        line("key", &self.key.to_string());
        line("key id", &self.key_id);
        if let (Some(since), Some(how)) = (self.since, self.how) {
            line("known since", &format!("{since}, {}", came(how)));
        }
        if let Some(revoked) = self.revoked {
            line("revoked", &revoked.to_string());
        }
        for RevokedBy { index, reason } in &self.revoked_by {
            let words = format!("by the index '{index}', nothing of it is used: {}", quoted(reason));
            line("revoked", &look.paint(Colour::Bad, &words));
        }
        if self.standing == "unknown" && self.revoked_by.is_empty() {
            line("next", &format!("midimon key trust {} --name NAME", self.key));
        }
        text
    }
}

impl<'s> RevokedBy<'s> {
    fn new(index: &'s Subscription, key: &PublicKey) -> Option<Self> {
        Some(Self { index: &index.name, reason: &index.revokes_key(key)?.reason })
    }
}

fn came(how: How) -> &'static str {
    match how {
        How::FirstSight => "when a plugin of it was first installed",
        How::Command => "by command",
    }
}

/// The key that a key's text, a name or a file stands for; a name comes before a file,
/// so that none can be put in its way. A name that is only like it is never taken.
fn find(store: &TrustStore, given: &str) -> Result<PublicKey, CliError> {
    if let Some(key) = given.parse().ok().or_else(|| Some(store.named(given)?.key)) {
        return Ok(key);
    }
    read_key(given).map_err(|error| match error {
        CliError::Failed(message) if !given.starts_with("RW") => {
            let alike = store.alike(given).map(|entry| format!(" (did you mean '{}'?)", entry.name));
            let alike = alike.unwrap_or_default();
            CliError::Failed(format!("no publisher is known as '{given}'{alike}; and as a key: {message}"))
        }
        error => error,
    })
}

fn read_key(given: &str) -> Result<PublicKey, CliError> {
    PublicKey::from_text_or_file(given).map_err(|error| CliError::Failed(format!("'{given}': {error}")))
}

impl List {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let known = Revocations::load(&context.home).map_err(failed)?;
        let keys: Vec<Shown<'_>> = known.trust.entries().iter().map(|entry| Shown::new(entry.key, &known)).collect();
        if self.json {
            context.out.json(&keys)
        } else if keys.is_empty() {
            context
                .out
                .line("no keys: `midimon key trust KEY_OR_FILE --name NAME` adds one, and so does installing a plugin")
        } else {
            context.out.print(&table(&keys, &context.out.look))
        }
    }
}

fn table(keys: &[Shown<'_>], look: &Look) -> String {
    // a fingerprint that is cut could be somebody else's
    let columns =
        [("NAME", Side::Left), ("STANDING", Side::Left), ("FINGERPRINT", Side::Right), ("SINCE", Side::Right)];
    let mut table = Table::new(&columns);
    for key in keys {
        let since = key.revoked.or(key.since).map(|time| format!("{time:.10}")).unwrap_or_default();
        table.row(vec![
            key.name.unwrap_or_default().into(),
            key.standing_cell(),
            key.fingerprint.to_string().into(),
            since.into(),
        ]);
    }
    table.render(look)
}

impl Trust {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let key = read_key(&self.key)?;
        context.home.prepare()?;
        TrustStore::change(&context.home, |store| {
            store
                .trust(key, self.name.clone(), How::Command, Timestamp::now())
                .map(drop)
                .map_err(|error| CliError::Failed(error.to_string()))
        })?;
        context.out.print(&format!("trusted: {}\nfingerprint  {}\n", safe_text(self.name.as_str()), key.fingerprint()))
    }
}

impl Revoke {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        context.home.prepare()?;
        let mut revoked = None;
        let written = TrustStore::change(&context.home, |store| {
            let key = find(store, &self.key)?;
            let entry = store.revoke(key, PublisherName::of_key(&key), Timestamp::now()).map_err(failed)?;
            revoked = Some(entry.clone());
            Ok::<_, CliError>(entry.clone())
        });
        let entry = match (written, revoked) {
            (Err(error), Some(entry)) => return Err(unwritten(context, &entry, &error)),
            (written, _) => written?,
        };
        // from here on nothing of the key is started, whatever its plugins' records say: what runs
        // is stopped first, which no other command can hold up
        let told = tell(context);
        let said = format!("revoked: {}\nfingerprint  {}\n", safe_text(entry.name.as_str()), entry.key.fingerprint());
        context.out.print(&said)?;
        if let Ok(Some(PluginsReport { not_yet: Some(not_yet), .. })) = &told {
            context.out.line(&not_yet.to_string())?;
        }
        let reason = format!("the key of its publisher, '{}', was revoked", entry.name);
        let disabled = disable(context, &entry, &reason);
        if let Ok(disabled) = &disabled
            && !disabled.is_empty()
        {
            let ids: Vec<&str> = disabled.iter().map(PluginId::as_str).collect();
            context.out.line(&format!("disabled     {}", ids.join(", ")))?;
        }
        let untold = told.err().map(|error| {
            format!(
                "the key is revoked, but the running daemon could not be told: {}; `midimon stop` stops its plugins",
                error.sentence()
            )
        });
        let enabled = disabled.err().map(|error| {
            format!("the key is revoked and nothing of it is started, but its plugins are not marked so: {error}")
        });
        let failures: Vec<String> = untold.into_iter().chain(enabled).collect();
        if failures.is_empty() { Ok(()) } else { Err(CliError::Failed(failures.join("\n"))) }
    }
}

/// A key that cannot be written down as revoked, as on a full disk: its plugins end all the same.
fn unwritten(context: &Context, entry: &Entry, error: &CliError) -> CliError {
    let reason = format!("the key of its publisher, '{}', was to be revoked and could not be", entry.name);
    let disabled = match disable(context, entry, &reason) {
        Ok(disabled) if disabled.is_empty() => "none of its plugins is installed".to_owned(),
        Ok(disabled) => {
            let ids: Vec<&str> = disabled.iter().map(PluginId::as_str).collect();
            format!("its plugins are disabled: {}", ids.join(", "))
        }
        Err(error) => format!("nor could all its plugins be disabled: {error}"),
    };
    let told = match tell(context) {
        Ok(_) => String::new(),
        Err(error) => format!("; the running daemon could not be told: {}", error.sentence()),
    };
    failed(format!("the key is not revoked: {error}; {disabled}{told}; correct that and revoke it again"))
}

/// Disables every installed plugin of a key.
fn disable(context: &Context, entry: &Entry, reason: &str) -> Result<Vec<PluginId>, CliError> {
    let locked = lock(context)?;
    for bad in locked.list().map_err(failed)?.into_iter().filter_map(Result::err) {
        eprintln!("cannot say whose plugin this is: {}", safe_lines(&bad.to_string()));
    }
    locked.disable_publisher(&entry.key, reason).map_err(failed)
}

impl Show {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let known = Revocations::load(&context.home).map_err(failed)?;
        let shown = Shown::new(find(&known.trust, &self.key)?, &known);
        if self.json { context.out.json(&shown) } else { context.out.print(&shown.text(&context.out.look)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::index::testing;
    use crate::plugins::minisign::SecretKey;

    const KEY: &str = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8";

    #[test]
    fn a_list_shows_whole_fingerprints_even_where_it_is_narrow() {
        let mut store = TrustStore::default();
        let key: PublicKey = KEY.parse().unwrap();
        let name = "A very long name that goes on and on until it is cut".parse().unwrap();
        store.trust(key, name, How::Command, Timestamp::from_unix_seconds(0)).unwrap();
        let known = Revocations { trust: store, ..Revocations::default() };
        let text = table(&[Shown::new(key, &known)], &Look::plain(80));
        assert!(text.contains(&key.fingerprint().to_string()) && text.contains("1970-01-01"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_key_that_an_index_revokes_is_shown_as_revoked_whatever_the_user_says_of_it() {
        let (trusted, unknown, other) = (testing::key().public(), testing::key().public(), testing::key().public());
        let mut revoking = testing::index(1, Vec::new());
        revoking.revoked_keys.extend([trusted, unknown].map(testing::revoked_key));
        let mut known = Revocations::default();
        known.indexes.add(testing::subscription("friends", &revoking)).unwrap();
        for (key, name) in [(trusted, "Lost"), (other, "Fine")] {
            known.trust.trust(key, name.parse().unwrap(), How::Command, Timestamp::from_unix_seconds(0)).unwrap();
        }
        let (look, shown) = (Look::plain(100), |key| Shown::new(key, &known));
        for key in [trusted, unknown] {
            let text = shown(key).text(&look);
            assert!(text.contains("revoked      by the index 'friends'") && text.contains("it was stolen"), "{text}");
            assert!(!text.contains("midimon key trust"), "trusting it would not help: {text}");
        }
        let text = shown(other).text(&look);
        assert!(text.contains("trusted") && !text.contains("revoked"), "{text}");
        let list = table(&[shown(trusted), shown(other)], &look);
        let lines: Vec<&str> = list.lines().collect();
        assert!(lines[1].contains("revoked by friends") && lines[2].contains("trusted"), "{list}");
    }

    #[test]
    fn e106_a_key_or_a_file_is_what_it_is_and_not_the_publisher_whose_name_is_like_it() {
        let mut store = TrustStore::default();
        let (known, other) = (SecretKey::generate().unwrap().public(), KEY.parse::<PublicKey>().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("player.pub");
        std::fs::write(&file, other.to_file_text("c")).unwrap();
        let path = file.to_str().unwrap();
        let alike = path.chars().filter(|character| *character != '/' && *character != '.').collect::<String>();
        store.trust(known, alike.parse().unwrap(), How::Command, Timestamp::from_unix_seconds(0)).unwrap();
        assert_eq!(store.alike(path).map(|entry| entry.key), Some(known), "the name is like the path");
        assert_eq!((find(&store, path).unwrap(), find(&store, KEY).unwrap()), (other, other));
        assert_eq!(find(&store, &alike).unwrap(), known);
    }

    #[test]
    fn a_name_comes_before_a_file_of_the_same_name() {
        let mut store = TrustStore::default();
        let key: PublicKey = KEY.parse().unwrap();
        store.trust(key, "A".parse().unwrap(), How::Command, Timestamp::from_unix_seconds(0)).unwrap();
        assert_eq!(find(&store, "A").unwrap(), key);
        assert!(find(&store, "a").unwrap_err().to_string().contains("did you mean 'A'?"));
        assert_eq!(find(&TrustStore::default(), KEY).unwrap(), key);
        let error = find(&store, "nobody").unwrap_err().to_string();
        assert!(error.contains("no publisher is known as 'nobody'"), "{error}");
    }
}
