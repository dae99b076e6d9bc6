//! What a package would change here: the pure plan, made of what lies on disk.

use super::plan::{Before, Known, Plan, Signer, plan};
use crate::plugins::minisign::PublicKey;
use crate::plugins::package::Contents;
use crate::plugins::revocations::Revoked;
use crate::plugins::store::{Admitted, Candidate, Store, StoreError};
use crate::plugins::trust::{Standing, TrustStore};
use crate::timestamp::Timestamp;

/// What installing these contents would do, as things stand now. With `allow_downgrade` a
/// version below the highest that was in place is fine.
///
/// # Errors
/// It is refused, or what is installed cannot be read.
pub fn look(store: &Store, trust: &TrustStore, contents: &Contents, allow_downgrade: bool) -> Result<Plan, StoreError> {
    let manifest = &contents.manifest;
    let admitted = store.admits(&Candidate {
        id: &manifest.id,
        version: &manifest.version,
        publisher: contents.publisher.as_ref(),
        package_sha256: contents.digest,
        allow_downgrade,
    })?;
    let before = match admitted {
        Admitted::New => None,
        Admitted::Again | Admitted::Update(_) => before(store, contents)?,
    };
    // what was kept is of one that was removed
    let kept = admitted == Admitted::New && store.kept(&manifest.id)?.is_some();
    let signer = signer(trust, contents.publisher.as_ref())?;
    Ok(plan(manifest, signer, &admitted, before.as_ref(), kept))
}

/// What was said about the version in place. A version whose files were changed says
/// nothing that could be relied on: all is asked anew.
fn before(store: &Store, contents: &Contents) -> Result<Option<Before>, StoreError> {
    let id = &contents.manifest.id;
    let (Some(record), Some(grants)) = (store.get(id)?, store.grants(id)?) else { return Ok(None) };
    if grants.publisher != record.publisher {
        return Ok(None);
    }
    let manifest = store.current_files(&record).and_then(|files| files.manifest());
    Ok(manifest.ok().map(|manifest| Before::of(&manifest, &grants)))
}

fn signer(trust: &TrustStore, publisher: Option<&PublicKey>) -> Result<Signer, Revoked> {
    let Some(key) = publisher else { return Ok(Signer::Nobody) };
    let known = match trust.standing(key) {
        Standing::Unknown => Known::New,
        Standing::Trusted(entry) => Known::Trusted { name: entry.name.as_str().to_owned(), since: day(entry.since) },
        Standing::Revoked(entry) => return Err(Revoked::by_user(entry)),
    };
    Ok(Signer::Key(*key, known))
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take_while(|&character| character != 'T').collect()
}
