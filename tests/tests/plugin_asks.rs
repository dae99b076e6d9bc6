//! A manifest's `ask` of a plugin under development: the exact grant in the configuration is the answer.

use midimon_tests::binaries::Binaries;
use midimon_tests::config::PATIENT;
use midimon_tests::{Bed, Config, eventually};
use std::fs;
use std::process::Stdio;

const ASKS: &str = "[[settings]]\nname = \"address\"\ntype = \"string\"\ndescription = \"where to\"\n\
    [[settings]]\nname = \"port\"\ntype = \"string\"\nREQUIRED\ndescription = \"which port\"\n\
    [[capabilities]]\ncapability = \"network\"\nask = \"Address of the mixer\"\nsetting = \"address\"\nreason = \"a test\"\n\
    [[capabilities]]\ncapability = \"midi\"\nask = \"Name of the port\"\nsetting = \"port\"\nreason = \"a test\"\n";

/// A plugin that asks for two targets and answers with the settings it was given, in hexadecimal digits.
fn bed(required: &str) -> Bed {
    let bed = Bed::new();
    let code = fs::read(Binaries::get().plugin("given").join("given.so")).expect("the fixture's code");
    bed.write_plugin("mixer", "given.so", &code, &ASKS.replace("REQUIRED", required));
    bed
}

fn configure(bed: &Bed, grants: &[&str]) {
    let settings = format!("grants = {grants:?}\n{PATIENT}");
    bed.configure(&Config::new().plugin("mixer", &settings));
}

#[test]
fn the_exact_grant_is_the_answer_and_the_plugin_learns_the_target() {
    let bed = bed("");
    configure(&bed, &["network:localhost:4455", "midi:My Synth"]);
    let daemon = bed.start();
    let worker = daemon.wait_ready("mixer");
    assert_eq!(worker.grants, ["network:localhost:4455", "midi:My Synth"]);
    assert_eq!(bed.given("mixer"), serde_json::json!({"address": "localhost:4455", "port": "My Synth"}));
    assert_eq!(daemon.status().problems, Vec::<String>::new());

    // another answer is told by a restart, none by a line to add
    configure(&bed, &["network:192.168.1.7:9000"]);
    bed.works(&["reload"]);
    let restarted = daemon.wait_restarted(&worker);
    assert_eq!(restarted.grants, ["network:192.168.1.7:9000"]);
    assert_eq!(bed.given("mixer"), serde_json::json!({"address": "192.168.1.7:9000"}));
    let status = daemon.wait_status("what is not answered", |status| !status.problems.is_empty());
    let line = r#"`grants = ["network:192.168.1.7:9000", "midi:NAME OF THE PORT"]` under [plugins.mixer]"#;
    assert!(
        status.problems[0].contains("\"Name of the port\"") && status.problems[0].contains(line),
        "{:?}",
        status.problems
    );
    daemon.stop();
}

#[test]
fn without_an_answer_that_it_needs_it_does_not_start_and_the_line_is_named() {
    let bed = bed("required = true");
    configure(&bed, &["network:localhost:4455"]);
    let daemon = bed.start();
    let status = daemon.wait_status("the plugin's problem", |status| !status.problems.is_empty());
    let line = r#"`grants = ["network:localhost:4455", "midi:NAME OF THE PORT"]` under [plugins.mixer]"#;
    assert!(
        status.problems[0].starts_with("plugin mixer: ") && status.problems[0].contains(line),
        "{:?}",
        status.problems
    );
    assert!(daemon.workers().is_empty());
    // more than it asks for is as unclear
    configure(&bed, &["network:a:1", "network:b:2", "midi:Synth"]);
    let told = bed.works(&["reload"]) + &daemon.status().problems.join("\n");
    eventually("the answers that are too many", || {
        let problems = daemon.status().problems;
        let is_told = problems.iter().any(|problem| problem.contains("'network:a:1', 'network:b:2'"));
        if is_told { Ok(()) } else { Err(format!("{told} {problems:?}")) }
    });
    // the control: the line as it was named, with a name
    configure(&bed, &["network:localhost:4455", "midi:Synth"]);
    bed.works(&["reload"]);
    daemon.wait_ready("mixer");
    daemon.stop();
}

#[test]
fn a_session_of_development_names_the_grant_and_takes_it_and_settings_with_it() {
    let bed = bed("required = true");
    let dir = bed.path("mixer");
    fs::create_dir(&dir).expect("a directory");
    fs::copy(bed.plugin_dir().join("mixer/plugin.toml"), dir.join("plugin.toml")).expect("a manifest");
    // a Makefile, since that is what it is built by
    let code = Binaries::get().plugin("given").join("given.so");
    fs::write(dir.join("Makefile"), format!("given.so:\n\tcp '{}' $@\n", code.display())).expect("a Makefile");
    let run = |more: &[&str]| {
        let temporary = bed.path("t");
        fs::create_dir_all(&temporary).expect("a directory");
        let mut command = bed.command(&[&["plugin", "dev", dir.to_str().expect("UTF-8")], more].concat());
        command.env("TMPDIR", temporary).stdin(Stdio::null());
        let output = command.output().expect("midimon runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let (worked, said) = run(&[]);
    assert!(!worked && said.contains("\"Name of the port\": answer with --grant 'midi:NAME OF THE PORT'"), "{said}");
    let (worked, said) = run(&["--grant", "midi:Synth", "--set", "address = 'typed:1'"]);
    assert!(worked && said.contains("granted: midi:Synth"), "{said}");
    let (worked, said) = run(&["--grant", "midi:Synth", "--set", "colour = 'red'"]);
    assert!(!worked && said.contains("no setting"), "{said}");
}
