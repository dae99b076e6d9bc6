//! Which version a name means.

use crate::plugins::Revocations;
use crate::plugins::index::choose::{Chosen, Offered, Rules, Unavailable, Wanted, choose};
use crate::plugins::index::testing::{index, key, listing, release, revoked_key, revoked_version, subscription};
use crate::plugins::index::{Index, IndexName, Release};
use crate::plugins::manifest::TARGET;
use crate::workers::status::PluginKind;
use semver::Version;

struct Ground {
    index: Index,
    name: IndexName,
    pre_releases: bool,
}

impl Ground {
    /// An index that offers `aa` in these versions.
    fn new(versions: &[&str]) -> Self {
        let secret = key();
        let versions = versions.iter().map(|version| release(version, &secret)).collect();
        Self { index: index(1, vec![listing("aa", versions)]), name: "friends".parse().unwrap(), pre_releases: false }
    }

    fn release(&mut self, at: usize) -> &mut Release {
        &mut self.index.plugins[0].versions[at]
    }

    fn above(&self, wanted: &str, above: Option<&str>) -> Result<String, Unavailable> {
        let index = &self.index;
        let mut revocations = Revocations::default();
        revocations.indexes.add(subscription("friends", index)).unwrap();
        let rules = Rules {
            target: TARGET,
            midimon: Version::new(3, 0, 0),
            pre_releases: self.pre_releases,
            revocations: &revocations,
        };
        let above: Option<Version> = above.map(|version| version.parse().unwrap());
        let wanted: Wanted = wanted.parse().unwrap();
        let offers = [Offered { name: &self.name, index }];
        choose(&offers, &wanted, above.as_ref(), &rules).map(|Chosen { release, .. }| release.version.to_string())
    }

    fn chosen(&self, wanted: &str) -> String {
        self.above(wanted, None).unwrap()
    }

    fn refused(&self, wanted: &str) -> String {
        self.above(wanted, None).unwrap_err().to_string()
    }
}

#[test]
fn the_newest_version_is_chosen_or_the_one_that_is_named() {
    let ground = Ground::new(&["10.0.0", "9.0.0", "1.0.0+build"]);
    assert_eq!(ground.chosen("aa"), "10.0.0");
    assert_eq!(ground.chosen("aa@9.0.0"), "9.0.0");
    assert_eq!(ground.chosen("aa@1.0.0"), "1.0.0+build");
    assert!(ground.refused("aa@3.0.0").contains("has no version 3.0.0 of 'aa'; it has: 10.0.0, 9.0.0"));
    assert!(ground.refused("ab").contains("did you mean 'aa'?"));
    assert!(!ground.refused("something-else").contains("did you mean"));
}

#[test]
fn a_pre_release_is_chosen_only_when_it_is_asked_for() {
    let mut ground = Ground::new(&["2.0.0-rc.1", "1.0.0"]);
    assert_eq!((ground.chosen("aa"), ground.chosen("aa@2.0.0-rc.1")), ("1.0.0".into(), "2.0.0-rc.1".into()));
    ground.pre_releases = true;
    assert_eq!(ground.chosen("aa"), "2.0.0-rc.1");
    assert!(Ground::new(&["2.0.0-rc.1"]).refused("aa").contains("add --pre"));
}

#[test]
fn e091_a_revoked_version_or_key_is_not_chosen_even_by_name() {
    let mut ground = Ground::new(&["2.0.0+b", "1.0.0"]);
    ground.index.revoked_versions.push(revoked_version("aa", "2.0.0"));
    assert_eq!(ground.chosen("aa"), "1.0.0");
    assert!(
        ground
            .refused("aa@2.0.0")
            .contains("must not be used: aa 2.0.0+b was revoked by the index 'friends': it sends what is typed")
    );
    let publisher = ground.release(1).publisher;
    ground.index.revoked_keys.push(revoked_key(publisher));
    assert!(ground.refused("aa").contains("was revoked by the index 'friends': it was stolen"));
}

#[test]
fn a_withdrawn_version_is_chosen_only_by_name() {
    let mut ground = Ground::new(&["2.0.0", "1.0.0"]);
    ground.release(0).yanked = true;
    assert_eq!((ground.chosen("aa"), ground.chosen("aa@2.0.0")), ("1.0.0".into(), "2.0.0".into()));
}

#[test]
fn what_cannot_run_here_is_not_chosen_and_the_reason_told() {
    let mut ground = Ground::new(&["3.0.0", "2.0.0", "1.0.0"]);
    ground.release(0).min_midimon = Some(Version::new(3, 0, 1));
    ground.release(1).targets = vec!["m68k-unknown-linux-gnu".to_owned()];
    assert_eq!(ground.chosen("aa"), "1.0.0");
    assert!(ground.refused("aa@3.0.0").contains("needs midimon ≥ 3.0.1, this is 3.0.0"));
    assert!(ground.refused("aa@2.0.0").contains("m68k-unknown-linux-gnu"));
    ground.release(1).targets.clear();
    ground.release(1).kind = PluginKind::Wasm;
    assert_eq!(ground.chosen("aa"), "2.0.0", "WASM without a target runs everywhere");
}

#[test]
fn an_update_is_newer_or_none() {
    let ground = Ground::new(&["2.0.0", "1.0.0"]);
    assert_eq!(ground.above("aa", Some("1.0.0")).unwrap(), "2.0.0");
    for current in ["2.0.0", "2.0.0+other", "3.0.0"] {
        let refusal = ground.above("aa", Some(current)).unwrap_err();
        assert!(matches!(refusal, Unavailable::UpToDate { .. }), "{refusal}");
    }
    // neither a pre-release nor a withdrawn version is one, and what cannot run is told
    let mut ground = Ground::new(&["3.0.0-rc.1", "2.5.0", "2.0.0"]);
    ground.release(1).yanked = true;
    assert!(matches!(ground.above("aa", Some("2.0.0")), Err(Unavailable::UpToDate { .. })));
    ground.release(1).min_midimon = Some(Version::new(9, 0, 0));
    assert!(matches!(ground.above("aa", Some("2.0.0")), Err(Unavailable::NoneFits { .. })));
}

#[test]
fn two_indexes_that_offer_one_id_are_an_error_that_names_both() {
    let (one, other) = (Ground::new(&["1.0.0"]), Ground::new(&["9.0.0"]));
    let names: [IndexName; 2] = ["friends".parse().unwrap(), "strangers".parse().unwrap()];
    let rules = Rules {
        target: TARGET,
        midimon: Version::new(3, 0, 0),
        pre_releases: false,
        revocations: &Revocations::default(),
    };
    let offers = [Offered { name: &names[0], index: &one.index }, Offered { name: &names[1], index: &other.index }];
    let wanted: Wanted = "aa".parse().unwrap();
    let refusal = choose(&offers, &wanted, None, &rules).unwrap_err().to_string();
    assert!(refusal.contains("--index friends") && refusal.contains("--index strangers"), "{refusal}");
    assert_eq!(choose(&offers[1..], &wanted, None, &rules).unwrap().release.version, Version::new(9, 0, 0));
}

#[test]
fn what_is_no_name_and_version_is_refused() {
    for text in ["", "A", "aa@", "aa@1", "aa@1.0.0@2.0.0", "a/b", "aa.mmp"] {
        assert!(text.parse::<Wanted>().is_err(), "{text}");
    }
}
