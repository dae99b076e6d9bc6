//! Controllers, wheels, pressure and program changes: every message in range fires.

use super::{pads, simulate};

const PLUGIN: &str = r#"type = "Plugin", plugin = "pp", action = "x""#;

#[test]
fn every_controller_message_in_range_fires() {
    let config = pads(&[(r#"type = "CC", cc = 7, value = "10..=20""#, PLUGIN)]);
    assert_eq!(
        simulate(&config, "cc:7=9 cc:7=10 cc:7=10 cc:7=20 cc:7=21 cc:8=15"),
        "0 pp.x value 10\n0 pp.x value 10\n0 pp.x value 20\n"
    );
    let all = pads(&[(r#"type = "CC", cc = 0"#, PLUGIN)]);
    assert_eq!(simulate(&all, "cc:0=0 cc:0=127"), "0 pp.x value 0\n0 pp.x value 127\n");
}

#[test]
fn pitch_bend_fires_in_its_14_bit_range() {
    let config = pads(&[(r#"type = "PitchBend", value_min = 8193"#, PLUGIN)]);
    assert_eq!(simulate(&config, "bend:8192 bend:8193 bend:16383"), "0 pp.x value 64\n0 pp.x value 127\n");
}

#[test]
fn pressure_on_a_note_and_on_the_channel_are_two_triggers() {
    let config = pads(&[
        (r#"type = "Aftertouch", note = 60, pressure_min = 50"#, r#"type = "Log", text = "note""#),
        (r#"type = "Aftertouch", pressure_max = 50"#, r#"type = "Log", text = "channel""#),
    ]);
    assert_eq!(simulate(&config, "poly:60=50 poly:60=49 poly:61=50 at:50 at:51"), "0 note\n0 channel\n");
}

#[test]
fn a_program_change_fires_for_its_program() {
    let config = pads(&[(r#"type = "ProgramChange", program = 5"#, PLUGIN)]);
    assert_eq!(simulate(&config, "pc:4 pc:5"), "0 pp.x value\n");
}
