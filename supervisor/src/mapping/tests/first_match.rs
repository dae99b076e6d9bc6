//! Which mapping takes an event: the first that matches, the mode's before the globals.

use super::{pads, simulate};

#[test]
fn the_modes_mappings_come_before_the_globals_and_the_first_match_wins() {
    let config = r#"
        [[global_mappings]]
        trigger = { type = "Note", note = 60 }
        action = { type = "Log", text = "global" }
        [[global_mappings]]
        trigger = { type = "Note", note = 61 }
        action = { type = "Log", text = "only global" }
        [[modes]]
        name = "A"
        [[modes.mappings]]
        trigger = { type = "Note", note = 60, velocity = "100.." }
        action = { type = "Log", text = "hard" }
        [[modes.mappings]]
        trigger = { type = "Note", note = 60, velocity_max = 50 }
        action = { type = "Log", text = "soft" }
    "#;
    assert_eq!(
        simulate(config, "on:60@100 off:60 on:60@50 off:60 on:60@51 off:60 on:61 off:61"),
        "0 hard\n0 soft\n0 global\n0 only global\n"
    );
}

#[test]
fn velocity_ranges_include_both_ends() {
    let config = pads(&[
        (r#"type = "Note", note = 1, velocity = "..=40""#, r#"type = "Log", text = "soft""#),
        (r#"type = "Note", note = 1, velocity = "41..=80""#, r#"type = "Log", text = "medium""#),
        (r#"type = "Note", note = 1, velocity_min = 81, velocity_max = 126"#, r#"type = "Log", text = "hard""#),
        (r#"type = "Note", note = 1, velocity = 127"#, r#"type = "Log", text = "hardest""#),
    ]);
    let heard = |velocity: u8| simulate(&config, &format!("on:1@{velocity}"));
    for (velocity, expected) in
        [(1, "soft"), (40, "soft"), (41, "medium"), (80, "medium"), (81, "hard"), (126, "hard"), (127, "hardest")]
    {
        assert_eq!(heard(velocity), format!("0 {expected}\n"), "{velocity}");
    }
}

#[test]
fn a_channel_or_device_narrows_a_trigger() {
    let config = r#"
        schema = 1
        [device]
        name = "Pad"
        [[devices]]
        alias = "keys"
        match = { name = "Keys" }
        [[global_mappings]]
        trigger = { type = "Note", note = 1, device = "keys" }
        action = { type = "Log", text = "keys" }
        [[global_mappings]]
        trigger = { type = "Note", note = 1, channel = 16 }
        action = { type = "Log", text = "sixteen" }
        [[global_mappings]]
        trigger = { type = "Note", note = 1 }
        action = { type = "Log", text = "any" }
    "#;
    assert_eq!(
        simulate(config, "on:1 16/on:1 keys!on:1 keys!16/on:1 15/on:1"),
        "0 any\n0 sixteen\n0 keys\n0 keys\n0 any\n"
    );
}
