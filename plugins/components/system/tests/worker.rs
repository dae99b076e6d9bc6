//! The plugin as it is installed, in its sandbox, run by the real programs.

use midimon_plugin::test::Sandbox;
use std::path::{Path, PathBuf};

fn built() -> PathBuf {
    let built = std::env::var_os("MIDIMON_PLUGINS_DIR").expect("MIDIMON_PLUGINS_DIR, as `make test` sets it");
    Path::new(&built).join("system")
}

#[test]
fn a_program_is_run_where_it_is_granted_and_only_there() {
    let mut without = Sandbox::of(built()).start().unwrap();
    let error = without.call("play", "{}").unwrap_err().to_string();
    assert!(error.contains("midimon plugin grant system subprocess:playerctl"), "{error}");
    let mut with = Sandbox::of(built()).grant("subprocess:playerctl").start().unwrap();
    // it is not there, or it finds no player of this name
    let error = with.call("play", r#"{"player":"nobody-has-this"}"#).unwrap_err().to_string();
    assert!(error.contains("playerctl") && !error.contains("plugin grant"), "{error}");
}

#[test]
fn a_notification_needs_no_program() {
    let mut plugin = Sandbox::of(built()).start().unwrap();
    match plugin.call("notify", r#"{"title":"hello"}"#) {
        Ok(said) => assert_eq!(said, "shown by midimon"),
        // midimon was asked, and has nowhere to show one
        Err(error) => assert!(error.to_string().contains("notif"), "{error}"),
    }
}
