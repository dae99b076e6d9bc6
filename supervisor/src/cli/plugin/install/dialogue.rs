//! The questions of an installation, one after the other, for whoever answers them.

use crate::cli::CliError;
use crate::cli::safe_text::quoted;
use crate::plugins::install::Choice;
use crate::plugins::install::consent::typed_target;
use crate::plugins::install::plan::{Change, Item, Plan, Wanted};
use crate::plugins::install::words::{self, Risk};
use crate::plugins::trust::PublisherName;
use midimon_shared::capability::CapabilityKind;

/// How often a question is put again when the answer makes no sense.
const TRIES: usize = 3;

/// Somebody who answers questions.
pub trait Person {
    /// The answer to a question, without its line's end and the spaces around it.
    ///
    /// # Errors
    /// Nobody answers.
    fn ask(&mut self, question: &str) -> Result<String, CliError>;

    /// Tells them something.
    ///
    /// # Errors
    /// It cannot be shown.
    fn tell(&mut self, text: &str) -> Result<(), CliError>;
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The word on each new item, in their order.
    pub choices: Vec<Choice>,
    /// The name under which a new key is pinned.
    pub key_name: Option<PublisherName>,
}

/// Whether the plan's key can be pinned under a name; a sentence when it cannot.
pub type NameCheck<'n> = dyn Fn(&str) -> Result<PublisherName, String> + 'n;

/// Asks everything the plan needs the user's word for.
///
/// # Errors
/// The user does not want it, or there is no sense in what they answer.
pub fn converse(plan: &Plan, names: &NameCheck<'_>, person: &mut impl Person) -> Result<Answers, CliError> {
    let key_name = if plan.is_first_sight() { Some(key_name(plan, names, person)?) } else { None };
    let items: Vec<&Item> = plan.new_items().collect();
    let mut choices: Vec<Choice> = Vec::with_capacity(items.len());
    for item in &items {
        choices.push(match &item.wanted {
            // for now; the last question can take it away again
            Wanted::Fixed(capability) => Choice::Allow(capability.clone()),
            Wanted::Typed { kind, prompt } => typed(*kind, prompt, person)?,
        });
    }
    decide(plan, &items, &mut choices, person)?;
    if choices.iter().any(|choice| choice.risk() == Risk::High) {
        confirm_by_name(plan, &choices, person)?;
    }
    Ok(Answers { choices, key_name })
}

fn declined(why: &str) -> CliError {
    CliError::Failed(format!("{why}; nothing was installed"))
}

/// The name is the user's word for the key, so none of the package's words is proposed
/// for it but the plugin's id, which the user chose to install.
fn key_name(plan: &Plan, names: &NameCheck<'_>, person: &mut impl Person) -> Result<PublisherName, CliError> {
    let proposed = names(&format!("publisher of {}", plan.id)).ok();
    let hint = proposed.as_ref().map(|name| format!(" (Enter: {})", quoted(name.as_str()))).unwrap_or_default();
    let question = format!("Trust this key from now on, under the name{hint}: ");
    for _ in 0..TRIES {
        let answer = person.ask(&question)?;
        if let (Some(name), true) = (&proposed, answer.is_empty()) {
            return Ok(name.clone());
        }
        match names(&answer) {
            Ok(name) => return Ok(name),
            Err(why) => person.tell(&why)?,
        }
    }
    Err(declined("the key has no name"))
}

const fn example(kind: CapabilityKind) -> &'static str {
    match kind {
        CapabilityKind::Network => "HOST:PORT",
        CapabilityKind::Midi => "a MIDI output's name",
        _ => "a program's name",
    }
}

fn typed(kind: CapabilityKind, prompt: &str, person: &mut impl Person) -> Result<Choice, CliError> {
    let question = format!("It asks for {} ({}, Enter for none): ", quoted(prompt), example(kind));
    for _ in 0..TRIES {
        let answer = person.ask(&question)?;
        if answer.is_empty() {
            return Ok(Choice::Deny);
        }
        match typed_target(kind, &answer) {
            Ok(capability) => {
                if words::risk(&capability) == Risk::High {
                    person.tell(&format!("HIGH RISK: it may {}", words::sentence(&capability)))?;
                }
                return Ok(Choice::Allow(capability));
            }
            Err(error) => person.tell(&error.to_string())?,
        }
    }
    Err(declined("no target that can be used was typed"))
}

/// All of it, none of it, or one by one.
fn decide(plan: &Plan, items: &[&Item], choices: &mut [Choice], person: &mut impl Person) -> Result<(), CliError> {
    let verb = match plan.change {
        Change::Install | Change::Again => "Install it",
        Change::Update { .. } => "Update it",
        Change::Downgrade { .. } => "Go back",
    };
    let can_choose = items.iter().any(|item| matches!(item.wanted, Wanted::Fixed(_)));
    let question = match (items.is_empty(), can_choose) {
        (true, _) => format!("{verb}? [y]es, [n]o: "),
        (false, false) => format!("{verb} and allow this? [y]es, [n]o: "),
        (false, true) => format!("{verb} and allow all this? [y]es, [n]o, [c]hoose: "),
    };
    for _ in 0..TRIES {
        match person.ask(&question)?.to_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "c" | "choose" if can_choose => {
                for (item, choice) in items.iter().zip(choices) {
                    if let Wanted::Fixed(capability) = &item.wanted {
                        let question = format!("Allow it to {}? [y]es, [n]o: ", words::sentence(capability));
                        if !matches!(person.ask(&question)?.to_lowercase().as_str(), "y" | "yes") {
                            *choice = Choice::Deny;
                        }
                    }
                }
                return Ok(());
            }
            "" | "n" | "no" => return Err(declined("you said no")),
            _ => person.tell("Please answer y or n.")?,
        }
    }
    Err(declined("there was no answer to the question"))
}

fn confirm_by_name(plan: &Plan, choices: &[Choice], person: &mut impl Person) -> Result<(), CliError> {
    let number = choices.iter().filter(|choice| choice.risk() == Risk::High).count();
    let what = if number == 1 { "what is" } else { "all that is" };
    let question = format!("To allow {what} of HIGH RISK, type the plugin's name, {}: ", plan.id);
    for _ in 0..TRIES {
        match person.ask(&question)?.as_str() {
            answer if answer == plan.id.as_str() => return Ok(()),
            "" => return Err(declined("the plugin's name was not typed")),
            _ => person.tell("That is not its name.")?,
        }
    }
    Err(declined("the plugin's name was not typed"))
}

#[cfg(test)]
#[path = "dialogue_tests.rs"]
mod tests;
