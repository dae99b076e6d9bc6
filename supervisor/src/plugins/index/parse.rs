//! `index.json` as text.

use super::json::{Fault, Field, Object, document};
use super::{
    Index, Listing, MAX_DAYS, MAX_PLUGINS, MAX_REASON, MAX_REVOKED, MAX_VERSIONS, Release, RevokedKey, RevokedVersion,
    SCHEMA,
};
use crate::plugins::manifest::files::{check_name, from_hex};
use crate::plugins::minisign::{self, Signature};
use crate::plugins::package::{MAX_PACKAGE, SUFFIX};
use crate::timestamp::Timestamp;
use crate::workers::status::PluginKind;
use midimon_shared::abi::MAX_VERSION;
use semver::Version;
use std::collections::HashSet;
use std::time::Duration;

/// Most targets of a version: as in a manifest.
const MAX_TARGETS: usize = 32;

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// The first mistake, with the path to it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut root = document(bytes)?;
        let schema = root.require("schema")?;
        if schema.integer(1..=u64::MAX)? > SCHEMA {
            return Err(schema.fault(format!("is newer than {SCHEMA}: needs a newer midimon")));
        }
        let name = root.require("name")?.parse()?;
        let serial = root.require("serial")?.integer(1..=i64::MAX as u64)?;
        let created: Timestamp = root.require("created")?.parse()?;
        let expires = root.require("expires")?;
        let end: Timestamp = expires.parse()?;
        if end <= created {
            return Err(expires.fault("must be later than `created`"));
        }
        if end.since(created) > Duration::from_secs(MAX_DAYS * 86_400) {
            return Err(expires.fault(format!("must be at most {MAX_DAYS} days after `created`")));
        }
        let mut ids = HashSet::new();
        let plugins = items(root.require("plugins")?, MAX_PLUGINS, |plugin| listing(plugin, &mut ids))?;
        let mut points = HashSet::new();
        let revoked_keys = items(root.require("revoked_keys")?, MAX_REVOKED, |mut entry| {
            let field = entry.require("key")?;
            let revoked = RevokedKey { key: field.parse()?, reason: entry.require("reason")?.text(MAX_REASON)? };
            once(&mut points, revoked.key.fingerprint().to_string(), &field, "this key is listed twice")?;
            entry.finish()?;
            Ok(revoked)
        })?;
        let mut versions = HashSet::new();
        let revoked_versions = items(root.require("revoked_versions")?, MAX_REVOKED, |mut entry| {
            let field = entry.require("version")?;
            let revoked = RevokedVersion {
                id: entry.require("id")?.parse()?,
                version: version(&field)?,
                reason: entry.require("reason")?.text(MAX_REASON)?,
            };
            once(&mut versions, (revoked.id.clone(), revoked.version.clone()), &field, "this version is listed twice")?;
            entry.finish()?;
            Ok(revoked)
        })?;
        root.finish()?;
        Ok(Self { name, serial, created, expires: end, plugins, revoked_keys, revoked_versions })
    }
}

fn items<T>(field: Field, max: usize, mut read: impl FnMut(Object) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    field.items(max)?.into_iter().map(|item| read(item.object()?)).collect()
}

fn once<T: Eq + std::hash::Hash>(seen: &mut HashSet<T>, value: T, field: &Field, otherwise: &str) -> Result<(), Fault> {
    if seen.insert(value) { Ok(()) } else { Err(field.fault(otherwise)) }
}

fn version(field: &Field) -> Result<Version, Fault> {
    field.text(MAX_VERSION)?;
    field.parse()
}

fn listing(mut plugin: Object, ids: &mut HashSet<String>) -> Result<Listing, Fault> {
    let id_field = plugin.require("id")?;
    let id: midimon_shared::PluginId = id_field.parse()?;
    once(ids, id.uniqueness_key(), &id_field, "another plugin of this id, or one that looks like it, stands above")?;
    let description = plugin.require("description")?;
    let description = if description.raw(2_000)?.is_empty() { String::new() } else { description.text(500)? };
    let authors = plugin.require("authors")?.items(32)?;
    let mut seen = HashSet::new();
    let mut listing = Listing {
        id,
        name: plugin.require("name")?.text(80)?,
        description,
        authors: authors.iter().map(|author| author.text(120)).collect::<Result<_, _>>()?,
        licence: plugin.take("licence").map(|field| field.text(120)).transpose()?,
        homepage: plugin.take("homepage").map(|field| field.text(300)).transpose()?,
        versions: items(plugin.require("versions")?, MAX_VERSIONS, |entry| release(entry, &mut seen))?,
    };
    if listing.versions.is_empty() {
        return Err(plugin.fault("has no version"));
    }
    plugin.finish()?;
    listing.versions.sort_by(|one, other| other.version.cmp(&one.version));
    Ok(listing)
}

fn release(mut entry: Object, seen: &mut HashSet<Version>) -> Result<Release, Fault> {
    let field = entry.require("version")?;
    let version_ = version(&field)?;
    // two builds of one version could be taken for one another
    let number = Version { build: semver::BuildMetadata::EMPTY, ..version_.clone() };
    once(seen, number, &field, "this version is listed twice")?;
    let signature = entry.require("signature")?;
    let parsed = Signature::parse(signature.raw(minisign::MAX_TEXT)?);
    let signature = parsed.map_err(|error| signature.fault(error.to_string()))?;
    let sha256 = entry.require("sha256")?;
    let digest = from_hex(sha256.raw(64)?).ok_or_else(|| sha256.fault("must be 64 digits from 0 to 9 and a to f"))?;
    let kind = entry.require("kind")?;
    let kind = match kind.raw(16)? {
        "native" => PluginKind::Native,
        "wasm" => PluginKind::Wasm,
        _ => return Err(kind.fault("must be one of: native, wasm")),
    };
    let targets = entry.require("targets")?;
    let missing = targets.fault("native code needs a target");
    let targets = targets.items(MAX_TARGETS)?.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    if kind == PluginKind::Native && targets.is_empty() {
        return Err(missing);
    }
    let release = Release {
        version: version_,
        file: file(&entry.require("file")?)?,
        size: entry.require("size")?.integer(1..=MAX_PACKAGE)?,
        sha256: digest,
        publisher: entry.require("publisher")?.parse()?,
        signature,
        kind,
        targets,
        min_midimon: entry.take("min_midimon").map(|field| version(&field)).transpose()?,
        yanked: entry.take("yanked").map(|field| field.boolean()).transpose()?.unwrap_or(false),
    };
    entry.finish()?;
    Ok(release)
}

fn file(field: &Field) -> Result<String, Fault> {
    let name = field.raw(256)?;
    check_name(name).map_err(|fault| field.fault(fault.to_string()))?;
    if name.ends_with(SUFFIX) { Ok(name.to_owned()) } else { Err(field.fault(format!("must end in {SUFFIX}"))) }
}

fn target(field: &Field) -> Result<String, Fault> {
    let text = field.raw(64)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(field.fault("must be a target such as x86_64-unknown-linux-gnu"));
    }
    Ok(text.to_owned())
}
