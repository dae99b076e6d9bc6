//! One configuration replaced by another while things are held or wait.

use super::{Simulation, compiled};

fn mapping(note: u8, action: &str) -> String {
    format!("[[modes.mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ {action} }}\n")
}

fn mode(name: &str, mappings: &[String]) -> String {
    format!("[[modes]]\nname = \"{name}\"\n{}", mappings.concat())
}

const BOTH: &str = r#"type = "Plugin", plugin = "pp", action = "x", on = "both""#;
const OTHER: &str = r#"type = "Plugin", plugin = "qq", action = "y", on = "both""#;

#[test]
fn a_press_stays_held_when_its_mapping_is_still_there_under_another_number() {
    let mut simulation = Simulation::new(compiled(&mode("A", &[mapping(60, BOTH)])));
    simulation.play("on:60@90 t:10");
    simulation.swap(&(mode("Z", &[mapping(1, OTHER)]) + &mode("A", &[mapping(2, OTHER), mapping(60, BOTH)])));
    assert_eq!(simulation.engine.held(), 1);
    simulation.play("t:10 off:60@5");
    assert_eq!(simulation.heard, "0 pp.x press 90\n20 pp.x release 5\n");
    let mode = simulation.engine.mode();
    assert_eq!(&*simulation.engine.compiled().modes[usize::from(mode)], "A");
}

#[test]
fn a_press_is_released_at_once_when_its_mapping_is_gone_or_changed() {
    for changed in [mapping(60, OTHER), mapping(61, BOTH), String::new()] {
        let mut simulation = Simulation::new(compiled(&mode("A", &[mapping(60, BOTH)])));
        simulation.play("on:60@90 t:10");
        simulation.swap(&mode("A", &[changed]));
        simulation.play("t:10 off:60");
        assert_eq!(simulation.heard, "0 pp.x press 90\n10 pp.x release 64\n");
    }
}

#[test]
fn a_mode_that_is_gone_gives_way_to_the_first() {
    let mut simulation = Simulation::new(compiled(&(mode("A", &[]) + &mode("B", &[]))));
    simulation.play("mode:B");
    simulation.swap(&(mode("C", &[]) + &mode("A", &[])));
    assert_eq!(simulation.heard, "0 mode B\n0 mode C\n");
    simulation.swap(&(mode("X", &[]) + &mode("C", &[])));
    assert_eq!(simulation.heard, "0 mode B\n0 mode C\n", "the same mode under another number is no change");
    assert_eq!(simulation.engine.mode(), 1);
}

#[test]
fn what_waits_goes_on_in_the_new_configuration_or_is_forgotten() {
    let waits = r#"type = "Sequence", actions = [{ type = "Delay", ms = 50 }, { type = "Log", text = "later" }]"#;
    let config = mode("A", &[mapping(60, waits)]);
    let mut simulation = Simulation::new(compiled(&config));
    simulation.play("on:60 t:10");
    simulation.swap(&mode("A", &[mapping(1, OTHER), mapping(2, BOTH), mapping(60, waits)]));
    simulation.play("t:40");
    assert_eq!(simulation.heard, "50 later\n");
    simulation.play("off:60 on:60 t:10");
    simulation.swap(&mode("A", &[]));
    simulation.play("t:100");
    assert_eq!(simulation.heard, "50 later\n");
}

#[test]
fn what_remains_of_a_release_runs_at_once_when_its_mapping_is_gone() {
    let waits = r#"type = "Sequence", on = "release", actions = [{ type = "Delay", ms = 50 }, { type = "Log", text = "let go" }]"#;
    let mut simulation = Simulation::new(compiled(&mode("A", &[mapping(60, waits)])));
    simulation.play("on:60 off:60 t:10");
    simulation.swap(&mode("A", &[]));
    assert_eq!(simulation.heard, "10 let go\n");
}

#[test]
fn a_release_that_changes_the_mode_during_a_reload_is_told_in_the_new_numbers() {
    let back = r#"type = "ModeChange", mode = "A", on = "release""#;
    let old = mode("A", &[]) + &mode("B", &[mapping(60, back)]);
    let mut simulation = Simulation::new(compiled(&old));
    simulation.play("mode:B on:60");
    simulation.swap(&(mode("B", &[]) + &mode("A", &[])));
    assert_eq!(simulation.heard, "0 mode B\n0 mode A\n");
    assert_eq!(simulation.engine.mode(), 1);
}

#[test]
fn devices_are_followed_by_their_alias() {
    let device = |alias: &str| format!("[[devices]]\nalias = \"{alias}\"\nmatch = {{ name = \"{alias}\" }}\n");
    let mappings = mode("A", &[mapping(60, BOTH)]);
    let mut simulation = Simulation::new(compiled(&(device("one") + &device("two") + &mappings)));
    simulation.play("one!on:60@1 two!on:60@2 t:5");
    simulation.swap(&(device("new") + &device("two") + &mappings));
    assert_eq!(simulation.heard, "0 pp.x press 1\n0 pp.x press 2\n5 pp.x release 64\n");
    simulation.play("two!off:60@3");
    assert!(simulation.heard.ends_with("5 pp.x release 3\n"));
}
