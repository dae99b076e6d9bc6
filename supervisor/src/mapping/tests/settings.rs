//! `[device]`, `[logging]`, `[plugins]` and parameters.

use super::{compiled, load};
use midimon_shared::limits::{InstanceMode, RestartPolicy};
use std::time::Duration;

#[test]
fn every_plugin_setting_is_read() {
    let loaded = load(
        r#"
        [plugins]
        dir = "plugins"
        [plugins.echo]
        enabled = false
        restart = "never"
        healthy_after_s = 1
        backoff_min_ms = 2
        backoff_max_ms = 3
        crash_limit = 4
        crash_window_s = 5
        memory_mib = 6
        fuel = 7
        timeout_ms = 8
        queue_depth = 9
        max_age_ms = 10
        quota_mib = 11
        quota_files = 12
        cpu_percent = 13
        cpu_window_s = 14
        instance = "per-call"
        grants = ["filesystem", "network:example.org:443"]
        [plugins.my-notes]
        "#,
    )
    .unwrap();
    assert_eq!(loaded.plugins_dir, Some("plugins".into()));
    let settings = &loaded.plugins[&"echo".parse().unwrap()];
    let limits = settings.apply(&midimon_shared::Limits::default());
    assert_eq!(
        (settings.enabled, limits.restart, limits.instance),
        (Some(false), RestartPolicy::Never, InstanceMode::PerCall)
    );
    assert_eq!((limits.healthy_after_s, limits.backoff_min_ms, limits.backoff_max_ms), (1, 2, 3));
    assert_eq!((limits.crash_limit, limits.crash_window_s, limits.memory_mib, limits.fuel), (4, 5, 6, 7));
    assert_eq!((limits.timeout_ms, limits.queue_depth, limits.max_age_ms), (8, 9, 10));
    assert_eq!((limits.quota_mib, limits.quota_files), (11, 12));
    assert_eq!((limits.cpu_percent, limits.cpu_window_s), (13, 14));
    let grants: Vec<_> = settings.grants.iter().map(ToString::to_string).collect();
    assert_eq!(grants, ["filesystem", "network:example.org:443"]);
    assert_eq!(loaded.plugins[&"my-notes".parse().unwrap()], crate::mapping::PluginSettings::default());
}

#[test]
fn parameters_become_json_in_the_order_written() {
    let compiled = compiled(
        r#"
        [[global_mappings]]
        trigger = { type = "Note", note = 1 }
        [global_mappings.action]
        type = "Plugin"
        plugin = "obs"
        action = "scene"
        timeout_ms = 250
        [global_mappings.action.params]
        zebra = "last letter first"
        apple = [1, -2, 0x10, 1_000]
        "quoted \" key" = { b = 1.5, a = true }
        when = 2026-01-02T03:04:05Z
        "#,
    );
    let binding = &compiled.bindings[0];
    assert_eq!(
        &*binding.params,
        r#"{"zebra":"last letter first","apple":[1,-2,16,1000],"quoted \" key":{"b":1.5,"a":true},"when":"2026-01-02T03:04:05Z"}"#
    );
    assert_eq!(
        (binding.plugin.as_str(), &*binding.action, binding.timeout),
        ("obs", "scene", Some(Duration::from_millis(250)))
    );
}

#[test]
fn the_same_plugin_action_is_bound_once() {
    let mapping = |note: u8, volume: u8| {
        format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\n\
             action = {{ type = \"Plugin\", plugin = \"pp\", action = \"x\", params = {{ volume = {volume} }} }}\n"
        )
    };
    let compiled = compiled(&(mapping(1, 5) + &mapping(2, 5) + &mapping(3, 6)));
    assert_eq!(compiled.bindings.len(), 2);
}

#[test]
fn a_binding_is_paired_when_it_gets_the_release_of_each_press() {
    let action = |outer: &str, inner: &str| {
        let compiled = compiled(&format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = 1 }}\n[global_mappings.action]\ntype = \"Sequence\"\n\
             {outer}\nactions = [{{ type = \"Plugin\", plugin = \"pp\", action = \"x\"{inner} }}]\n"
        ));
        compiled.bindings[0].paired
    };
    assert!(!action("", ""));
    assert!(action("", ", on = \"both\""));
    assert!(action("on = \"both\"", ""));
    assert!(!action("on = \"both\"", ", on = \"release\""));
}

#[test]
fn devices_are_one_by_default_one_by_name_or_several_by_alias() {
    let devices = |toml: &str| {
        let compiled = compiled(toml);
        let shown =
            compiled.devices.iter().map(|device| format!("{}={}", device.alias, device.name.as_deref().unwrap_or("*")));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(devices(""), ["default=*"]);
    assert_eq!(devices("[device]\nname = \"Mikro\"\nauto_connect = true\nport = 2"), ["default=Mikro"]);
    assert_eq!(devices("[[devices]]\nalias = \"a\"\nmatch = { name = \"Pad\" }"), ["a=Pad"]);
    let reconnect = compiled("[device]\nauto_reconnect = false").devices[0].auto_reconnect;
    assert!(!reconnect);
}

#[test]
fn labels_say_what_people_called_it_or_what_it_is() {
    let compiled = compiled(
        r#"
        [[modes]]
        name = "Live"
        [[modes.mappings]]
        trigger = { type = "Note", note = 60, velocity = "80.." }
        action = { type = "Keystroke", keys = "ctrl+b" }
        [[global_mappings]]
        id = "stop"
        description = "Stops everything"
        trigger = { type = "CC", cc = 7 }
        action = { type = "Panic" }
        "#,
    );
    let labels: Vec<_> =
        compiled.mappings.iter().map(|info| format!("{} -> {}", info.label, info.action_label)).collect();
    assert_eq!(labels, ["Live: Note 60 80..=127 -> Keystroke ctrl+b", "stop -> Panic"]);
}

#[test]
fn logging_is_read() {
    let loaded = load("[logging]\nlevel = \"debug\"\nfile = \"midimon.log\"").unwrap();
    assert_eq!((loaded.logging.level, loaded.logging.file.as_deref()), (Some("debug"), Some("midimon.log")));
}
