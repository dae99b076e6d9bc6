//! Strictness: what is not exactly an index is none, and the path says where.

use crate::plugins::index::subscriptions::Subscriptions;
use crate::plugins::index::testing::{index, key, listing, release, revoked_key, revoked_version, subscription};
use crate::plugins::index::{Index, MAX_PLUGINS, MAX_VERSIONS};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

fn full() -> Index {
    let secret = key();
    let mut index = index(
        3,
        vec![
            listing("aa", vec![release("2.0.0", &secret), release("1.0.0-rc.1", &secret)]),
            listing("bb", vec![release("0.1.0", &secret)]),
        ],
    );
    index.plugins[0].versions[0].yanked = true;
    index.plugins[1].versions[0].min_midimon = Some("2.0.0".parse().unwrap());
    index.revoked_keys.push(revoked_key(key().public()));
    index.revoked_versions.push(revoked_version("aa", "1.0.0"));
    index
}

/// The fault that a change of a good index causes.
fn fault(change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(&full().to_text()).unwrap();
    change(&mut value);
    Index::parse(value.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn an_index_survives_its_text_and_the_same_one_always_has_the_same() {
    let index = full();
    assert_eq!(Index::parse(index.to_text().as_bytes()).unwrap(), index);
    assert_eq!(index.to_text(), index.clone().to_text());
}

#[test]
fn versions_are_read_with_the_highest_first_whatever_their_order() {
    let mut value: Value = serde_json::from_str(&full().to_text()).unwrap();
    value["plugins"][0]["versions"].as_array_mut().unwrap().reverse();
    let index = Index::parse(value.to_string().as_bytes()).unwrap();
    let versions: Vec<String> = index.plugins[0].versions.iter().map(|it| it.version.to_string()).collect();
    assert_eq!(versions, ["2.0.0", "1.0.0-rc.1"]);
}

#[test]
fn every_key_there_twice_is_told_with_its_path() {
    for (key, path) in [
        ("\"serial\"", "serial"),
        ("\"id\"", "plugins[0].id"),
        ("\"size\"", "plugins[0].versions[0].size"),
        ("\"reason\"", "revoked_keys[0].reason"),
    ] {
        let text = full().to_text();
        let once = text.find(key).unwrap();
        let twice = format!("{}{key}: 1, {}", &text[..once], &text[once..]);
        let fault = Index::parse(twice.as_bytes()).unwrap_err().to_string();
        assert!(fault.contains(&format!("{path}: this key is there twice")), "{fault}");
    }
}

#[test]
fn every_mistake_is_told_with_its_path() {
    let long = "x".repeat(81);
    let cases: [(&str, Value, &str); 31] = [
        ("/schema", json!(2), "schema: is newer"),
        ("/schema", json!("1"), "schema: must be a whole number"),
        ("/name", json!("Friends"), "name: an index's name"),
        ("/name", json!("../x"), "name: an index's name"),
        ("/serial", json!(0), "serial: must be a whole number"),
        ("/serial", json!(-1), "serial: must be a whole number"),
        ("/serial", json!(1.5), "serial: must be a whole number"),
        ("/serial", json!(u64::MAX), "serial: must be a whole number"),
        ("/created", json!("yesterday"), "created: is no time"),
        ("/expires", json!("2020-01-01T00:00:00Z"), "expires: must be later"),
        ("/expires", json!("2027-03-01T00:00:00Z"), "expires: must be at most 90 days"),
        ("/plugins", json!({}), "plugins: must be an array, not an object"),
        ("/plugins/0", json!(null), "plugins[0]: must be an object, not null"),
        ("/plugins/1/id", json!("AA"), "plugins[1].id: 'AA' is not a plugin id"),
        ("/plugins/1/id", json!("aa"), "plugins[1].id: another plugin of this id"),
        ("/plugins/0/name", json!(long), "plugins[0].name: is over 80 characters"),
        ("/plugins/0/name", json!("a\u{202e}b"), "plugins[0].name: has the character U+202E"),
        ("/plugins/0/description", json!("a\u{1b}[2Jb"), "plugins[0].description: has the character U+001B"),
        ("/plugins/0/authors/0", json!("a\nb"), "plugins[0].authors[0]: has the character U+000A"),
        ("/plugins/0/versions", json!([]), "plugins[0]: has no version"),
        (
            "/plugins/0/versions/1/version",
            json!("2.0.0+b"),
            "plugins[0].versions[1].version: this version is listed twice",
        ),
        ("/plugins/0/versions/0/version", json!("2"), "plugins[0].versions[0].version:"),
        ("/plugins/0/versions/0/file", json!("../a.mmp"), "plugins[0].versions[0].file:"),
        ("/plugins/0/versions/0/file", json!("a.zip"), "plugins[0].versions[0].file: must end in .mmp"),
        ("/plugins/0/versions/0/size", json!(134_217_729), "plugins[0].versions[0].size: must be"),
        ("/plugins/0/versions/0/sha256", json!("0F"), "plugins[0].versions[0].sha256: must be 64 digits"),
        ("/plugins/0/versions/0/publisher", json!("RW"), "plugins[0].versions[0].publisher:"),
        ("/plugins/0/versions/0/signature", json!("x"), "plugins[0].versions[0].signature:"),
        ("/plugins/0/versions/0/kind", json!("exe"), "plugins[0].versions[0].kind: must be one of"),
        ("/plugins/0/versions/0/targets", json!([]), "plugins[0].versions[0].targets: native code needs a target"),
        ("/revoked_versions/0/reason", json!(""), "revoked_versions[0].reason: is empty"),
    ];
    for (pointer, wrong, wanted) in cases {
        let found = fault(|value| *value.pointer_mut(pointer).unwrap() = wrong);
        assert!(found.contains(wanted), "{wanted}: {found}");
    }
}

#[test]
fn what_is_unknown_or_missing_is_told_with_its_path() {
    let unknown =
        fault(|value| drop(value["plugins"][1].as_object_mut().unwrap().insert("homepag".into(), json!("x"))));
    assert!(unknown.contains("plugins[1].homepag: this key is not known; did you mean `homepage`?"), "{unknown}");
    let hostile = fault(|value| drop(value.as_object_mut().unwrap().insert("\u{1b}[2J".into(), json!(1))));
    assert!(hostile.contains("\\u{1b}[2J: this key is not known"), "{hostile}");
    for (pointer, key, path) in [
        ("", "expires", "expires"),
        ("", "revoked_keys", "revoked_keys"),
        ("/plugins/0/versions/1", "sha256", "plugins[0].versions[1].sha256"),
        ("/revoked_keys/0", "reason", "revoked_keys[0].reason"),
    ] {
        let missing = fault(|value| drop(value.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key)));
        assert_eq!(missing, format!("{path}: is missing"));
    }
}

#[test]
fn numbers_of_things_and_depth_are_bounded() {
    let many = |count: usize, of: &str| {
        fault(|value| {
            let array = value.pointer_mut(of).unwrap().as_array_mut().unwrap();
            let first = array[0].clone();
            array.resize(count, first);
        })
    };
    assert!(many(MAX_PLUGINS + 1, "/plugins").contains("plugins: has more than 10000 entries"));
    assert!(many(MAX_VERSIONS + 1, "/plugins/0/versions").contains("versions: has more than 256 entries"));
    assert!(many(1_025, "/revoked_versions").contains("revoked_versions: has more than 1024 entries"));
    let deep = fault(|value| value["name"] = (0..20).fold(json!(1), |inner, _| json!([inner])));
    assert!(deep.contains("is nested too deeply"), "{deep}");
    for text in ["", "[]", "{", "null", "{}{}", "\u{feff}{}"] {
        assert!(Index::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Index::parse(&[b'['; 100_000]).is_err());
}

proptest! {
    /// A damaged index is no index, or one that is written and read the same.
    #[test]
    fn damage_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        static TEXT: LazyLock<String> = LazyLock::new(|| full().to_text());
        let mut bytes = TEXT.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(index) = Index::parse(&bytes) {
            prop_assert_eq!(Index::parse(index.to_text().as_bytes()).unwrap(), index);
        }
    }

    /// So is the list of those that were added.
    #[test]
    fn a_damaged_list_is_refused_or_says_what_it_will_say_again(at: prop::sample::Index, with in "[ -~\n]{0,3}") {
        static TEXT: LazyLock<String> = LazyLock::new(|| {
            let mut list = Subscriptions::default();
            list.add(subscription("friends", &full())).unwrap();
            list.to_text()
        });
        let mut text = TEXT.clone();
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        match Subscriptions::parse(&text) {
            Ok(list) => prop_assert_eq!(Subscriptions::parse(&list.to_text()).unwrap(), list),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
