//! A press belongs to the mapping that took it.

use super::{Simulation, compiled, pads, simulate};

const TWO_MODES: &str = r#"
[[modes]]
name = "A"
[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Plugin", plugin = "aa", action = "x", on = "both" }

[[modes]]
name = "B"
[[modes.mappings]]
trigger = { type = "Note", note = 60 }
action = { type = "Plugin", plugin = "bb", action = "x", on = "both" }
"#;

#[test]
fn the_release_goes_to_the_mapping_that_took_the_press_whatever_the_mode_is_by_then() {
    let heard = simulate(TWO_MODES, "on:60@90 t:10 mode:B off:60@7 on:60@80 mode:A off:60");
    assert_eq!(
        heard,
        "0 aa.x press 90\n10 mode B\n10 aa.x release 7\n10 bb.x press 80\n10 mode A\n10 bb.x release 64\n"
    );
}

#[test]
fn actions_run_on_press_unless_they_say_otherwise() {
    let plugin = |on: &str| format!(r#"type = "Plugin", plugin = "pp", action = "x"{on}"#);
    let play = |on: &str| simulate(&pads(&[(r#"type = "Note", note = 1"#, &plugin(on))]), "on:1@5 t:9 off:1@6");
    assert_eq!(play(""), "0 pp.x press 5\n");
    assert_eq!(play(r#", on = "press""#), "0 pp.x press 5\n");
    assert_eq!(play(r#", on = "release""#), "9 pp.x release 6\n");
    assert_eq!(play(r#", on = "both""#), "0 pp.x press 5\n9 pp.x release 6\n");
}

#[test]
fn a_step_of_a_sequence_can_run_on_another_part_of_the_press() {
    let action = r#"type = "Sequence", on = "press", actions = [
        { type = "Log", text = "down" },
        { type = "Log", text = "up", on = "release" },
        { type = "Log", text = "each", on = "both" }]"#;
    let config = pads(&[(r#"type = "Note", note = 1"#, &action.replace('\n', " "))]);
    assert_eq!(simulate(&config, "on:1 t:5 off:1"), "0 down\n0 each\n5 up\n5 each\n");
}

#[test]
fn a_release_without_a_press_does_nothing() {
    assert_eq!(simulate(TWO_MODES, "off:60 off:60 on:61 off:61"), "");
}

#[test]
fn a_press_after_a_lost_release_releases_first() {
    let heard = simulate(TWO_MODES, "on:60@90 t:10 on:60@80 t:10 off:60@1 off:60");
    assert_eq!(heard, "0 aa.x press 90\n10 aa.x release 64\n10 aa.x press 80\n20 aa.x release 1\n");
}

#[test]
fn channels_and_devices_are_held_apart() {
    let config = r#"
        [[devices]]
        alias = "one"
        match = { name = "One" }
        [[devices]]
        alias = "two"
        match = { name = "Two" }
        [[global_mappings]]
        trigger = { type = "Note", note = 60 }
        action = { type = "Plugin", plugin = "pp", action = "x", on = "release" }
    "#;
    let heard =
        simulate(config, "one!on:60 one!2/on:60 two!on:60 two!2/off:60 t:1 two!off:60@1 one!2/off:60@2 one!off:60@3");
    assert_eq!(heard, "1 pp.x release 1\n1 pp.x release 2\n1 pp.x release 3\n");
}

#[test]
fn two_inputs_that_are_one_device_are_held_apart() {
    let mut simulation = Simulation::new(compiled(TWO_MODES));
    let mut play = |source, bytes| {
        let message = midimon_shared::ChannelMessage::from_bytes(bytes).unwrap();
        simulation.step(crate::mapping::Input::Message { source, device: 0, message, unix_ms: 0 });
        simulation.engine.held()
    };
    assert_eq!((play(0, [0x90, 60, 1]), play(7, [0x90, 60, 2])), (1, 2));
    assert_eq!((play(0, [0x80, 60, 3]), play(0, [0x80, 60, 4]), play(7, [0x80, 60, 5])), (1, 1, 0));
    assert_eq!(simulation.heard, "0 aa.x press 1\n0 aa.x press 2\n0 aa.x release 3\n0 aa.x release 5\n");
}

#[test]
fn a_device_that_goes_away_releases_what_it_held_in_the_order_pressed() {
    let config = r#"
        [[devices]]
        alias = "one"
        match = { name = "One" }
        [[devices]]
        alias = "two"
        match = { name = "Two" }
        [[global_mappings]]
        trigger = { type = "Note", note = 60 }
        action = { type = "Log", text = "sixty", on = "release" }
        [[global_mappings]]
        trigger = { type = "Note", note = 50 }
        action = { type = "Log", text = "fifty", on = "release" }
    "#;
    let mut simulation = Simulation::new(compiled(config));
    simulation.play("one!on:60 one!on:50 two!on:60 t:3 gone:one one!off:60");
    assert_eq!(simulation.heard, "3 sixty\n3 fifty\n");
    assert_eq!(simulation.engine.held(), 1);
    simulation.play("gone:two");
    assert_eq!(simulation.engine.held(), 0);
}

#[test]
fn all_notes_off_releases_its_own_channel_and_is_no_controller() {
    for controller in [120, 123, 124, 125, 126, 127] {
        let line = format!("on:60@90 2/on:60@80 t:5 cc:{controller}=0");
        let heard = simulate(TWO_MODES, &line);
        assert_eq!(heard, "0 aa.x press 90\n0 aa.x press 80\n5 aa.x release 64\n", "{controller}");
    }
    for controller in [121, 122] {
        assert_eq!(simulate(TWO_MODES, &format!("on:60@90 cc:{controller}=0")), "0 aa.x press 90\n");
    }
}

#[test]
fn a_release_the_device_did_not_send_is_dated_by_the_time_since_its_last_message() {
    let mut simulation = Simulation::new(compiled(TWO_MODES));
    simulation.play("t:100 on:60 t:250");
    let mut outputs = Vec::new();
    simulation.engine.step(simulation.now, crate::mapping::Input::ReleaseAll, &mut outputs);
    let [crate::mapping::Output::Plugin { stamp, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((stamp.unix_ms, stamp.monotonic_ns), (1_000_350, 350_000_000));
}
