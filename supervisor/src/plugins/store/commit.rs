//! From a staged version to an installed one, and from one version to another.

use super::clean::Left;
use super::record::{FILE_NAME, MAX_REASON};
use super::stage::{FILES, make_dir};
use super::{Candidate, Installed, Locked, Refused, Staged, Step, StoreError, dirs, grants_name, kept};
use crate::home::write_atomic;
use crate::plugins::minisign::PublicKey;
use crate::plugins::{GrantFile, Revocations, strict};
use midimon_shared::PluginId;
use midimon_shared::text::safe_text;
use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A commit under way.
pub(super) struct Commit<'l> {
    locked: &'l Locked,
    staged: &'l Staged,
    grants: GrantFile,
    next: Installed,
}

impl<'l> Commit<'l> {
    /// In this order. Up to [`Self::record`] the old state holds, after it the new one.
    pub(super) const STEPS: [Step<Self>; 4] = [Self::directory, Self::grants, Self::place, Self::record];

    pub(super) fn new(
        locked: &'l Locked,
        staged: &'l Staged,
        grants: GrantFile,
        allow_downgrade: bool,
    ) -> Result<Self, StoreError> {
        let id = &staged.manifest.id;
        locked.admits(&Candidate {
            id,
            version: &staged.version.version,
            publisher: staged.publisher.as_ref(),
            package_sha256: staged.version.package_sha256,
            allow_downgrade,
        })?;
        let known = locked.get(id)?;
        let mut next = match &known {
            Some(record) => record.with(staged.version.clone()),
            None => Installed::first(id.clone(), staged.publisher, staged.version.clone()),
        };
        let mut grants = grants;
        if let Some(record) = known
            && let Some(before) = locked.grants(id)?
            // a version whose files are damaged cannot be gone back to anyway
            && let Ok(manifest) = locked.current_files(&record).and_then(|files| files.manifest())
        {
            grants = grants.after(&before, &manifest);
        }
        if let Some(kept) = locked.kept(id)? {
            next.highest = next.highest.max(kept.highest);
        }
        Ok(Self { locked, staged, grants, next })
    }

    fn id(&self) -> &PluginId {
        &self.next.id
    }

    fn path(&self) -> PathBuf {
        self.locked.path(self.id())
    }

    fn dir(&self) -> Result<OwnedFd, StoreError> {
        dirs::open_at(&self.locked.root, self.id().as_str()).map_err(StoreError::io("open", &self.path()))
    }

    /// The plugin's own directory.
    fn directory(&self) -> Result<(), StoreError> {
        match make_dir(&self.locked.root, self.id().as_str()) {
            Ok(_) => dirs::sync(&self.locked.root, &self.path()),
            Err(Errno::EEXIST) => self.dir().map(drop),
            Err(errno) => Err(StoreError::io("make", &self.path())(errno)),
        }
    }

    /// The new version's grants, which the old one can live with.
    fn grants(&self) -> Result<(), StoreError> {
        self.locked.save_grants(&self.grants)
    }

    /// The files, under the version's name. Where the same version is installed its files
    /// change places with these: the bytes must be the same.
    fn place(&self) -> Result<(), StoreError> {
        let version = self.next.current.to_string();
        let path = self.path().join(&version);
        let dir = self.dir()?;
        let rename = |flags| renameat2(&self.staged.dir, FILES, &dir, version.as_str(), flags);
        let renamed = match rename(RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EEXIST) => rename(RenameFlags::RENAME_EXCHANGE),
            renamed => renamed,
        };
        renamed.map_err(StoreError::io("rename", &path))?;
        dirs::sync(&dir, &path)
    }

    /// The one moment at which the new version takes the old one's place.
    fn record(&self) -> Result<(), StoreError> {
        self.locked.write_record(&self.next)
    }

    /// Removes what nobody needs any more. The new version is installed, whatever comes of it;
    /// what is left is for the next who locks the store.
    fn tidy(&self) {
        let mut left = Left::default();
        left.note(kept::forget(&self.locked.store.home, self.id()));
        self.locked.clean_plugin(self.id(), &mut left);
        for error in left.0 {
            tracing::warn!("{}: {error}", self.id());
        }
    }
}

impl Locked {
    /// Makes a staged version the one that runs. `grants` are what the user was shown and
    /// granted for it; they hold before the version does. Whether the version may be
    /// installed is checked once more.
    ///
    /// # Errors
    /// [`StoreError::Refused`], or what the file system says; the version before is still
    /// the one that runs then.
    pub fn commit(&self, staged: Staged, grants: GrantFile, allow_downgrade: bool) -> Result<Installed, StoreError> {
        let commit = Commit::new(self, &staged, grants, allow_downgrade)?;
        for step in Commit::STEPS {
            step(&commit)?;
        }
        commit.tidy();
        Ok(commit.next)
    }

    /// Makes the previous version the one that runs, and the current one the previous.
    ///
    /// # Errors
    /// There is none, it was revoked or changed, it asks for more than was granted, or what the file system says.
    pub fn rollback(&self, id: &PluginId) -> Result<Installed, StoreError> {
        let record = self.must_get(id)?;
        let back = record.rolled_back().ok_or_else(|| StoreError::NoPrevious(id.clone()))?;
        back.not_revoked(&Revocations::load(&self.store.home)?)?;
        // where its files were changed there is no other to advise
        let files = self.current_files(&Installed { previous: None, ..back.clone() })?;
        let manifest = files.manifest()?;
        files.check()?;
        let grants = self.grants(id)?;
        let effective = grants.as_ref().map(|grants| grants.effective(&manifest, back.publisher.as_ref()));
        if let Some(Err(fault)) = effective {
            return Err(Refused::Consent { id: id.clone(), version: back.current, fault }.into());
        }
        self.write_record(&back)?;
        Ok(back)
    }

    /// Enables a plugin, or disables it with a reason.
    ///
    /// # Errors
    /// It is not installed, it is to be enabled and was revoked, or what the file system says; with
    /// [`StoreError::NoRoom`] it is not started all the same.
    pub fn set_enabled(&self, id: &PluginId, enabled: bool, reason: Option<String>) -> Result<Installed, StoreError> {
        if enabled {
            self.must_get(id)?.not_revoked(&Revocations::load(&self.store.home)?)?;
        }
        // whatever the reason is made of, it must not keep the plugin from being disabled
        let reason = reason.filter(|_| !enabled).map(|reason| safe_text(&reason).chars().take(MAX_REASON).collect());
        let record = Installed { enabled, disabled_reason: reason, ..self.must_get(id)? };
        match self.write_record(&record) {
            Err(error) if !enabled && error.is_full() => {
                let grants = self.grants(id);
                self.withdraw_all(id)?;
                self.write_record(&record).map_err(no_room(id))?;
                // the record before made room for them
                if let Ok(Some(grants)) = grants {
                    self.save_grants(&grants).map_err(no_room(id))?;
                }
            }
            written => written?,
        }
        Ok(record)
    }

    /// Disables every plugin of a publisher, with this reason; their ids.
    ///
    /// # Errors
    /// What the file system says of the first that could not be; the others are disabled.
    pub fn disable_publisher(&self, key: &PublicKey, reason: &str) -> Result<Vec<PluginId>, StoreError> {
        let mut disabled = Ok(Vec::new());
        let is_theirs = |record: &Installed| record.publisher.as_ref() == Some(key);
        for record in self.list()?.into_iter().flatten().filter(is_theirs) {
            match (self.set_enabled(&record.id, false, Some(reason.to_owned())), &mut disabled) {
                (Ok(record), Ok(ids)) => ids.push(record.id),
                (Err(error), Ok(_)) => disabled = Err(error),
                (_, Err(_)) => {}
            }
        }
        disabled
    }

    /// Replaces a plugin's grants with fewer. On a full disk the old ones go first, and nothing is
    /// granted until there is room.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`], or what the file system says.
    pub fn take_grants(&self, fewer: &GrantFile) -> Result<(), StoreError> {
        match self.save_grants(fewer) {
            Err(error) if error.is_full() => {
                self.withdraw_all(&fewer.plugin)?;
                self.save_grants(fewer).map_err(no_room(&fewer.plugin))
            }
            saved => saved,
        }
    }

    /// Deletes a plugin's grants: it is not started without them. That takes no room, and makes some.
    fn withdraw_all(&self, id: &PluginId) -> Result<(), StoreError> {
        let path = self.grants_path(id);
        let Some(dir) = dirs::open_path(&self.store.home.grants_dir())? else { return Ok(()) };
        dirs::remove(&dir, &grants_name(id), &path)?;
        dirs::sync(&dir, &path)
    }

    /// Replaces a plugin's grants.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_grants(&self, grants: &GrantFile) -> Result<(), StoreError> {
        let path = self.grants_path(&grants.plugin);
        let text = grants.to_text();
        strict::reads_back(grants, &text, &path, GrantFile::parse)?;
        let written = write_atomic(&path, text.as_bytes(), 0o600);
        written.map_err(|source| StoreError::Io { what: "write", path, source })
    }

    fn must_get(&self, id: &PluginId) -> Result<Installed, StoreError> {
        self.get(id)?.ok_or_else(|| StoreError::NotInstalled(id.clone()))
    }

    fn write_record(&self, record: &Installed) -> Result<(), StoreError> {
        let path = self.path(&record.id).join(FILE_NAME);
        let text = record.to_text();
        strict::reads_back(record, &text, &path, Installed::parse)?;
        let failed = |source| StoreError::Io { what: "write", path: path.clone(), source };
        let dir = dirs::open_at(&self.root, record.id.as_str()).map_err(|errno| failed(errno.into()))?;
        // through the descriptor, so that the directory cannot be another one meanwhile
        let through = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(FILE_NAME);
        write_atomic(&through, text.as_bytes(), 0o600).map_err(failed)
    }
}

/// What a full disk says, once the grants are gone.
fn no_room(id: &PluginId) -> impl FnOnce(StoreError) -> StoreError {
    move |error| match error {
        StoreError::Io { path, source, .. } => StoreError::NoRoom { id: id.clone(), path, source },
        error => error,
    }
}
