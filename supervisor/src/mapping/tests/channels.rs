//! Channels with and without `schema = 1`.

use super::{compiled, load};
use crate::mapping::config::Code;
use crate::mapping::types::{Effect, MidiTemplate, SendMidi};

fn sends(schema: &str, channel: i64) -> Result<u8, Code> {
    let config = format!(
        "{schema}\n[[global_mappings]]\ntrigger = {{ type = \"Note\", note = 1 }}\n\
         action = {{ type = \"SendMidi\", port = \"p\", message_type = \"CC\", controller = 1, channel = {channel} }}\n"
    );
    let loaded = load(&config).map_err(|diagnostics| diagnostics.iter().next().unwrap().code)?;
    match loaded.compiled.effects[..] {
        [Effect::SendMidi(SendMidi { message: MidiTemplate::ControlChange { channel, .. }, .. })] => Ok(channel.get()),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn without_schema_send_midi_counts_channels_from_0() {
    assert_eq!(sends("", 0), Ok(1));
    assert_eq!(sends("", 15), Ok(16));
    assert_eq!(sends("", 16), Err(Code::OutOfRange));
    assert_eq!(sends("", -1), Err(Code::OutOfRange));
}

#[test]
fn with_schema_1_channels_are_1_to_16_everywhere() {
    assert_eq!(sends("schema = 1", 1), Ok(1));
    assert_eq!(sends("schema = 1", 16), Ok(16));
    assert_eq!(sends("schema = 1", 0), Err(Code::BadChannel));
    assert_eq!(sends("schema = 1", 17), Err(Code::BadChannel));
    let trigger = |schema: &str, channel: u8| {
        let config = format!(
            "{schema}\n[[global_mappings]]\ntrigger = {{ type = \"Note\", note = 1, channel = {channel} }}\n\
             action = {{ type = \"Panic\" }}\n"
        );
        load(&config).map(|_| ()).map_err(|diagnostics| diagnostics.render(false))
    };
    assert_eq!(trigger("schema = 1", 16), Ok(()));
    assert!(trigger("schema = 1", 0).unwrap_err().contains("channels are 1-16; did you mean 1?"));
    assert!(trigger("", 1).unwrap_err().contains("schema = 1"), "the base must be said before a channel can be");
}

#[test]
fn the_older_form_has_its_defaults() {
    let config = r#"
        [[global_mappings]]
        trigger = { type = "Note", note = 1 }
        action = { type = "SendMidi", port = "p", message_type = "NoteOn", channel = 3 }
    "#;
    let compiled = compiled(config);
    let Effect::SendMidi(SendMidi { message: MidiTemplate::NoteOn { channel, note, velocity }, .. }) =
        &compiled.effects[0]
    else {
        panic!("{:?}", compiled.effects);
    };
    let velocity = match velocity {
        crate::mapping::types::Value::Fixed(velocity) => velocity.get(),
        crate::mapping::types::Value::FromTrigger => panic!(),
    };
    assert_eq!((channel.get(), note.get(), velocity), (4, 60, 100));
}
