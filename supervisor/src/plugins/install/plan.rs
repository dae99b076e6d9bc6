//! What an installation would change, and what has to be asked for it. Pure.
//!
//! What was agreed to is the set of capabilities the user was shown for the version
//! in place. Whatever a new version wants beyond it is new, and shown as new.

use super::words::{self, Risk};
use crate::plugins::Manifest;
use crate::plugins::grants::{Answer, GrantFile};
use crate::plugins::manifest::{Ask, LoginSpec};
use crate::plugins::minisign::PublicKey;
use crate::plugins::store::Admitted;
use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use midimon_shared::capability::{Capability, CapabilityKind};
use semver::Version;
use std::collections::BTreeSet;

/// Who vouches for a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Nobody.
    Nobody,
    /// Whoever has the secret half of this key.
    Key(PublicKey, Known),
}

impl Signer {
    /// The key, where there is one.
    #[must_use]
    pub const fn key(&self) -> Option<&PublicKey> {
        match self {
            Self::Nobody => None,
            Self::Key(key, _) => Some(key),
        }
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Known {
    /// It was never seen here.
    New,
    /// It is trusted, under the name the user gave it.
    Trusted { name: String, since: String },
}

/// What the user was shown and said about the version in place; a no stays a no, which no version
/// can have unsaid by not asking once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// What that version asks for and the user was shown.
    pub shown: BTreeSet<Capability>,
    /// What of it they allow.
    pub allowed: BTreeSet<Capability>,
    /// What they answered where it asks for a target.
    pub answers: Vec<Answer>,
    /// What they did not allow, of versions before that one.
    pub denied: BTreeSet<Capability>,
    /// The questions they declined to answer, of versions before that one.
    pub declined: Vec<Answer>,
    /// The login that version has.
    pub login: Option<LoginTarget>,
}

impl Before {
    /// What holds for a version with this manifest. Grants can be wider than one version:
    /// what another one was allowed is no word on this.
    #[must_use]
    pub fn of(manifest: &Manifest, grants: &GrantFile) -> Self {
        let asked = || manifest.capabilities.iter().map(|request| &request.capability);
        let answers = manifest.asks.iter().filter_map(|ask| grants.answer(ask));
        let is_put = |answer: &&Answer| manifest.asks.iter().any(|ask| is_to(answer, ask));
        let declined = grants.answers.iter().filter(|answer| answer.capability.is_none() && !is_put(answer));
        Self {
            denied: grants.denied().filter(|denied| !asked().any(|asked| asked == *denied)).cloned().collect(),
            declined: declined.cloned().collect(),
            login: manifest.login.as_ref().map(LoginTarget::of),
            shown: asked().filter(|capability| grants.asked.contains(capability)).cloned().collect(),
            allowed: asked().filter(|capability| grants.granted.contains(capability)).cloned().collect(),
            answers: answers.cloned().collect(),
        }
    }
}

/// What installing does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Change {
    Install,
    Update {
        from: Version,
    },
    Downgrade {
        from: Version,
    },
    /// The same package again.
    Again,
}

/// What a plugin wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This.
    Fixed(Capability),
    /// One target of this kind, which the user types.
    Typed {
        /// Of what.
        kind: CapabilityKind,
        /// The question, in the plugin's words.
        prompt: String,
    },
}

impl Wanted {
    /// Of what kind it is.
    #[must_use]
    pub const fn kind(&self) -> CapabilityKind {
        match self {
            Self::Fixed(capability) => capability.kind,
            Self::Typed { kind, .. } => *kind,
        }
    }
}

/// How the user stands to something a plugin wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They were never shown it for the version in place.
    New,
    /// They allowed it, this way.
    Allowed(Capability),
    /// They were shown it and did not allow it, or took it back.
    Denied,
}

/// One thing a plugin wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub wanted: Wanted,
    /// Why, in the plugin's words: a claim.
    pub reason: String,
    /// How much harm it can do; for what is typed, the least it can turn out to be.
    pub risk: Risk,
    /// How the user stands to it.
    pub state: State,
}

/// Where a login leads, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginTarget {
    /// Where the user logs in, as a browser shows it.
    pub authorize_host: String,
    /// Where midimon gets the tokens.
    pub token_host: String,
    /// What the service is asked to allow.
    pub scopes: BTreeSet<String>,
}

impl LoginTarget {
    fn of(spec: &LoginSpec) -> Self {
        Self {
            authorize_host: spec.authorize_url.authority(),
            token_host: spec.token_url.authority(),
            scopes: spec.scopes.iter().cloned().collect(),
        }
    }

    /// Whether whoever agreed to `other` agreed to this.
    fn is_within(&self, other: &Self) -> bool {
        let hosts = |target: &Self| (target.authorize_host.clone(), target.token_host.clone());
        hosts(self) == hosts(other) && self.scopes.is_subset(&other.scopes)
    }
}

/// The login a plugin has. It is nothing to grant: the user logs in themselves, or never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where, and what for.
    pub target: LoginTarget,
    /// Why, in the plugin's words: a claim.
    pub reason: String,
    /// Whether the version in place has none, or one that is for less or leads elsewhere.
    pub is_new: bool,
}

/// What installing a package would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which plugin.
    pub id: PluginId,
    /// Its name for people, in its own words.
    pub name: String,
    /// The version that would be in place.
    pub version: Version,
    /// What its code is.
    pub kind: PluginKind,
    /// What it is for, in its own words.
    pub description: String,
    /// Who wrote it, in its own words.
    pub authors: Vec<String>,
    /// Who vouches for it.
    pub signer: Signer,
    /// What would happen.
    pub change: Change,
    /// What it wants; of high risk last, else in the package's order.
    pub items: Vec<Item>,
    /// The service it lets the user log in to.
    pub login: Option<Login>,
    /// What the version in place asks for and this one does not.
    pub dropped: Vec<Capability>,
    /// The data and settings that are here become its own, and nobody can tell whether
    /// it is by whoever they were given to.
    pub takes_over: bool,
}

/// What a package would change, given how the store takes it and what was said before;
/// `kept` is whether a removed plugin of its id left data or settings.
///
/// What was said holds for whoever it was said to. Unsigned packages of two versions can
/// be by two people: nothing that was said of one is a word on the other.
#[must_use]
pub fn plan(manifest: &Manifest, signer: Signer, admitted: &Admitted, before: Option<&Before>, kept: bool) -> Plan {
    let change = match admitted {
        Admitted::New => Change::Install,
        Admitted::Again => Change::Again,
        Admitted::Update(from) if manifest.version < *from => Change::Downgrade { from: from.clone() },
        Admitted::Update(from) => Change::Update { from: from.clone() },
    };
    // the same version again is the same bytes
    let is_anybodys = signer == Signer::Nobody && change != Change::Again;
    let said = before.filter(|_| !is_anybodys);
    let fixed = manifest.capabilities.iter().map(|request| Item {
        risk: words::risk(&request.capability),
        state: state_of(&request.capability, said),
        wanted: Wanted::Fixed(request.capability.clone()),
        reason: request.reason.clone(),
    });
    let typed = manifest.asks.iter().map(|ask| {
        let state = state_of_ask(ask, said);
        let risk = match &state {
            State::Allowed(capability) => words::risk(capability),
            State::New | State::Denied => words::risk_of_ask(ask.kind),
        };
        Item {
            wanted: Wanted::Typed { kind: ask.kind, prompt: ask.prompt.clone() },
            reason: ask.reason.clone(),
            risk,
            state,
        }
    });
    let mut items: Vec<Item> = fixed.chain(typed).collect();
    items.sort_by_key(|item| item.risk); // a stable sort: the package's order within a risk
    Plan {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        kind: manifest.kind,
        description: manifest.description.clone(),
        authors: manifest.authors.clone(),
        takes_over: is_anybodys && (kept || change != Change::Install),
        signer,
        change,
        dropped: dropped(manifest, before),
        login: manifest.login.as_ref().map(|spec| login(spec, said)),
        items,
    }
}

fn login(spec: &LoginSpec, said: Option<&Before>) -> Login {
    let target = LoginTarget::of(spec);
    let agreed = said.and_then(|before| before.login.as_ref());
    let is_new = !agreed.is_some_and(|agreed| target.is_within(agreed));
    Login { target, reason: spec.reason.clone(), is_new }
}

fn state_of(capability: &Capability, before: Option<&Before>) -> State {
    match before {
        Some(before) if before.shown.contains(capability) && before.allowed.contains(capability) => {
            State::Allowed(capability.clone())
        }
        Some(before) if before.shown.contains(capability) || before.denied.contains(capability) => State::Denied,
        _ => State::New,
    }
}

fn state_of_ask(ask: &Ask, before: Option<&Before>) -> State {
    let answered =
        before.and_then(|before| before.answers.iter().chain(&before.declined).find(|answer| is_to(answer, ask)));
    match answered.map(|answer| &answer.capability) {
        Some(Some(capability)) => State::Allowed(capability.clone()),
        Some(None) => State::Denied,
        None => State::New,
    }
}

fn is_to(answer: &Answer, ask: &Ask) -> bool {
    answer.kind == ask.kind && answer.prompt == ask.prompt
}

fn dropped(manifest: &Manifest, before: Option<&Before>) -> Vec<Capability> {
    let Some(before) = before else { return Vec::new() };
    let is_asked =
        |capability: &&Capability| manifest.capabilities.iter().any(|request| request.capability == **capability);
    let is_put = |answer: &&Answer| manifest.asks.iter().any(|ask| is_to(answer, ask));
    let fixed = before.shown.iter().filter(|capability| !is_asked(capability));
    let unput = before.answers.iter().filter(|answer| !is_put(answer));
    fixed.chain(unput.filter_map(|answer| answer.capability.as_ref())).cloned().collect()
}

impl Plan {
    /// What has to be asked: everything the user was not shown before.
    pub fn new_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.state == State::New)
    }

    /// The login, where the user was not shown it before.
    #[must_use]
    pub fn new_login(&self) -> Option<&Login> {
        self.login.as_ref().filter(|login| login.is_new)
    }

    /// Whether nothing is to be agreed to: the same publisher (or the very same package),
    /// and nothing more than was agreed to.
    #[must_use]
    pub fn needs_no_consent(&self) -> bool {
        let is_settled = match (&self.change, &self.signer) {
            (Change::Install | Change::Downgrade { .. }, _) | (_, Signer::Key(_, Known::New)) => false,
            (Change::Update { .. }, Signer::Nobody) => false,
            (Change::Update { .. } | Change::Again, _) => true,
        };
        is_settled && self.new_items().next().is_none() && self.new_login().is_none()
    }

    /// Whether a key would be pinned.
    #[must_use]
    pub const fn is_first_sight(&self) -> bool {
        matches!(self.signer, Signer::Key(_, Known::New))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
