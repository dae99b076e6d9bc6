//! The plugin as it is installed, in its sandbox, run by the real programs.

use midimon_plugin::test::Sandbox;

#[test]
fn a_program_is_run_where_it_is_granted_and_only_there() {
    let mut without = Sandbox::built("system").start().unwrap();
    let error = without.call("play", "{}").unwrap_err().to_string();
    assert!(error.contains("midimon plugin grant system subprocess:playerctl"), "{error}");
    let mut with = Sandbox::built("system").grant("subprocess:playerctl").start().unwrap();
    // it is not there, or it finds no player of this name
    let error = with.call("play", r#"{"player":"nobody-has-this"}"#).unwrap_err().to_string();
    assert!(error.contains("playerctl") && !error.contains("plugin grant"), "{error}");
}

#[test]
fn a_notification_needs_no_program() {
    let mut plugin = Sandbox::built("system").start().unwrap();
    match plugin.call("notify", r#"{"title":"hello"}"#) {
        Ok(said) => assert_eq!(said, "shown by midimon"),
        // midimon was asked, and has nowhere to show one
        Err(error) => assert!(error.to_string().contains("notif"), "{error}"),
    }
}
