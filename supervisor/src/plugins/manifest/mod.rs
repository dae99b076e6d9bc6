//! `plugin.toml`: what a plugin says it is, can do, and wishes for.
//!
//! ```toml
//! schema = 1
//! id = "notes"
//! name = "Notes"
//! version = "1.0.0"
//! kind = "native"                 # or "wasm"
//! entry = "libnotes.so"           # a file beside plugin.toml, or one for each target:
//!                                 # entry = { x86_64-unknown-linux-gnu = "libnotes.so" }
//! description = "Writes down what was played"
//! authors = ["A. Player"]
//! licence = "MIT"
//!
//! [[actions]]
//! name = "note"
//! description = "Adds a line"
//! params = [{ name = "text", type = "string", required = true }]
//! example = { text = "hello" }
//!
//! [[capabilities]]
//! capability = "filesystem"
//! reason = "keeps notes.txt in its data directory"
//!
//! [[settings]]
//! name = "address"
//! type = "string"
//!
//! [[capabilities]]
//! capability = "network"
//! ask = "Address of your synthesizer" # the user types the target
//! setting = "address"                 # and the plugin gets it there too
//! reason = "sends it the notes"
//!
//! [limits]
//! memory_mib = 32
//! ```
//!
//! `[login]` names a service the user can log in to for it: see [`LoginSpec`].
//!
//! A package's manifest has `[[files]]` at its end, each with name, SHA-256 and
//! size; `midimon plugin pack` writes them.
//!
//! Every text here is a stranger's: its length is bounded and it has no
//! character that could mislead in a listing or a prompt.

mod action;
mod ancestor;
mod capabilities;
pub mod files;
mod login;
mod settings;
pub(in crate::plugins) mod walk;

pub use action::{ActionSpec, ParamProblem, ParamSpec, ParamType};
pub use capabilities::{Ask, CapabilityRequest, MAX_REQUESTS, check_target};
pub use files::FileEntry;
pub use login::{ClientId, LoginSpec, is_client_id};
pub use settings::SettingSpec;

use crate::plugins::files::{FileError, open_dir, read_regular};
use crate::plugins::strict;
use crate::workers::status::PluginKind;
use midimon_shared::abi::MAX_VERSION;
use midimon_shared::limits::InstanceMode;
use midimon_shared::{Limits, PluginId};
use semver::Version;
use std::fmt;
use std::path::{Path, PathBuf};
use walk::{Document, Field, Table};

/// The file's name.
pub const FILE_NAME: &str = "plugin.toml";
/// Largest manifest, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// The newest schema this version reads.
pub const SCHEMA: i64 = 1;
/// The target triple whose entry is taken from a table of entries.
pub const TARGET: &str = env!("MIDIMON_TARGET");

/// A plugin's manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its id.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The oldest midimon it runs with.
    pub min_midimon: Option<Version>,
    /// What its code is.
    pub kind: PluginKind,
    /// The code's file name on this machine, beside the manifest.
    pub entry: String,
    /// Each target triple with its code's file name, in the order of the triples.
    pub entries: Vec<(String, String)>,
    /// What it is for, in a line.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// Its licence, best as an SPDX expression.
    pub licence: Option<String>,
    /// Where more is said about it.
    pub homepage: Option<String>,
    /// What mappings can call; empty when it does not say.
    pub actions: Vec<ActionSpec>,
    /// What it asks for.
    pub capabilities: Vec<CapabilityRequest>,
    /// What it asks for with targets the user types.
    pub asks: Vec<Ask>,
    /// What the user can set.
    pub settings: Vec<SettingSpec>,
    /// The service it lets the user log in to.
    pub login: Option<LoginSpec>,
    /// More files to pack.
    pub include: Vec<String>,
    /// The files of its package; empty in development.
    pub files: Vec<FileEntry>,
    /// The limits it would be content with.
    pub limits: LimitWishes,
}

/// Limits a plugin would be content with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Limits`
pub struct LimitWishes {
    pub memory_mib: Option<u32>,
    pub fuel: Option<u64>,
    pub timeout_ms: Option<u32>,
    pub queue_depth: Option<u32>,
    pub max_age_ms: Option<u32>,
    pub quota_mib: Option<u32>,
    pub quota_files: Option<u32>,
    pub cpu_percent: Option<u32>,
    pub instance: Option<InstanceMode>,
}

impl LimitWishes {
    /// Lowers `limits` (the defaults with the user's own on top) to what is
    /// wished; a wish never raises one.
    pub fn lower(&self, limits: &mut Limits) {
        let lower = |limit: &mut u32, wish: Option<u32>| *limit = wish.map_or(*limit, |wish| wish.min(*limit));
        lower(&mut limits.memory_mib, self.memory_mib);
        lower(&mut limits.timeout_ms, self.timeout_ms);
        lower(&mut limits.queue_depth, self.queue_depth);
        lower(&mut limits.max_age_ms, self.max_age_ms);
        lower(&mut limits.quota_mib, self.quota_mib);
        lower(&mut limits.quota_files, self.quota_files);
        // 0 in `limits` is no limit
        match self.fuel {
            Some(wish) if limits.fuel == 0 || wish < limits.fuel => limits.fuel = wish,
            _ => {}
        }
        match self.cpu_percent {
            Some(wish) if limits.cpu_percent == 0 || wish < limits.cpu_percent => limits.cpu_percent = wish,
            _ => {}
        }
        // the stricter of the two: nothing is left behind from call to call
        if self.instance == Some(InstanceMode::PerCall) {
            limits.instance = InstanceMode::PerCall;
        }
    }
}

/// One mistake in a manifest and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Why a manifest is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ManifestError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    /// Every mistake, in the order of the text.
    #[error("{}", lines(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect::<Vec<_>>().join("\n")
}

impl Manifest {
    /// Reads `plugin.toml` in a plugin's directory.
    ///
    /// # Errors
    /// See [`ManifestError`]; every message names the file.
    pub fn read(dir: &Path) -> Result<Self, ManifestError> {
        Self::read_text(dir).map(|(_, manifest)| manifest)
    }

    /// As [`Manifest::read`], with the text that was read.
    ///
    /// # Errors
    /// The same.
    pub fn read_text(dir: &Path) -> Result<(String, Self), ManifestError> {
        let path = dir.join(FILE_NAME);
        let opened = open_dir(dir).map_err(FileError::Io);
        let bytes = match opened.and_then(|fd| read_regular(fd, FILE_NAME, MAX_BYTES)) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ManifestError::File { path, source }),
        };
        match String::from_utf8(bytes) {
            Ok(text) => match Self::parse(&text) {
                Ok(manifest) => Ok((text, manifest)),
                Err(problems) => Err(ManifestError::Invalid { path, problems }),
            },
            Err(_) => Err(ManifestError::NotText { path }),
        }
    }

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// Every mistake in it, never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, manifest)
    }

    /// A plugin that is a code file and nothing more: it asks for nothing.
    #[must_use]
    pub fn bare(id: PluginId, kind: PluginKind, entry: String) -> Self {
        Self {
            name: id.to_string(),
            id,
            version: Version::new(0, 0, 0),
            min_midimon: None,
            kind,
            entries: vec![(TARGET.to_owned(), entry.clone())],
            entry,
            description: String::new(),
            authors: Vec::new(),
            licence: None,
            homepage: None,
            actions: Vec::new(),
            capabilities: Vec::new(),
            asks: Vec::new(),
            settings: Vec::new(),
            login: None,
            include: Vec::new(),
            files: Vec::new(),
            limits: LimitWishes::default(),
        }
    }
}

fn manifest(document: &Document<'_>, mut root: Table<'_>) -> Option<Manifest> {
    let plugin = root.take("plugin");
    let min_midimon = root.take("min_midimon").and_then(|field| version(&field));
    let Some(schema) = root.take("schema") else {
        match plugin.as_ref().and_then(Field::table) {
            Some(old) => document.report(&(0..0), ancestor::explain(old)),
            None => document.report(&(0..0), "`schema = 1` is missing"),
        }
        return None;
    };
    if let Some(plugin) = plugin {
        plugin.report("with `schema = 1` the fields stand at the top, not in `[plugin]`");
    }
    if schema.integer(1..=i64::MAX)? > SCHEMA {
        schema.report(match min_midimon {
            Some(version) => format!("this manifest's schema is newer: needs midimon ≥ {version}"),
            None => format!("this manifest's schema is newer than {SCHEMA}: needs a newer midimon"),
        });
        return None;
    }
    if let Some(wanted) = min_midimon.as_ref().filter(|wanted| **wanted > this_version()) {
        schema.report(format!("needs midimon ≥ {wanted}, this is {}", this_version()));
    }

    let id = root.require("id").and_then(|field| field.parse());
    let name = root.require("name").and_then(|field| field.text(80));
    let version = root.require("version").and_then(|field| version(&field));
    let kind = root
        .require("kind")
        .and_then(|field| field.choice(&[("native", PluginKind::Native), ("wasm", PluginKind::Wasm)]));
    let entry = root.require("entry").and_then(|field| entry(&field));
    let entries = entry.as_ref().map(|(_, entries)| entries.clone()).unwrap_or_default();
    let description = root.take("description").and_then(|field| field.text(500)).unwrap_or_default();
    let authors = root.take("authors").map(|field| field.items(32)).unwrap_or_default();
    let authors = authors.iter().filter_map(|author| author.text(120)).collect();
    let licence = root.take("licence").and_then(|field| field.text(120));
    let homepage = root.take("homepage").and_then(|field| field.text(300));
    let actions = root.take("actions").map(|field| action::actions(&field)).unwrap_or_default();
    let settings = root.take("settings").map(|field| settings::settings(&field)).unwrap_or_default();
    let asked =
        root.take("capabilities").map(|field| capabilities::capabilities(&field, &settings)).unwrap_or_default();
    let include = root.take("include").map(|field| files::include(&field)).unwrap_or_default();
    let files = root.take("files").map(|field| files::files(&field, &entries)).unwrap_or_default();
    let login = root.take("login").and_then(|field| login::login(&field, &settings, !files.is_empty()));
    let limits = root.take("limits").and_then(|field| field.table()).map(limits).unwrap_or_default();
    root.finish();
    Some(Manifest {
        id: id?,
        name: name?,
        version: version?,
        min_midimon,
        kind: kind?,
        entry: entry?.0,
        entries,
        description,
        authors,
        licence,
        homepage,
        actions,
        capabilities: asked.requests,
        asks: asked.asks,
        settings,
        login,
        include,
        files,
        limits,
    })
}

fn this_version() -> Version {
    Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or(Version::new(0, 0, 0)) // cannot fail: cargo checked it
}

/// A plugin's version. It names directories and files too.
pub(in crate::plugins) fn version(field: &Field<'_>) -> Option<Version> {
    field.text(MAX_VERSION).and_then(|_| field.parse())
}

/// The entry for this target and those for all: plain file names.
fn entry(field: &Field<'_>) -> Option<(String, Vec<(String, String)>)> {
    if field.is_text() {
        let name = file_name(field)?;
        return Some((name.clone(), vec![(TARGET.to_owned(), name)]));
    }
    let mut entries: Vec<(String, String)> = Vec::new();
    for (target, entry) in field.named_texts(32) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=64).contains(&target.len()) || !target.bytes().all(plain) {
            entry.report("a target is a triple such as x86_64-unknown-linux-gnu");
        } else if let Some(name) = file_name(&entry) {
            entries.push((target.to_owned(), name));
        }
    }
    entries.sort();
    let found = entries.iter().find(|(target, _)| target == TARGET).map(|(_, name)| name.clone());
    if found.is_none() {
        field.report(format!("there is no entry for this machine, `{TARGET}`"));
    }
    found.map(|name| (name, entries))
}

fn file_name(field: &Field<'_>) -> Option<String> {
    let name = field.text(128)?;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        field.report("`entry` must be the plain name of a file beside plugin.toml");
        return None;
    }
    Some(name)
}

fn limits(mut table: Table<'_>) -> LimitWishes {
    let mut number = |key, max: u32| {
        let value = table.take(key).and_then(|field| field.integer(1..=i64::from(max)));
        value.and_then(|value| u32::try_from(value).ok())
    };
    let mut wishes = LimitWishes {
        memory_mib: number("memory_mib", 65_536),
        timeout_ms: number("timeout_ms", 3_600_000),
        queue_depth: number("queue_depth", 4_096),
        max_age_ms: number("max_age_ms", 3_600_000),
        quota_mib: number("quota_mib", 1_048_576),
        quota_files: number("quota_files", 10_000_000),
        cpu_percent: number("cpu_percent", 100_000),
        fuel: None,
        instance: None,
    };
    wishes.fuel =
        table.take("fuel").and_then(|field| field.integer(1..=i64::MAX)).and_then(|fuel| u64::try_from(fuel).ok());
    wishes.instance = table.take("instance").and_then(|field| {
        field.choice(&[("persistent", InstanceMode::Persistent), ("per-call", InstanceMode::PerCall)])
    });
    table.finish();
    wishes
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_packages;
