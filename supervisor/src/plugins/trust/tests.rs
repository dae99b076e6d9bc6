use super::*;
use crate::home::Home;
use crate::plugins::manifest::Problem;
use crate::plugins::minisign::SecretKey;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const PLAYER: &str = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8";

fn key() -> PublicKey {
    SecretKey::generate().unwrap().public()
}

fn name(text: &str) -> PublisherName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// The same point of the curve under another id.
fn under_another_id(key: &PublicKey) -> PublicKey {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut bytes = BASE64_STANDARD.decode(key.to_string()).unwrap();
    bytes[2] ^= 1;
    BASE64_STANDARD.encode(bytes).parse().unwrap()
}

/// Another point under the same id.
fn with_the_id_of(key: &PublicKey) -> PublicKey {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut bytes = BASE64_STANDARD.decode(self::key().to_string()).unwrap();
    bytes[2..10].copy_from_slice(&key.key_id());
    BASE64_STANDARD.encode(bytes).parse().unwrap()
}

fn home(directory: &Path) -> Home {
    let home = Home::at(&directory.join("home")).unwrap();
    home.prepare().unwrap();
    home
}

#[test]
fn a_key_is_unknown_then_trusted_then_revoked_and_stays_so() {
    let (mut store, key) = (TrustStore::default(), key());
    assert_eq!(store.standing(&key), Standing::Unknown);
    store.trust(key, name("A. Player"), How::FirstSight, at(1)).unwrap();
    assert!(matches!(store.standing(&key), Standing::Trusted(entry) if entry.since == at(1)));
    store.trust(key, name("A. Player"), How::Command, at(2)).unwrap();
    assert!(matches!(store.standing(&key), Standing::Trusted(entry) if entry.since == at(1)), "nothing changed");
    store.revoke(key, name("x"), at(3)).unwrap();
    store.revoke(key, name("x"), at(4)).unwrap();
    let Standing::Revoked(entry) = store.standing(&key) else { panic!() };
    assert_eq!((entry.name.as_str(), entry.revoked), ("A. Player", Some(at(3))));
    let refusal = store.trust(key, name("A. Player"), How::Command, at(5)).unwrap_err();
    assert!(refusal.to_string().contains("revoked on 1970-01-01"), "{refusal}");
}

#[test]
fn a_key_can_be_revoked_before_it_is_ever_seen() {
    let (mut store, key) = (TrustStore::default(), key());
    store.revoke(key, PublisherName::of_key(&key), at(1)).unwrap();
    assert!(matches!(store.standing(&key), Standing::Revoked(_)));
}

#[test]
fn e089_a_revoked_key_does_not_come_back_under_another_key_id() {
    let (mut store, key) = (TrustStore::default(), key());
    let again = under_another_id(&key);
    assert_ne!((again, again.key_id_hex()), (key, key.key_id_hex()));
    assert_eq!(again.fingerprint(), key.fingerprint());
    store.trust(key, name("A. Player"), How::Command, at(1)).unwrap();
    store.revoke(key, name("A. Player"), at(2)).unwrap();
    assert!(matches!(store.standing(&again), Standing::Revoked(_)));
    assert!(matches!(store.trust(again, name("New"), How::Command, at(3)), Err(TrustRefusal::Revoked { .. })));
}

#[test]
fn e089_another_key_with_a_trusted_keys_id_is_refused() {
    let (mut store, key) = (TrustStore::default(), key());
    store.trust(key, name("A. Player"), How::Command, at(1)).unwrap();
    let substitute = with_the_id_of(&key);
    assert_eq!(store.standing(&substitute), Standing::Unknown);
    let refusal = store.trust(substitute, name("Somebody"), How::Command, at(2)).unwrap_err();
    assert!(matches!(refusal, TrustRefusal::SameId { .. }), "{refusal}");
    store.trust(self::key(), name("Somebody"), How::Command, at(2)).unwrap();
}

#[test]
fn e106_no_name_says_that_midimon_speaks() {
    for bad in ["midimon", "The Midimon Project", "mid1m0n", "m i d i - m o n", "rnidimon", "МidiМon", "midimon.org"]
    {
        assert_eq!(bad.parse::<PublisherName>(), Err(NameError::Midimon), "{bad}");
    }
    for good in ["MIDI monitor makers", "midi man", "Modern Player"] {
        assert_ne!(good.parse::<PublisherName>(), Err(NameError::Midimon), "{good}");
    }
}

#[test]
fn nothing_that_is_known_stands_in_the_way_of_a_revocation_nor_does_one_of_a_key() {
    let (mut store, genuine, made_up) = (TrustStore::default(), key(), key());
    let pretending = with_the_id_of(&genuine);
    store.trust(key(), PublisherName::of_key(&made_up), How::Command, at(1)).unwrap();
    store.revoke(made_up, PublisherName::of_key(&made_up), at(2)).unwrap();
    // made up before the genuine key of that id was ever seen
    store.revoke(pretending, PublisherName::of_key(&pretending), at(2)).unwrap();
    store.trust(genuine, name("A. Player"), How::FirstSight, at(3)).unwrap();
    let another = with_the_id_of(&genuine);
    store.revoke(another, PublisherName::of_key(&another), at(4)).unwrap();
    for revoked in [made_up, pretending, another] {
        assert!(matches!(store.standing(&revoked), Standing::Revoked(_)));
    }
    assert!(matches!(store.standing(&genuine), Standing::Trusted(_)));
    assert_eq!(TrustStore::parse(&store.to_text()).unwrap(), store);
    // the name of what is revoked and of what is trusted means the one that is trusted
    let by_name = store.named(PublisherName::of_key(&made_up).as_str()).unwrap();
    assert!(by_name.revoked.is_none() && by_name.key != made_up);
}

#[test]
fn e106_a_name_that_looks_like_a_trusted_one_is_refused_to_another_key() {
    let mut store = TrustStore::default();
    let genuine = key();
    store.trust(genuine, name("Modern Player"), How::Command, at(1)).unwrap();
    for alike in [
        "Modern Player",
        "MODERN PLAYER",
        "modern-player",
        "ModernPlayer",
        "Modern P1ayer",
        "Mоdеrn Plаyеr", // Cyrillic о, е, а
        "Modem PIayer",
        "Ｍodern Player",
        "Modérn Player",
    ] {
        let refusal = store.trust(key(), name(alike), How::FirstSight, at(2)).unwrap_err();
        assert!(matches!(&refusal, TrustRefusal::LookAlike { .. }), "{alike}: {refusal}");
        assert!(refusal.to_string().contains(&genuine.fingerprint().to_string()), "{refusal}");
    }
    store.trust(key(), name("Modern Player 2"), How::Command, at(2)).unwrap();
    store.trust(key(), name("Old Player"), How::Command, at(2)).unwrap();
    // also when the first one is revoked: its name must not be taken over in silence
    store.revoke(genuine, name("Modern Player"), at(3)).unwrap();
    let refusal = store.trust(key(), name("modern player"), How::FirstSight, at(4)).unwrap_err();
    assert!(refusal.to_string().contains("(revoked)"), "{refusal}");
}

#[test]
fn e106_a_name_cannot_carry_a_mark_of_midimons_or_mislead_where_it_is_shown() {
    for bad in [
        "",
        " ",
        "...",
        " a",
        "a ",
        "a  b",
        "a\nb",
        "a\u{1b}[2J",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{a0}b",
        "Player ✓",
        "✔ verified",
        "🔒",
        PLAYER,
        &"x".repeat(81),
    ] {
        assert!(bad.parse::<PublisherName>().is_err(), "{bad:?}");
    }
    for good in ["A", "A. Player", "Élise", "ピアノ", "x (2)", "🎹 Keys", &"x".repeat(80)] {
        name(good);
    }
}

#[test]
fn the_store_survives_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let home = home(directory.path());
    assert_eq!(TrustStore::load(&home).unwrap(), TrustStore::default());
    let mut store = TrustStore::default();
    for text in ["A \"quoted\" \\ name", "ピアノ", "plain", "it's", "''' \"\"\""] {
        if text.chars().any(char::is_alphanumeric) {
            store.trust(key(), name(text), How::FirstSight, at(1_795_331_307)).unwrap();
        }
    }
    store.revoke(key(), name("gone"), at(1_795_331_308)).unwrap();
    store.save(&home).unwrap();
    assert_eq!(TrustStore::load(&home).unwrap(), store);
    assert_eq!(fs::metadata(home.trusted_keys()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_unreadable_or_open_file_is_an_error_that_names_it_and_never_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    let home = home(directory.path());
    let path = home.trusted_keys();
    let wrong = |wanted: &str| {
        let error = TrustStore::load(&home).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains(&*path.to_string_lossy()), "{wanted}: {error}");
        let changed = TrustStore::change(&home, |_| Ok::<_, TrustError>(()));
        assert!(changed.is_err(), "{wanted}");
    };
    fs::write(&path, "").unwrap();
    wrong("`schema` is missing");
    fs::write(&path, "schema = 1\n[[keys]]\nkey = ").unwrap();
    wrong(":3:");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    wrong("UTF-8");
    fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
    wrong("over the limit");
    fs::write(&path, "schema = 1\n").unwrap();
    assert!(TrustStore::load(&home).is_ok());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    wrong("chmod go-w");
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("nowhere"), &path).unwrap();
    wrong("no such file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    wrong("not a regular file");
}

#[test]
fn a_link_the_user_put_there_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let home = home(directory.path());
    let elsewhere = directory.path().join("elsewhere.toml");
    fs::write(&elsewhere, "schema = 1\n").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&elsewhere, home.trusted_keys()).unwrap();
    let key = key();
    TrustStore::change(&home, |store| {
        store.trust(key, name("A"), How::Command, at(1)).unwrap();
        Ok::<_, TrustError>(())
    })
    .unwrap();
    assert!(home.trusted_keys().is_symlink());
    assert!(fs::read_to_string(elsewhere).unwrap().contains(&key.to_string()));
}

#[test]
fn changes_at_the_same_time_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let home = home(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let home = &home;
            scope.spawn(move || {
                for index in 0..5 {
                    TrustStore::change(home, |store| {
                        store.trust(key(), name(&format!("t{thread}n{index}")), How::Command, at(1)).unwrap();
                        Ok::<_, TrustError>(())
                    })
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(TrustStore::load(&home).unwrap().entries().len(), 20);
}

fn problems(text: &str) -> Vec<Problem> {
    TrustStore::parse(text).expect_err(text)
}

#[test]
fn mistakes_are_told_with_their_places() {
    let entry = |more: &str| {
        format!(
            "schema = 1\n[[keys]]\nkey = \"{PLAYER}\"\nname = \"A\"\nsince = \"2026-01-01T00:00:00Z\"\nhow = \"command\"\n{more}"
        )
    };
    assert_eq!(TrustStore::parse(&entry("")).unwrap().entries().len(), 1);
    for (text, line, wanted) in [
        ("schema = 2\n".to_owned(), 1, "newer"),
        ("schema = 1\nkey = []\n".to_owned(), 2, "did you mean `keys`?"),
        (entry("revokd = \"x\"\n"), 7, "did you mean `revoked`?"),
        (entry("revoked = \"yesterday\"\n"), 7, "is no time"),
        (entry("revoked = false\n"), 7, "must be a text"),
        (entry("name = \"B\"\n"), 7, "duplicate"),
        (entry("").replace("command", "magic"), 6, "must be one of"),
        (entry("").replace("\"A\"", "\"A\u{202e}\""), 4, "U+202E"),
        (entry("").replace("qWM8", "qW=="), 3, "base64"),
        (entry("").replace("qWM8", "qWM9"), 3, "damaged"),
        (entry("").replace("RWRo", "RWxo"), 3, "kind"),
        (entry("").replace("how = \"command\"\n", ""), 2, "`how` is missing"),
    ] {
        let found = problems(&text);
        let told = found.iter().any(|problem| problem.line == line && problem.message.contains(wanted));
        assert!(told, "{wanted}: {found:?}");
    }
}

#[test]
fn e087_one_key_one_id_or_one_name_twice_is_a_mistake() {
    let first: PublicKey = PLAYER.parse().unwrap();
    let entry = |key: &PublicKey, name: &str| {
        format!("[[keys]]\nkey = \"{key}\"\nname = \"{name}\"\nsince = \"2026-01-01T00:00:00Z\"\nhow = \"command\"\n")
    };
    let two = |key: &PublicKey, name: &str| format!("schema = 1\n{}{}", entry(&first, "A"), entry(key, name));
    assert_eq!(TrustStore::parse(&two(&key(), "B")).unwrap().entries().len(), 2);
    for (text, wanted) in [
        (two(&first, "B"), "an entry already"),
        (two(&under_another_id(&first), "B"), "an entry already"),
        (two(&with_the_id_of(&first), "B"), "same key id"),
        (two(&key(), "a"), "looks like it"),
    ] {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.line >= 7 && problem.message.contains(wanted)), "{found:?}");
    }
}

#[test]
fn there_are_at_most_4096_keys() {
    let entries = (0..MAX_KEYS as u64)
        .map(|index| Entry {
            key: key(),
            name: name(&format!("n{}", index.to_string().replace('0', "a").replace('1', "b"))),
            since: at(0),
            how: How::Command,
            revoked: None,
        })
        .collect();
    let mut store = TrustStore { entries };
    assert_eq!(TrustStore::parse(&store.to_text()).unwrap(), store);
    assert_eq!(store.trust(key(), name("more"), How::Command, at(1)), Err(TrustRefusal::Full));
    store.entries.push(Entry { key: key(), name: name("more"), since: at(0), how: How::Command, revoked: None });
    assert!(problems(&store.to_text()).iter().any(|problem| problem.message.contains("4096")));
}

#[test]
fn a_store_that_takes_no_more_can_still_revoke_every_key_and_be_read() {
    // ten letters none of which looks like another
    let letter = |digit: char| char::from(b"abefghjkmn"[digit.to_digit(10).unwrap() as usize]);
    let wide = "\u{20000}".repeat(76);
    let long = |index: usize| name(&(format!("{index:04}").chars().map(letter).collect::<String>() + &wide));
    let entries = (0..2_300)
        .map(|index| Entry { key: key(), name: long(index), since: at(0), how: How::FirstSight, revoked: None })
        .collect();
    let mut store = TrustStore { entries };
    assert_eq!(store.trust(key(), name("more"), How::Command, at(1)), Err(TrustRefusal::Full));
    store.entries.truncate(1_500);
    store.trust(key(), name("more"), How::Command, at(1)).unwrap();
    let keys: Vec<PublicKey> = store.entries.iter().map(|entry| entry.key).collect();
    for key in keys {
        store.revoke(key, name("x"), at(2)).unwrap();
    }
    assert!(store.to_text().len() as u64 <= MAX_BYTES);
    assert_eq!(TrustStore::parse(&store.to_text()).unwrap(), store);
}

proptest! {
    #[test]
    fn a_damaged_store_is_refused_or_says_what_it_will_say_again(place: prop::sample::Index, with in "[ -~\n]{0,3}") {
        let mut store = TrustStore::default();
        store.trust(key(), name("one"), How::Command, at(1)).unwrap();
        store.revoke(key(), name("two"), at(2)).unwrap();
        let mut text = store.to_text();
        let place = place.index(text.len());
        text.replace_range(place..=place, &with);
        match TrustStore::parse(&text) {
            Ok(store) => prop_assert_eq!(TrustStore::parse(&store.to_text()).unwrap(), store),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
