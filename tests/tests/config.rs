//! Configurations with mistakes: all are named at once, and what ran runs on.

use midimon::control::model::{ConfigState, ConfigStatus};
use midimon_tests::pages::Page;
use midimon_tests::{Bed, Config, eventually, installed};
use serde_json::Value;
use std::process::Output;

/// Five mistakes: each one's code and line.
const MISTAKES: [(&str, u64); 5] = [("MM0104", 7), ("MM0103", 11), ("MM0105", 15), ("MM0102", 20), ("MM0101", 24)];
const BROKEN: &str = r#"schema = 1

[[modes]]
name = "Default"

[[modes.mappings]]
trigger = { type = "Note", note = 128 }
action = { type = "Log", text = "a" }

[[modes.mappings]]
trigger = { type = "Note", note = 1, vlocity = 3 }
action = { type = "Log", text = "b" }

[[modes.mappings]]
trigger = { type = "Nte", note = 2 }
action = { type = "Log", text = "c" }

[[modes.mappings]]
trigger = { type = "Note", note = 3 }
action = { type = "Text", text = 5 }

[[modes.mappings]]
trigger = { type = "Note", note = 4 }
action = { type = "Shell" }
"#;

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// That a text has all the mistakes' places and codes.
fn assert_all_are_named(text: &str) {
    for (code, line) in MISTAKES {
        assert!(text.contains(&format!("[{code}]")), "{code} in {text}");
        assert!(text.contains(&format!("config.toml:{line}:")), "line {line} in {text}");
    }
    assert_eq!(text.matches("error[").count(), MISTAKES.len(), "{text}");
}

fn good(note: u8) -> Config {
    Config::new().note(note, "echo", "say")
}

fn is_failed(config: &ConfigStatus) -> bool {
    matches!(config.state, ConfigState::Failed { .. })
}

#[test]
fn five_mistakes_are_five_diagnostics_with_their_places() {
    let bed = Bed::new();
    bed.configure_text(BROKEN);
    let output = bed.run(&["check"]);
    let (shown, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert_all_are_named(&shown);
    assert!(shown.contains("5 errors, 0 warnings"), "{shown}");
}

#[test]
fn five_mistakes_as_json_have_code_line_and_column() {
    let bed = Bed::new();
    bed.configure_text(BROKEN);
    let output = bed.run(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ok"], Value::Bool(false));
    let found: Vec<(&str, u64)> = report["diagnostics"]
        .as_array()
        .unwrap_or_else(|| panic!("{report:#}"))
        .iter()
        .map(|one| (one["code"].as_str().unwrap_or("?"), one["line"].as_u64().unwrap_or(0)))
        .collect();
    assert_eq!(found, MISTAKES, "{report:#}");
    let columns = report["diagnostics"].as_array().into_iter().flatten().map(|one| one["column"].as_u64());
    assert!(columns.into_iter().all(|column| column > Some(1)), "{report:#}");
}

#[test]
fn a_good_configuration_passes_the_check() {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&good(60));
    let output = bed.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(texts(&output).0.contains("ok, 1 mode, 1 mapping"), "{output:?}");
}

#[test]
fn every_code_that_is_shown_can_be_explained() {
    let bed = Bed::new();
    for (code, _) in MISTAKES {
        let output = bed.run(&["explain", &code.to_lowercase()]);
        let (text, _) = texts(&output);
        assert!(output.status.success() && text.starts_with(&format!("{code}: ")) && text.len() > 20, "{output:?}");
    }
    assert_eq!(bed.run(&["explain", "MM9999"]).status.code(), Some(2));
}

#[test]
fn a_broken_file_changes_nothing_and_the_next_good_save_counts() {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&good(60));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    daemon.answers("echo", 60);
    let pid = daemon.worker("echo").pid;

    bed.configure_text(BROKEN);
    let output = bed.run(&["reload"]);
    let (_, told) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("stays in force"), "{told}");
    assert_all_are_named(&told);

    let config = daemon.status().config;
    let ConfigState::Failed { since_unix_ms, diagnostics } = &config.state else { panic!("{config:?}") };
    assert!(*since_unix_ms > 0);
    assert_all_are_named(diagnostics);
    assert_eq!((config.modes, config.mappings), (1, 1), "those in force");
    let shown = texts(&bed.run(&["status"])).0;
    assert!(shown.contains("MM0104"), "{shown}");
    daemon.answers("echo", 60);

    // saved, and nobody says `reload`
    bed.configure(&good(60).note(62, "echo", "more"));
    daemon.wait_status("the good save is in force", |status| {
        status.config.state == ConfigState::Ok && status.config.mappings == 2
    });
    daemon.answers("echo", 62);
    assert_eq!(daemon.worker("echo").pid, pid, "the worker lived through all of it");
    daemon.stop();
}

#[test]
fn a_broken_save_without_a_command_is_noticed_too() {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&good(60));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    bed.configure_text("schema = 1\n[[modes");
    daemon.wait_status("the broken save is noticed", |status| is_failed(&status.config));
    daemon.answers("echo", 60);
    daemon.stop();
}

#[test]
fn with_a_broken_file_at_the_start_it_runs_without_mappings_and_recovers() {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure_text(BROKEN);
    let mut daemon = bed.start();
    let config = daemon.status().config;
    assert!(is_failed(&config), "{config:?}");
    assert_eq!(config.mappings, 0);
    bed.configure(&good(60));
    daemon.wait_status("recovered", |status| status.config.state == ConfigState::Ok && status.config.mappings == 1);
    daemon.wait_ready("echo");
    daemon.answers("echo", 60);
    daemon.stop();
}

#[test]
fn a_plugin_directory_that_is_not_there_is_told_in_one_sentence() {
    let bed = Bed::new();
    bed.configure(&Config::new());
    std::fs::remove_dir(bed.plugin_dir()).expect("an empty directory");
    let daemon = bed.start();
    let problems = daemon.status().problems;
    let sentence = format!("cannot read the plugin directory {}", bed.plugin_dir().display());
    assert!(problems.len() == 1 && problems[0].starts_with(&sentence), "{problems:?}");
    daemon.stop();
}

const RIGHT: &str = r#"params = { volume = 60, device = "Desk" }"#;

/// Spotify under development and `crashy` installed; their mappings take these parameters and this action.
fn mapped(bed: &Bed, params: &str, action: &str) {
    let mapping = |note: u8, rest: &str| {
        format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ type = \"Plugin\", {rest} }}\n"
        )
    };
    bed.configure_text(&format!(
        "schema = 1\nplugins.dir = \"{}\"\n{}{}",
        bed.plugin_dir().display(),
        mapping(60, &format!(r#"plugin = "spotify", action = "set_volume", {params}"#)),
        mapping(61, &format!(r#"plugin = "crashy", action = "{action}""#)),
    ));
}

fn with_two_plugins() -> Bed {
    let bed = installed::bed("crashy", &[]);
    bed.install("spotify");
    mapped(&bed, RIGHT, "ok");
    bed
}

#[test]
fn calls_that_do_not_fit_the_plugins_that_are_there_are_warnings_of_the_check() {
    let bed = with_two_plugins();
    assert_eq!(bed.works(&["check"]), format!("{}: ok, 1 mode, 2 mappings, 0 warnings\n", bed.config_file().display()));
    assert_eq!(bed.json(&["check", "--json"])["diagnostics"], serde_json::json!([]));

    mapped(&bed, "params = { volme = 60, device = 5 }", "segfalt");
    let shown = bed.works(&["check"]);
    for part in [
        "warning[MM0216]: `set_volume` has no parameter `volme`; it has: volume, device",
        "did you mean `volume`?",
        "warning[MM0216]: the parameter `device` of `set_volume` must be of type string",
        "warning[MM0215]: plugin `crashy` has no action `segfalt`",
        "did you mean `segfault`?",
        "config.toml:5:",
        "config.toml:8:",
        "ok, 1 mode, 2 mappings, 3 warnings",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let report = bed.json(&["check", "--json"]);
    assert_eq!(report["ok"], true);
    let found = report["diagnostics"].as_array().expect("a list");
    let found: Vec<_> = found.iter().map(|one| (&one["code"], &one["severity"], &one["line"])).collect();
    let warning = serde_json::json!(["MM0216", "MM0215", "warning", 5, 8]);
    let [params, action, severity, first, second] = [0, 1, 2, 3, 4].map(|index| &warning[index]);
    assert_eq!(found, [(params, severity, first), (params, severity, first), (action, severity, second)]);
}

#[test]
fn a_plugin_that_is_not_there_is_a_warning_of_the_check_until_it_is_installed() {
    let bed = Bed::new();
    bed.configure(&good(60).note(61, "echo", "say"));
    let shown = bed.works(&["check"]);
    assert!(shown.contains("warning[MM0214]: there is no plugin `echo`") && shown.contains("1 warning\n"), "{shown}");
    bed.install("echo");
    assert!(bed.works(&["check"]).ends_with("0 warnings\n"));
}

#[test]
fn the_reference_shows_what_the_check_prints() {
    let bed = with_two_plugins();
    mapped(&bed, "params = { volme = 60 }", "ok");
    let shown = bed.works(&["check"]).replace(&*bed.config_file().to_string_lossy(), "config.toml");
    let page = Page::read("docs/configuration.md").text;
    let block = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    assert!(block.starts_with("warning[MM0216]"), "{block}");
    assert!(shown.starts_with(block), "{shown}");
}

#[test]
fn a_reload_takes_calls_that_do_not_fit_and_warns_of_them() {
    let bed = with_two_plugins();
    let mut daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon.answers("crashy", 61);
    let told = bed.works(&["reload"]);
    assert!(!told.contains("warning"), "{told}");
    assert!(!daemon.log_text().contains("MM02"), "{}", daemon.log_text());

    // saved, and nobody says `reload`
    mapped(&bed, "params = {}", "slow\", params = { mss = 1 }, on = \"press");
    eventually("the log warns", || match daemon.log_text() {
        log if log.contains("`slow` has no parameter `mss`; it has: ms") => Ok(()),
        log => Err(log),
    });
    let told = bed.works(&["reload"]);
    assert!(
        told.contains("warning[MM0216]: `slow` has no parameter `mss`") && told.contains("config.toml:8:"),
        "{told}"
    );
    let config = daemon.status().config;
    assert_eq!((&config.state, config.mappings), (&ConfigState::Ok, 2), "{config:?}");
    daemon.answers("crashy", 61);
    daemon.stop();
}

#[test]
fn the_daemon_says_at_its_start_which_calls_do_not_fit_and_later_when_plugins_change() {
    let bed = with_two_plugins();
    mapped(&bed, RIGHT, "segfalt");
    let daemon = bed.start();
    daemon.wait_ready("crashy");
    let times = |what: &str| daemon.log_text().matches(what).count();
    let says = |what: &str| eventually(what, || if times(what) == 1 { Ok(()) } else { Err(daemon.log_text()) });
    says("warning[MM0215]: plugin `crashy` has no action `segfalt`");
    assert_eq!(times("MM0214") + times("MM0216"), 0, "{}", daemon.log_text());
    let status = daemon.status();
    assert_eq!((&status.config.state, status.config.mappings), (&ConfigState::Ok, 2));

    // an installed one goes, and nobody says `reload`
    bed.works(&["plugin", "remove", "crashy", "--yes"]);
    says("warning[MM0214]: there is no plugin `crashy`");
    assert_eq!(times("MM0215"), 1, "said once: {}", daemon.log_text());

    // one under development goes; whoever asks for the reload is told of both
    std::fs::remove_dir_all(bed.plugin_dir().join("spotify")).expect("its folder");
    let told = bed.works(&["reload"]);
    for id in ["crashy", "spotify"] {
        assert!(told.contains(&format!("warning[MM0214]: there is no plugin `{id}`")), "{told}");
    }
    daemon.stop();
}

#[test]
fn in_safe_mode_no_call_is_held_against_plugins_that_are_not_started() {
    let bed = with_two_plugins();
    mapped(&bed, RIGHT, "segfalt");
    let daemon = bed.start_with(&["--input", "stdin", "--safe-mode"]);
    let told = bed.works(&["reload"]);
    assert!(!told.contains("MM02"), "{told}");
    assert!(!daemon.log_text().contains("MM02"), "{}", daemon.log_text());
    daemon.stop();
}
