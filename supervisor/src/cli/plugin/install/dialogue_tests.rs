use super::*;
use crate::plugins::install::plan::{Known, Signer};
use crate::plugins::install::testing::{asks, before, first, key, update, wants};
use midimon_shared::Capability;

/// Gives these answers, in order, and keeps the questions.
struct Scripted {
    answers: Vec<&'static str>,
    seen: Vec<String>,
}

impl Person for Scripted {
    fn ask(&mut self, question: &str) -> Result<String, CliError> {
        self.seen.push(question.to_owned());
        match self.answers.is_empty() {
            true => Err(CliError::Failed("no answer".into())),
            false => Ok(self.answers.remove(0).to_owned()),
        }
    }

    fn tell(&mut self, text: &str) -> Result<(), CliError> {
        self.seen.push(text.to_owned());
        Ok(())
    }
}

fn talk(plan: &Plan, answers: &[&'static str]) -> (Result<Answers, String>, Vec<String>) {
    let mut person = Scripted { answers: answers.to_vec(), seen: Vec::new() };
    let names = |name: &str| match name {
        "taken" => Err("'taken' is the name of another key".to_owned()),
        name => name.parse::<PublisherName>().map_err(|error| error.to_string()),
    };
    let result = converse(plan, &names, &mut person).map_err(|error| error.to_string());
    assert!(result.is_err() || person.answers.is_empty(), "left: {:?}", person.answers);
    (result, person.seen)
}

fn allow(text: &str) -> Choice {
    Choice::Allow(text.parse::<Capability>().unwrap())
}

#[test]
fn one_yes_is_enough_for_what_is_of_no_high_risk() {
    let plan = first(&[wants("filesystem", "a"), wants("midi:X", "b")].concat());
    assert_eq!(talk(&plan, &["y"]).0.unwrap().choices, [allow("filesystem"), allow("midi:X")]);
    for no in ["n", "", "no", "N"] {
        assert!(talk(&plan, &[no]).0.unwrap_err().contains("nothing was installed"), "{no}");
    }
    assert!(talk(&plan, &["maybe", "ok", "sure"]).0.is_err());
}

#[test]
fn what_is_of_high_risk_needs_the_plugins_name_typed() {
    let plan = first(&[wants("input", "a"), wants("filesystem", "b")].concat());
    assert!(talk(&plan, &["y", "obs-control"]).0.is_ok());
    assert!(talk(&plan, &["y", "y", "yes", "obs"]).0.is_err());
    assert!(talk(&plan, &["y", ""]).0.is_err());
    // without the risk there is no question
    let chosen = talk(&plan, &["c", "y", "n"]).0.unwrap();
    assert_eq!(chosen.choices, [allow("filesystem"), Choice::Deny]);
}

#[test]
fn a_typed_target_is_exactly_what_is_granted_and_its_risk_counts() {
    let plan = first(&asks("Address of OBS"));
    assert_eq!(talk(&plan, &["example.org:443", "y"]).0.unwrap().choices, [allow("network:example.org:443")]);
    let (near, seen) = talk(&plan, &["localhost:4455", "y", "obs-control"]);
    assert_eq!(near.unwrap().choices, [allow("network:localhost:4455")]);
    assert!(seen.iter().any(|text| text.starts_with("HIGH RISK") && text.contains("localhost:4455")), "{seen:?}");
    assert_eq!(talk(&plan, &["", "y"]).0.unwrap().choices, [Choice::Deny]);
    let (again, seen) = talk(&plan, &["obs", "obs:4455", "y"]);
    assert_eq!(again.unwrap().choices, [allow("network:obs:4455")]);
    assert!(seen[1].contains("HOST:PORT"), "{seen:?}");
    assert!(talk(&plan, &["a", "b", "c"]).0.is_err());
}

#[test]
fn a_plugins_question_is_quoted_as_its_own() {
    let (_, seen) = talk(&first(&asks("Update it? [y]es, [n]o:")), &["", "y"]);
    assert_eq!(seen[0], "It asks for \"Update it? [y]es, [n]o:\" (HOST:PORT, Enter for none): ");
}

#[test]
fn a_new_key_is_pinned_under_the_users_name_for_it() {
    let mut plan = first("");
    plan.signer = Signer::Key(key(), Known::New);
    let pinned = |answers: &[&'static str]| talk(&plan, answers).0.unwrap().key_name.unwrap().as_str().to_owned();
    assert_eq!(pinned(&["", "y"]), "publisher of obs-control", "whoever the package says wrote it");
    assert_eq!(pinned(&["Countess", "y"]), "Countess");
    assert_eq!(talk(&first(""), &["y"]).0.unwrap().key_name, None, "a known key keeps its name");
}

#[test]
fn a_name_that_cannot_be_pinned_is_asked_for_again_at_once() {
    let mut plan = first(&wants("filesystem", "a"));
    plan.signer = Signer::Key(key(), Known::New);
    let (answers, seen) = talk(&plan, &["Ada ✓", "taken", "Ada", "y"]);
    assert_eq!(answers.unwrap().key_name.unwrap().as_str(), "Ada");
    assert!(seen.contains(&"'taken' is the name of another key".to_owned()), "{seen:?}");
    let (refused, seen) = talk(&plan, &["a  b", "taken", "\u{200b}"]);
    assert!(refused.unwrap_err().contains("nothing was installed"));
    assert_eq!(seen.len(), 6, "nothing else is asked: {seen:?}");
}

#[test]
fn an_update_asks_for_nothing_that_was_said_before() {
    let there = before(&["input", "filesystem"], &["input"]);
    let plan = update(&[wants("input", "a"), wants("filesystem", "b"), wants("audio", "c")].concat(), &there);
    let (answers, seen) = talk(&plan, &["y"]);
    assert_eq!(answers.unwrap().choices, [allow("audio")]);
    assert_eq!(seen.len(), 1, "{seen:?}");
}
