//! The user's word on the command line, where nobody can be asked. Pure.

use crate::cli::safe_text::quoted;
use crate::plugins::install::Choice;
use crate::plugins::install::consent::typed_target;
use crate::plugins::install::plan::{Item, Plan, Wanted};
use midimon_shared::capability::{Capability, CapabilityKind};

/// What was said with flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--grant`, as written.
    pub grant: Vec<String>,
    /// `--deny`, as written.
    pub deny: Vec<String>,
}

/// The word on each new item, in their order.
///
/// # Errors
/// A sentence: what has no word, as flags to copy; or what is said of something the
/// plugin does not ask for.
pub fn choices(plan: &Plan, flags: &Flags) -> Result<Vec<Choice>, String> {
    let mut grants = flags.grant.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
    let mut denials: Vec<&str> = flags.deny.iter().map(String::as_str).collect();
    let items: Vec<&Item> = plan.new_items().collect();
    let mut choices: Vec<Option<Choice>> = vec![None; items.len()];
    // what is named exactly first: the rest can then only be what the user chooses
    for typed in [false, true] {
        for (item, choice) in items.iter().zip(&mut choices) {
            if typed == matches!(item.wanted, Wanted::Typed { .. }) {
                *choice = word(item, &mut grants, &mut denials)?;
            }
        }
    }
    let missing: Vec<String> =
        items.iter().zip(&choices).filter(|(_, choice)| choice.is_none()).map(|(item, _)| flag(item)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "it asks for what no flag speaks of; add these, with --deny in place of --grant for what it may not do:\n  {}",
            missing.join("\n  ")
        ));
    }
    // one word denies all questions of a kind, so it was not taken
    let is_used = |text: &str| {
        items.iter().any(|item| matches!(&item.wanted, Wanted::Typed { kind, .. } if kind.as_str() == text))
    };
    denials.retain(|text| !is_used(text));
    let left: Vec<String> =
        grants.iter().map(ToString::to_string).chain(denials.iter().map(|text| (*text).to_owned())).collect();
    if left.is_empty() {
        Ok(choices.into_iter().flatten().collect())
    } else {
        Err(format!("'{}' does not newly ask for {}; leave that out", plan.id, left.join(", ")))
    }
}

fn parse(text: &str) -> Result<Capability, String> {
    text.parse::<Capability>().map_err(|error| format!("--grant {text}: {error}"))
}

fn word(item: &Item, grants: &mut Vec<Capability>, denials: &mut Vec<&str>) -> Result<Option<Choice>, String> {
    match &item.wanted {
        Wanted::Fixed(capability) => {
            if take(grants, |grant| grant == capability).is_some() {
                return Ok(Some(Choice::Allow(capability.clone())));
            }
            let text = capability.to_string();
            Ok(take(denials, |denied| *denied == text).map(|_| Choice::Deny))
        }
        Wanted::Typed { kind, .. } => {
            if let Some(grant) = take(grants, |grant| grant.kind == *kind) {
                let target = grant.target.as_deref().unwrap_or_default();
                return typed_target(*kind, target)
                    .map(|it| Some(Choice::Allow(it)))
                    .map_err(|error| error.to_string());
            }
            Ok(denials.contains(&kind.as_str()).then_some(Choice::Deny))
        }
    }
}

fn take<T>(list: &mut Vec<T>, wanted: impl FnMut(&T) -> bool) -> Option<T> {
    list.iter().position(wanted).map(|index| list.remove(index))
}

/// The flag that allows it, as a shell takes it.
fn flag(item: &Item) -> String {
    match &item.wanted {
        Wanted::Fixed(capability) => format!("--grant {}", shell_quoted(&capability.to_string())),
        Wanted::Typed { kind, prompt } => {
            let target = match kind {
                CapabilityKind::Network => "HOST:PORT",
                CapabilityKind::Midi => "OUTPUT",
                _ => "PROGRAM",
            };
            format!("--grant {kind}:{target}    (it asks for {}; or --deny {kind})", quoted(prompt))
        }
    }
}

fn shell_quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/[]".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::install::testing::{asks, before, first, update, wants};

    fn said(plan: &Plan, grant: &[&str], deny: &[&str]) -> Result<Vec<Choice>, String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        choices(plan, &Flags { grant: own(grant), deny: own(deny) })
    }

    fn allow(text: &str) -> Choice {
        Choice::Allow(text.parse().unwrap())
    }

    #[test]
    fn everything_must_be_named_and_what_is_missing_is_listed_as_flags() {
        let plan = first(&[wants("filesystem", "a"), wants("midi:Synth 1's", "b"), wants("input", "c")].concat());
        let missing = said(&plan, &["filesystem"], &[]).unwrap_err();
        assert!(missing.contains("--grant 'midi:Synth 1'\\''s'") && missing.contains("--grant input"), "{missing}");
        assert!(!missing.contains("--grant filesystem"), "{missing}");
        let all = said(&plan, &["filesystem", "midi:Synth 1's"], &["input"]).unwrap();
        assert_eq!(all, [allow("filesystem"), allow("midi:Synth 1's"), Choice::Deny]);
    }

    #[test]
    fn what_the_plugin_does_not_ask_for_is_refused() {
        let plan = first(&wants("network:a.example:1", "a"));
        for other in ["network:a.example:2", "network:A.example:1", "filesystem"] {
            let error = said(&plan, &["network:a.example:1", other], &[]).unwrap_err();
            assert!(error.contains(other), "{error}");
        }
        assert!(said(&plan, &["root"], &[]).is_err());
        assert!(said(&plan, &["network:a.example:1"], &["input"]).is_err());
        assert!(said(&plan, &["network:a.example:1", "network:a.example:1"], &[]).is_err(), "twice");
    }

    #[test]
    fn a_question_is_answered_by_a_grant_of_its_kind() {
        let plan = first(&[wants("network:a.example:1", "a"), asks("Address of OBS")].concat());
        let choices = said(&plan, &["network:localhost:4455", "network:a.example:1"], &[]).unwrap();
        assert_eq!(choices, [allow("network:a.example:1"), allow("network:localhost:4455")]);
        let denied = said(&plan, &["network:a.example:1"], &["network"]).unwrap();
        assert_eq!(denied, [allow("network:a.example:1"), Choice::Deny]);
        let missing = said(&plan, &["network:a.example:1"], &[]).unwrap_err();
        assert!(missing.contains("--grant network:HOST:PORT") && missing.contains("Address of OBS"), "{missing}");
        assert!(said(&plan, &["network:a.example:1", "network:nonsense"], &[]).is_err());
    }

    #[test]
    fn an_update_needs_a_word_on_what_is_new_alone() {
        let plan = update(&[wants("filesystem", "a"), wants("audio", "b")].concat(), &before(&["filesystem"], &[]));
        assert_eq!(said(&plan, &["audio"], &[]).unwrap(), [allow("audio")]);
        assert!(said(&plan, &["audio", "filesystem"], &[]).unwrap_err().contains("filesystem"));
    }
}
