//! Secret keys: bytes that are wiped when they are dropped, encrypted with a
//! password on disk or, if the user wants that, not.
//!
//! A `.key` file's 158 bytes, as minisign lays them out:
//!
//! | bytes | what                                                                        |
//! |-------|-----------------------------------------------------------------------------|
//! | 2     | `Ed`                                                                        |
//! | 2     | `Sc`: the part marked * is XORed with scrypt's output; zeros: it is not     |
//! | 2     | `B2`: the checksum is BLAKE2b-256                                           |
//! | 32    | scrypt's salt                                                               |
//! | 8, 8  | libsodium's opslimit and memlimit, little-endian                            |
//! | 8 *   | key id                                                                      |
//! | 64 *  | the seed and the public key                                                 |
//! | 32 *  | checksum of `Ed`, key id, seed and public key; minisign 0.11 leaves it zero |
//! |       | when there is no password                                                   |

use super::public::KeyError;
use super::{ED25519, FormatError, KeyId, PublicKey, UNTRUSTED, after, comment_line, decode, lines, split};
use base64::prelude::{BASE64_STANDARD, Engine};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use ed25519_dalek::{Signer, SigningKey};
use std::fmt;
use zeroize::Zeroizing;

const SCRYPT: [u8; 2] = *b"Sc";
const NO_KDF: [u8; 2] = [0; 2];
const BLAKE2B: [u8; 2] = *b"B2";
const BYTES: usize = 2 + 2 + 2 + 32 + 8 + 8 + SEALED;
/// The part that a password hides.
const SEALED: usize = 8 + 64 + 32;

/// Longest password in bytes: what minisign reads into its buffer of 1,024.
pub const MAX_PASSWORD: usize = 1_023;

/// Why a secret key is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SecretKeyError {
    #[error("this is not a minisign secret key: {0}")]
    Format(#[from] FormatError),
    #[error("this secret key is of a kind that minisign does not make")]
    Algorithm,
    #[error("this secret key asks for more work to open than minisign ever does, or for too little: it is damaged")]
    Limits,
    #[error("this secret key is protected by a password, and none was given")]
    NeedsPassword,
    #[error("the password is wrong, or the secret key is damaged")]
    WrongPassword,
    #[error("this secret key is damaged: its checksum does not fit")]
    Checksum,
    #[error("this secret key is damaged: its two halves do not belong together")]
    Mismatch,
    #[error("this secret key's public half cannot be used: {0}")]
    Public(#[source] KeyError),
    #[error("opening or protecting a secret key takes {mib} MiB of memory, and there is not as much")]
    Memory { mib: usize },
    #[error("this system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum PasswordError {
    #[error("an empty password protects nothing; --no-password says so openly")]
    Empty,
    #[error("a password has at most {MAX_PASSWORD} bytes")]
    TooLong,
    #[error("a password cannot contain control characters: minisign could not read it")]
    Character,
}

/// A password, wiped when dropped and never printed.
pub struct Password(Zeroizing<String>);

impl Password {
    /// # Errors
    /// When minisign could not be given it.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PasswordError> {
        if text.is_empty() {
            Err(PasswordError::Empty)
        } else if text.len() > MAX_PASSWORD {
            Err(PasswordError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(PasswordError::Character)
        } else {
            Ok(Self(text))
        }
    }
}

impl PartialEq for Password {
    /// For two that the same person just typed.
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// What deriving a key costs, in libsodium's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Work: about 4·N·r·p.
    pub(super) operations: u64,
    /// Bytes: about 128·N·r.
    pub(super) memory: u64,
}

impl Cost {
    /// `crypto_pwhash_scryptsalsa208sha256_{OPSLIMIT,MEMLIMIT}_MIN` of libsodium;
    /// minisign halves its limits down to them when memory is short.
    pub(super) const LEAST: Self = Self { operations: 32_768, memory: 16_777_216 };
    /// The same with `_SENSITIVE`, which minisign uses: N = 2^20, r = 8, p = 1, and 1 GiB.
    pub(super) const SENSITIVE: Self = Self { operations: 33_554_432, memory: 1_073_741_824 };

    fn checked(self) -> Result<Self, SecretKeyError> {
        let fits = (Self::LEAST.operations..=Self::SENSITIVE.operations).contains(&self.operations)
            && (Self::LEAST.memory..=Self::SENSITIVE.memory).contains(&self.memory);
        if fits { Ok(self) } else { Err(SecretKeyError::Limits) }
    }

    /// scrypt's (log2 N, r, p), as libsodium's `pickparams` finds them.
    pub(super) fn parameters(self) -> (u8, u32, u32) {
        const R: u64 = 8;
        // the largest power of two not above `most`, at least 2
        let log2 = |most: u64| u8::try_from(most.max(2).ilog2()).unwrap_or(63); // cannot fail: a u64 has 64 bits
        if self.operations < self.memory / 32 {
            (log2(self.operations / (R * 4)), R as u32, 1)
        } else {
            let log_n = log2(self.memory / (R * 128));
            let p = ((self.operations / 4) >> log_n).min(0x3fff_ffff) / R;
            (log_n, R as u32, p as u32) // cannot cut: p is below 2^30
        }
    }

    /// What hides the sealed part.
    fn stream(self, password: &Password, salt: &[u8; 32]) -> Result<Zeroizing<[u8; SEALED]>, SecretKeyError> {
        let (log_n, r, p) = self.checked()?.parameters();
        let size = (128 * r as usize) << log_n;
        // the crate would end the program when there is not as much
        Vec::<u8>::new().try_reserve_exact(size).map_err(|_| SecretKeyError::Memory { mib: size >> 20 })?;
        // the length is for another use of the crate
        let parameters = scrypt::Params::new(log_n, r, p, 32).map_err(|_| SecretKeyError::Limits)?;
        let mut stream = Zeroizing::new([0; SEALED]);
        scrypt::scrypt(password.0.as_bytes(), salt, &parameters, &mut stream[..])
            .map_err(|_| SecretKeyError::Limits)?;
        Ok(stream)
    }
}

/// A publisher's secret key. Never printed; wiped when dropped.
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// A new one from the system's random bytes.
    ///
    /// # Errors
    /// When there are none.
    pub fn generate() -> Result<Self, SecretKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        let mut id = [0; 8];
        getrandom::fill(&mut seed[..]).map_err(SecretKeyError::Random)?;
        getrandom::fill(&mut id).map_err(SecretKeyError::Random)?;
        Self::from_parts(id, &seed)
    }

    pub(super) fn from_parts(id: KeyId, seed: &[u8; 32]) -> Result<Self, SecretKeyError> {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::new(id, key.verifying_key().to_bytes()).map_err(SecretKeyError::Public)?;
        Ok(Self { key, public })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(super) fn key_id(&self) -> KeyId {
        self.public.key_id()
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Reads a `.key` file's text. The password is asked for only when the key
    /// has one and everything that can be checked before is right. Opening it
    /// takes seconds and up to 1 GiB of memory, as minisign wants it.
    ///
    /// # Errors
    /// See [`SecretKeyError`].
    pub fn from_file_text(text: &str, password: impl FnOnce() -> Option<Password>) -> Result<Self, SecretKeyError> {
        let file = Sealed::parse(text)?;
        let Some(protected) = &file.protection else {
            return file.open(&[0; SEALED], SecretKeyError::Checksum);
        };
        let password = password().ok_or(SecretKeyError::NeedsPassword)?;
        let stream = protected.cost.stream(&password, &protected.salt)?;
        file.open(&stream, SecretKeyError::WrongPassword)
    }

    /// Whether a `.key` file's text needs a password; everything else that can be
    /// checked without it is.
    ///
    /// # Errors
    /// See [`SecretKeyError`].
    pub fn needs_password(text: &str) -> Result<bool, SecretKeyError> {
        Ok(Sealed::parse(text)?.protection.is_some())
    }

    /// The text of a `.key` file. With a password this takes seconds and 1 GiB of
    /// memory. The comment is only for people.
    ///
    /// # Errors
    /// When there is no such memory, or there are no random bytes.
    pub fn to_file_text(
        &self,
        password: Option<&Password>,
        comment: &str,
    ) -> Result<Zeroizing<String>, SecretKeyError> {
        self.to_text_at_cost(password, comment, Cost::SENSITIVE)
    }

    pub(super) fn to_text_at_cost(
        &self,
        password: Option<&Password>,
        comment: &str,
        cost: Cost,
    ) -> Result<Zeroizing<String>, SecretKeyError> {
        let mut sealed = Zeroizing::new([0; SEALED]);
        sealed[..8].copy_from_slice(&self.key_id());
        sealed[8..72].copy_from_slice(&Zeroizing::new(self.key.to_keypair_bytes())[..]);
        let checksum = checksum(&sealed);
        sealed[72..].copy_from_slice(&checksum);
        let (mut salt, mut kdf, mut limits) = ([0; 32], NO_KDF, [0; 16]);
        if let Some(password) = password {
            getrandom::fill(&mut salt).map_err(SecretKeyError::Random)?;
            kdf = SCRYPT;
            limits[..8].copy_from_slice(&cost.operations.to_le_bytes());
            limits[8..].copy_from_slice(&cost.memory.to_le_bytes());
            let stream = cost.stream(password, &salt)?;
            xor(&mut sealed, &stream);
        }
        let bytes = Zeroizing::new([&ED25519[..], &kdf, &BLAKE2B, &salt, &limits, &sealed[..]].concat());
        // one allocation, so that no half of it stays behind where it grew
        let mut text = Zeroizing::new(String::with_capacity(2 * super::MAX_COMMENT + 2 * BYTES));
        text.push_str(&comment_line(comment));
        BASE64_STANDARD.encode_string(&bytes[..], &mut text);
        text.push('\n');
        Ok(text)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey(of {})", self.public)
    }
}

struct Protection {
    cost: Cost,
    salt: [u8; 32],
}

/// A `.key` file as far as it can be read without its password.
struct Sealed {
    protection: Option<Protection>,
    sealed: Zeroizing<[u8; SEALED]>,
}

impl Sealed {
    fn parse(text: &str) -> Result<Self, SecretKeyError> {
        let [comment, key] = lines(text)?;
        after(comment, 1, UNTRUSTED)?;
        let bytes = decode::<BYTES>(key, 2)?;
        let (algorithm, rest) = split::<2>(&bytes[..]);
        let (kdf, rest) = split::<2>(rest);
        let (sum, rest) = split::<2>(rest);
        if algorithm != ED25519 || sum != BLAKE2B {
            return Err(SecretKeyError::Algorithm);
        }
        let (salt, rest) = split(rest);
        let (operations, rest) = split(rest);
        let (memory, rest) = split(rest);
        let cost = Cost { operations: u64::from_le_bytes(operations), memory: u64::from_le_bytes(memory) };
        let protection = match kdf {
            NO_KDF => None,
            SCRYPT => Some(Protection { cost: cost.checked()?, salt }),
            _ => return Err(SecretKeyError::Algorithm),
        };
        Ok(Self { protection, sealed: Zeroizing::new(split(rest).0) })
    }

    /// The key, when its checksum fits; else the error given.
    fn open(mut self, stream: &[u8; SEALED], otherwise: SecretKeyError) -> Result<SecretKey, SecretKeyError> {
        xor(&mut self.sealed, stream);
        let unsummed = self.protection.is_none() && self.sealed[72..] == [0; 32];
        if !unsummed && self.sealed[72..] != checksum(&self.sealed) {
            return Err(otherwise);
        }
        let (id, rest) = split(&self.sealed[..]);
        let seed = Zeroizing::new(split(rest).0);
        let key = SecretKey::from_parts(id, &seed)?;
        // a public half that is not the seed's would give the seed away by two signatures
        if key.key.verifying_key().as_bytes()[..] != self.sealed[40..72] {
            return Err(SecretKeyError::Mismatch);
        }
        Ok(key)
    }
}

fn xor(sealed: &mut [u8; SEALED], stream: &[u8; SEALED]) {
    sealed.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
}

fn checksum(sealed: &[u8; SEALED]) -> [u8; 32] {
    Blake2b::<U32>::new().chain_update(ED25519).chain_update(&sealed[..72]).finalize().into()
}
