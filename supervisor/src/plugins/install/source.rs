//! Where packages come from, and how one becomes something that can be looked into.

use crate::plugins::files::FileError;
use crate::plugins::index::Mismatch;
use crate::plugins::index::source::FetchError;
use crate::plugins::minisign::{Blake2b512Digest, PublicKey, Signature, SignatureError};
use crate::plugins::package::{Contents, PackError, PackageError, PackageFile, signature_path};
use crate::plugins::trust::TrustStore;
use std::path::{Path, PathBuf};

/// What a source has to offer; nothing of it is believed yet.
#[derive(Debug)]
pub enum Offer {
    /// A package file, and its signature where there is one.
    Package {
        /// Its bytes.
        file: PackageFile,
        /// The signature, of whomever.
        signature: Option<Box<Signature>>,
        /// Keys the source names: the signature may be of one of them.
        keys: Vec<PublicKey>,
    },
    /// A directory that a package could be made of. It is never signed.
    Directory(PathBuf),
}

/// Something packages can be had from.
pub trait Packages {
    /// Gets what there is.
    ///
    /// # Errors
    /// See [`SourceError`].
    fn offer(&self) -> Result<Offer, SourceError>;

    /// Whether what was verified and read is what the source meant.
    ///
    /// # Errors
    /// See [`SourceError`].
    fn check(&self, _contents: &Contents) -> Result<(), SourceError> {
        Ok(())
    }
}

/// A package file with its signature beside it, or a plugin's directory.
#[derive(Clone, Debug)]
pub struct Local(PathBuf);

/// Why there is nothing to install.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SourceError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Directory(#[from] PackError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    #[error("{}: {source}", path.display())]
    Signature { path: PathBuf, source: SignatureError },
    #[error(
        "nobody signed this package, so anybody may have made or changed it; \
         with --allow-unsigned it is installed all the same, and marked as unsigned from then on"
    )]
    Unsigned,
    #[error(
        "it is signed with the key {key_id}, which is not known here; get the publisher's public key from where \
         you know them, and add --key KEY (the key, or the file with it)"
    )]
    UnknownKey { key_id: String },
    #[error("it is signed with the key {signed_by}, not with {given}, which --key names: somebody else made it")]
    NotThatKey { signed_by: String, given: String },
    #[error("--key is for packages that are signed, and this one is not")]
    KeyWithoutSignature,
}

impl Local {
    /// The package file or directory at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Packages for Local {
    fn offer(&self) -> Result<Offer, SourceError> {
        if self.0.is_dir() {
            return Ok(Offer::Directory(self.0.clone()));
        }
        let file = PackageFile::open(&self.0)?;
        let path = signature_path(&self.0);
        let signature = match Signature::read(&path) {
            Ok(signature) => Some(Box::new(signature)),
            Err(SignatureError::File(FileError::Missing)) => None,
            // one that cannot be used is never as good as none
            Err(source) => return Err(SourceError::Signature { path, source }),
        };
        let keys = signature.as_ref().and_then(|signature| signature.claimed_key()).copied().into_iter().collect();
        Ok(Offer::Package { file, signature, keys })
    }
}

impl Offer {
    /// Checks the signature over every byte, and only then looks inside. `given` is the
    /// key the user says it must be; else it is looked for among the known keys, then
    /// among those the source names.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn read(
        self,
        known: &TrustStore,
        given: Option<&PublicKey>,
        allow_unsigned: bool,
    ) -> Result<Contents, SourceError> {
        let (file, signature, keys) = match self {
            Self::Directory(_) if given.is_some() => return Err(SourceError::KeyWithoutSignature),
            Self::Directory(_) if !allow_unsigned => return Err(SourceError::Unsigned),
            Self::Directory(path) => return Ok(Contents::from_dir(&path)?),
            Self::Package { file, signature, keys } => (file, signature, keys),
        };
        match signature {
            Some(signature) => {
                let key = choose(&signature, &file.blake2b(), known, given, &keys)?;
                Ok(file.verify(&signature, key)?.read()?)
            }
            None if given.is_some() => Err(SourceError::KeyWithoutSignature),
            None if !allow_unsigned => Err(SourceError::Unsigned),
            None => Ok(file.accept_unsigned().read()?),
        }
    }
}

/// The key to check with: the one that fits, where there is one.
fn choose<'k>(
    signature: &Signature,
    hash: &Blake2b512Digest,
    known: &'k TrustStore,
    given: Option<&'k PublicKey>,
    offered: &'k [PublicKey],
) -> Result<&'k PublicKey, SourceError> {
    let key_id = || signature.claimed_key_id_hex();
    if let Some(given) = given {
        let not_that = || SourceError::NotThatKey { signed_by: key_id(), given: given.key_id_hex() };
        return signature.choose([given].into_iter(), hash).ok_or_else(not_that);
    }
    let known = known.entries().iter().map(|entry| &entry.key);
    signature.choose(known.chain(offered), hash).ok_or_else(|| SourceError::UnknownKey { key_id: key_id() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::minisign::{SecretKey, TrustedComment};
    use crate::plugins::package::pack;
    use std::fs;

    struct Ground {
        dir: tempfile::TempDir,
        path: PathBuf,
        secret: SecretKey,
    }

    impl Ground {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let plugin = dir.path().join("plugin");
            fs::create_dir(&plugin).unwrap();
            let text =
                "schema = 1\nid = \"aa\"\nname = \"A\"\nversion = \"1.0.0\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n";
            fs::write(plugin.join("plugin.toml"), text).unwrap();
            fs::write(plugin.join("a.wasm"), b"\0asm\x01\0\0\0").unwrap();
            let path = dir.path().join("aa-1.0.0.mmp");
            fs::write(&path, pack(&plugin).unwrap().bytes).unwrap();
            Self { dir, path, secret: SecretKey::generate().unwrap() }
        }

        fn sign(&self) -> String {
            let hash = PackageFile::open(&self.path).unwrap().blake2b();
            let text = Signature::sign(&self.secret, &hash, TrustedComment::new("c").unwrap()).to_text();
            self.write(&text);
            text
        }

        fn write(&self, text: &str) {
            fs::write(self.dir.path().join("aa-1.0.0.mmp.minisig"), text).unwrap();
        }

        fn read(&self, given: Option<&PublicKey>, allow_unsigned: bool) -> Result<Contents, SourceError> {
            Local::new(&self.path).offer()?.read(&TrustStore::default(), given, allow_unsigned)
        }
    }

    #[test]
    fn a_signed_package_is_read_with_the_key_its_signature_names() {
        let ground = Ground::new();
        ground.sign();
        assert_eq!(ground.read(None, false).unwrap().publisher, Some(ground.secret.public()));
        assert_eq!(ground.read(Some(&ground.secret.public()), false).unwrap().publisher, Some(ground.secret.public()));
    }

    #[test]
    fn a_signature_without_its_key_asks_for_it() {
        let ground = Ground::new();
        let text = ground.sign().replace(&ground.secret.public().to_string(), "somebody");
        ground.write(&text);
        assert!(matches!(ground.read(None, true), Err(SourceError::UnknownKey { .. })));
        assert!(ground.read(Some(&ground.secret.public()), false).is_ok());
    }

    #[test]
    fn another_key_in_the_comment_does_not_make_the_signature_fit() {
        let ground = Ground::new();
        let other = SecretKey::generate().unwrap().public();
        let text = ground.sign().replace(&ground.secret.public().to_string(), &other.to_string());
        ground.write(&text);
        assert!(matches!(ground.read(None, true), Err(SourceError::UnknownKey { .. })), "its id is another");
        assert!(matches!(ground.read(Some(&other), true), Err(SourceError::NotThatKey { .. })));
    }

    /// What nothing signs, changed: bytes 2 to 9 of a key and of a signature.
    fn under_another_id(base64: &str) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let mut bytes = BASE64_STANDARD.decode(base64).unwrap();
        bytes[2..10].copy_from_slice(&[7; 8]);
        BASE64_STANDARD.encode(bytes)
    }

    #[test]
    fn e089_a_key_pinned_under_a_rewritten_id_verifies_and_is_the_publishers_own() {
        let ground = Ground::new();
        let (genuine, key) = (ground.sign(), ground.secret.public());
        let pinned: PublicKey = under_another_id(&key.to_string()).parse().unwrap();
        let lines: Vec<&str> = genuine.lines().collect();
        ground.write(&format!(
            "untrusted comment: {pinned}\n{}\n{}\n{}\n",
            under_another_id(lines[1]),
            lines[2],
            lines[3]
        ));
        let first = ground.read(None, false).unwrap();
        assert_eq!(first.publisher.map(|key| key.key_id()), Some([7; 8]));
        let mut trust = TrustStore::default();
        let now = crate::timestamp::Timestamp::from_unix_seconds(1);
        trust.trust(pinned, "A. Player".parse().unwrap(), crate::plugins::trust::How::FirstSight, now).unwrap();
        // what the publisher signed, with midimon and with minisign, which names no key
        for text in [genuine.clone(), genuine.replace(&key.to_string(), "minisign")] {
            ground.write(&text);
            let offer = || Local::new(&ground.path).offer().unwrap();
            assert_eq!(offer().read(&trust, None, false).unwrap().publisher, first.publisher);
            assert!(offer().read(&trust, Some(&pinned), false).is_ok());
        }
        // a stranger's package under either id is nobody's here
        let stranger = Ground::new();
        let theirs = stranger.sign().replace(&stranger.secret.public().to_string(), "minisign");
        stranger.write(&theirs);
        let read = |given| Local::new(&stranger.path).offer().unwrap().read(&trust, given, false);
        assert!(matches!(read(None), Err(SourceError::UnknownKey { .. })));
        assert!(matches!(read(Some(&pinned)), Err(SourceError::NotThatKey { .. })));
        let lines: Vec<&str> = theirs.lines().collect();
        stranger.write(&format!("{}\n{}\n{}\n{}\n", lines[0], under_another_id(lines[1]), lines[2], lines[3]));
        assert!(matches!(read(None), Err(SourceError::Package(PackageError::Signature(SignatureError::Content)))));
    }

    #[test]
    fn no_signature_is_no_signature_and_a_bad_one_is_never_none() {
        let ground = Ground::new();
        assert!(matches!(ground.read(None, false), Err(SourceError::Unsigned)));
        assert_eq!(ground.read(None, true).unwrap().publisher, None);
        assert!(matches!(ground.read(Some(&ground.secret.public()), true), Err(SourceError::KeyWithoutSignature)));
        ground.write("nonsense");
        assert!(matches!(ground.read(None, true), Err(SourceError::Signature { .. })));
        ground.sign();
        let mut bytes = fs::read(&ground.path).unwrap();
        bytes[20] ^= 1;
        fs::write(&ground.path, bytes).unwrap();
        assert!(matches!(ground.read(None, true), Err(SourceError::Package(PackageError::Signature(_)))));
    }

    #[test]
    fn a_directory_is_never_signed() {
        let ground = Ground::new();
        let offer = || Local::new(&ground.dir.path().join("plugin")).offer().unwrap();
        let read = |allow| offer().read(&TrustStore::default(), None, allow);
        assert!(matches!(read(false), Err(SourceError::Unsigned)));
        assert_eq!(read(true).unwrap().publisher, None);
    }
}
