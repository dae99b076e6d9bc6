//! Sequence, Delay and Repeat.

use super::{Simulation, compiled, pads, simulate};
use crate::mapping::Input;

fn pad(action: &str) -> String {
    pads(&[(r#"type = "Note", note = 1"#, &action.replace('\n', " "))])
}

#[test]
fn a_delay_holds_back_what_follows_and_nothing_else() {
    let config = pads(&[
        (
            r#"type = "Note", note = 1"#,
            r#"type = "Sequence", actions = [{ type = "Log", text = "a" }, { type = "Delay", ms = 100 }, { type = "Log", text = "b" }]"#,
        ),
        (r#"type = "Note", note = 2"#, r#"type = "Log", text = "other""#),
    ]);
    assert_eq!(simulate(&config, "on:1 t:50 on:2 t:49 on:2 t:1 t:100"), "0 a\n50 other\n99 other\n100 b\n");
}

#[test]
fn repeat_waits_between_but_not_after() {
    let action = r#"type = "Repeat", count = 3, delay_ms = 10, action = { type = "Log", text = "x" }"#;
    let mut simulation = Simulation::new(compiled(&pad(action)));
    simulation.play("on:1 t:20");
    assert_eq!(simulation.heard, "0 x\n10 x\n20 x\n");
    assert_eq!(simulation.engine.next_timer(), None);
}

#[test]
fn sequences_and_repeats_nest() {
    let action = r#"type = "Repeat", count = 2, action = { type = "Sequence", actions = [
        { type = "Repeat", count = 2, action = { type = "Log", text = "a" } }, { type = "Delay", ms = 5 }] }"#;
    assert_eq!(simulate(&pad(action), "on:1 t:20"), "0 a\n0 a\n5 a\n5 a\n");
}

#[test]
fn delays_add_up_to_what_was_written_even_when_the_timer_comes_late() {
    let action = r#"type = "Repeat", count = 4, delay_ms = 10, action = { type = "Log", text = "x" }"#;
    let mut simulation = Simulation::new(compiled(&pad(action)));
    simulation.play("on:1");
    simulation.now = crate::clock::Time::from_millis(25);
    simulation.step(Input::Timer);
    assert_eq!(simulation.engine.next_timer(), Some(crate::clock::Time::from_millis(30)));
    simulation.play("t:5");
    assert_eq!(simulation.heard, "0 x\n25 x\n25 x\n30 x\n");
}

#[test]
fn what_is_due_comes_before_a_message_that_arrives_later() {
    let config = pads(&[
        (
            r#"type = "Note", note = 1"#,
            r#"type = "Sequence", actions = [{ type = "Delay", ms = 10 }, { type = "Log", text = "due" }]"#,
        ),
        (r#"type = "Note", note = 2"#, r#"type = "Log", text = "message""#),
    ]);
    let mut simulation = Simulation::new(compiled(&config));
    simulation.play("on:1");
    simulation.now = crate::clock::Time::from_millis(11);
    simulation.play("on:2");
    assert_eq!(simulation.heard, "11 due\n11 message\n");
}

#[test]
fn programs_due_at_the_same_time_go_on_in_the_order_they_began() {
    let delayed = |text: &str| {
        format!(r#"type = "Sequence", actions = [{{ type = "Delay", ms = 9 }}, {{ type = "Log", text = "{text}" }}]"#)
    };
    let (a, b) = (delayed("a"), delayed("b"));
    let config = pads(&[(r#"type = "Note", note = 1"#, &a), (r#"type = "Note", note = 2"#, &b)]);
    assert_eq!(simulate(&config, "on:2 on:1 off:2 on:2 t:9"), "9 b\n9 a\n9 b\n");
}

#[test]
fn a_sequence_that_finds_no_room_to_wait_does_not_start_and_is_counted() {
    let action = r#"type = "Sequence", actions = [{ type = "Log", text = "start" }, { type = "Delay", ms = 9 },
        { type = "Log", text = "end" }, { type = "Log", text = "up", on = "release" }]"#;
    let mut simulation = Simulation::new(compiled(&pad(action)));
    for _ in 0..1030 {
        simulation.play("on:1 off:1");
    }
    assert_eq!(simulation.engine.dropped_delays(), 6);
    simulation.play("t:9");
    for (word, times) in [("start", 1024), ("end", 1024), ("up", 1024)] {
        assert_eq!(simulation.heard.matches(word).count(), times, "{word}: no release without its press");
    }
}

#[test]
fn a_release_that_finds_no_room_to_wait_runs_through() {
    let config = pads(&[
        (
            r#"type = "Note", note = 1"#,
            r#"type = "Sequence", actions = [{ type = "Delay", ms = 9 }, { type = "Log", text = "late" }]"#,
        ),
        (
            r#"type = "Note", note = 2"#,
            r#"type = "Sequence", on = "release", actions = [{ type = "Delay", ms = 9 }, { type = "Log", text = "up" }]"#,
        ),
    ]);
    let mut simulation = Simulation::new(compiled(&config));
    simulation.play("on:2");
    for _ in 0..1024 {
        simulation.play("on:1 off:1");
    }
    simulation.play("t:1 off:2");
    assert_eq!(simulation.heard, "1 up\n");
}
