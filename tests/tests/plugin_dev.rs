//! `midimon plugin dev` and `midimon plugin call`, with the real program and real workers.

use midimon_tests::{Bed, Config, Process, Terminal, eventually};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A new plugin in C, which builds in no time.
fn author(bed: &Bed) -> PathBuf {
    let mut new = bed.command(&["plugin", "new", "hello", "--lang", "c"]);
    new.current_dir(bed.path(".")).stdout(Stdio::null());
    assert!(new.status().expect("midimon runs").success());
    bed.path("hello")
}

/// `midimon plugin dev` for it, with temporary files where the test sees them.
fn dev(bed: &Bed, dir: &Path, more: &[&str]) -> Command {
    let temporary = bed.path("t");
    fs::create_dir_all(&temporary).expect("a directory");
    let mut command = bed.command(&[&["plugin", "dev", dir.to_str().expect("UTF-8")], more].concat());
    // its colours end in a way that the terminal of the tests does not know
    command.env("TMPDIR", temporary).env("GCC_COLORS", "");
    command
}

fn replace(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("a source");
    assert!(text.contains(old), "{old} is not in {text}");
    fs::write(file, text.replace(old, new)).expect("a source written");
}

#[test]
fn keys_call_actions_a_change_is_built_and_nothing_is_left_behind() {
    let bed = Bed::new();
    let dir = author(&bed);
    let mut session = Terminal::new(100, 30).run(dev(&bed, &dir, &["--velocity", "127"]));
    // the list comes when everything is ready, keyboard included
    session.wait_for("1 greet").wait_for("q: end");
    let children = Process::of(session.pid()).expect("it runs").children();
    assert_eq!(children.len(), 1, "{children:?}");
    session.press("1").wait_for_all(&["hello Ada! (number 1)", "← greet: hello Ada!"]);
    session.press(" ").wait_for_all(&["(number 2)", "← greet: hello Ada!"]);
    session.press("7x").press("h").wait_for("1 greet").wait_for("q: end");

    replace(&dir.join("plugin.c"), "\"hello %.*s%s\"", "\"good day %.*s%s\"");
    session.wait_for("the source has changed").wait_for("built in").wait_for("q: end");
    session.press("1").wait_for("← greet: good day Ada!");

    // a mistake is shown and the next change waited for
    replace(&dir.join("plugin.c"), "static unsigned long greeted;", "static unsigned long greeted");
    session.wait_for("make failed").wait_for("change something");
    session.press(" ").wait_for("nothing runs");
    replace(&dir.join("plugin.c"), "static unsigned long greeted\n", "static unsigned long greeted;\n");
    session.wait_for("built in").wait_for("q: end");
    session.press("r").wait_for("built in").wait_for("q: end");
    session.press(" ").wait_for("← greet: good day Ada!");

    session.press("q");
    let (status, screen) = session.end();
    assert!(status.success(), "{screen}");
    let left: Vec<_> = fs::read_dir(bed.path("t")).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_killed_session_leaves_no_daemon_running() {
    let bed = Bed::new();
    let dir = author(&bed);
    let mut session = Terminal::new(100, 30).run(dev(&bed, &dir, &[]));
    session.wait_for("1 greet").wait_for("q: end");
    let daemon = Process::of(session.pid()).expect("it runs").children().remove(0);
    let workers = daemon.children();
    assert_eq!(workers.len(), 1);
    drop(session); // SIGKILL
    eventually("nothing of it runs", || {
        let alive: Vec<_> = workers.iter().chain([&daemon]).filter(|process| process.is_alive()).collect();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    });
}

#[test]
fn without_a_terminal_lines_are_calls_and_a_failed_one_is_told_by_the_exit_code() {
    let bed = Bed::new();
    let dir = author(&bed);
    let run = |lines: &str| {
        let mut child =
            dev(&bed, &dir, &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("midimon runs");
        child.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("lines written");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = run("# a test\n\ngreet name = 'Bob'\ngreet { name = 'Eve' }\ngreet");
    assert_eq!(code, Some(0), "{said}");
    let answers: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("← greet: ")).collect();
    let words: Vec<&str> = answers.iter().filter_map(|answer| answer.split("  ").next()).collect();
    assert_eq!(words, ["hello Bob", "hello Eve", "hello you"], "{said}");
    assert!(said.contains("log ") && said.contains("hello Eve (number 2)"), "{said}");

    let (code, said) = run("sing\ngreet name =\ngreet\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("✗ sing: ") && said.contains("there is no such action"), "{said}");
    assert!(said.contains("✗ greet: its parameters: ") && said.contains("← greet: hello you"), "{said}");
}

#[test]
fn a_plugin_that_cannot_be_built_or_started_ends_it_with_a_reason() {
    let bed = Bed::new();
    let dir = author(&bed);
    let fails = || {
        let output = dev(&bed, &dir, &[]).stdin(Stdio::null()).output().expect("midimon runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    replace(&dir.join("plugin.c"), "    host = given;\n    return MIDIMON_OK;", "    host = given;\n    return 7;");
    let why = fails();
    assert!(why.contains("does not start"), "{why}");
    replace(&dir.join("plugin.c"), "return 7;", "return 7");
    assert!(fails().contains("make failed"));
    fs::remove_file(dir.join("plugin.toml")).expect("removed");
    assert!(fails().contains("plugin.toml"));
}

#[test]
fn call_takes_parameters_in_toml_or_json_and_a_velocity() {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&Config::new());
    let daemon = bed.start();
    daemon.wait_ready("echo");
    let call = |more: &[&str]| bed.works(&[&["plugin", "call", "echo", "say"], more].concat());
    assert_eq!(call(&[]), "say {}\n");
    assert_eq!(call(&[r#"{"a":1}"#]), "say {\"a\":1}\n");
    assert_eq!(call(&["--params", "b = 'x'\na = 1"]), "say {\"b\":\"x\",\"a\":1}\n");
    assert_eq!(call(&["--params", "{ a = [1.5] }", "--velocity", "0"]), "say {\"a\":[1.5]}, velocity 0\n");
    assert_eq!(
        bed.json(&["plugin", "call", "echo", "say", "--velocity", "127", "--json"])["answer"],
        "say {}, velocity 127"
    );
    daemon.stop();
}
