//! Modes.

use super::{pads, simulate};

const MODES: &str = r#"
[[modes]]
name = "Default"
[[modes.mappings]]
trigger = { type = "Note", note = 1 }
action = { type = "ModeChange", mode = "Media" }
[[modes.mappings]]
trigger = { type = "Note", note = 2 }
action = { type = "Log", text = "default" }

[[modes]]
name = "Media"
[[modes.mappings]]
trigger = { type = "Note", note = 2 }
action = { type = "Log", text = "media" }
[[modes.mappings]]
trigger = { type = "Note", note = 1 }
action = { type = "ModeChange", mode = "Default" }
"#;

#[test]
fn the_first_mode_is_in_force_until_an_action_changes_it() {
    assert_eq!(
        simulate(MODES, "on:2 off:2 on:1 off:1 on:2 off:2 on:1 off:1 on:2"),
        "0 default\n0 mode Media\n0 media\n0 mode Default\n0 default\n"
    );
}

#[test]
fn changing_to_the_mode_in_force_says_nothing() {
    assert_eq!(simulate(MODES, "mode:Default mode:Media mode:Media"), "0 mode Media\n");
}

#[test]
fn a_mode_can_last_as_long_as_a_pad_is_held() {
    let action = r#"type = "Sequence", actions = [
        { type = "ModeChange", mode = "B" }, { type = "ModeChange", mode = "A", on = "release" }]"#;
    let config = pads(&[(r#"type = "Note", note = 1"#, &action.replace('\n', " "))])
        + "[[modes]]\nname = \"A\"\n[[modes]]\nname = \"B\"\n";
    assert_eq!(simulate(&config, "on:1 t:5 off:1 on:1 t:5 gone:default"), "0 mode B\n5 mode A\n5 mode B\n10 mode A\n");
}

#[test]
fn the_context_has_the_mode_the_event_met() {
    let mut simulation =
        super::Simulation::new(super::compiled(&MODES.replace("Log\", text", "Plugin\", plugin = \"pp\", action")));
    simulation.play("on:1 off:1");
    let mut outputs = Vec::new();
    let press = simulation.input("on:2@77");
    simulation.engine.step(simulation.now, press, &mut outputs);
    let [crate::mapping::Output::Plugin { stamp, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((stamp.mode, stamp.device, stamp.velocity), (Some(1), Some(0), Some(77)));
}
