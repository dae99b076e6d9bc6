//! Events of plugins as triggers.

use super::{Simulation, compiled, pads, simulate};

const LOG: [&str; 3] =
    [r#"type = "Log", text = "one""#, r#"type = "Log", text = "two""#, r#"type = "Log", text = "three""#];

fn event(name: &str, more: &str) -> String {
    format!(r#"type = "Plugin", plugin = "obs", event = "{name}"{more}"#)
}

#[test]
fn the_first_mapping_that_takes_the_value_fires_and_the_modes_before_the_globals() {
    let (live, any, empty) =
        (event("scene", ", value = \"Live\""), event("scene", ""), event("scene", ", value = \"\""));
    let config = pads(&[(&live, LOG[0]), (&empty, LOG[1]), (&any, LOG[2])]);
    let heard = simulate(&config, "event:obs.scene=Live event:obs.scene=live event:obs.scene= event:obs.other=Live");
    assert_eq!(heard, "0 one\n0 three\n0 two\n");
    assert_eq!(simulate(&config, "event:obs2.scene=Live event:scene.obs=Live"), "");
    let mode = |name: &str, action: &str| {
        format!("[[modes]]\nname = \"{name}\"\n[[modes.mappings]]\ntrigger = {{ {any} }}\naction = {{ {action} }}\n")
    };
    let config = format!("{}{}{}", pads(&[(&live, LOG[0])]), "[[modes]]\nname = \"A\"\n", mode("B", LOG[1]));
    assert_eq!(simulate(&config, "event:obs.scene=Live mode:B event:obs.scene=Live"), "0 one\n0 mode B\n0 two\n");
}

#[test]
fn a_plugin_is_told_that_an_event_called_it_and_a_number_is_its_value() {
    let config = pads(&[(&event("level", ""), r#"type = "Plugin", plugin = "pp", action = "x""#)]);
    assert_eq!(
        simulate(&config, "event:obs.level=99 event:obs.level=128 event:obs.level=loud"),
        "0 pp.x event 99\n0 pp.x event\n0 pp.x event\n"
    );
}

#[test]
fn what_an_event_began_goes_on_after_a_reload_that_still_has_it_under_another_number() {
    let slow = r#"type = "Sequence", actions = [{ type = "Delay", ms = 50 }, { type = "Log", text = "late" }]"#;
    let (live, later) = (event("scene", ", value = \"Live\""), event("scene", ", value = \"Later\""));
    let earlier = event("another", ", value = \"A\"");
    for (new, heard) in [
        (pads(&[(&earlier, LOG[0]), (&event("scene", ", value = \"A\""), LOG[1]), (&live, slow)]), "50 late\n"),
        (pads(&[(&earlier, slow), (&later, slow)]), ""),
        (pads(&[]), ""),
    ] {
        let mut simulation = Simulation::new(compiled(&pads(&[(&live, slow)])));
        simulation.play("event:obs.scene=Live t:10");
        simulation.swap(&new);
        simulation.play("t:100");
        assert_eq!(simulation.heard, heard, "{new}");
    }
}

#[test]
fn a_key_of_another_configuration_is_nothing() {
    let many: Vec<String> = (0..20).map(|number| event(&format!("e{number}"), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|trigger| (trigger.as_str(), LOG[0])).collect();
    let old = compiled(&pads(&many));
    // in the tables of a mode, what lies behind its own slots would be the globals'
    let new = format!("{}[[modes]]\nname = \"A\"\n", pads(&[(r#"type = "Note", note = 5"#, LOG[1])]));
    let mut simulation = Simulation::new(compiled(&new));
    for number in 0..20 {
        let event = old.events.find(&"obs".parse().unwrap(), &format!("e{number}"), "").unwrap();
        simulation.step(super::Input::PluginEvent { event, velocity: None, unix_ms: 0 });
    }
    assert_eq!(simulation.heard, "");
}
