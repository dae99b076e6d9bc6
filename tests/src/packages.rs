//! Packages made and signed by the tests.

use crate::binaries::Binaries;
use midimon::plugins::minisign::{PublicKey, SecretKey, Signature, TrustedComment};
use midimon::plugins::package::{PackageFile, pack};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A key or a signature with another key id: bytes 3 to 8 of either, in base64.
fn rewritten(base64: &str) -> String {
    format!("{}AAAAAAAA{}", &base64[..4], &base64[12..])
}

/// Somebody who makes plugins, with a key of their own.
pub struct Publisher {
    secret: SecretKey,
    directory: TempDir,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Publisher").field("key", &self.key()).finish_non_exhaustive()
    }
}

impl Default for Publisher {
    fn default() -> Self {
        Self::new()
    }
}

impl Publisher {
    /// A new key.
    ///
    /// # Panics
    /// There is no randomness, or no directory.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("publisher-").tempdir().expect("a temporary directory");
        Self { secret: SecretKey::generate().expect("a key"), directory }
    }

    /// Always the same one, for pictures. Everybody has this key.
    ///
    /// # Panics
    /// There is no directory.
    #[must_use]
    pub fn known() -> Self {
        let text = include_str!("../fixtures/known.key");
        let secret = SecretKey::from_file_text(text, || None).expect("a key without a password");
        Self { secret, ..Self::new() }
    }

    /// The key's public half.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.secret.public()
    }

    /// The flags with which its packages are installed where nobody can be asked.
    #[must_use]
    pub fn terms(&self) -> Vec<String> {
        ["--yes", "--key", &self.key().to_string(), "--key-name", &self.name()].map(str::to_owned).to_vec()
    }

    /// The directory of a plugin that was built, as version `version`, with `more` at the
    /// end of its manifest.
    ///
    /// # Panics
    /// It was not built.
    #[must_use]
    pub fn plugin(&self, id: &str, version: &str, more: &str) -> PathBuf {
        let from = Binaries::get().plugin(id);
        let name = format!("{id}-{version}-{}", fs::read_dir(self.directory.path()).expect("a directory").count());
        let to = self.directory.path().join(name);
        fs::create_dir(&to).expect("a folder for the plugin");
        for entry in fs::read_dir(&from).expect("the plugin's folder") {
            let entry = entry.expect("an entry of the plugin's folder");
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy of the plugin");
        }
        let manifest = to.join("plugin.toml");
        let text = fs::read_to_string(&manifest).expect("the plugin's manifest");
        let text = text.replace("version = \"0.1.0\"", &format!("version = \"{version}\""));
        fs::write(&manifest, format!("{text}\n{more}")).expect("the manifest written");
        to
    }

    /// A package of a plugin's directory, signed by nobody.
    ///
    /// # Panics
    /// It cannot be packed.
    #[must_use]
    pub fn pack(&self, directory: &Path) -> PathBuf {
        let packed = pack(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let folder = PathBuf::from(format!("{}-packed", directory.display()));
        fs::create_dir(&folder).expect("a folder for the package");
        let path = folder.join(packed.file_name);
        fs::write(&path, packed.bytes).expect("the package written");
        path
    }

    /// Signs a package.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn sign(&self, package: &Path) {
        let hash = PackageFile::open(package).expect("a package").blake2b();
        let comment = TrustedComment::new("midimon plugin").expect("a comment");
        let text = Signature::sign(&self.secret, &hash, comment).to_text();
        fs::write(format!("{}.minisig", package.display()), text).expect("the signature written");
    }

    /// Signs a package as [`Self::sign`], and then writes another key id into the signature and into
    /// the key it names, as everybody can who passes the package on; that key.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn sign_under_another_id(&self, package: &Path) -> PublicKey {
        self.sign(package);
        let path = format!("{}.minisig", package.display());
        let text = fs::read_to_string(&path).expect("the signature");
        let key = rewritten(&self.key().to_string());
        let lines: Vec<&str> = text.lines().collect();
        let signature = rewritten(lines[1]);
        let text = format!("untrusted comment: {key}\n{signature}\n{}\n{}\n", lines[2], lines[3]);
        fs::write(path, text).expect("the signature written");
        key.parse().expect("a key")
    }

    /// A signed package; see [`Self::plugin`].
    ///
    /// # Panics
    /// As [`Self::plugin`] and [`Self::pack`].
    #[must_use]
    pub fn package(&self, id: &str, version: &str, more: &str) -> PathBuf {
        let path = self.pack(&self.plugin(id, version, more));
        self.sign(&path);
        path
    }
}
