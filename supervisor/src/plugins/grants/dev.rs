//! What the user lets a plugin under development do. Nobody is asked there: the grants of the configuration that
//! its manifest names no target for are the answers to its asks.

use super::Grants;
use crate::plugins::Manifest;
use crate::plugins::manifest::{Ask, check_target};
use crate::workers::broker::endpoint::InvalidEndpoint;
use midimon_shared::capability::{Capability, CapabilityKind};

/// What holds for a plugin under development, and what its asks were answered.
#[derive(Clone, Debug)]
pub struct DevGrants<'m> {
    manifest: &'m Manifest,
    written: &'m [Capability],
    /// One for each ask, in their order.
    answers: Vec<Option<&'m Capability>>,
}

/// Why grants in the configuration are no answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum AskFault {
    #[error(
        "[plugins.{id}] grants {}, and it asks for {asks} of them: leave as many as it asks for, in this order: {}",
        granted.join(", "), prompts.join(", ")
    )]
    TooMany { id: String, granted: Vec<String>, asks: usize, prompts: Vec<String> },
    #[error("'{wanted}' under [plugins.{id}] means nothing: {fault}")]
    BadTarget { id: String, wanted: Capability, fault: InvalidEndpoint },
    #[error("cannot start without an answer: it {0}")]
    Unanswered(String),
}

impl<'m> DevGrants<'m> {
    /// What follows from the grants in the configuration, in the order in which they are written there: the first
    /// of a kind that the manifest names no target for answers its first ask of that kind, and so on.
    ///
    /// # Errors
    /// There are more answers than asks, or one is no target.
    pub fn new(manifest: &'m Manifest, written: &'m [Capability]) -> Result<Self, AskFault> {
        let mut answers = vec![None; manifest.asks.len()];
        for kind in CapabilityKind::ALL {
            let asks: Vec<usize> = (0..answers.len()).filter(|ask| manifest.asks[*ask].kind == kind).collect();
            let typed = typed(manifest, written, kind);
            if asks.is_empty() {
                continue; // granted and not asked for, which does nothing
            }
            if typed.len() > asks.len() {
                return Err(AskFault::TooMany {
                    id: manifest.id.to_string(),
                    granted: typed.iter().map(|capability| format!("'{capability}'")).collect(),
                    asks: asks.len(),
                    prompts: asks.iter().map(|ask| format!("\"{}\"", manifest.asks[*ask].prompt)).collect(),
                });
            }
            for (ask, capability) in asks.into_iter().zip(typed) {
                let bad_target =
                    |fault| AskFault::BadTarget { id: manifest.id.to_string(), wanted: capability.clone(), fault };
                check_target(capability).map_err(bad_target)?;
                answers[ask] = Some(capability);
            }
        }
        Ok(Self { manifest, written, answers })
    }

    /// What holds: granted by the user and asked for by the plugin, answers included.
    #[must_use]
    pub fn effective(&self) -> Grants {
        let requests = self.manifest.capabilities.iter().map(|request| &request.capability);
        let granted = requests.filter(|asked| self.written.contains(asked));
        granted.chain(self.answers.iter().copied().flatten()).cloned().collect()
    }

    /// The settings that answers are handed over in, each with its target.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.manifest.asks.iter().zip(&self.answers).filter_map(|(ask, answer)| {
            let target = answer.as_ref()?.target.as_deref()?;
            Some((ask.setting.as_deref()?, target))
        })
    }

    /// What the plugin asks for and nobody answered, one sentence each.
    #[must_use]
    pub fn unanswered(&self) -> Vec<String> {
        self.open().map(|ask| self.sentence(ask)).collect()
    }

    /// An ask that nobody answered, in the form in which an answer is granted.
    #[must_use]
    pub fn blanks(&self) -> Vec<(&str, String)> {
        self.open().map(|ask| (ask.prompt.as_str(), blank(ask.kind))).collect()
    }

    /// That each ask is answered without which the plugin misses a setting; `has` says which settings it has anyway.
    ///
    /// # Errors
    /// One is not.
    pub fn require(&self, has: impl Fn(&str) -> bool) -> Result<(), AskFault> {
        let is_required = |name: &str| {
            self.manifest.settings.iter().any(|spec| spec.name == name && spec.required && spec.default.is_none())
        };
        let misses = |ask: &&Ask| ask.setting.as_deref().is_some_and(|name| is_required(name) && !has(name));
        match self.open().find(misses) {
            Some(ask) => Err(AskFault::Unanswered(self.sentence(ask))),
            None => Ok(()),
        }
    }

    fn open(&self) -> impl Iterator<Item = &'m Ask> {
        self.manifest.asks.iter().zip(&self.answers).filter(|(_, answer)| answer.is_none()).map(|(ask, _)| ask)
    }

    fn sentence(&self, ask: &Ask) -> String {
        let grants = self.written.iter().map(ToString::to_string).chain([blank(ask.kind)]);
        let grants: Vec<String> = grants.map(|grant| format!("{grant:?}")).collect();
        let (id, prompt) = (&self.manifest.id, &ask.prompt);
        format!("asks for \"{prompt}\": answer with the line `grants = [{}]` under [plugins.{id}]", grants.join(", "))
    }
}

/// The grants of a kind that the manifest names no target for.
fn typed<'m>(manifest: &Manifest, written: &'m [Capability], kind: CapabilityKind) -> Vec<&'m Capability> {
    let is_request = |wanted: &Capability| manifest.capabilities.iter().any(|request| request.capability == *wanted);
    let mut typed: Vec<&Capability> = Vec::new();
    for capability in written.iter().filter(|capability| capability.kind == kind) {
        if !is_request(capability) && !typed.contains(&capability) {
            typed.push(capability);
        }
    }
    typed
}

/// A grant with a place for the target.
fn blank(kind: CapabilityKind) -> String {
    let target = match kind {
        CapabilityKind::Network => "HOST:PORT",
        CapabilityKind::Midi => "NAME OF THE PORT",
        CapabilityKind::Subprocess => "PROGRAM",
        _ => "TARGET",
    };
    format!("{kind}:{target}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::manifest::{CapabilityRequest, ParamType, SettingSpec};
    use crate::workers::status::PluginKind;

    fn ask(kind: CapabilityKind, prompt: &str, setting: Option<&str>) -> Ask {
        Ask { kind, prompt: prompt.into(), reason: "r".into(), setting: setting.map(str::to_owned) }
    }

    fn manifest(requests: &[&str], asks: Vec<Ask>) -> Manifest {
        let mut manifest = Manifest::bare("obs".parse().unwrap(), PluginKind::Wasm, "obs.wasm".into());
        let request = |text: &&str| CapabilityRequest { capability: text.parse().unwrap(), reason: "r".into() };
        manifest.capabilities = requests.iter().map(request).collect();
        manifest.asks = asks;
        manifest
    }

    fn written(texts: &[&str]) -> Vec<Capability> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_exact_grant_is_the_answer_and_the_plugin_learns_it() {
        let manifest = manifest(&["filesystem"], vec![ask(CapabilityKind::Network, "Address", Some("address"))]);
        let written = written(&["network:localhost:4455", "input", "filesystem"]);
        let grants = DevGrants::new(&manifest, &written).unwrap();
        assert_eq!(grants.effective(), Grants::parse(["filesystem", "network:localhost:4455"]).unwrap());
        assert_eq!(grants.settings().collect::<Vec<_>>(), [("address", "localhost:4455")]);
        assert!(grants.unanswered().is_empty());
    }

    #[test]
    fn what_the_manifest_names_a_target_for_answers_nothing() {
        let manifest = manifest(&["network:a:1"], vec![ask(CapabilityKind::Network, "Address", Some("address"))]);
        let granted = written(&["network:a:1"]);
        let grants = DevGrants::new(&manifest, &granted).unwrap();
        assert_eq!(grants.settings().count(), 0);
        let told = grants.unanswered().remove(0);
        assert!(
            told.contains("\"Address\"")
                && told.contains(r#"`grants = ["network:a:1", "network:HOST:PORT"]` under [plugins.obs]"#),
            "{told}"
        );
        assert_eq!(grants.blanks(), [("Address", "network:HOST:PORT".to_owned())]);
    }

    #[test]
    fn several_asks_are_answered_in_the_order_of_the_grants() {
        let (network, midi) = (CapabilityKind::Network, CapabilityKind::Midi);
        let asks =
            vec![ask(network, "First", Some("one")), ask(midi, "Port", None), ask(network, "Second", Some("two"))];
        let manifest = manifest(&[], asks);
        let granted = written(&["network:z:1", "midi:Synth", "network:z:1", "network:a:2"]);
        let grants = DevGrants::new(&manifest, &granted).unwrap();
        assert_eq!(grants.settings().collect::<Vec<_>>(), [("one", "z:1"), ("two", "a:2")]);
        assert!(grants.effective().contains(&"midi:Synth".parse().unwrap()));
        let one = DevGrants::new(&manifest, &granted[..1]).unwrap();
        assert_eq!(
            one.blanks(),
            [("Port", "midi:NAME OF THE PORT".to_owned()), ("Second", "network:HOST:PORT".to_owned())]
        );
    }

    #[test]
    fn more_answers_than_asks_and_what_is_no_address_are_refused_by_name() {
        let manifest = manifest(&[], vec![ask(CapabilityKind::Network, "Address", None)]);
        let told = DevGrants::new(&manifest, &written(&["network:a:1", "network:b:2"])).unwrap_err().to_string();
        assert!(
            ["'network:a:1', 'network:b:2'", "[plugins.obs]", "\"Address\""].iter().all(|part| told.contains(part)),
            "{told}"
        );
        let told = DevGrants::new(&manifest, &written(&["network:nowhere"])).unwrap_err().to_string();
        assert!(told.contains("'network:nowhere' under [plugins.obs]"), "{told}");
    }

    #[test]
    fn only_a_required_setting_that_is_not_set_keeps_it_from_starting() {
        let mut manifest = manifest(&[], vec![ask(CapabilityKind::Network, "Address", Some("address"))]);
        let spec = |required| SettingSpec {
            name: "address".into(),
            ty: ParamType::String,
            secret: false,
            required,
            default: None,
            description: String::new(),
        };
        manifest.settings = vec![spec(false)];
        assert_eq!(DevGrants::new(&manifest, &[]).unwrap().require(|_| false), Ok(()));
        manifest.settings = vec![spec(true)];
        let grants = DevGrants::new(&manifest, &[]).unwrap();
        let told = grants.require(|_| false).unwrap_err().to_string();
        assert!(told.contains("network:HOST:PORT"), "{told}");
        assert_eq!(grants.require(|name| name == "address"), Ok(()));
    }
}
