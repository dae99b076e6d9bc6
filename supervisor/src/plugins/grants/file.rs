//! `grants/<id>.toml`: what the user was shown about an installed plugin, and
//! what they let it do.
//!
//! It holds for one id of one publisher, and only for what was shown: a
//! manifest that asks for anything more is not started with less, it is not
//! started.

use super::Grants;
use crate::plugins::Manifest;
use crate::plugins::manifest::walk::{Document, Field, Table};
use crate::plugins::manifest::{Ask, Problem, check_target};
use crate::plugins::minisign::PublicKey;
use crate::plugins::strict::schema;
use crate::plugins::strict::{self, quoted};
use crate::workers::broker::endpoint::InvalidEndpoint;
use midimon_shared::PluginId;
use midimon_shared::capability::{Capability, CapabilityKind};

/// Largest file of grants, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;

/// Bytes of what earlier versions were denied that are remembered: what is left of the file
/// where two versions ask for the most there is, or more where they do not.
const MAX_OLD_DENIALS: usize = 16 * 1024;
/// Answers a file can hold.
const MAX_ANSWERS: usize = 128;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantFile {
    /// Whom they are for.
    pub plugin: PluginId,
    /// Whose plugin that must be; `None` is an unsigned one.
    pub publisher: Option<PublicKey>,
    /// What the user was shown that it asks for.
    pub asked: Grants,
    /// What of it they granted.
    pub granted: Grants,
    /// What they typed where it asks for a target.
    pub answers: Vec<Answer>,
}

/// What the user answered to one [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The kind that was asked for.
    pub kind: CapabilityKind,
    /// The question.
    pub prompt: String,
    /// What they granted; `None` when they declined.
    pub capability: Option<Capability>,
}

impl Answer {
    fn is_to(&self, ask: &Ask) -> bool {
        self.kind == ask.kind && self.prompt == ask.prompt
    }
}

/// Why grants do not hold for a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConsentFault {
    #[error("its grants are for another plugin or publisher; install it again with `midimon plugin install`")]
    OtherPlugin,
    #[error(
        "it asks for more than you were shown when you installed it ({}); install it again with `midimon plugin install`",
        .0.join(", ")
    )]
    AsksForMore(Vec<String>),
    #[error("nobody was asked what it may do; install it again with `midimon plugin install`")]
    NoGrants,
}

/// Why a grant cannot be given or taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GrantChange {
    #[error("the plugin does not ask for '{wanted}'; it asks for: {}", if asked.is_empty() { "nothing" } else { asked })]
    NotAsked { wanted: Capability, asked: String },
    #[error("the plugin asks for more than one target of '{kind}': {}; install it again to answer each", prompts.join(", "))]
    WhichAsk { kind: CapabilityKind, prompts: Vec<String> },
    #[error("'{wanted}' means nothing: {fault}")]
    BadTarget { wanted: Capability, fault: InvalidEndpoint },
    #[error("'{0}' is not granted")]
    NotGranted(Capability),
    #[error("'{0}' is granted already")]
    GrantedAlready(Capability),
}

impl GrantFile {
    /// What holds for a plugin of `publisher` with this manifest.
    ///
    /// # Errors
    /// The file is for another, or the manifest asks for what the user never saw.
    pub fn effective(&self, manifest: &Manifest, publisher: Option<&PublicKey>) -> Result<Grants, ConsentFault> {
        if self.plugin != manifest.id || self.publisher.as_ref() != publisher {
            return Err(ConsentFault::OtherPlugin);
        }
        let requests = manifest.capabilities.iter().map(|request| &request.capability);
        let unseen = requests.filter(|asked| !self.asked.contains(asked)).map(ToString::to_string);
        let unseen_asks = manifest.asks.iter().filter(|ask| self.answer(ask).is_none());
        let unseen: Vec<String> =
            unseen.chain(unseen_asks.map(|ask| format!("{} (asks for a target)", ask.kind))).collect();
        if !unseen.is_empty() {
            return Err(ConsentFault::AsksForMore(unseen));
        }
        let typed = manifest.asks.iter().filter_map(|ask| self.answer(ask)?.capability.clone());
        Ok(self.granted.effective(manifest).iter().cloned().chain(typed).collect())
    }

    /// The user's answer to an ask of the manifest.
    #[must_use]
    pub fn answer(&self, ask: &Ask) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.is_to(ask))
    }

    /// Grants what the manifest asks for: a capability as it stands there, or the
    /// answer to its only ask of that kind.
    ///
    /// # Errors
    /// It does not ask for that, or not for one alone, or has it.
    pub fn grant(&mut self, manifest: &Manifest, wanted: &Capability) -> Result<(), GrantChange> {
        if manifest.capabilities.iter().any(|request| request.capability == *wanted) {
            self.asked.capabilities.insert(wanted.clone());
            return match self.granted.capabilities.insert(wanted.clone()) {
                true => Ok(()),
                false => Err(GrantChange::GrantedAlready(wanted.clone())),
            };
        }
        let bad_target = |fault| GrantChange::BadTarget { wanted: wanted.clone(), fault };
        let asks: Vec<&Ask> = manifest.asks.iter().filter(|ask| ask.kind == wanted.kind).collect();
        match asks[..] {
            [] => Err(GrantChange::NotAsked { wanted: wanted.clone(), asked: asked(manifest) }),
            [ask] if self.answer(ask).is_some_and(|answer| answer.capability.as_ref() == Some(wanted)) => {
                Err(GrantChange::GrantedAlready(wanted.clone()))
            }
            [ask] => {
                check_target(wanted).map_err(bad_target)?;
                self.answers.retain(|answer| !answer.is_to(ask));
                let (kind, prompt) = (ask.kind, ask.prompt.clone());
                self.answers.push(Answer { kind, prompt, capability: Some(wanted.clone()) });
                Ok(())
            }
            _ => {
                let prompts = asks.iter().map(|ask| ask.prompt.clone()).collect();
                Err(GrantChange::WhichAsk { kind: wanted.kind, prompts })
            }
        }
    }

    /// Takes a grant back, typed ones too.
    ///
    /// # Errors
    /// It is not granted.
    pub fn revoke(&mut self, capability: &Capability) -> Result<(), GrantChange> {
        let mut found = self.granted.capabilities.remove(capability);
        for answer in self.answers.iter_mut().filter(|answer| answer.capability.as_ref() == Some(capability)) {
            answer.capability = None;
            found = true;
        }
        if found { Ok(()) } else { Err(GrantChange::NotGranted(capability.clone())) }
    }

    /// What the user was shown and did not grant, or took back.
    pub fn denied(&self) -> impl Iterator<Item = &Capability> {
        self.asked.iter().filter(|capability| !self.granted.contains(capability))
    }

    /// These grants, and for what they do not speak of those of `before`, as far as
    /// `manifest` asks for it: with them the version before runs on, and again after a rollback.
    /// What was denied before stays denied, as far as it fits the file.
    #[must_use]
    pub fn after(mut self, before: &Self, manifest: &Manifest) -> Self {
        if before.plugin != self.plugin || before.publisher != self.publisher {
            return self;
        }
        for request in &manifest.capabilities {
            let capability = &request.capability;
            if before.asked.contains(capability) && self.asked.capabilities.insert(capability.clone()) {
                self.granted.capabilities.extend(before.granted.contains(capability).then(|| capability.clone()));
            }
        }
        for ask in &manifest.asks {
            if self.answer(ask).is_none() {
                self.answers.extend(before.answer(ask).cloned());
            }
        }
        self.deny_as(before);
        self
    }

    /// Denies what `before` denies, where these do not speak of it.
    fn deny_as(&mut self, before: &Self) {
        let mut room = MAX_OLD_DENIALS;
        let mut fits = |length: usize| {
            room = room.saturating_sub(length);
            room > 0
        };
        for capability in before.denied().filter(|capability| fits(capability.to_string().len())) {
            self.asked.capabilities.insert(capability.clone());
        }
        for answer in before.answers.iter().filter(|answer| answer.capability.is_none()) {
            let is_spoken_of = self.answers.iter().any(|own| own.kind == answer.kind && own.prompt == answer.prompt);
            if !is_spoken_of && self.answers.len() < MAX_ANSWERS && fits(answer.prompt.len()) {
                self.answers.push(answer.clone());
            }
        }
    }

    /// Reads a file of grants.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, grants)
    }

    /// The grants as a file has them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let list = |grants: &Grants| grants.iter().map(|one| quoted(&one.to_string())).collect::<Vec<_>>().join(", ");
        let publisher = match &self.publisher {
            Some(key) => format!("publisher = {}", quoted(&key.to_string())),
            None => "unsigned = true".to_owned(),
        };
        let mut text = format!(
            "# What you let this plugin do; change it with `midimon plugin grant` and `revoke`.\nschema = 1\n\
             plugin = {}\n{publisher}\nasked = [{}]\ngranted = [{}]\n",
            quoted(self.plugin.as_str()),
            list(&self.asked),
            list(&self.granted),
        );
        for answer in &self.answers {
            text.push_str(&format!("\n[[answers]]\nkind = \"{}\"\nask = {}\n", answer.kind, quoted(&answer.prompt)));
            if let Some(capability) = &answer.capability {
                text.push_str(&format!("capability = {}\n", quoted(&capability.to_string())));
            }
        }
        text
    }
}

/// Everything a manifest asks for, as one types it.
fn asked(manifest: &Manifest) -> String {
    let requests = manifest.capabilities.iter().map(|request| request.capability.to_string());
    let asks = manifest.asks.iter().map(|ask| format!("{}:TARGET", ask.kind));
    requests.chain(asks).collect::<Vec<_>>().join(", ")
}

fn grants(document: &Document<'_>, mut root: Table<'_>) -> Option<GrantFile> {
    schema(&mut root)?;
    let plugin = root.require("plugin").and_then(|field| field.parse());
    let publisher = root.take("publisher");
    let unsigned = root.take("unsigned");
    let asked = root.require("asked").map(|field| capabilities(&field));
    let granted_field = root.require("granted");
    let granted = granted_field.as_ref().map(capabilities);
    let answers = root.take("answers").map(|field| answers(&field)).unwrap_or_default();
    root.finish();
    let publisher = match (publisher, unsigned) {
        (Some(field), None) => Some(field.parse::<PublicKey>()?),
        (None, Some(field)) if field.boolean()? => None,
        _ => {
            document.report(&(0..0), "there must be either `publisher` or `unsigned = true`");
            return None;
        }
    };
    let (asked, granted) = (asked?, granted?);
    if let Some(extra) = granted.iter().find(|granted| !asked.contains(granted)) {
        granted_field?.report(format!("`{extra}` is granted and not among what was asked for"));
    }
    Some(GrantFile { plugin: plugin?, publisher, asked, granted, answers })
}

/// More than a manifest can ask for, and its earlier version, too.
const MAX_CAPABILITIES: usize = 4096;

fn capabilities(field: &Field<'_>) -> Grants {
    field.items(MAX_CAPABILITIES).iter().filter_map(capability).collect()
}

fn capability(field: &Field<'_>) -> Option<Capability> {
    match field.text(512)?.parse() {
        Ok(capability) => Some(capability),
        Err(error) => {
            field.report(error.to_string());
            None
        }
    }
}

fn answers(field: &Field<'_>) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let kinds = CapabilityKind::ALL.map(|kind| (kind.as_str(), kind));
    for mut table in field.tables(MAX_ANSWERS) {
        let kind = table.require("kind").and_then(|field| field.choice(&kinds));
        let ask = table.require("ask");
        let prompt = ask.as_ref().and_then(|field| field.text(80));
        let given = table.take("capability");
        let capability = given.as_ref().and_then(capability);
        table.finish();
        let (Some(kind), Some(prompt)) = (kind, prompt) else { continue };
        if let (Some(field), Some(capability)) = (&given, &capability)
            && capability.kind != kind
        {
            field.report(format!("`{capability}` does not answer a question for '{kind}'"));
        }
        let answer = Answer { kind, prompt, capability };
        if answers.iter().any(|earlier| earlier.kind == answer.kind && earlier.prompt == answer.prompt)
            && let Some(field) = &ask
        {
            field.report("this is answered twice");
        }
        answers.push(answer);
    }
    answers
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
