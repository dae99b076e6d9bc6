//! `action = { type = "SendMidi", … }`.

use super::trigger::people_channel;
use super::walker::{Field, Schema, Table};
use crate::mapping::types::{MidiTemplate, SendMidi, Value};
use midimon_shared::{Channel, U7, U14};

#[derive(Clone, Copy)]
enum Kind {
    NoteOn,
    NoteOff,
    Cc,
    ProgramChange,
    PitchBend,
    Aftertouch,
}

const KINDS: &[(&str, Kind)] = &[
    ("NoteOn", Kind::NoteOn),
    ("NoteOff", Kind::NoteOff),
    ("CC", Kind::Cc),
    ("ProgramChange", Kind::ProgramChange),
    ("PitchBend", Kind::PitchBend),
    ("Aftertouch", Kind::Aftertouch),
    ("note_on", Kind::NoteOn),
    ("note_off", Kind::NoteOff),
    ("cc", Kind::Cc),
    ("ControlChange", Kind::Cc),
    ("control_change", Kind::Cc),
    ("program_change", Kind::ProgramChange),
    ("pitch_bend", Kind::PitchBend),
    ("aftertouch", Kind::Aftertouch),
    ("ChannelPressure", Kind::Aftertouch),
    ("channel_pressure", Kind::Aftertouch),
];

/// Reads the message to send; the label says what it is.
pub(super) fn send_midi(table: &mut Table<'_>) -> Option<(SendMidi, String)> {
    table.call("a SendMidi action");
    let port = table.take("port").required().name();
    let kind = table.take("message_type").required().choice(KINDS);
    let channel = channel(table);
    let Some(kind) = kind else {
        // which other keys belong here is unknown: ask for all, so that none is called unknown
        for key in ["note", "velocity", "controller", "value", "program", "pitch", "pressure"] {
            table.take(key);
        }
        return None;
    };
    let message = message(table, kind, channel);
    let (port, message) = (port?, message?);
    Some((SendMidi { port: port.into(), message }, format!("SendMidi to {port}")))
}

fn message(table: &mut Table<'_>, kind: Kind, channel: Option<Channel>) -> Option<MidiTemplate> {
    match kind {
        Kind::NoteOn | Kind::NoteOff => {
            let note = number(table, "note", 60);
            let velocity = value(table, "velocity", 100);
            let (channel, note, velocity) = (channel?, note?, velocity?);
            Some(match kind {
                Kind::NoteOn => MidiTemplate::NoteOn { channel, note, velocity },
                _ => MidiTemplate::NoteOff { channel, note, velocity },
            })
        }
        Kind::Cc => {
            let controller = number(table, "controller", 0);
            let value = value(table, "value", 0);
            Some(MidiTemplate::ControlChange { channel: channel?, controller: controller?, value: value? })
        }
        Kind::ProgramChange => {
            let program = number(table, "program", 0);
            Some(MidiTemplate::ProgramChange { channel: channel?, program: program? })
        }
        Kind::PitchBend => {
            let value = pitch(table.take("pitch"));
            Some(MidiTemplate::PitchBend { channel: channel?, value: value? })
        }
        Kind::Aftertouch => {
            let pressure = value(table, "pressure", 0);
            Some(MidiTemplate::ChannelPressure { channel: channel?, pressure: pressure? })
        }
    }
}

/// Counted from 0 in a file without `schema`, from 1 with it.
fn channel(table: &mut Table<'_>) -> Option<Channel> {
    let field = table.take("channel").required();
    match table.context.schema {
        Schema::Compatible => field.number::<u8>(0..=15).and_then(|wire| Channel::new(wire + 1)),
        Schema::One => people_channel(field),
    }
}

/// A note, controller or program: with a default in a file without `schema` only.
fn number(table: &mut Table<'_>, key: &'static str, default: u8) -> Option<U7> {
    let mut field = table.take(key);
    if table.context.schema == Schema::One {
        field = field.required();
    } else if !field.is_present() {
        return U7::new(default);
    }
    field.number::<u8>(0..=127).and_then(U7::new)
}

fn value(table: &mut Table<'_>, key: &'static str, default: u8) -> Option<Value<U7>> {
    let field = table.take(key);
    if !field.is_present() {
        return U7::new(default).map(Value::Fixed);
    }
    if is_from_trigger(&field) {
        return Some(Value::FromTrigger);
    }
    field.number::<u8>(0..=127).and_then(U7::new).map(Value::Fixed)
}

/// -8192 to 8191, the centre being 0.
fn pitch(field: Field<'_>) -> Option<Value<U14>> {
    if !field.is_present() {
        return Some(Value::Fixed(U14::CENTRE));
    }
    if is_from_trigger(&field) {
        return Some(Value::FromTrigger);
    }
    let pitch = field.number::<i16>(-8192..=8191)?;
    U14::new((pitch + 8192) as u16).map(Value::Fixed) // cannot cut: the range was checked
}

fn is_from_trigger(field: &Field<'_>) -> bool {
    matches!(field.value().and_then(|value| value.as_str()), Some("$value" | "$velocity"))
}
