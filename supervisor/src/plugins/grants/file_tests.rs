use super::*;
use crate::plugins::manifest::{CapabilityRequest, MAX_REQUESTS};
use crate::plugins::minisign::SecretKey;
use crate::workers::status::PluginKind;
use proptest::prelude::*;

fn cap(text: &str) -> Capability {
    text.parse().unwrap()
}

fn set(texts: &[&str]) -> Grants {
    texts.iter().map(|text| cap(text)).collect()
}

fn manifest(texts: &[&str], asks: &[&str]) -> Manifest {
    let mut manifest = Manifest::bare("obs".parse().unwrap(), PluginKind::Wasm, "obs.wasm".into());
    let request = |text: &&str| CapabilityRequest { capability: cap(text), reason: "r".into() };
    manifest.capabilities = texts.iter().map(request).collect();
    let ask = |prompt: &&str| Ask {
        kind: CapabilityKind::Network,
        prompt: (*prompt).to_owned(),
        reason: "r".into(),
        setting: None,
    };
    manifest.asks = asks.iter().map(ask).collect();
    manifest
}

fn file(asked: &[&str], granted: &[&str], answers: &[(&str, Option<&str>)]) -> GrantFile {
    let answer = |(prompt, capability): &(&str, Option<&str>)| Answer {
        kind: CapabilityKind::Network,
        prompt: (*prompt).to_owned(),
        capability: capability.map(cap),
    };
    GrantFile {
        plugin: "obs".parse().unwrap(),
        publisher: None,
        asked: set(asked),
        granted: set(granted),
        answers: answers.iter().map(answer).collect(),
    }
}

#[test]
fn the_most_that_two_versions_can_ask_for_fits_the_file() {
    let most = |version: char| -> Vec<String> {
        let target = |number: usize| format!("midi:{number:03}{version}{}", "é".repeat(126));
        (0..MAX_REQUESTS).map(target).collect()
    };
    let (old, new) = (most('a'), most('b'));
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    let both = file(&new, &new, &[]).after(&file(&old, &old, &[]), &manifest(&old, &[]));
    let text = both.to_text();
    assert!(text.len() as u64 <= MAX_BYTES, "{} bytes", text.len());
    assert_eq!(GrantFile::parse(&text).unwrap(), both);
}

#[test]
fn no_number_of_versions_fills_the_file_with_what_was_denied() {
    let mut grants = file(&[], &[], &[]);
    for version in 0..300 {
        let targets: Vec<String> =
            (0..8).map(|number| format!("midi:{version}-{number}-{}", "x".repeat(200))).collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let question = format!("Address {version}?");
        grants = file(&targets, &[], &[(&question, None)]).after(&grants, &manifest(&[], &[]));
    }
    let text = grants.to_text();
    assert!(text.len() < 2 * MAX_OLD_DENIALS, "{} bytes", text.len());
    assert_eq!(GrantFile::parse(&text).unwrap(), grants);
    assert!(grants.asked.iter().count() > 8, "what fits is remembered");
}

#[test]
fn grants_survive_their_text() {
    let key = SecretKey::generate().unwrap().public();
    let written = GrantFile {
        publisher: Some(key),
        ..file(&["filesystem", "midi:A \"port\""], &["filesystem"], &[("Address?", Some("network:h:1")), ("No", None)])
    };
    assert_eq!(GrantFile::parse(&written.to_text()).unwrap(), written);
    let unsigned = file(&[], &[], &[]);
    assert_eq!(GrantFile::parse(&unsigned.to_text()).unwrap(), unsigned);
}

#[test]
fn what_was_granted_and_is_asked_for_holds_with_what_was_typed() {
    let grants = file(&["filesystem", "input"], &["filesystem"], &[("Address?", Some("network:h:1")), ("B", None)]);
    let effective = grants.effective(&manifest(&["filesystem", "input"], &["Address?", "B"]), None).unwrap();
    assert_eq!(effective, set(&["filesystem", "network:h:1"]));
    // a version that asks for less gets less
    assert_eq!(grants.effective(&manifest(&["input"], &[]), None).unwrap(), set(&[]));
}

#[test]
fn e093_a_manifest_that_asks_for_more_than_was_shown_gets_nothing_at_all() {
    let grants = file(&["filesystem"], &["filesystem"], &[("Address?", Some("network:h:1"))]);
    assert!(grants.effective(&manifest(&["filesystem"], &["Address?"]), None).is_ok());
    for (texts, asks, named) in [
        (&["filesystem", "input"][..], &[][..], "input"),
        (&["filesystem", "network:h:1"][..], &[][..], "network:h:1"),
        (&["filesystem"][..], &["Another"][..], "network"),
    ] {
        let told = grants.effective(&manifest(texts, asks), None).unwrap_err().to_string();
        assert!(told.contains(named) && told.contains("midimon plugin install"), "{told}");
    }
}

#[test]
fn grants_of_another_publisher_or_plugin_count_for_nothing() {
    let (one, two) = (SecretKey::generate().unwrap().public(), SecretKey::generate().unwrap().public());
    let grants = GrantFile { publisher: Some(one), ..file(&["input"], &["input"], &[]) };
    let asking = manifest(&["input"], &[]);
    assert!(grants.effective(&asking, Some(&one)).is_ok());
    assert_eq!(grants.effective(&asking, Some(&two)), Err(ConsentFault::OtherPlugin));
    assert_eq!(grants.effective(&asking, None), Err(ConsentFault::OtherPlugin));
    let other = Manifest { id: "other".parse().unwrap(), ..asking };
    assert_eq!(grants.effective(&other, Some(&one)), Err(ConsentFault::OtherPlugin));
}

#[test]
fn a_grant_is_given_and_taken_back_and_only_for_what_is_asked_for() {
    let asking = manifest(&["filesystem"], &["Address?"]);
    let mut grants = file(&["filesystem"], &[], &[("Address?", None)]);
    grants.grant(&asking, &cap("filesystem")).unwrap();
    grants.grant(&asking, &cap("network:h:1")).unwrap();
    assert_eq!(grants.effective(&asking, None).unwrap(), set(&["filesystem", "network:h:1"]));
    assert_eq!(grants.grant(&asking, &cap("network:h:1")), Err(GrantChange::GrantedAlready(cap("network:h:1"))));
    // another address takes the first one's place
    grants.grant(&asking, &cap("network:i:2")).unwrap();
    assert_eq!(grants.effective(&asking, None).unwrap(), set(&["filesystem", "network:i:2"]));
    let told = grants.grant(&asking, &cap("input")).unwrap_err().to_string();
    assert!(told.contains("filesystem, network:TARGET"), "{told}");
    for taken in ["filesystem", "network:i:2"] {
        grants.revoke(&cap(taken)).unwrap();
        assert_eq!(grants.revoke(&cap(taken)), Err(GrantChange::NotGranted(cap(taken))));
    }
    assert_eq!(grants.effective(&asking, None).unwrap(), set(&[]));
    let two = manifest(&[], &["One", "Two"]);
    assert!(matches!(grants.grant(&two, &cap("network:h:1")), Err(GrantChange::WhichAsk { .. })));
}

#[test]
fn after_an_update_the_version_before_has_what_it_had() {
    let old = manifest(&["filesystem", "input"], &["Address?"]);
    let before = file(&["filesystem", "input", "audio"], &["input", "audio"], &[("Address?", Some("network:h:1"))]);
    let new = file(&["filesystem", "system-control"], &["filesystem"], &[]).after(&before, &old);
    // the new answer counts where there is one, the old one where not; `audio` is nobody's any more
    assert_eq!(new.effective(&old, None).unwrap(), set(&["filesystem", "input", "network:h:1"]));
    assert_eq!(new.asked, set(&["filesystem", "input", "system-control"]));
    let stranger = GrantFile { publisher: Some(SecretKey::generate().unwrap().public()), ..file(&[], &[], &[]) };
    assert_eq!(stranger.clone().after(&before, &old), stranger);
}

#[test]
fn an_answer_that_means_nothing_is_not_granted() {
    let manifest = manifest(&[], &["Address"]);
    let mut grants = file(&[], &[], &[("Address", None)]);
    let refused = grants.grant(&manifest, &cap("network:obs")).unwrap_err();
    assert!(matches!(&refused, GrantChange::BadTarget { .. }) && refused.to_string().contains("HOST:PORT"));
    assert_eq!(grants, file(&[], &[], &[("Address", None)]));
    grants.grant(&manifest, &cap("network:obs:1")).unwrap();
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    use crate::plugins::strict::reads_back;
    let reads = |grants: &GrantFile| reads_back(grants, &grants.to_text(), "g.toml".as_ref(), GrantFile::parse);
    let good = file(&["midi:Synth"], &["midi:Synth"], &[("A", None)]);
    reads(&good).unwrap();
    // made past the checks of `from_str`
    let target = Some("Syn\u{ad}th".to_owned());
    let hidden = Capability { kind: CapabilityKind::Midi, target };
    let bad = GrantFile { asked: [hidden].into_iter().collect(), ..file(&[], &[], &[]) };
    let told = reads(&bad).unwrap_err().to_string();
    assert!(told.contains("g.toml") && told.contains("U+00AD"), "{told}");
    let double = GrantFile { answers: vec![good.answers[0].clone(), good.answers[0].clone()], ..good };
    assert!(reads(&double).is_err());
}

#[test]
fn a_damaged_file_is_refused_with_its_place() {
    let good = file(&["filesystem"], &["filesystem"], &[("A", Some("network:h:1"))]).to_text();
    for (from, to, told) in [
        ("granted = [\"filesystem\"]", "granted = [\"input\"]", "not among what was asked for"),
        ("granted = [\"filesystem\"]", "granted = [\"root\"]", "unknown capability"),
        ("unsigned = true", "unsigned = false", "either `publisher` or"),
        ("unsigned = true\n", "", "either `publisher` or"),
        ("unsigned = true", "publisher = \"RWx\"", "publisher"),
        ("kind = \"network\"", "kind = \"midi\"", "does not answer"),
        ("schema = 1", "schema = 1\nextra = 2", "unknown key"),
    ] {
        let problems = GrantFile::parse(&good.replace(from, to)).unwrap_err();
        assert!(problems.iter().any(|problem| problem.message.contains(told)), "{to}: {problems:?}");
    }
}

proptest! {
    #[test]
    fn damaged_grants_are_refused_or_grant_no_more_than_was_asked(at: prop::sample::Index, with in "[ -~\n]{0,3}") {
        let grants = file(&["network:a.org:1", "midi:Synth", "input"], &["input"], &[("?", Some("network:b.org:2")), ("!", None)]);
        let mut text = grants.to_text();
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        match GrantFile::parse(&text) {
            Ok(read) => {
                prop_assert!(read.granted.iter().all(|granted| read.asked.contains(granted)));
                prop_assert_eq!(GrantFile::parse(&read.to_text()).unwrap(), read);
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
