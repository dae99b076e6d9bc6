//! Which version of which index is meant by a name.

use super::{Index, IndexName, Listing, Release, same_version};
use crate::plugins::manifest::TARGET;
use crate::plugins::revocations::{Revocations, Revoked};
use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use semver::Version;
use std::str::FromStr;

/// Reasons that are told when no version can be used.
const MAX_REASONS: usize = 3;

/// What the user asks for: `NAME` or `NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The plugin.
    pub id: PluginId,
    /// This version and no other.
    pub version: Option<Version>,
}

/// Why a text is no [`Wanted`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum InvalidWanted {
    #[error("{0}")]
    Id(String),
    #[error("'{}' is no version such as 1.0.0: {fault}", .text.escape_debug())]
    Version { text: String, fault: String },
}

impl FromStr for Wanted {
    type Err = InvalidWanted;

    fn from_str(text: &str) -> Result<Self, InvalidWanted> {
        let (id, version) = text.split_once('@').map_or((text, None), |(id, version)| (id, Some(version)));
        let read = |text: &str| {
            let cut = || text.chars().take(80).collect();
            text.parse()
                .map_err(|fault: semver::Error| InvalidWanted::Version { text: cut(), fault: fault.to_string() })
        };
        let id = id.parse().map_err(|fault: <PluginId as FromStr>::Err| InvalidWanted::Id(fault.to_string()))?;
        Ok(Self { id, version: version.map(read).transpose()? })
    }
}

/// An index with the name the user knows it by.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'i> {
    /// The name.
    pub name: &'i IndexName,
    /// The index, which was accepted.
    pub index: &'i Index,
}

/// What counts for every index.
#[derive(Debug)]
pub struct Rules<'r> {
    /// The target triple code must be for.
    pub target: &'r str,
    /// The version of midimon that would run it.
    pub midimon: Version,
    /// Whether versions such as `2.0.0-rc.1` are chosen too.
    pub pre_releases: bool,
    /// What the user and every index revoked.
    pub revocations: &'r Revocations,
}

/// The target and version of this program.
#[must_use]
pub fn here() -> (&'static str, Version) {
    // cannot fail: cargo checked it
    (TARGET, Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or(Version::new(0, 0, 0)))
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen<'i> {
    /// Which index offers it.
    pub name: &'i IndexName,
    /// The plugin.
    pub listing: &'i Listing,
    /// The version of it.
    pub release: &'i Release,
}

/// Why a version is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Unfit {
    #[error("must not be used: {0}")]
    Revoked(Revoked),
    #[error("has no code for this machine, {here} (it has: {})", targets.join(", "))]
    Target { here: String, targets: Vec<String> },
    #[error("needs midimon ≥ {wanted}, this is {here}")]
    Midimon { wanted: Version, here: Version },
    #[error("is a pre-release: ask for it by its number, or add --pre")]
    PreRelease,
    #[error("was withdrawn by its publisher: ask for it by its number if you must")]
    Yanked,
}

/// Why nothing was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Unavailable {
    #[error("no index offers '{id}'{}", similar.as_ref().map(|id| format!("; did you mean '{id}'?")).unwrap_or_default())]
    NotListed { id: PluginId, similar: Option<PluginId> },
    #[error(
        "the indexes '{one}' and '{other}' both offer '{id}', and they may mean two plugins: \
         say which with --index {one} or --index {other}"
    )]
    Ambiguous { id: PluginId, one: IndexName, other: IndexName },
    #[error("'{index}' has no version {version} of '{id}'; it has: {}", versions.join(", "))]
    NoSuchVersion { id: PluginId, index: IndexName, version: Version, versions: Vec<String> },
    #[error("'{index}' has no version of '{id}' that can be used: {}", reasons(faults))]
    NoneFits { id: PluginId, index: IndexName, faults: Vec<(Version, Unfit)> },
    #[error("'{id}' {current} is the newest there is in '{index}'")]
    UpToDate { id: PluginId, index: IndexName, current: Version },
}

fn reasons(faults: &[(Version, Unfit)]) -> String {
    let told = faults.iter().take(MAX_REASONS).map(|(version, fault)| format!("{version} {fault}"));
    let mut text = told.collect::<Vec<_>>().join("; ");
    if faults.len() > MAX_REASONS {
        text += &format!("; and {} more", faults.len() - MAX_REASONS);
    }
    text
}

/// The newest version of what is wanted that may and can run; newer than `above`, where that is given.
///
/// # Errors
/// See [`Unavailable`].
pub fn choose<'i>(
    offers: &[Offered<'i>],
    wanted: &Wanted,
    above: Option<&Version>,
    rules: &Rules<'_>,
) -> Result<Chosen<'i>, Unavailable> {
    let id = || wanted.id.clone();
    let mut found = offers.iter().filter_map(|offer| Some((offer.name, offer.index.plugin(&wanted.id)?)));
    let Some((name, listing)) = found.next() else {
        return Err(Unavailable::NotListed { id: id(), similar: similar(offers, &wanted.id) });
    };
    if let Some((other, _)) = found.next() {
        return Err(Unavailable::Ambiguous { id: id(), one: name.clone(), other: other.clone() });
    }
    let newer = |release: &&Release| above.is_none_or(|above| release.version.cmp_precedence(above).is_gt());
    let asked =
        |release: &&Release| wanted.version.as_ref().is_none_or(|version| same_version(&release.version, version));
    let mut faults = Vec::new();
    for release in listing.versions.iter().filter(newer).filter(asked) {
        match unfit(&wanted.id, release, wanted.version.is_some(), rules) {
            None => return Ok(Chosen { name, listing, release }),
            Some(fault) => faults.push((release.version.clone(), fault)),
        }
    }
    // what is only given to those who ask for it is no update
    if let Some(current) = above
        && faults.iter().all(|(_, fault)| matches!(fault, Unfit::PreRelease | Unfit::Yanked))
    {
        return Err(Unavailable::UpToDate { id: id(), index: name.clone(), current: current.clone() });
    }
    match &wanted.version {
        Some(version) if faults.is_empty() => Err(Unavailable::NoSuchVersion {
            id: id(),
            index: name.clone(),
            version: version.clone(),
            versions: listing.versions.iter().take(8).map(|release| release.version.to_string()).collect(),
        }),
        _ => Err(Unavailable::NoneFits { id: id(), index: name.clone(), faults }),
    }
}

/// Why a version is not used; `named` is whether the user asked for its number.
#[must_use]
pub fn unfit(id: &PluginId, release: &Release, named: bool, rules: &Rules<'_>) -> Option<Unfit> {
    if let Err(revoked) = rules.revocations.check(id, &release.version, Some(&release.publisher)) {
        return Some(Unfit::Revoked(revoked));
    }
    let everywhere = release.kind == PluginKind::Wasm && release.targets.is_empty();
    if !everywhere && !release.targets.iter().any(|target| target == rules.target) {
        return Some(Unfit::Target { here: rules.target.to_owned(), targets: release.targets.clone() });
    }
    if let Some(wanted) = release.min_midimon.as_ref().filter(|wanted| **wanted > rules.midimon) {
        return Some(Unfit::Midimon { wanted: wanted.clone(), here: rules.midimon.clone() });
    }
    if named {
        None
    } else if release.yanked {
        Some(Unfit::Yanked)
    } else {
        (!release.version.pre.is_empty() && !rules.pre_releases).then_some(Unfit::PreRelease)
    }
}

fn similar(offers: &[Offered<'_>], id: &PluginId) -> Option<PluginId> {
    let all = offers.iter().flat_map(|offer| &offer.index.plugins).map(|listing| &listing.id);
    let distances = all.map(|other| (strsim::damerau_levenshtein(other.as_str(), id.as_str()), other));
    distances.filter(|(distance, _)| *distance <= 2).min_by_key(|(distance, _)| *distance).map(|(_, id)| id.clone())
}
