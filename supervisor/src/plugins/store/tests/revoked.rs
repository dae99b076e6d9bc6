//! What was revoked, by the user or an index, is not used whatever one does.

use super::*;
use crate::plugins::index::subscriptions::{SubscriptionError, Subscriptions};
use crate::plugins::index::testing::{index, revoked_key, revoked_version, subscription};
use crate::plugins::revocations::Revoked;
use crate::plugins::trust::{TrustError, TrustStore};
use crate::timestamp::Timestamp;

impl Bench {
    /// Adds an index that revokes this.
    fn index_revokes(&self, key: Option<PublicKey>, version: Option<&str>) {
        let mut index = index(1, Vec::new());
        index.revoked_keys.extend(key.map(revoked_key));
        index.revoked_versions.extend(version.map(|version| revoked_version("ab", version)));
        Subscriptions::change(self.home(), |list| list.add(subscription("friends", &index))).unwrap();
    }

    /// Why nothing is started; `None` when something is.
    fn problem(&self) -> Option<String> {
        let scan = self.store.discover().unwrap();
        assert_eq!(scan.plugins.len() + scan.bad.len(), 1);
        scan.bad.first().map(|bad| bad.cause.to_string())
    }
}

fn is_revoked<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Revoked(Revoked::Version { .. } | Revoked::Key { .. })))
}

#[test]
fn e091_a_version_an_index_revokes_is_neither_started_enabled_gone_back_to_nor_installed() {
    let bench = Bench::new();
    let (one, two) = (package("ab", "1.0.0", ""), package("ab", "1.1.0", ""));
    bench.install(&one).unwrap();
    let record = bench.install(&two).unwrap();
    assert_eq!(bench.problem(), None);
    bench.index_revokes(None, Some("1.0.0"));
    // the version that runs is another
    assert_eq!(bench.problem(), None);
    assert!(is_revoked(bench.lock().rollback(&id("ab"))));
    let told = bench.install(&one);
    assert!(is_revoked(told));
    assert_eq!(bench.record("ab"), Some(record));
    // it ran when the index was fetched
    Subscriptions::change(bench.home(), |list| list.remove("friends")).unwrap();
    bench.lock().rollback(&id("ab")).unwrap();
    bench.index_revokes(None, Some("1.0.0"));
    let why = bench.problem().unwrap();
    assert!(why.contains("it sends what is typed") && why.contains("midimon index remove friends"), "{why}");
    bench.lock().set_enabled(&id("ab"), false, None).unwrap();
    assert!(is_revoked(bench.lock().set_enabled(&id("ab"), true, None)));
    // removing the index undoes all of it
    Subscriptions::change(bench.home(), |list| list.remove("friends")).unwrap();
    bench.lock().set_enabled(&id("ab"), true, None).unwrap();
    assert_eq!(bench.problem(), None);
}

#[test]
fn e091_nothing_of_a_key_an_index_revokes_is_used_until_the_index_is_removed() {
    let (bench, key) = (Bench::new(), SecretKey::generate().unwrap());
    bench.install(&package("ab", "1.0.0", "").signed(&key)).unwrap();
    bench.index_revokes(Some(key.public()), None);
    assert!(bench.problem().unwrap().contains("it was stolen"));
    assert!(is_revoked(bench.install(&package("ab", "1.1.0", "").signed(&key))));
    assert!(is_revoked(bench.lock().set_enabled(&id("ab"), true, None)));
    assert!(!bench.home().trusted_keys().exists());
    Subscriptions::change(bench.home(), |list| list.remove("friends")).unwrap();
    assert_eq!(bench.problem(), None);
}

#[test]
fn a_key_revoked_while_its_plugin_is_tried_leaves_nothing_installed() {
    let (bench, key) = (Bench::new(), SecretKey::generate().unwrap());
    let package = package("ab", "1.0.0", "").signed(&key);
    let locked = bench.lock();
    let staged = locked.stage(&package.incoming()).unwrap();
    TrustStore::change(bench.home(), |trust| {
        trust.revoke(key.public(), "Gone".parse().unwrap(), Timestamp::from_unix_seconds(1)).unwrap();
        Ok::<_, TrustError>(())
    })
    .unwrap();
    let told = locked.commit(staged, package.granted(), false);
    assert!(matches!(told, Err(StoreError::Revoked(Revoked::User { .. }))), "{told:?}");
    assert_eq!(bench.record("ab"), None);
}

#[test]
fn e091_while_it_is_not_known_what_was_revoked_nothing_is_used() {
    let bench = Bench::new();
    bench.install(&package("ab", "1.0.0", "")).unwrap();
    bench.install(&package("ab", "1.1.0", "")).unwrap();
    fs::write(bench.home().state_dir().join("indexes.toml"), "schema = ").unwrap();
    assert!(bench.problem().unwrap().contains("indexes.toml"));
    let is_unknown = |result: Result<Installed, StoreError>| matches!(result, Err(StoreError::Revocations(_)));
    assert!(is_unknown(bench.lock().rollback(&id("ab"))));
    assert!(is_unknown(bench.lock().set_enabled(&id("ab"), true, None)));
    assert!(is_unknown(bench.install(&package("ab", "1.2.0", ""))));
    // what only stops something works
    bench.lock().set_enabled(&id("ab"), false, None).unwrap();
    assert!(matches!(Subscriptions::load(bench.home()), Err(SubscriptionError::Strict(_))));
}
