//! What mappings ask of plugins, and how it is compared with what these say they can do.
//!
//! Plugins are unknown here: whoever knows them answers as [`KnownPlugins`] when the file
//! has been read. Plugins come, go and change without the file, so what does not fit them
//! is a warning, and the configuration counts all the same.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::model::{Action, ActionKind, Document};
use super::params::in_order;
use super::text::{cut, quoted};
use super::walker::{Field, Span, closest};
use crate::mapping::types::PluginBinding;
use midimon_shared::PluginId;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Longest sentence of somebody else's that is shown, in characters: parameters have names of any length.
const LONGEST: usize = 400;
/// So many of the possible words are shown where none is like the one that was written.
const SHOWN: usize = 12;

/// Whoever knows which plugins there are, and what they say they can do.
pub trait KnownPlugins {
    /// What is wrong with naming this plugin; nothing where it is there, or nobody can tell.
    fn plugin(&self, plugin: &PluginId) -> Option<CallFault<'_>>;

    /// What is wrong with a call of a plugin; nothing of one that is unknown or does not say what it can do.
    fn call(&self, plugin: &PluginId, action: &str, params: &Map<String, Value>) -> Vec<CallFault<'_>>;
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFault<'k> {
    /// Where.
    pub at: CallPart,
    /// One sentence; of a key it names those that could be there.
    pub message: String,
    /// The words that could be there.
    pub known: Vec<&'k str>,
}

/// A part of a call in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallPart {
    /// The plugin's id.
    Plugin,
    /// The action's name.
    Action,
    /// The parameters as a whole.
    Params,
    /// The name of one of them.
    Key(String),
    /// The value of one of them.
    Value(String),
}

/// Where the parts of a call stand, and its parameters.
#[derive(Debug)]
pub(super) struct Places {
    plugin: Span,
    action: Span,
    /// The parameters, or the action where it has none.
    whole: Span,
    params: Map<String, Value>,
    /// Of each of them in the order written, where its name and where its value are.
    keys: Vec<(Span, Span)>,
}

impl Places {
    /// Of a call with these parameters, as [`super::params::params`] read them from the field.
    pub fn new(plugin: Span, action: &Field<'_>, field: &Field<'_>, params: Map<String, Value>) -> Self {
        let entries = field.value().and_then(|value| value.as_table()).map(in_order).unwrap_or_default();
        let keys = entries.into_iter().map(|(key, value)| (key.span(), value.span())).collect();
        Self { plugin, action: action.span(), whole: field.span(), params, keys }
    }

    fn of(&self, part: &CallPart) -> &Span {
        let key = |name: &String| self.params.keys().zip(&self.keys).find(|(key, _)| *key == name);
        match part {
            CallPart::Plugin => &self.plugin,
            CallPart::Action => &self.action,
            CallPart::Params => &self.whole,
            CallPart::Key(name) => key(name).map_or(&self.whole, |(_, (key, _))| key),
            CallPart::Value(name) => key(name).map_or(&self.whole, |(_, (_, value))| value),
        }
    }
}

/// Every call and every event of a plugin that a configuration names, with its place.
#[derive(Debug, Default)]
pub struct PluginCalls {
    calls: Vec<(PluginBinding, Box<Places>)>,
    events: Vec<(PluginId, Span)>,
}

impl PluginCalls {
    pub(super) fn of(document: Document) -> Self {
        let mut all = Self::default();
        for mapping in document.mappings {
            let event = mapping.trigger.and_then(|trigger| trigger.event);
            all.events.extend(event.map(|event| (event.plugin, event.place)));
            mapping.action.into_iter().for_each(|action| all.add(action));
        }
        all
    }

    fn add(&mut self, action: Action) {
        match action.kind {
            ActionKind::Plugin(binding, places) => self.calls.push((binding, places)),
            ActionKind::Sequence(actions) => actions.into_iter().for_each(|action| self.add(action)),
            ActionKind::Repeat { action, .. } => self.add(*action),
            ActionKind::Effect(_) | ActionKind::Mode(_) | ActionKind::Delay { .. } => {}
        }
    }

    /// Whether no plugin is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.events.is_empty()
    }

    /// Adds a warning for whatever does not fit the plugins. One that is not there is told of once.
    pub fn compare(&self, plugins: &dyn KnownPlugins, warnings: &mut Diagnostics) {
        let calls = self.calls.iter().map(|(binding, places)| (&binding.plugin, &places.plugin));
        let mut named: BTreeMap<&PluginId, Vec<&Span>> = BTreeMap::new();
        for (plugin, place) in calls.chain(self.events.iter().map(|(plugin, place)| (plugin, place))) {
            named.entry(plugin).or_default().push(place);
        }
        for (plugin, mut places) in named {
            let Some(fault) = plugins.plugin(plugin) else { continue };
            places.sort_by_key(|place| place.start);
            let [first, others @ ..] = &*places else { continue };
            warnings.add(|| {
                let warning = diagnostic(&fault, plugin.as_str(), first);
                match others.len() {
                    0 => warning,
                    1 => warning.label("and in 1 more place"),
                    more => warning.label(format!("and in {more} more places")),
                }
            });
        }
        for (PluginBinding { plugin, action, .. }, places) in &self.calls {
            for fault in plugins.call(plugin, action, &places.params) {
                let written = match &fault.at {
                    CallPart::Plugin => plugin.as_str(),
                    CallPart::Action => action,
                    CallPart::Params => "",
                    CallPart::Key(name) | CallPart::Value(name) => name,
                };
                warnings.add(|| diagnostic(&fault, written, places.of(&fault.at)));
            }
        }
        warnings.sort();
    }
}

fn diagnostic(fault: &CallFault<'_>, written: &str, place: &Span) -> Diagnostic {
    let (code, is_text) = match &fault.at {
        CallPart::Plugin => (Code::UnknownPlugin, true),
        CallPart::Action => (Code::UnknownAction, true),
        CallPart::Params | CallPart::Key(_) | CallPart::Value(_) => (Code::BadParams, false),
    };
    let warning = Diagnostic::new(Severity::Warning, code, place.clone(), cut(&fault.message, LONGEST));
    let is_name = matches!(fault.at, CallPart::Plugin | CallPart::Action | CallPart::Key(_));
    let meant = if is_name { closest(written, fault.known.iter().copied()) } else { None };
    match meant {
        Some(word) => {
            let warning = warning.help(format!("did you mean {}?", quoted(word)));
            // others would have to be escaped
            let is_bare = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            match (is_bare, is_text) {
                (false, _) => warning,
                (true, true) => warning.suggest(place.clone(), format!("\"{word}\"")),
                (true, false) => warning.suggest(place.clone(), word),
            }
        }
        None if fault.at == CallPart::Plugin => {
            warning.help("install it, or correct the name; until then what is mapped to it does nothing")
        }
        // of a key the sentence names them already
        None if fault.known.is_empty() || matches!(fault.at, CallPart::Key(_)) => warning,
        None => warning.help(format!("it has: {}", listed(&fault.known))),
    }
}

/// The first of many words, and how many there are besides.
fn listed(words: &[&str]) -> String {
    let (shown, others) = words.split_at(words.len().min(SHOWN));
    let list = cut(&shown.join(", "), LONGEST);
    if others.is_empty() { list } else { format!("{list} and {} more", others.len()) }
}
