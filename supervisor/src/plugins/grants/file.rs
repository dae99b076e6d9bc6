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

    /// These grants, and for what they do not speak of those of `before`, as far as
    /// `manifest` asks for it: with them the version before runs on, and again after a rollback.
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
        self
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
    for mut table in field.tables(128) {
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
mod tests {
    use super::*;
    use crate::plugins::manifest::{CapabilityRequest, MAX_REQUESTS};
    use crate::plugins::minisign::SecretKey;
    use crate::workers::status::PluginKind;

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
    fn grants_survive_their_text() {
        let key = SecretKey::generate().unwrap().public();
        let written = GrantFile {
            publisher: Some(key),
            ..file(
                &["filesystem", "midi:A \"port\""],
                &["filesystem"],
                &[("Address?", Some("network:h:1")), ("No", None)],
            )
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
}
