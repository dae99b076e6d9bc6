//! Whether an index that was fetched is used: a pure decision from its bytes, what
//! is known of it, and the time.

use super::{Fault, Index, IndexName, Signed};
use crate::plugins::minisign::{Blake2b512Digest, PublicKey, Signature, SignatureError};
use crate::timestamp::Timestamp;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How far in the future an index may have been made: clocks differ.
pub const CLOCK_SLACK: Duration = Duration::from_secs(86_400);

/// What is remembered of the last index that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its serial number.
    pub serial: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it must not be used.
    pub expires: Timestamp,
    /// SHA-256 of `index.json`.
    pub sha256: [u8; 32],
}

/// What is known of an index before it is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// The key the user pinned.
    pub key: &'k PublicKey,
    /// What it calls itself; `None` at first sight.
    pub name: Option<&'k IndexName>,
    /// The last one that was used.
    pub last: Option<&'k Accepted>,
}

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("its signature is not accepted: {0}")]
    Signature(#[from] SignatureError),
    #[error("the index has a mistake: {0}")]
    Invalid(#[from] Fault),
    #[error("this is the index '{found}', and the one that was added is '{known}': they were exchanged")]
    OtherIndex { found: IndexName, known: IndexName },
    #[error(
        "the index expired on {expires}: its publisher has made no new one since, or somebody holds the new one back"
    )]
    Expired { expires: Timestamp },
    #[error(
        "the index was made on {created}, which is in the future by more than a day: this machine's clock or its \
         publisher's is wrong"
    )]
    Future { created: Timestamp },
    #[error("the index has the serial number {found}, and number {known} was seen already: an old one is played back")]
    Replayed { found: u64, known: u64 },
    #[error(
        "the index has the serial number {serial} of one that was seen already, and other content: \
         somebody is shown something else; tell its publisher"
    )]
    Equivocation { serial: u64 },
    #[error("the index was made on {found}, before the last one of {known}, and yet has a higher serial number")]
    Backwards { found: Timestamp, known: Timestamp },
}

/// Decides whether a fetched index is used at the time `now`.
///
/// # Errors
/// See [`Refusal`]. Nothing of the index is believed then.
pub fn accept(signed: &Signed, known: Known<'_>, now: Timestamp) -> Result<(Index, Accepted), Refusal> {
    let index = signed_by(signed, known)?;
    if index.created.since(now) > CLOCK_SLACK {
        return Err(Refusal::Future { created: index.created });
    }
    let accepted = Accepted {
        serial: index.serial,
        created: index.created,
        expires: index.expires,
        sha256: Sha256::digest(&signed.bytes).into(),
    };
    if let Some(last) = known.last {
        if accepted.serial < last.serial {
            return Err(Refusal::Replayed { found: accepted.serial, known: last.serial });
        }
        if accepted.serial == last.serial && accepted.sha256 != last.sha256 {
            return Err(Refusal::Equivocation { serial: accepted.serial });
        }
        if accepted.created < last.created {
            return Err(Refusal::Backwards { found: accepted.created, known: last.created });
        }
    }
    // last, so that an old one is called old and not only expired
    if now >= index.expires {
        return Err(Refusal::Expired { expires: index.expires });
    }
    Ok((index, accepted))
}

/// The index, when its key has signed it and it is the one that is meant; it may be an
/// old one or a late one.
pub(super) fn signed_by(signed: &Signed, known: Known<'_>) -> Result<Index, Refusal> {
    // nothing is read before it is known who wrote it
    Signature::parse(&signed.signature)?.verify(known.key, &Blake2b512Digest::of(&signed.bytes))?;
    let index = Index::parse(&signed.bytes)?;
    match known.name {
        Some(name) if *name != index.name => Err(Refusal::OtherIndex { found: index.name, known: name.clone() }),
        _ => Ok(index),
    }
}
