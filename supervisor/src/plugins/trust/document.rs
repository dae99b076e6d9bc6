//! The store as text.

use super::name::PublisherName;
use super::{Entry, How, MAX_KEYS, TrustStore};
use crate::plugins::manifest::Problem;
use crate::plugins::manifest::walk::{Field, Table};
use crate::plugins::minisign::PublicKey;
use crate::plugins::strict::{self, schema};
use std::collections::HashSet;

impl TrustStore {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Every mistake in it, never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, |_, root| store(root))
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "# Publishers' keys that midimon trusts or no longer trusts.\n\
             # `midimon key list` shows them; `midimon key trust` and `key revoke` change them.\n\
             schema = 1\n",
        );
        for entry in &self.entries {
            let name = toml::Value::from(entry.name.as_str());
            let (key, since, how) = (entry.key, entry.since, entry.how.as_str());
            text += &format!("\n[[keys]]\nkey = \"{key}\"\nname = {name}\nsince = \"{since}\"\nhow = \"{how}\"\n");
            if let Some(revoked) = entry.revoked {
                text += &format!("revoked = \"{revoked}\"\n");
            }
        }
        text
    }
}

fn store(mut root: Table<'_>) -> Option<TrustStore> {
    schema(&mut root)?;
    let tables = root.take("keys").map(|field| field.tables(MAX_KEYS)).unwrap_or_default();
    let mut seen = Seen::default();
    let entries = tables.into_iter().filter_map(|table| entry(table, &mut seen)).collect();
    root.finish();
    Some(TrustStore { entries })
}

/// What stood in earlier entries.
#[derive(Default)]
struct Seen {
    keys: HashSet<PublicKey>,
    /// Those of keys that are trusted.
    ids: HashSet<[u8; 8]>,
    /// Likewise.
    names: HashSet<String>,
}

fn entry(mut table: Table<'_>, seen: &mut Seen) -> Option<Entry> {
    let key_field = table.require("key");
    let name_field = table.require("name");
    let key = key_field.as_ref().and_then(|field| field.parse::<PublicKey>());
    let name = name_field.as_ref().and_then(|field| field.parse::<PublisherName>());
    let since = table.require("since").and_then(|field| field.parse());
    let how = table.require("how").and_then(|field| field.choice(&How::WORDS));
    let revoked = table.take("revoked").map(|field| field.parse());
    table.finish();
    if let (Some(key), Some(field)) = (&key, &key_field) {
        once(&mut seen.keys, *key, field, "this key has an entry already");
        if revoked.is_none() {
            let otherwise = "another key above has the same key id: one of the two is not genuine";
            once(&mut seen.ids, key.key_id(), field, otherwise);
        }
    }
    if let (Some(name), Some(field), None) = (&name, &name_field, &revoked) {
        once(&mut seen.names, name.skeleton(), field, "another key above has this name, or one that looks like it");
    }
    let revoked = match revoked {
        Some(time) => Some(time?),
        None => None,
    };
    Some(Entry { key: key?, name: name?, since: since?, how: how?, revoked })
}

fn once<T: std::hash::Hash + Eq>(seen: &mut HashSet<T>, value: T, field: &Field<'_>, otherwise: &str) {
    if !seen.insert(value) {
        field.report(otherwise);
    }
}
