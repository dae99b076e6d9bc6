//! `trigger = { type = … }`.

use super::action::plugin_id;
use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::model::{Document, Named, PluginEvent, Trigger};
use super::text::cut;
use super::walker::{Context, Field, Schema, Table};
use crate::mapping::compiled::Slot;
use crate::mapping::events::{ALL_VALUES, EventTable, MAX_EVENTS};
use midimon_shared::Channel;
use midimon_shared::host::{MAX_EVENT_NAME, MAX_EVENT_VALUE};

#[derive(Clone, Copy)]
enum Kind {
    Note,
    Cc,
    PitchBend,
    Aftertouch,
    ProgramChange,
    Plugin,
    /// Known from elsewhere, not here yet.
    Later(&'static str),
}

const KINDS: &[(&str, Kind)] = &[
    ("Note", Kind::Note),
    ("CC", Kind::Cc),
    ("PitchBend", Kind::PitchBend),
    ("Aftertouch", Kind::Aftertouch),
    ("ProgramChange", Kind::ProgramChange),
    ("Plugin", Kind::Plugin),
    ("VelocityRange", Kind::Later("use Note with `velocity = \"41..=80\"`, one mapping for each range")),
    ("LongPress", Kind::Later("")),
    ("DoubleTap", Kind::Later("")),
    ("NoteChord", Kind::Later("")),
    ("EncoderTurn", Kind::Later("use CC, which fires for every message")),
    ("GamepadButton", Kind::Later("")),
    ("GamepadButtonChord", Kind::Later("")),
    ("GamepadAnalogStick", Kind::Later("")),
    ("GamepadTrigger", Kind::Later("")),
];

/// Reads a trigger; `None` when it cannot be used, which has been reported.
pub(super) fn trigger(field: Field<'_>) -> Option<Trigger> {
    let mut table = field.required().table("a trigger")?;
    let kind_field = table.take("type").required();
    let kind_span = kind_field.span();
    let kind = kind_field.choice(KINDS)?;
    let parsed = match kind {
        Kind::Note => note(&mut table),
        Kind::Cc => control(&mut table),
        Kind::PitchBend => pitch_bend(&mut table),
        Kind::Aftertouch => aftertouch(&mut table),
        Kind::ProgramChange => program_change(&mut table),
        Kind::Plugin => return plugin(table),
        Kind::Later(instead) => {
            let error = Diagnostic::error(Code::NotSupported, kind_span, "this trigger is not supported yet");
            // its keys are its own affair: no more is said about them
            table.context.report(if instead.is_empty() { error } else { error.help(instead) });
            return None;
        }
    };
    let channel = channel(&mut table);
    let device = device(&mut table);
    let span = table.span();
    table.finish();
    let (slot, (min, max), label) = parsed?;
    Some(Trigger { slot, event: None, channel, device, min, max, label, span })
}

type Parsed = Option<(Slot, (u16, u16), String)>;

fn note(table: &mut Table<'_>) -> Parsed {
    table.call("a Note trigger");
    let note = table.take("note").required().number::<u8>(0..=127);
    let range = range(table, ["velocity", "velocity_min", "velocity_max"], 1, 127);
    let note = note?;
    Some((Slot::note(note), range?, label(&format!("Note {note}"), range?, (1, 127))))
}

fn control(table: &mut Table<'_>) -> Parsed {
    table.call("a CC trigger");
    let field = table.take("cc").required();
    let place = field.clone();
    let cc = field.number::<u8>(0..=127);
    if cc.is_some_and(|cc| cc > 119) {
        place.error(Code::OutOfRange, "120 to 127 are channel mode messages, not controllers; `cc` must be 0 to 119");
    }
    let range = range(table, ["value", "value_min", "value_max"], 0, 127);
    let cc = cc?;
    Some((Slot::control(cc), range?, label(&format!("CC {cc}"), range?, (0, 127))))
}

fn pitch_bend(table: &mut Table<'_>) -> Parsed {
    table.call("a PitchBend trigger");
    let range = range(table, ["value", "value_min", "value_max"], 0, 16_383)?;
    Some((Slot::PITCH_BEND, range, label("PitchBend", range, (0, 16_383))))
}

fn aftertouch(table: &mut Table<'_>) -> Parsed {
    table.call("an Aftertouch trigger");
    let note = table.take("note");
    let note_wrong = note.is_present();
    let note = note.number::<u8>(0..=127);
    let range = range(table, ["pressure", "pressure_min", "pressure_max"], 0, 127);
    match note {
        Some(note) => {
            Some((Slot::poly_pressure(note), range?, label(&format!("Aftertouch of note {note}"), range?, (0, 127))))
        }
        None if note_wrong => None,
        None => Some((Slot::CHANNEL_PRESSURE, range?, label("Aftertouch", range?, (0, 127)))),
    }
}

fn program_change(table: &mut Table<'_>) -> Parsed {
    table.call("a ProgramChange trigger");
    let program = table.take("program").required().number::<u8>(0..=127)?;
    Some((Slot::program(program), (0, 0), format!("ProgramChange {program}")))
}

/// An event that a plugin emits. It comes from no device and on no channel.
fn plugin(mut table: Table<'_>) -> Option<Trigger> {
    table.call("a Plugin trigger");
    let plugin = plugin_id(&mut table);
    let name = table.take("event").required().line(MAX_EVENT_NAME);
    let value = table.take("value");
    let value_wrong = value.is_present();
    // unlike other texts it may be empty: an event that says nothing has an empty value
    let is_empty = value.value().is_some_and(|value| value.as_str() == Some(""));
    let value = if is_empty { Some("") } else { value.text(MAX_EVENT_VALUE) };
    let span = table.span();
    table.finish();
    let ((plugin, place), name) = (plugin?, name?);
    if value_wrong && value.is_none() {
        return None;
    }
    let label = match value {
        Some(value) => format!("Plugin {plugin} {name} \"{}\"", cut(value, 30)),
        None => format!("Plugin {plugin} {name}"),
    };
    let event = Some(PluginEvent { plugin, place, name: name.into(), value: value.map(Into::into) });
    // both are known when all triggers are
    let (slot, (min, max)) = (Slot::event(0), ALL_VALUES);
    Some(Trigger { slot, event, channel: None, device: None, min, max, label, span })
}

/// Gives each event its number, and each of the values that are named its own.
pub(super) fn number_events(document: &mut Document, context: Context<'_>) {
    let named = document.mappings.iter().filter_map(|mapping| mapping.trigger.as_ref()?.event.as_ref());
    let table = EventTable::build(named.map(|event| (&event.plugin, &event.name, event.value.as_ref())));
    let too_many = table.len() > MAX_EVENTS;
    for mapping in &mut document.mappings {
        let Some(trigger) = &mut mapping.trigger else { continue };
        let Some(PluginEvent { plugin, name, value, .. }) = &trigger.event else { continue };
        let key = table.find(plugin, name, value.as_deref().unwrap_or_default());
        let Some(key) = key.filter(|_| !too_many) else {
            let message = format!("a configuration can wait for {MAX_EVENTS} different events of plugins at most");
            context.error(Code::TooMany, trigger.span.clone(), message);
            return;
        };
        trigger.slot = Slot::event(key.event);
        (trigger.min, trigger.max) = if value.is_some() { (key.value, key.value) } else { ALL_VALUES };
    }
    document.events = table;
}

fn label(what: &str, range: (u16, u16), all: (u16, u16)) -> String {
    if range == all { what.to_owned() } else { format!("{what} {}..={}", range.0, range.1) }
}

/// `[name, name_min, name_max]`: either the first as a text, or the others as numbers.
fn range(table: &mut Table<'_>, keys: [&'static str; 3], smallest: u16, largest: u16) -> Option<(u16, u16)> {
    let [whole, min, max] = keys.map(|key| table.take(key));
    let bounds = 0..=i64::from(largest);
    if whole.is_present() {
        for part in [&min, &max] {
            if part.is_present() {
                let message = format!("`{}` and `{}` say the same in two ways", part.key, whole.key);
                let error = Diagnostic::error(Code::Conflict, part.span(), message).help("keep one of them");
                table.context.report(error.related(whole.span(), "the other one"));
            }
        }
        return whole_range(whole, smallest, largest);
    }
    let (place, lower_wrong, upper_wrong) = (min.clone(), min.is_present(), max.is_present());
    let (min, max) = (min.number::<u16>(bounds.clone()), max.number::<u16>(bounds));
    if (lower_wrong && min.is_none()) || (upper_wrong && max.is_none()) {
        return None;
    }
    ordered(&place, min.unwrap_or(smallest), max.unwrap_or(largest))
}

fn whole_range(field: Field<'_>, smallest: u16, largest: u16) -> Option<(u16, u16)> {
    if field.value()?.is_integer() {
        let value = field.number::<u16>(0..=i64::from(largest))?;
        return Some((value, value));
    }
    let place = field.clone();
    let text = field.text(40)?;
    let malformed = |help: String| {
        let message = format!("`{}` is not a range such as \"80..=127\"", place.key);
        place.context.report(Diagnostic::error(Code::BadRange, place.span(), message).help(help));
    };
    let Some((from, to)) = text.split_once("..=").or_else(|| text.strip_suffix("..").map(|from| (from, ""))) else {
        let likely = text.split_once("..").or_else(|| text.split_once('-'));
        malformed(match likely {
            Some((from, to)) => format!("did you mean \"{}..={}\"?", from.trim(), to.trim()),
            None => "both ends are included, and either may be left out".to_owned(),
        });
        return None;
    };
    let end = |text: &str, open: u16| {
        if text.trim().is_empty() { Some(open) } else { text.trim().parse().ok().filter(|&end| end <= largest) }
    };
    match (end(from, smallest), end(to, largest)) {
        (Some(min), Some(max)) => ordered(&place, min, max),
        _ => {
            malformed(format!("the numbers must be 0 to {largest}"));
            None
        }
    }
}

fn ordered(place: &Field<'_>, min: u16, max: u16) -> Option<(u16, u16)> {
    if min > max {
        place.error(Code::BadRange, format!("the range goes from {min} down to {max}, so nothing is in it"));
        return None;
    }
    Some((min, max))
}

/// A trigger's channel: 1 to 16, and only where the file says which base it counts from.
fn channel(table: &mut Table<'_>) -> Option<Channel> {
    let field = table.take("channel");
    if field.is_present() && table.context.schema == Schema::Compatible {
        let error = Diagnostic::error(Code::BadChannel, field.span(), "`channel` in a trigger needs `schema = 1`");
        table
            .context
            .report(error.help("put `schema = 1` at the top of the file; channels are then 1 to 16 everywhere"));
        return None;
    }
    people_channel(field)
}

/// A channel counted from 1.
pub(super) fn people_channel(field: Field<'_>) -> Option<Channel> {
    let place = field.clone();
    match field.number::<i64>(i64::MIN..=i64::MAX)? {
        number @ 1..=16 => Channel::new(number as u8),
        number => {
            let error = Diagnostic::error(Code::BadChannel, place.span(), format!("there is no channel {number}"));
            place.context.report(match number {
                0 => error.help("channels are 1-16; did you mean 1?").suggest(place.span(), "1"),
                _ => error.help("channels are 1-16"),
            });
            None
        }
    }
}

fn device(table: &mut Table<'_>) -> Option<Named> {
    let field = table.take("device");
    let span = field.span();
    field.name().map(|alias| Named { text: alias.into(), span })
}
