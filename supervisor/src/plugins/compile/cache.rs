//! Compiled code from earlier runs.
//!
//! Loading compiled code is running it, so a cache file counts only when it
//! carries a MAC of this home's own key: a file that was damaged, planted, or
//! copied under another name is a miss, and the code is compiled again.

use crate::home::write_atomic;
use crate::plugins::SealedCode;
use crate::plugins::files::{FileError, open_dir, open_regular, read_regular};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Largest compiled code that is taken or kept, in bytes.
pub const MAX_ARTIFACT: u64 = 512 * 1024 * 1024;
/// Files that are kept; past it the oldest go.
const MAX_FILES: usize = 128;
const KEY_FILE: &str = "compile.key";
const KEY_LENGTH: u64 = 32;
/// First in each file: what it is, and its format's version.
const MAGIC: [u8; 8] = *b"mmcode\0\x01";

/// The cache of one home.
#[derive(Debug)]
pub struct Cache {
    dir: OwnedFd,
    path: PathBuf,
    key: [u8; 32],
}

/// Names compiled code: what was compiled, by what, for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// `settings` is what the compiler says of itself: its version, its
    /// settings, the processor's features.
    #[must_use]
    pub fn new(code: &SealedCode, settings: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(code.digest());
        hasher.update(env!("CARGO_PKG_VERSION"));
        hasher.update([0]);
        hasher.update(settings);
        Self(hasher.finalize().into())
    }

    fn file_name(&self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut name, byte| {
            let _ = write!(name, "{byte:02x}"); // cannot fail: a String takes everything
            name
        })
    }
}

impl Cache {
    /// Opens the cache in `dir`, with the key in `state`; makes a new key when
    /// there is none or it was open to others (what was cached is then void).
    ///
    /// # Errors
    /// One of the directories cannot be used.
    pub fn open(dir: &Path, state: &Path) -> io::Result<Self> {
        let fd = open_dir(dir)?;
        let key = match read_key(state) {
            Some(key) => key,
            None => {
                let mut key = [0; KEY_LENGTH as usize];
                File::open("/dev/urandom")?.read_exact(&mut key)?;
                write_atomic(&state.join(KEY_FILE), &key, 0o600)?;
                key
            }
        };
        Ok(Self { dir: fd, path: dir.to_owned(), key })
    }

    /// The compiled code of this name, when it is there and ours.
    #[must_use]
    pub fn get(&self, key: &CacheKey) -> Option<SealedCode> {
        match self.read(key) {
            Ok(found) => found,
            Err(error) => {
                let path = self.path.join(key.file_name());
                tracing::warn!("{} is not ours or is damaged ({error}); compiling again", path.display());
                None
            }
        }
    }

    fn read(&self, key: &CacheKey) -> Result<Option<SealedCode>, FileError> {
        let (mut file, _) = match open_regular(&self.dir, &key.file_name(), MAX_ARTIFACT + 1024) {
            Err(FileError::Missing) => return Ok(None),
            opened => opened?,
        };
        let mut head = [0; MAGIC.len() + 32];
        file.read_exact(&mut head)?;
        // into sealed memory first: what is checked there can no longer change
        let code = SealedCode::copy(&mut file, MAX_ARTIFACT)?;
        let genuine = head.starts_with(&MAGIC) && self.mac(key, &code)?.verify_slice(&head[MAGIC.len()..]).is_ok();
        if !genuine {
            tracing::warn!("{} is not ours or is damaged; compiling again", self.path.join(key.file_name()).display());
        }
        Ok(genuine.then_some(code))
    }

    /// Keeps compiled code.
    ///
    /// # Errors
    /// It cannot be written; what was there before stays.
    pub fn put(&self, key: &CacheKey, code: &SealedCode) -> io::Result<()> {
        let mut bytes = Vec::from(MAGIC);
        bytes.extend_from_slice(&self.mac(key, code)?.finalize().into_bytes());
        code.for_each_piece(|piece| bytes.extend_from_slice(piece))?;
        write_atomic(&self.path.join(key.file_name()), &bytes, 0o600)?;
        self.prune();
        Ok(())
    }

    fn mac(&self, key: &CacheKey, code: &SealedCode) -> io::Result<Hmac<Sha256>> {
        // cannot fail: HMAC takes a key of any length
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(io::Error::other)?;
        mac.update(&MAGIC);
        mac.update(&key.0);
        code.for_each_piece(|piece| mac.update(piece))?;
        Ok(mac)
    }

    /// Removes the oldest files past [`MAX_FILES`]. A failure costs room only.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let aged = |entry: fs::DirEntry| {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            (modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path())
        };
        let mut files: Vec<(SystemTime, PathBuf)> = entries.flatten().map(aged).collect();
        files.sort();
        for (_, path) in files.iter().rev().skip(MAX_FILES) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The key, when it is ours, for us alone, and whole.
fn read_key(state: &Path) -> Option<[u8; 32]> {
    let dir = open_dir(state).ok()?;
    let (file, _) = open_regular(&dir, KEY_FILE, KEY_LENGTH).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return None;
    }
    read_regular(&dir, KEY_FILE, KEY_LENGTH).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("compiled")).unwrap();
            Self(home)
        }

        fn cache(&self) -> Cache {
            Cache::open(&self.0.path().join("compiled"), self.0.path()).unwrap()
        }

        fn file(&self, key: &CacheKey) -> PathBuf {
            self.0.path().join("compiled").join(key.file_name())
        }
    }

    fn code(bytes: &[u8]) -> SealedCode {
        SealedCode::copy(&mut &bytes[..], 1024).unwrap()
    }

    fn key(text: &str) -> CacheKey {
        CacheKey::new(&code(b"source"), text)
    }

    #[test]
    fn what_was_put_is_found_by_a_later_run_under_its_key_alone() {
        let home = Home::new();
        assert!(home.cache().get(&key("a")).is_none());
        home.cache().put(&key("a"), &code(b"compiled")).unwrap();
        assert_eq!(home.cache().get(&key("a")).unwrap().digest(), code(b"compiled").digest());
        assert!(home.cache().get(&key("b")).is_none());
        assert!(home.cache().get(&CacheKey::new(&code(b"other"), "a")).is_none());
        let key_file = fs::metadata(home.0.path().join(KEY_FILE)).unwrap();
        assert_eq!(key_file.mode() & 0o777, 0o600);
    }

    #[test]
    fn damaged_planted_and_renamed_files_are_misses() {
        let home = Home::new();
        let ours = home.cache();
        ours.put(&key("a"), &code(b"compiled")).unwrap();
        let good = fs::read(home.file(&key("a"))).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(home.file(&key("a")), bad).unwrap();
            assert!(ours.get(&key("a")).is_none(), "bit flipped in byte {position}");
            fs::write(home.file(&key("a")), &good[..position]).unwrap();
            assert!(ours.get(&key("a")).is_none(), "cut at {position}");
        }
        fs::write(home.file(&key("b")), &good).unwrap();
        assert!(ours.get(&key("b")).is_none(), "another name");
        fs::write(home.file(&key("a")), &good).unwrap();
        assert!(ours.get(&key("a")).is_some());
        // another home's key made it
        let stranger = Home::new();
        stranger.cache().put(&key("a"), &code(b"hostile")).unwrap();
        fs::copy(stranger.file(&key("a")), home.file(&key("a"))).unwrap();
        assert!(ours.get(&key("a")).is_none(), "another key");
    }

    #[test]
    fn a_key_others_could_read_is_replaced_and_voids_the_cache() {
        let home = Home::new();
        home.cache().put(&key("a"), &code(b"compiled")).unwrap();
        fs::set_permissions(home.0.path().join(KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(home.cache().get(&key("a")).is_none());
        assert_eq!(fs::metadata(home.0.path().join(KEY_FILE)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_oldest_files_go_when_there_are_too_many() {
        let home = Home::new();
        let cache = home.cache();
        for number in 0..MAX_FILES + 3 {
            let key = key(&number.to_string());
            cache.put(&key, &code(b"x")).unwrap();
            let age = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + number as u64);
            File::options().write(true).open(home.file(&key)).unwrap().set_modified(age).unwrap();
        }
        cache.put(&key("newest"), &code(b"x")).unwrap();
        assert_eq!(fs::read_dir(home.0.path().join("compiled")).unwrap().count(), MAX_FILES);
        assert!(cache.get(&key("0")).is_none() && cache.get(&key("newest")).is_some());
    }
}
