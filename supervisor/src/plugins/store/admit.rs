//! Whether a version may be installed, given what is and was.

use super::kept::KeptData;
use super::{Installed, Store, StoreError};
use crate::plugins::Revocations;
use crate::plugins::data_dir::DataDirs;
use crate::plugins::grants::ConsentFault;
use crate::plugins::minisign::PublicKey;
use midimon_shared::PluginId;
use semver::Version;
use std::path::PathBuf;

/// A version somebody wants to install.
#[derive(Clone, Debug)]
pub struct Candidate<'c> {
    /// The plugin's id.
    pub id: &'c PluginId,
    /// Its version.
    pub version: &'c Version,
    /// The key its package is signed with.
    pub publisher: Option<&'c PublicKey>,
    /// SHA-256 of the package.
    pub package_sha256: [u8; 32],
    /// The user said that an older version than the highest so far is fine.
    pub allow_downgrade: bool,
}

/// What installing a candidate would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The plugin is not installed.
    New,
    /// Another version of it is, this one.
    Update(Version),
    /// The same version is; its files are put back as they must be.
    Again,
}

/// Why a version is not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refused {
    #[error(
        "the id '{id}' is too like that of the installed plugin '{other}' ('-' and '_' count as the same); remove that one first"
    )]
    IdTaken { id: PluginId, other: PluginId },
    #[error(
        "'{id}' is installed {}, and this package is {}: only the same publisher can update it. \
         If you know why the key changed, run `midimon plugin remove {id}` and install it anew",
        signed(installed),
        signed(given)
    )]
    OtherPublisher { id: PluginId, installed: Option<PublicKey>, given: Option<PublicKey> },
    #[error(
        "the data of '{id}' was kept when it was removed; it was {}, and this package is {}. \
         If another publisher may have that data or it can go: `midimon plugin remove {id}` deletes it",
        signed(kept),
        signed(given)
    )]
    OthersData { id: PluginId, kept: Option<PublicKey>, given: Option<PublicKey> },
    #[error(
        "version {version} of '{id}' is older than {highest}, which was installed before; it may have faults that are known: add --allow-downgrade if you want it"
    )]
    Downgrade { id: PluginId, version: Version, highest: Version },
    #[error(
        "another package was installed as version {version} of '{id}' before; its author must give it a version of its own"
    )]
    OtherBytes { id: PluginId, version: Version },
    #[error("version {version} of '{id}' cannot be gone back to: {fault}")]
    Consent { id: PluginId, version: Version, fault: ConsentFault },
    #[error(
        "there is data already in {}, and no plugin '{id}' was installed that could have left it; \
         look at it, then move it away or run `midimon plugin data {id} --clear`",
        path.display()
    )]
    ForeignData { id: PluginId, path: PathBuf },
}

fn signed(key: &Option<PublicKey>) -> String {
    key.map_or_else(|| "unsigned".to_owned(), |key| format!("signed with the key {}", key.fingerprint()))
}

impl Store {
    /// Whether a candidate may be installed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] or [`StoreError::Revoked`] with the reason, or the store cannot be read.
    pub fn admits(&self, candidate: &Candidate<'_>) -> Result<Admitted, StoreError> {
        Revocations::load(&self.home)?.check(candidate.id, candidate.version, candidate.publisher)?;
        let key = candidate.id.uniqueness_key();
        let ids = self.list()?.into_iter().map(|found| found.map_or_else(|bad| bad.id, |found| found.id));
        for other in ids {
            if other != *candidate.id && other.uniqueness_key() == key {
                return Err(Refused::IdTaken { id: candidate.id.clone(), other }.into());
            }
        }
        match self.get(candidate.id)? {
            Some(record) => Ok(known(candidate, &record)?),
            None => self.unknown(candidate),
        }
    }

    fn unknown(&self, candidate: &Candidate<'_>) -> Result<Admitted, StoreError> {
        let id = candidate.id;
        match self.kept(id)? {
            Some(kept) if kept.publisher.as_ref() != candidate.publisher => {
                let given = candidate.publisher.copied();
                return Err(Refused::OthersData { id: id.clone(), kept: kept.publisher, given }.into());
            }
            Some(kept) => {
                debug_assert_eq!(kept.data, KeptData::Keep, "cleaning finishes what is to be deleted");
                not_lower(candidate, &kept.highest)?;
            }
            None => {
                let data = DataDirs::open(&self.home.plugin_data_dir())?;
                // a link or a file there is an error of its own; an empty directory has nothing to inherit
                let usage = data.usage(id)?;
                if usage.files > 0 || !usage.complete {
                    return Err(Refused::ForeignData { id: id.clone(), path: data.path(id) }.into());
                }
            }
        }
        Ok(Admitted::New)
    }
}

fn known(candidate: &Candidate<'_>, record: &Installed) -> Result<Admitted, Refused> {
    let (id, version) = (candidate.id, candidate.version);
    if record.publisher.as_ref() != candidate.publisher {
        let given = candidate.publisher.copied();
        return Err(Refused::OtherPublisher { id: id.clone(), installed: record.publisher, given });
    }
    if record.package_of(version).is_some_and(|before| before != candidate.package_sha256) {
        return Err(Refused::OtherBytes { id: id.clone(), version: version.clone() });
    }
    if *version == record.current {
        return Ok(Admitted::Again);
    }
    not_lower(candidate, &record.highest)?;
    Ok(Admitted::Update(record.current.clone()))
}

fn not_lower(candidate: &Candidate<'_>, highest: &Version) -> Result<(), Refused> {
    if candidate.version >= highest || candidate.allow_downgrade {
        return Ok(());
    }
    Err(Refused::Downgrade { id: candidate.id.clone(), version: candidate.version.clone(), highest: highest.clone() })
}
