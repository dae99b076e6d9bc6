//! The store as text.

use super::name::PublisherName;
use super::{Entry, How, MAX_KEYS, TrustStore};
use crate::plugins::manifest::Problem;
use crate::plugins::manifest::walk::{Document, Field, Table};
use crate::plugins::minisign::PublicKey;
use std::collections::HashSet;
use toml::de::DeTable;

/// The newest schema this version reads.
const SCHEMA: i64 = 1;

impl TrustStore {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Every mistake in it, never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            document.report(&error.span().unwrap_or(0..0), error.message());
        }
        let store = if errors.is_empty() { store(Table::new(&document, &root)) } else { None };
        let problems = document.into_problems();
        match store {
            Some(store) if problems.is_empty() => Ok(store),
            _ => Err(problems),
        }
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Publishers' keys that midimon trusts or no longer trusts.\n\
             # `midimon key list` shows them; `midimon key trust` and `key revoke` change them.\n\
             schema = {SCHEMA}\n"
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
    let schema = root.require("schema")?;
    if schema.integer(1..=i64::MAX)? > SCHEMA {
        schema.report(format!("this file's schema is newer than {SCHEMA}: needs a newer midimon"));
        return None;
    }
    let tables = root.take("keys").map(|field| field.tables(MAX_KEYS)).unwrap_or_default();
    let mut seen = Seen::default();
    let entries = tables.into_iter().filter_map(|table| entry(table, &mut seen)).collect();
    root.finish();
    Some(TrustStore { entries })
}

/// What stood in earlier entries.
#[derive(Default)]
struct Seen {
    fingerprints: HashSet<String>,
    ids: HashSet<[u8; 8]>,
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
        once(&mut seen.fingerprints, key.fingerprint().to_string(), field, "this key has an entry already");
        once(
            &mut seen.ids,
            key.key_id(),
            field,
            "another key above has the same key id: one of the two is not genuine",
        );
    }
    if let (Some(name), Some(field)) = (&name, &name_field) {
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
