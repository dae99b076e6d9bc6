//! What a plugin asks for, with its reasons.

use super::action::ParamType;
use super::settings::SettingSpec;
use super::walk::Field;
use crate::workers::broker::endpoint::{Endpoint, InvalidEndpoint};
use midimon_shared::capability::{Capability, CapabilityKind};
use midimon_shared::text::is_quotation_mark;

/// Most capabilities a plugin can ask for: far more than anybody can judge, and so few that what was asked for and
/// granted, of this version and the one before, fits a file of grants.
pub const MAX_REQUESTS: usize = 128;

/// One capability and why the plugin wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityRequest {
    /// What it asks for.
    pub capability: Capability,
    /// Why, in its own words.
    pub reason: String,
}

/// A capability whose target the user types when the plugin is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for; always a kind that needs a target.
    pub kind: CapabilityKind,
    /// What the user is asked, in the plugin's words; no two of a manifest are equal.
    pub prompt: String,
    /// Why, in its own words.
    pub reason: String,
    /// The setting (a text, no secret) under which the plugin gets the answer too.
    pub setting: Option<String>,
}

/// Everything a manifest asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) requests: Vec<CapabilityRequest>,
    pub(super) asks: Vec<Ask>,
}

pub(super) fn capabilities(field: &Field<'_>, settings: &[SettingSpec]) -> Asked {
    let mut asked = Asked::default();
    for mut table in field.tables(32) {
        let named = table.require("capability");
        let targets = table.take("targets");
        let ask = table.take("ask");
        let setting = table.take("setting");
        let reason = table.require("reason").and_then(|field| field.text(300));
        table.finish();
        let Some(named) = named else { continue };
        let (Some(kind), Some(reason)) = (named.text(64), reason) else { continue };
        match (ask, setting) {
            (Some(ask), setting) => {
                if let Some(targets) = &targets {
                    targets.report("has either `targets` or `ask`; write two tables for both");
                }
                let setting = setting.and_then(|setting| setting_name(&setting, settings));
                asked.asks.extend(one_ask(&named, &kind, &ask, reason, setting, &asked.asks));
            }
            (None, Some(setting)) => setting.report("`setting` says where the answer to an `ask` goes; there is none"),
            (None, None) => {
                let targets = targets.map(|field| field.items(64));
                requests(&named, &kind, targets.as_deref(), &reason, &mut asked.requests);
            }
        }
        if asked.requests.len() > MAX_REQUESTS {
            named.report(format!("a plugin can ask for {MAX_REQUESTS} capabilities at most, each target counted"));
            break;
        }
    }
    asked
}

fn requests(
    named: &Field<'_>,
    kind: &str,
    targets: Option<&[Field<'_>]>,
    reason: &str,
    requests: &mut Vec<CapabilityRequest>,
) {
    let texts: Vec<(&Field<'_>, String)> = match targets {
        Some(targets) => {
            targets.iter().filter_map(|field| Some((field, format!("{kind}:{}", field.text(256)?)))).collect()
        }
        None => vec![(named, kind.to_owned())],
    };
    for (place, text) in texts {
        match text.parse::<Capability>() {
            Ok(capability) if requests.iter().any(|request| request.capability == capability) => {
                place.report(format!("`{capability}` is asked for twice"));
            }
            Ok(capability) => match check(&capability) {
                Ok(()) => requests.push(CapabilityRequest { capability, reason: reason.to_owned() }),
                Err(fault) => place.report(format!("`{capability}`: {fault}")),
            },
            Err(error) => place.report(capability_help(&error.to_string(), &text)),
        }
    }
}

fn one_ask(
    named: &Field<'_>,
    kind: &str,
    ask: &Field<'_>,
    reason: String,
    setting: Option<String>,
    earlier: &[Ask],
) -> Option<Ask> {
    let prompt = ask.text(80)?;
    // any target will do to learn the kind: spellings are in one place
    let kind = match format!("{kind}:x").parse::<Capability>() {
        Ok(capability) => capability.kind,
        Err(error) => {
            named.report(format!("{error}; nothing to `ask` for"));
            return None;
        }
    };
    if earlier.iter().any(|ask| ask.prompt == prompt) {
        ask.report("the same is asked twice; the user could not tell which is which");
    }
    Some(Ask { kind, prompt, reason, setting })
}

fn setting_name(field: &Field<'_>, settings: &[SettingSpec]) -> Option<String> {
    let name = field.text(64)?;
    match settings.iter().find(|setting| setting.name == name) {
        Some(setting) if setting.ty == ParamType::String && !setting.secret => return Some(name),
        Some(_) => field.report(format!("the setting `{name}` must be of type string and no secret")),
        None => field.report(format!("there is no setting `{name}`; add it to [[settings]]")),
    }
    None
}

/// Whether a target can be what it is said to be: an address is one. Everything that is
/// granted goes through here, so that it means the same to who grants it and who uses it.
///
/// # Errors
/// A network target is no address.
pub fn check_target(capability: &Capability) -> Result<(), InvalidEndpoint> {
    match (capability.kind, &capability.target) {
        (CapabilityKind::Network, Some(target)) => Endpoint::parse(target).map(drop),
        _ => Ok(()),
    }
}

/// A target stands in midimon's own sentences, where it must not go on with them.
fn check(capability: &Capability) -> Result<(), String> {
    check_target(capability).map_err(|error| error.to_string())?;
    match capability.target.iter().flat_map(|target| target.chars()).find(|char| is_quotation_mark(*char)) {
        Some(mark) => Err(format!("the target has a quotation mark (U+{:04X})", u32::from(mark))),
        None => Ok(()),
    }
}

/// In a manifest targets are a list of their own.
fn capability_help(error: &str, text: &str) -> String {
    let needs_target = CapabilityKind::ALL.iter().any(|kind| kind.needs_target() && kind.as_str() == text);
    if needs_target { format!("`{text}` needs `targets = [\"…\"]` or `ask = \"…\"`") } else { error.to_owned() }
}
