//! Indexes for tests.

use super::accept::Accepted;
use super::subscriptions::Subscription;
use super::{FILE_NAME, Index, Listing, Release, RevokedKey, RevokedVersion, SIGNATURE_NAME, Signed};
use crate::plugins::manifest::TARGET;
use crate::plugins::minisign::{Blake2b512Digest, PublicKey, SecretKey, Signature, TrustedComment};
use crate::timestamp::Timestamp;
use crate::workers::status::PluginKind;
use std::fs;
use std::path::Path;

/// The day the tests' indexes are made on, in seconds.
pub(crate) const DAY: u64 = 1_795_305_600;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

pub(crate) fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

pub(crate) fn signature(secret: &SecretKey, bytes: &[u8]) -> Signature {
    Signature::sign(secret, &Blake2b512Digest::of(bytes), TrustedComment::new("c").unwrap())
}

/// That index as the user added it under this name.
pub(crate) fn subscription(name: &str, index: &Index) -> Subscription {
    Subscription {
        name: name.parse().unwrap(),
        index: index.name.clone(),
        key: key().public(),
        dir: "/nowhere".to_owned(),
        added: at(DAY),
        last: Accepted { serial: index.serial, created: index.created, expires: index.expires, sha256: [0; 32] },
        revoked_keys: index.revoked_keys.clone(),
        revoked_versions: index.revoked_versions.clone(),
    }
}

/// A version of a native plugin for this machine.
pub(crate) fn release(version: &str, secret: &SecretKey) -> Release {
    Release {
        version: version.parse().unwrap(),
        file: format!("aa-{version}.mmp"),
        size: 10,
        sha256: [7; 32],
        publisher: secret.public(),
        signature: signature(secret, b"package"),
        kind: PluginKind::Native,
        targets: vec![TARGET.to_owned()],
        min_midimon: None,
        yanked: false,
    }
}

pub(crate) fn listing(id: &str, versions: Vec<Release>) -> Listing {
    Listing {
        id: id.parse().unwrap(),
        name: "A plugin".to_owned(),
        description: String::new(),
        authors: vec!["A. Player".to_owned()],
        licence: Some("MIT".to_owned()),
        homepage: None,
        versions,
    }
}

/// The index `friends` of that number, made on [`DAY`] for thirty days.
pub(crate) fn index(serial: u64, plugins: Vec<Listing>) -> Index {
    Index {
        name: "friends".parse().unwrap(),
        serial,
        created: at(DAY + serial),
        expires: at(DAY + 30 * 86_400),
        plugins,
        revoked_keys: Vec::new(),
        revoked_versions: Vec::new(),
    }
}

pub(crate) fn signed(index: &Index, secret: &SecretKey) -> Signed {
    signed_text(&index.to_text(), secret)
}

pub(crate) fn signed_text(text: &str, secret: &SecretKey) -> Signed {
    Signed { bytes: text.as_bytes().to_vec(), signature: signature(secret, text.as_bytes()).to_text() }
}

pub(crate) fn write(dir: &Path, signed: &Signed) {
    fs::write(dir.join(FILE_NAME), &signed.bytes).unwrap();
    fs::write(dir.join(SIGNATURE_NAME), &signed.signature).unwrap();
}

pub(crate) fn revoked_version(id: &str, version: &str) -> RevokedVersion {
    RevokedVersion {
        id: id.parse().unwrap(),
        version: version.parse().unwrap(),
        reason: "it sends what is typed".to_owned(),
    }
}

pub(crate) fn revoked_key(key: PublicKey) -> RevokedKey {
    RevokedKey { key, reason: "it was stolen".to_owned() }
}
