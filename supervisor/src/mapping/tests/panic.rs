//! Panic: what is held is released, what waits is forgotten.

use super::{Simulation, compiled, pads, simulate};

fn config() -> String {
    pads(&[
        (r#"type = "Note", note = 1"#, r#"type = "Panic""#),
        (r#"type = "Note", note = 2"#, r#"type = "Plugin", plugin = "pp", action = "x", on = "both""#),
        (
            r#"type = "Note", note = 3"#,
            r#"type = "Sequence", actions = [{ type = "Log", text = "now" }, { type = "Delay", ms = 50 }, { type = "Log", text = "later" }]"#,
        ),
        (
            r#"type = "Note", note = 4"#,
            r#"type = "Sequence", on = "release", actions = [{ type = "Delay", ms = 50 }, { type = "Log", text = "let go" }]"#,
        ),
    ])
}

#[test]
fn panic_releases_what_is_held_and_forgets_what_waits() {
    let heard = simulate(&config(), "on:2@90 on:3 t:10 on:1 t:100 off:2 off:3");
    assert_eq!(heard, "0 pp.x press 90\n0 now\n10 pp.x release 64\n10 PANIC\n");
}

#[test]
fn a_panic_from_outside_does_the_same_without_the_effect() {
    let mut simulation = Simulation::new(compiled(&config()));
    simulation.play("on:2@90 on:3 t:10 panic t:100");
    assert_eq!(simulation.heard, "0 pp.x press 90\n0 now\n10 pp.x release 64\n");
    assert_eq!((simulation.engine.held(), simulation.engine.next_timer()), (0, None));
}

#[test]
fn what_remains_of_a_release_runs_at_once() {
    assert_eq!(simulate(&config(), "on:4 off:4 t:10 panic t:100"), "10 let go\n");
    assert_eq!(simulate(&config(), "on:4 t:10 panic t:100"), "10 let go\n", "and so does one that had not begun");
}

#[test]
fn a_release_that_panics_ends() {
    let panics = r#"type = "Panic", on = "release""#;
    let triggers: Vec<_> = (0..100).map(|note| format!(r#"type = "Note", note = {note}"#)).collect();
    let config = pads(&triggers.iter().map(|trigger| (trigger.as_str(), panics)).collect::<Vec<_>>());
    let mut simulation = Simulation::new(compiled(&config));
    for note in 0..100 {
        simulation.play(&format!("on:{note}"));
    }
    simulation.play("off:0");
    assert_eq!(simulation.heard.matches("PANIC").count(), 100);
    assert_eq!(simulation.engine.held(), 0);
}
