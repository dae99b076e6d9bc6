//! What can only be seen when the whole file has been read.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Severity, Sink};
use super::model::{Action, ActionKind, Document, Named, On, Trigger};
use super::text::quoted;
use super::walker::{Span, closest};
use crate::mapping::compiled::Matcher;
use crate::mapping::types::DeviceIndex;
use std::collections::HashMap;

/// Mappings of one trigger that are compared with each other; enough for any
/// that a person wrote.
const COMPARED: usize = 1000;

/// Reports what does not fit together.
pub(super) fn check(document: &Document, sink: &Sink) {
    unique("mode", document.modes.iter().map(|mode| (&*mode.text, &mode.span)), sink);
    unique("device", document.devices.iter().map(|(device, span)| (&*device.alias, span)), sink);
    unique(
        "mapping",
        document.mappings.iter().filter_map(|mapping| mapping.id.as_ref()).map(|id| (&*id.text, &id.span)),
        sink,
    );
    let mut reached = vec![false; document.modes.len()];
    for mapping in &document.mappings {
        let Some(action) = &mapping.action else { continue };
        modes_exist(action, &document.modes, &mut reached, sink);
        if let Some(trigger) = mapping.trigger.as_ref().filter(|trigger| !trigger.slot.is_note()) {
            no_release(action, &trigger.label, sink);
        }
    }
    for (mode, _) in document.modes.iter().zip(&reached).skip(1).filter(|&(_, &reached)| !reached) {
        let message = format!("no ModeChange leads to the mode {}", quoted(&mode.text));
        let note = Diagnostic::new(Severity::Note, Code::UnreachableMode, mode.span.clone(), message);
        sink.push(note.help("only `midimon mode NAME` does, or a plugin that may"));
    }
    shadowed(document, sink);
}

fn unique<'d>(what: &str, names: impl Iterator<Item = (&'d str, &'d Span)>, sink: &Sink) {
    let mut seen: HashMap<&str, &Span> = HashMap::new();
    // a mode whose name could not be read has an empty one, and was reported
    for (name, span) in names.filter(|(name, _)| !name.is_empty()) {
        if let Some(earlier) = seen.insert(name, span) {
            let message = format!("the {what} {} is here twice", quoted(name));
            let error = Diagnostic::error(Code::DuplicateName, span.clone(), message);
            sink.push(error.related(earlier.clone(), "the first one"));
        }
    }
}

/// Calls a function with an action and everything within it.
fn visit<'d>(action: &'d Action, visitor: &mut impl FnMut(&'d Action)) {
    visitor(action);
    match &action.kind {
        ActionKind::Sequence(actions) => actions.iter().for_each(|action| visit(action, visitor)),
        ActionKind::Repeat { action, .. } => visit(action, visitor),
        ActionKind::Plugin(..) | ActionKind::Effect(_) | ActionKind::Mode(_) | ActionKind::Delay { .. } => {}
    }
}

fn modes_exist(action: &Action, modes: &[Named], reached: &mut [bool], sink: &Sink) {
    visit(action, &mut |action| {
        let ActionKind::Mode(wanted) = &action.kind else { return };
        if let Some(mode) = modes.iter().position(|mode| mode.text == wanted.text) {
            reached[mode] = true;
            return;
        }
        let message = format!("there is no mode {}", quoted(&wanted.text));
        let error = Diagnostic::error(Code::UnknownMode, wanted.span.clone(), message);
        sink.push(match closest(&wanted.text, modes.iter().map(|mode| &*mode.text)) {
            Some(mode) => error.help(format!("did you mean \"{mode}\"?")),
            None => error.help("add a `[[modes]]` table with this name"),
        });
    });
}

fn no_release(action: &Action, trigger: &str, sink: &Sink) {
    visit(action, &mut |action| {
        if let Some((On::Release | On::Both, span)) = &action.on {
            let message = format!("{trigger} is never released, so `on` can only be \"press\"");
            sink.push(Diagnostic::error(Code::NoRelease, span.clone(), message));
        }
    });
}

/// The trigger with its device resolved; `None` when there is no such device, which is reported.
pub(super) fn matcher(trigger: &Trigger, document: &Document, sink: &Sink) -> Option<Matcher> {
    let device = match &trigger.device {
        None => None,
        Some(alias) => {
            let Some(device) = document.devices.iter().position(|(device, _)| device.alias == alias.text) else {
                let message = format!("there is no device {}", quoted(&alias.text));
                let error = Diagnostic::error(Code::UnknownDevice, alias.span.clone(), message);
                sink.push(match closest(&alias.text, document.devices.iter().map(|(device, _)| &*device.alias)) {
                    Some(known) => error.help(format!("did you mean \"{known}\"?")),
                    None => error.help("add a `[[devices]]` table with this alias"),
                });
                return None;
            };
            Some(device as DeviceIndex)
        }
    };
    Some(Matcher { slot: trigger.slot, channel: trigger.channel, device, min: trigger.min, max: trigger.max })
}

/// Warns of mappings that never fire because an earlier one takes all that they would.
fn shadowed(document: &Document, sink: &Sink) {
    let mut earlier: HashMap<_, Vec<(Matcher, &Trigger)>> = HashMap::new();
    for mapping in &document.mappings {
        let Some(trigger) = &mapping.trigger else { continue };
        let Some(matcher) = matcher(trigger, document, sink) else { continue };
        let rivals = earlier.entry((mapping.mode, matcher.slot)).or_default();
        match rivals.iter().find(|(rival, _)| rival.covers(&matcher)) {
            Some((_, rival)) => {
                let span = trigger.span.clone();
                let warning = Diagnostic::new(Severity::Warning, Code::Shadowed, span, "this mapping never fires");
                sink.push(warning.related(rival.span.clone(), "this earlier one takes all that it would"));
            }
            None if rivals.len() < COMPARED => rivals.push((matcher, trigger)),
            None => {}
        }
    }
}
