//! Signatures of files.

use super::public::key_id_hex;
use super::{ED25519, encode, lines, split};
use super::{FormatError, KeyId, PREHASHED, PublicKey, SecretKey, TRUSTED, UNTRUSTED, after, comment_line, decode};
use crate::plugins::files::{FileError, read_given};
use blake2::{Blake2b512, Digest};
use midimon_shared::text::unshowable;
use std::fmt;
use std::path::Path;

/// Longest trusted comment in bytes: minisign's `TRUSTEDCOMMENTMAXBYTES` is
/// 8,192 with the prefix, the newline and a NUL.
const MAX_TRUSTED_COMMENT: usize = 8_192 - TRUSTED.len() - 2;

/// Why a signature is not accepted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SignatureError {
    #[error("this is not a minisign signature: {0}")]
    Format(#[from] FormatError),
    #[error(
        "this signature is of minisign's old kind, which signs the file itself; \
         sign anew with `midimon plugin sign`, or with `minisign -S` without its option -l"
    )]
    Legacy,
    #[error("this signature is of a kind that minisign does not make; sign anew with `midimon plugin sign`")]
    Algorithm,
    #[error("this signature was made with the key {signed_by}, not with {key}: it is somebody else's")]
    OtherKey { signed_by: String, key: String },
    #[error("the signature does not fit: the file was changed after it was signed, or signed with another key")]
    Content,
    #[error("the signature fits the file, but its trusted comment was changed")]
    Comment,
    #[error("{0}")]
    File(#[from] FileError),
    #[error("is not text; a signature is four lines of text")]
    NotText,
}

/// The BLAKE2b-512 of a file: what is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Blake2b512Digest(pub [u8; 64]);

impl Blake2b512Digest {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Blake2b512::digest(bytes).into())
    }
}

impl fmt::Debug for Blake2b512Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Why a text cannot be a trusted comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TrustedCommentError {
    #[error("is over {MAX_TRUSTED_COMMENT} bytes long")]
    TooLong,
    #[error("has the character U+{:04X}, which cannot be shown safely", u32::from(*.0))]
    Character(char),
}

/// What the signer says about a signature, in one line that is signed too.
/// minisign puts tabs in it; besides them everything in it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedComment(String);

impl TrustedComment {
    /// # Errors
    /// When it is too long or cannot be shown safely.
    pub fn new(text: &str) -> Result<Self, TrustedCommentError> {
        if text.len() > MAX_TRUSTED_COMMENT {
            return Err(TrustedCommentError::TooLong);
        }
        match text.split('\t').find_map(unshowable) {
            Some(bad) => Err(TrustedCommentError::Character(bad)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustedComment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A signature as it stands in its file. It proves nothing, and shows no
/// comment, before [`Signature::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key_id: KeyId,
    of_file: [u8; 64],
    trusted_comment: TrustedComment,
    /// Of `of_file` and the trusted comment.
    of_all: [u8; 64],
    /// The key that the untrusted comment names.
    claimed_key: Option<PublicKey>,
}

impl Signature {
    /// Reads a `.minisig` file's text.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let [untrusted, signature, trusted, of_all] = lines(text)?;
        let untrusted = after(untrusted, 1, UNTRUSTED)?;
        let signature = decode::<{ 2 + 8 + 64 }>(signature, 2)?;
        let trusted = after(trusted, 3, TRUSTED)?;
        let of_all = *decode::<64>(of_all, 4)?;
        let (algorithm, rest) = split::<2>(&signature[..]);
        match algorithm {
            PREHASHED => {}
            ED25519 => return Err(SignatureError::Legacy),
            _ => return Err(SignatureError::Algorithm),
        }
        let (key_id, of_file) = split(rest);
        let trusted_comment = TrustedComment::new(trusted).map_err(FormatError::from)?;
        let claimed_key = untrusted.rsplit(' ').next().and_then(|word| word.parse().ok());
        let claimed_key = claimed_key.filter(|key: &PublicKey| key.key_id() == key_id);
        Ok(Self { key_id, of_file: split(of_file).0, trusted_comment, of_all, claimed_key })
    }

    /// Reads a `.minisig` file that the user named.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let bytes = read_given(path, super::MAX_TEXT as u64)?;
        Self::parse(&String::from_utf8(bytes).map_err(|_| SignatureError::NotText)?)
    }

    /// Signs the hash of a file.
    #[must_use]
    pub fn sign(secret: &SecretKey, hash: &Blake2b512Digest, trusted_comment: TrustedComment) -> Self {
        let of_file = secret.sign(&hash.0);
        let of_all = secret.sign(&[&of_file[..], trusted_comment.0.as_bytes()].concat());
        Self { key_id: secret.key_id(), of_file, trusted_comment, of_all, claimed_key: Some(secret.public()) }
    }

    /// The public key that its untrusted comment names, so that a key which is seen for
    /// the first time can be shown. Anybody can write anything there: whoever puts another
    /// key there has to have made the signature with it, and shows another fingerprint.
    #[must_use]
    pub const fn claimed_key(&self) -> Option<&PublicKey> {
        self.claimed_key.as_ref()
    }

    /// The id of the key it says it was made with, as minisign prints it;
    /// good for saying which key to look for, and for nothing else.
    #[must_use]
    pub fn claimed_key_id_hex(&self) -> String {
        key_id_hex(self.key_id)
    }

    /// Which of `keys` made this signature of `hash`; else the one with its id, of which
    /// [`Signature::verify`] says what does not fit; `None` when neither is among them.
    /// The id, which anybody can change, only says which to try first.
    #[must_use]
    pub fn choose<'k>(
        &self,
        keys: impl Iterator<Item = &'k PublicKey> + Clone,
        hash: &Blake2b512Digest,
    ) -> Option<&'k PublicKey> {
        let is_named = |key: &&PublicKey| key.key_id() == self.key_id;
        let named = keys.clone().filter(is_named);
        let others = keys.filter(|key| !is_named(key));
        // a changed comment is a mistake of this key's signature, not another key's
        let fits = |key: &&PublicKey| {
            !matches!(self.verify(key, hash), Err(SignatureError::Content | SignatureError::OtherKey { .. }))
        };
        named.clone().chain(others).find(fits).or_else(|| named.clone().next())
    }

    /// Checks both signatures and hands out the trusted comment. Strict: a
    /// signature has one encoding, and weak points are refused. The key's id need not
    /// be the signature's: no signature covers it.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(&self, key: &PublicKey, hash: &Blake2b512Digest) -> Result<TrustedComment, SignatureError> {
        let does_not_fit = || match self.key_id == key.key_id() {
            true => SignatureError::Content,
            false => SignatureError::OtherKey { signed_by: self.claimed_key_id_hex(), key: key.key_id_hex() },
        };
        let verifying = key.verifying().map_err(|_| does_not_fit())?;
        let strict = |message: &[u8], signature: &[u8; 64]| {
            verifying.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
        };
        strict(&hash.0, &self.of_file).map_err(|_| does_not_fit())?;
        let all = [&self.of_file[..], self.trusted_comment.0.as_bytes()].concat();
        strict(&all, &self.of_all).map_err(|_| SignatureError::Comment)?;
        Ok(self.trusted_comment.clone())
    }

    /// The text of a `.minisig` file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let signature = encode([&PREHASHED[..], &self.key_id, &self.of_file].concat());
        let key = self.claimed_key.map_or_else(|| self.claimed_key_id_hex(), |key| key.to_string());
        let untrusted = comment_line(&format!("signature made by midimon with the key {key}"));
        format!("{untrusted}{signature}\n{TRUSTED}{}\n{}\n", self.trusted_comment, encode(self.of_all.to_vec()))
    }
}
