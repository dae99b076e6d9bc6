//! What using an index leaves behind: what is remembered, and what it revokes.

use crate::home::Home;
use crate::plugins::Revocations;
use crate::plugins::index::accept::Refusal;
use crate::plugins::index::apply::{Effect, IndexError, add, refresh};
use crate::plugins::index::subscriptions::{FILE_NAME, MAX_INDEXES, SubscriptionError, Subscriptions};
use crate::plugins::index::testing::{DAY, at, index, key, revoked_key, revoked_version, signed, subscription, write};
use crate::plugins::index::{Index, IndexName, MAX_REASON, MAX_REVOKED, RevokedKey, RevokedVersion};
use crate::plugins::minisign::{PublicKey, SecretKey};
use crate::plugins::trust::{How, TrustStore};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

struct Ground {
    temp: tempfile::TempDir,
    home: Home,
    secret: SecretKey,
    name: IndexName,
}

impl Ground {
    /// The index `friends`, number 7, was added.
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::at(&temp.path().join("home")).unwrap();
        home.prepare().unwrap();
        fs::create_dir(temp.path().join("index")).unwrap();
        let ground = Self { temp, home, secret: key(), name: "friends".parse().unwrap() };
        ground.publish(&index(7, Vec::new()));
        add(&ground.home, &ground.dir(), ground.secret.public(), None, at(DAY + 10)).unwrap();
        ground
    }

    fn dir(&self) -> PathBuf {
        self.temp.path().join("index")
    }

    fn publish(&self, index: &Index) {
        write(&self.dir(), &signed(index, &self.secret));
    }

    fn refresh(&self) -> Result<Vec<Effect>, IndexError> {
        refresh(&self.home, &self.name, at(DAY + 100)).map(|current| current.effects)
    }

    fn list(&self) -> Subscriptions {
        Subscriptions::load(&self.home).unwrap()
    }

    fn serial(&self) -> u64 {
        self.list().get("friends").unwrap().last.serial
    }
}

#[test]
fn e091_what_was_used_is_remembered_across_runs_and_what_was_refused_changes_nothing() {
    let ground = Ground::new();
    ground.publish(&index(9, Vec::new()));
    ground.refresh().unwrap();
    assert_eq!(ground.serial(), 9);
    ground.publish(&index(8, Vec::new()));
    let refused = ground.refresh().unwrap_err();
    assert!(
        matches!(&refused, IndexError::Refused { source: Refusal::Replayed { found: 8, known: 9 }, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("'friends'"), "{refused}");
    assert_eq!(ground.serial(), 9);
    ground.publish(&index(10, Vec::new()));
    ground.refresh().unwrap();
    assert_eq!(ground.serial(), 10);
    let mode = fs::metadata(ground.home.state_dir().join(FILE_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn e091_a_damaged_list_is_an_error_and_never_an_empty_one() {
    let ground = Ground::new();
    let path = ground.home.state_dir().join(FILE_NAME);
    let good = fs::read_to_string(&path).unwrap();
    for bad in
        ["", "schema = 2\n", "schema = 1\nindex = []\n", &good.replace("serial = 7", ""), &format!("{good}x = 1\n")]
    {
        fs::write(&path, bad).unwrap();
        let error = ground.refresh().unwrap_err().to_string();
        assert!(error.contains(FILE_NAME), "{error}");
    }
    fs::write(&path, good).unwrap();
    ground.refresh().unwrap();
}

#[test]
fn an_index_is_added_once_and_under_one_name() {
    let ground = Ground::new();
    let now = at(DAY + 20);
    let again = |name: Option<&str>, key| {
        add(&ground.home, &ground.dir(), key, name.map(|name| name.parse().unwrap()), now).unwrap_err()
    };
    let own = ground.secret.public();
    assert!(matches!(again(Some("other"), own), IndexError::Subscription(SubscriptionError::Again(_))));
    assert!(matches!(again(None, key().public()), IndexError::Refused { source: Refusal::Signature(_), .. }));
    let (other_dir, other) = (ground.temp.path().join("other"), key());
    fs::create_dir(&other_dir).unwrap();
    write(&other_dir, &signed(&index(1, Vec::new()), &other));
    let taken = add(&ground.home, &other_dir, other.public(), None, now).unwrap_err();
    assert!(matches!(taken, IndexError::Subscription(SubscriptionError::NameTaken(_))), "{taken}");
    add(&ground.home, &other_dir, other.public(), Some("second".parse().unwrap()), now).unwrap();
    let names: Vec<String> = ground.list().entries().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["friends", "second"]);
    assert_eq!(Subscriptions::parse(&ground.list().to_text()).unwrap(), ground.list());
    let unknown = ground.list().get("third").unwrap_err().to_string();
    assert!(unknown.contains("friends, second"), "{unknown}");
    let mut list = ground.list();
    list.remove("friends").unwrap();
    assert_eq!(list.entries().len(), 1);
}

#[test]
fn e091_what_an_index_revokes_is_known_without_the_index_until_it_is_removed() {
    let ground = Ground::new();
    let (stranger, friend) = (key().public(), key().public());
    TrustStore::change(&ground.home, |trust| {
        trust.trust(friend, "A. Player".parse().unwrap(), How::Command, at(1)).unwrap();
        Ok::<_, crate::plugins::trust::TrustError>(())
    })
    .unwrap();
    let trusted = fs::read(ground.home.trusted_keys()).unwrap();
    let mut next = index(8, Vec::new());
    next.revoked_keys = vec![revoked_key(stranger), revoked_key(friend)];
    next.revoked_versions.push(revoked_version("aa", "1.0.0"));
    ground.publish(&next);
    let effects = ground.refresh().unwrap();
    let [effect] = &effects[..] else { panic!("{effects:?}") };
    assert!(effect.to_string().contains("'A. Player'") && effect.to_string().contains("it was stolen"), "{effect}");
    assert_eq!(ground.refresh().unwrap(), []);
    fs::remove_dir_all(ground.dir()).unwrap();
    assert!(matches!(ground.refresh(), Err(IndexError::Fetch { .. })));
    let revoked = |version: &str, key: Option<&PublicKey>| {
        Revocations::load(&ground.home).unwrap().check(&"aa".parse().unwrap(), &version.parse().unwrap(), key).is_err()
    };
    assert!(revoked("1.0.0+build", None) && revoked("1.0.1", Some(&stranger)) && revoked("1.0.1", Some(&friend)));
    assert!(!revoked("1.0.1", None) && !revoked("1.0.1", Some(&key().public())));
    // none of it is the user's own word
    assert_eq!(fs::read(ground.home.trusted_keys()).unwrap(), trusted);
    Subscriptions::change(&ground.home, |list| list.remove("friends")).unwrap();
    assert!(!revoked("1.0.0", Some(&stranger)) && !revoked("1.0.1", Some(&friend)));
}

#[test]
fn all_that_indexes_can_revoke_can_be_remembered() {
    let mut full = index(1, Vec::new());
    let reason = "\u{10000}".repeat(MAX_REASON);
    let mut of = || RevokedKey { key: key().public(), reason: reason.clone() };
    full.revoked_keys = std::iter::repeat_with(&mut of).take(MAX_REVOKED).collect();
    let version = |number| format!("{number}.0.0-{}", "x".repeat(50)).parse().unwrap();
    let of = |number| RevokedVersion { id: "aa".parse().unwrap(), version: version(number), reason: reason.clone() };
    full.revoked_versions = (0..MAX_REVOKED).map(of).collect();
    let ground = Ground::new();
    for number in 1..MAX_INDEXES {
        let mut another = subscription(&format!("i{number}"), &full);
        another.index = format!("i{number}").parse().unwrap();
        Subscriptions::change(&ground.home, |list| list.add(another)).unwrap();
    }
    assert_eq!(ground.list().entries().len(), MAX_INDEXES);
}

#[test]
fn e091_an_index_that_revokes_its_own_key_is_not_used_from_then_on() {
    let ground = Ground::new();
    let mut last = index(8, Vec::new());
    last.revoked_keys.push(revoked_key(ground.secret.public()));
    ground.publish(&last);
    ground.refresh().unwrap();
    ground.publish(&index(9, Vec::new()));
    let told = ground.refresh().unwrap_err().to_string();
    assert!(told.contains("it was stolen") && told.contains("midimon index remove friends"), "{told}");
    assert_eq!(ground.serial(), 8);
}

#[test]
fn e091_an_index_whose_own_key_was_revoked_is_not_used() {
    let ground = Ground::new();
    ground.refresh().unwrap();
    TrustStore::change(&ground.home, |trust| {
        trust.revoke(ground.secret.public(), "gone".parse().unwrap(), at(1)).unwrap();
        Ok::<_, crate::plugins::trust::TrustError>(())
    })
    .unwrap();
    assert!(matches!(ground.refresh(), Err(IndexError::KeyRevoked { .. })));
}
