use super::*;
use crate::plugins::install::Choice;
use crate::plugins::install::consent::typed_target;
use crate::plugins::install::testing::{asks, before, first, manifest, trusted, update, wants};

fn cap(text: &str) -> Capability {
    text.parse().unwrap()
}

fn granted(grants: &GrantFile) -> Vec<String> {
    grants.granted.iter().map(ToString::to_string).collect()
}

#[test]
fn what_happens_is_told_by_the_versions() {
    let with = |admitted| plan(&manifest("1.1.0", ""), trusted(), &admitted, None, false);
    let version = |minor| Version::new(1, minor, 0);
    assert_eq!(with(Admitted::New).change, Change::Install);
    assert_eq!(with(Admitted::Again).change, Change::Again);
    assert_eq!(with(Admitted::Update(version(0))).change, Change::Update { from: version(0) });
    assert_eq!(with(Admitted::Update(version(2))).change, Change::Downgrade { from: version(2) });
    assert!(!with(Admitted::Update(version(2))).needs_no_consent(), "going back is said yes to");
    assert!(!with(Admitted::New).needs_no_consent());
    assert!(with(Admitted::Update(version(0))).needs_no_consent());
}

#[test]
fn a_no_stays_a_no_through_versions_that_do_not_ask_and_a_yes_does_not_stay_a_yes() {
    let signer = trusted();
    let asking = manifest("1.0.0", &[wants("input", "a"), wants("filesystem", "b"), asks("Address?")].concat());
    let choices = [Choice::Allow(cap("filesystem")), Choice::Deny, Choice::Deny];
    let first = plan(&asking, signer.clone(), &Admitted::New, None, false);
    assert_eq!(first.new_items().map(|item| item.wanted.kind()).next(), Some(CapabilityKind::Filesystem));
    let mut grants = first.agree(&choices);
    let mut installed = asking;
    for version in ["1.1.0", "1.2.0"] {
        let next = manifest(version, "");
        let before = Before::of(&installed, &grants);
        let plan = plan(&next, signer.clone(), &Admitted::Update(installed.version.clone()), Some(&before), false);
        assert!(plan.needs_no_consent());
        assert_eq!(plan.dropped.contains(&cap("input")), version == "1.1.0", "only what the version in place asks for");
        grants = plan.agree(&[]).after(&grants, &installed);
        assert_eq!(GrantFile::parse(&grants.to_text()).unwrap(), grants);
        installed = next;
    }
    let again = manifest("1.3.0", &[wants("input", "a"), wants("filesystem", "b"), asks("Address?")].concat());
    let before = Before::of(&installed, &grants);
    let plan = plan(&again, signer, &Admitted::Update(installed.version.clone()), Some(&before), false);
    let new: Vec<CapabilityKind> = plan.new_items().map(|item| item.wanted.kind()).collect();
    assert_eq!(new, [CapabilityKind::Filesystem], "what was allowed to another version");
    let grants = plan.agree(&[Choice::Deny]).after(&grants, &installed);
    assert!(grants.effective(&again, grants.publisher.as_ref()).unwrap().iter().next().is_none());
}

#[test]
fn everything_is_new_at_first_and_high_risk_comes_last() {
    let plan = first(&[wants("input", "a"), wants("filesystem", "b"), wants("network:example.org:443", "c")].concat());
    let kinds: Vec<CapabilityKind> = plan.items.iter().map(|item| item.wanted.kind()).collect();
    assert_eq!(kinds, [CapabilityKind::Filesystem, CapabilityKind::Network, CapabilityKind::Input]);
    assert_eq!(plan.new_items().count(), 3);
}

#[test]
fn an_update_asks_only_for_what_the_user_was_not_shown() {
    let there = before(&["filesystem", "audio", "midi:Old"], &["filesystem", "midi:Old"]);
    let same = update(&[wants("filesystem", "a"), wants("audio", "b")].concat(), &there);
    assert!(same.needs_no_consent(), "less, and nothing new");
    assert_eq!(same.dropped, [cap("midi:Old")]);
    let states: Vec<State> = same.items.iter().map(|item| item.state.clone()).collect();
    assert_eq!(states, [State::Allowed(cap("filesystem")), State::Denied]);
    let more = update(&[wants("filesystem", "a"), wants("midi:New", "b")].concat(), &there);
    assert!(!more.needs_no_consent());
    let new: Vec<&Wanted> = more.new_items().map(|item| &item.wanted).collect();
    assert_eq!(new, [&Wanted::Fixed(cap("midi:New"))], "another target is another capability");
}

#[test]
fn nothing_that_was_said_of_an_unsigned_package_is_a_word_on_another() {
    let there = before(&["subprocess:git", "midi:Old"], &["subprocess:git"]);
    let asking = manifest("1.1.0", &wants("subprocess:git", "a"));
    let with = |signer, admitted| plan(&asking, signer, &admitted, Some(&there), false);
    let from = || Admitted::Update(Version::new(1, 0, 0));
    let strangers = with(Signer::Nobody, from());
    assert_eq!(strangers.new_items().count(), 1, "asked anew");
    assert!(!strangers.needs_no_consent() && strangers.takes_over);
    assert_eq!(strangers.dropped, [cap("midi:Old")]);
    // the very same bytes, or the same publisher
    let again = with(Signer::Nobody, Admitted::Again);
    assert!(again.needs_no_consent() && !again.takes_over);
    let signed = with(trusted(), from());
    assert!(signed.needs_no_consent() && !signed.takes_over);
    // one that asks for nothing gets the data all the same
    let bare = plan(&manifest("1.1.0", ""), Signer::Nobody, &from(), Some(&there), false);
    assert!(!bare.needs_no_consent() && bare.takes_over);
}

#[test]
fn what_was_kept_of_an_unsigned_plugin_is_told_before_another_gets_it() {
    let with = |signer, kept| plan(&manifest("1.1.0", ""), signer, &Admitted::New, None, kept).takes_over;
    assert!(with(Signer::Nobody, true));
    assert!(!with(Signer::Nobody, false));
    assert!(!with(trusted(), true), "it is the same publisher's: the store admits no other");
}

#[test]
fn what_an_older_version_was_allowed_is_no_word_on_the_one_in_place() {
    // grants of a version that is gone, kept for a rollback
    let mut grants = first(&wants("input", "a")).agree(&[Choice::Allow(cap("input"))]);
    grants.asked = ["input", "audio"].into_iter().map(cap).collect();
    let there = Before::of(&manifest("1.0.0", &wants("audio", "b")), &grants);
    assert_eq!(there, before(&["audio"], &[]));
    assert_eq!(update(&wants("input", "a"), &there).new_items().count(), 1);
}

#[test]
fn what_the_user_answered_stays_while_the_question_is_the_same() {
    let answer = |prompt: &str, capability: Option<&str>| Answer {
        kind: CapabilityKind::Network,
        prompt: prompt.into(),
        capability: capability.map(cap),
    };
    let mut there = before(&[], &[]);
    there.answers = vec![
        answer("Address of OBS", Some("network:localhost:4455")),
        answer("Other", None),
        answer("Gone", Some("network:gone.example:1")),
    ];
    let plan = update(&[asks("Address of OBS"), asks("Other"), asks("A third")].concat(), &there);
    let item = |prompt: &str| {
        let is_it = |item: &&Item| matches!(&item.wanted, Wanted::Typed { prompt: known, .. } if known == prompt);
        plan.items.iter().find(is_it).unwrap().clone()
    };
    assert_eq!(item("Address of OBS").state, State::Allowed(cap("network:localhost:4455")));
    assert_eq!(item("Address of OBS").risk, Risk::High, "by what was typed");
    assert_eq!(item("Other").state, State::Denied, "left empty, and not asked again");
    assert_eq!(item("A third").state, State::New);
    assert_eq!(plan.dropped, [cap("network:gone.example:1")]);
    let mut answers = plan.agree(&[Choice::Deny]).answers;
    answers.sort_by(|a, b| a.prompt.cmp(&b.prompt));
    let third = answer("A third", None);
    assert_eq!(answers, [third, there.answers[0].clone(), there.answers[1].clone()]);
}

#[test]
fn what_was_denied_or_not_answered_is_not_granted() {
    let plan = first(&[wants("filesystem", "a"), wants("audio", "b"), wants("midi:X", "c")].concat());
    let grants = plan.agree(&[Choice::Allow(cap("filesystem")), Choice::Deny]);
    assert_eq!(granted(&grants), ["filesystem"]);
    assert_eq!(grants.asked.iter().count(), 3, "shown all the same");
}

#[test]
fn a_choice_never_grants_what_was_not_asked_for() {
    let plan = first(&[wants("filesystem", "a"), asks("Address")].concat());
    let grants = plan.agree(&[Choice::Allow(cap("input")), Choice::Allow(cap("subprocess:sh"))]);
    assert!(granted(&grants).is_empty());
    assert_eq!(grants.answers[0].capability, None);
}

#[test]
fn typed_targets_are_read_strictly() {
    assert_eq!(typed_target(CapabilityKind::Network, "localhost:4455").unwrap(), cap("network:localhost:4455"));
    for bad in ["localhost", "http://localhost:4455", "local host:1", "", "a:0", "a:1\u{202e}", "2130706433:80"] {
        assert!(typed_target(CapabilityKind::Network, bad).is_err(), "{bad}");
    }
    assert!(typed_target(CapabilityKind::Filesystem, "x").is_err());
    let error = typed_target(CapabilityKind::Network, "obs").unwrap_err().to_string();
    assert!(error.contains("'obs'") && error.contains("HOST:PORT"), "{error}");
}
