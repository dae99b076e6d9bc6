//! `installed.toml`: what is known about an installed plugin.
//!
//! Replacing this file is what installs, updates, disables and rolls back:
//! before it the old record holds in all its parts, after it the new one.

use crate::plugins::manifest::files::{FileEntry, files, from_hex, hex};
use crate::plugins::manifest::walk::{Document, Field, Table};
use crate::plugins::manifest::{Problem, version};
use crate::plugins::minisign::PublicKey;
use crate::plugins::revocations::{Revocations, Revoked};
use crate::plugins::strict::{self, quoted, schema};
use crate::timestamp::Timestamp;
use midimon_shared::PluginId;
use semver::Version;
use serde::{Serialize, Serializer};
use std::fmt::Write;

/// The file's name.
pub const FILE_NAME: &str = "installed.toml";
/// Largest record, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// Earlier versions that are remembered; the oldest are forgotten first.
pub const MAX_SEEN: usize = 256;
/// Longest reason why a plugin is disabled, in characters.
pub const MAX_REASON: usize = 500;

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its id.
    pub id: PluginId,
    /// The key its packages are signed with; the same for ever.
    pub publisher: Option<PublicKey>,
    /// Its packages are not signed; the same for ever.
    pub unsigned: bool,
    /// Whether it is started.
    pub enabled: bool,
    /// Why it is not, unless the user has just said so.
    pub disabled_reason: Option<String>,
    /// The version that runs.
    #[serde(serialize_with = "as_text")]
    pub current: Version,
    /// The version `rollback` goes to.
    #[serde(serialize_with = "maybe_as_text")]
    pub previous: Option<Version>,
    /// The highest version that ever was installed.
    #[serde(serialize_with = "as_text")]
    pub highest: Version,
    /// The versions whose files are here: the current and the previous one.
    pub versions: Vec<InstalledVersion>,
    /// Versions that were here before, the oldest first.
    pub seen: Vec<SeenVersion>,
}

/// One version of an installed plugin, and what its files must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstalledVersion {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    /// SHA-256 of the package.
    #[serde(serialize_with = "as_hex")]
    pub package_sha256: [u8; 32],
    /// SHA-256 of `plugin.toml`.
    #[serde(serialize_with = "as_hex")]
    pub manifest_sha256: [u8; 32],
    /// The files beside `plugin.toml`.
    #[serde(serialize_with = "as_files")]
    pub files: Vec<FileEntry>,
    /// When it was installed.
    pub installed: Timestamp,
}

/// A version whose files are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenVersion {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    /// SHA-256 of its package.
    #[serde(serialize_with = "as_hex")]
    pub package_sha256: [u8; 32],
}

impl Installed {
    /// A plugin installed for the first time.
    #[must_use]
    pub fn first(id: PluginId, publisher: Option<PublicKey>, version: InstalledVersion) -> Self {
        Self {
            id,
            publisher,
            unsigned: publisher.is_none(),
            enabled: true,
            disabled_reason: None,
            current: version.version.clone(),
            previous: None,
            highest: version.version.clone(),
            versions: vec![version],
            seen: Vec::new(),
        }
    }

    /// The record with this version as the current one, and the one before it as the previous.
    /// What was disabled stays so.
    #[must_use]
    pub fn with(&self, version: InstalledVersion) -> Self {
        let mut next = self.clone();
        if version.version != self.current {
            next.previous = Some(self.current.clone());
        }
        next.highest = next.highest.max(version.version.clone());
        next.current = version.version.clone();
        next.seen.retain(|seen| seen.version != version.version);
        next.versions.retain(|known| known.version != version.version);
        next.versions.push(version);
        let keeps =
            |known: &InstalledVersion| known.version == next.current || Some(&known.version) == next.previous.as_ref();
        let (kept, gone): (Vec<_>, Vec<_>) = next.versions.iter().cloned().partition(keeps);
        next.versions = kept;
        next.seen.extend(
            gone.into_iter().map(|gone| SeenVersion { version: gone.version, package_sha256: gone.package_sha256 }),
        );
        let excess = next.seen.len().saturating_sub(MAX_SEEN);
        next.seen.drain(..excess);
        next
    }

    /// The record with the current and the previous version exchanged, where there is a previous one.
    #[must_use]
    pub fn rolled_back(&self) -> Option<Self> {
        let previous = self.previous.clone()?;
        Some(Self { current: previous, previous: Some(self.current.clone()), ..self.clone() })
    }

    /// Whether the current version may be used.
    ///
    /// # Errors
    /// It was revoked.
    pub fn not_revoked(&self, revocations: &Revocations) -> Result<(), Revoked> {
        revocations.check(&self.id, &self.current, self.publisher.as_ref())
    }

    /// A version whose files are here.
    #[must_use]
    pub fn version(&self, version: &Version) -> Option<&InstalledVersion> {
        self.versions.iter().find(|known| known.version == *version)
    }

    /// The digest of the package of a version that is or was installed.
    #[must_use]
    pub fn package_of(&self, version: &Version) -> Option<[u8; 32]> {
        let here = self.versions.iter().map(|known| (&known.version, known.package_sha256));
        let gone = self.seen.iter().map(|seen| (&seen.version, seen.package_sha256));
        here.chain(gone).find(|(known, _)| *known == version).map(|(_, digest)| digest)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, record)
    }

    /// The record as a file has it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("# Written by midimon; `midimon plugin` changes it.\nschema = 1\n");
        let mut line = |key: &str, value: String| text.push_str(&format!("{key} = {value}\n"));
        line("id", quoted(self.id.as_str()));
        if let Some(publisher) = &self.publisher {
            line("publisher", quoted(&publisher.to_string()));
        }
        line("unsigned", self.unsigned.to_string());
        line("enabled", self.enabled.to_string());
        if let Some(reason) = &self.disabled_reason {
            line("disabled_reason", quoted(reason));
        }
        line("current", quoted(&self.current.to_string()));
        if let Some(previous) = &self.previous {
            line("previous", quoted(&previous.to_string()));
        }
        line("highest", quoted(&self.highest.to_string()));
        for version in &self.versions {
            // a String takes everything
            let _ = write!(
                text,
                "\n[[versions]]\nversion = {}\npackage_sha256 = \"{}\"\nmanifest_sha256 = \"{}\"\ninstalled = \"{}\"\nfiles = [\n",
                quoted(&version.version.to_string()),
                hex(&version.package_sha256),
                hex(&version.manifest_sha256),
                version.installed,
            );
            for file in &version.files {
                let (name, digest) = (quoted(&file.name), file.sha256_hex());
                let _ = writeln!(text, "    {{ name = {name}, sha256 = \"{digest}\", size = {} }},", file.size);
            }
            text.push_str("]\n");
        }
        for seen in &self.seen {
            let (version, digest) = (quoted(&seen.version.to_string()), hex(&seen.package_sha256));
            let _ = write!(text, "\n[[seen]]\nversion = {version}\npackage_sha256 = \"{digest}\"\n");
        }
        text
    }
}

fn record(document: &Document<'_>, mut root: Table<'_>) -> Option<Installed> {
    schema(&mut root)?;
    let id = root.require("id").and_then(|field| field.parse());
    let publisher = root.take("publisher").map(|field| field.parse::<PublicKey>());
    let unsigned = root.require("unsigned").and_then(|field| field.boolean());
    let enabled = root.require("enabled").and_then(|field| field.boolean());
    let disabled_reason = root.take("disabled_reason").and_then(|field| field.text(MAX_REASON));
    let current = root.require("current").and_then(|field| version(&field));
    let previous = root.take("previous").map(|field| version(&field));
    let highest = root.require("highest").and_then(|field| version(&field));
    let versions = root.require("versions").map(|field| versions(&field)).unwrap_or_default();
    let seen = root.take("seen").map(|field| seen(&field)).unwrap_or_default();
    root.finish();
    // a field that is there and wrong was reported; it is not the same as one that is missing
    let (publisher, previous) =
        (publisher.map_or(Some(None), |key| key.map(Some))?, previous.map_or(Some(None), |version| version.map(Some))?);
    let record = Installed {
        id: id?,
        publisher,
        unsigned: unsigned?,
        enabled: enabled?,
        disabled_reason,
        current: current?,
        previous,
        highest: highest?,
        versions,
        seen,
    };
    let fault = fault(&record);
    if let Some(fault) = &fault {
        document.report(&(0..0), fault.clone());
    }
    fault.is_none().then_some(record)
}

/// What in a record contradicts itself.
fn fault(record: &Installed) -> Option<String> {
    let Installed { publisher, unsigned, current, previous, highest, versions, seen, .. } = record;
    let all: Vec<&Version> =
        versions.iter().map(|known| &known.version).chain(seen.iter().map(|seen| &seen.version)).collect();
    if publisher.is_some() == *unsigned {
        return Some("`unsigned` must be true exactly when there is no `publisher`".to_owned());
    }
    if record.version(current).is_none() {
        return Some(format!("the current version {current} is not among the versions"));
    }
    if let Some(previous) = previous
        && (previous == current || record.version(previous).is_none())
    {
        return Some(format!("the previous version {previous} is the current one or not among the versions"));
    }
    if let Some(other) =
        versions.iter().find(|known| known.version != *current && Some(&known.version) != previous.as_ref())
    {
        return Some(format!("version {} is neither the current nor the previous one", other.version));
    }
    if let Some(twice) = all.iter().enumerate().find(|(index, version)| all[..*index].contains(version)) {
        return Some(format!("version {} is there twice", twice.1));
    }
    all.iter().find(|version| **version > highest).map(|higher| format!("version {higher} is higher than the highest"))
}

fn versions(field: &Field<'_>) -> Vec<InstalledVersion> {
    let one = |mut table: Table<'_>| {
        let version = table.require("version").and_then(|field| version(&field));
        let package_sha256 = table.require("package_sha256").and_then(|field| digest(&field));
        let manifest_sha256 = table.require("manifest_sha256").and_then(|field| digest(&field));
        let installed = table.require("installed").and_then(|field| field.parse());
        let files = table.require("files").map(|field| files(&field, &[]));
        table.finish();
        Some(InstalledVersion {
            version: version?,
            package_sha256: package_sha256?,
            manifest_sha256: manifest_sha256?,
            files: files?,
            installed: installed?,
        })
    };
    field.tables(2).into_iter().filter_map(one).collect()
}

fn seen(field: &Field<'_>) -> Vec<SeenVersion> {
    let one = |mut table: Table<'_>| {
        let version = table.require("version").and_then(|field| version(&field));
        let package_sha256 = table.require("package_sha256").and_then(|field| digest(&field));
        table.finish();
        Some(SeenVersion { version: version?, package_sha256: package_sha256? })
    };
    field.tables(MAX_SEEN).into_iter().filter_map(one).collect()
}

fn digest(field: &Field<'_>) -> Option<[u8; 32]> {
    let digest = from_hex(&field.text(64)?);
    if digest.is_none() {
        field.report("must be 64 digits of 0-9 and a-f");
    }
    digest
}

fn as_text<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

#[allow(clippy::ref_option)] // serde passes a reference
fn maybe_as_text<S: Serializer>(version: &Option<Version>, serializer: S) -> Result<S::Ok, S::Error> {
    version.as_ref().map(ToString::to_string).serialize(serializer)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn as_hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&hex(digest))
}

fn as_files<S: Serializer>(files: &[FileEntry], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct File<'f> {
        name: &'f str,
        sha256: String,
        size: u64,
    }
    let file = |file: &FileEntry| (file.name.clone(), file.sha256_hex(), file.size);
    serializer.collect_seq(files.iter().map(file).collect::<Vec<_>>().iter().map(|(name, sha256, size)| File {
        name,
        sha256: sha256.clone(),
        size: *size,
    }))
}

#[cfg(test)]
pub(in crate::plugins) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::plugins) fn a_version(version: &str, package: u8) -> InstalledVersion {
        InstalledVersion {
            version: version.parse().unwrap(),
            package_sha256: [package; 32],
            manifest_sha256: [7; 32],
            files: vec![FileEntry { name: "libx.so".into(), sha256: [9; 32], size: 12 }],
            installed: "2026-01-31T23:59:59Z".parse().unwrap(),
        }
    }

    fn a_record() -> Installed {
        Installed::first("notes".parse().unwrap(), None, a_version("1.0.0", 1))
    }

    #[test]
    fn a_record_survives_its_text() {
        let mut record = a_record().with(a_version("1.1.0-rc.1+b", 2)).with(a_version("1.2.0", 3));
        record.disabled_reason = Some("the key \"x\" was revoked".to_owned());
        record.enabled = false;
        assert_eq!(Installed::parse(&record.to_text()).unwrap(), record);
        let key = crate::plugins::minisign::SecretKey::generate().unwrap().public();
        let signed = Installed { publisher: Some(key), unsigned: false, ..record };
        assert_eq!(Installed::parse(&signed.to_text()).unwrap(), signed);
    }

    #[test]
    fn the_previous_version_stays_and_older_ones_are_remembered_by_their_digests() {
        let record = a_record().with(a_version("1.1.0", 2)).with(a_version("1.2.0", 3));
        assert_eq!(
            (record.current.to_string(), record.previous.clone().unwrap().to_string()),
            ("1.2.0".into(), "1.1.0".into())
        );
        assert_eq!(record.versions.len(), 2);
        assert_eq!(record.package_of(&Version::new(1, 0, 0)), Some([1; 32]));
        // what is installed again changes no place
        let again = record.with(a_version("1.2.0", 3));
        assert_eq!((&again.current, &again.previous), (&record.current, &record.previous));
        let back = record.rolled_back().unwrap();
        assert_eq!((&back.current, back.previous.as_ref()), (record.previous.as_ref().unwrap(), Some(&record.current)));
        assert_eq!(back.highest, record.highest);
        assert_eq!(a_record().rolled_back(), None);
    }

    #[test]
    fn the_highest_version_never_falls() {
        let down = a_record().with(a_version("2.0.0", 2)).with(a_version("1.5.0", 3)).with(a_version("1.6.0", 4));
        assert_eq!(down.highest, Version::new(2, 0, 0));
    }

    #[test]
    fn a_record_that_contradicts_itself_is_not_used() {
        let good = a_record().with(a_version("1.1.0", 2)).to_text();
        let cases = [
            ("current = \"1.1.0\"", "current = \"3.0.0\"", "not among the versions"),
            ("previous = \"1.0.0\"", "previous = \"1.1.0\"", "is the current one"),
            ("highest = \"1.1.0\"", "highest = \"1.0.9\"", "higher than the highest"),
            ("unsigned = true", "unsigned = false", "no `publisher`"),
            ("schema = 1", "schema = 2", "newer midimon"),
            ("enabled = true", "enabled = true\nenabled = true", "duplicate key"),
            ("enabled = true", "enabled = true\nmore = 1", "unknown key `more`"),
            ("name = \"libx.so\"", "name = \"../x\"", "cannot be a file of a package"),
            ("installed = \"2026-01-31", "installed = \"2026-02-31", "is no time"),
            ("\nprevious = \"1.0.0\"", "", "neither the current nor the previous"),
        ];
        for (from, to, told) in cases {
            let problems = Installed::parse(&good.replace(from, to)).unwrap_err();
            assert!(problems.iter().any(|problem| problem.message.contains(told)), "{to}: {problems:?}");
        }
        for end in 0..good.len() {
            // cut anywhere it is refused, or says the same
            if let Ok(read) = Installed::parse(&good[..end]) {
                assert_eq!(read, Installed::parse(&good).unwrap(), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_damaged_record_is_refused_or_says_what_it_will_say_again(at: prop::sample::Index, with in "[ -~\n]{0,3}") {
            let mut text = a_record().with(a_version("1.1.0-rc.1+b", 2)).with(a_version("1.2.0", 3)).to_text();
            let at = at.index(text.len());
            text.replace_range(at..=at, &with);
            match Installed::parse(&text) {
                Ok(record) => prop_assert_eq!(Installed::parse(&record.to_text()).unwrap(), record),
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}
