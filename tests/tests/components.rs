//! Components in a daemon with the real programs.

use midimon_tests::{Bed, Config, Publisher, midi};

const ID: &str = "echo-component";

#[test]
fn a_component_answers_what_is_played_and_says_what_it_was_told() {
    let bed = Bed::new();
    bed.install(ID);
    bed.configure(&Config::new().note_with(60, ID, "say", "params = { text = \"hello\" }"));
    let mut daemon = bed.start();
    let worker = daemon.wait_ready(ID);
    assert_eq!((worker.version.as_str(), worker.restarts), ("0.1.0", 0));
    daemon
        .wait_worker(ID, "its start's line", |worker| worker.log_tail.iter().any(|line| line.contains("settings {}")));
    for _ in 0..100 {
        daemon.answers(ID, 60);
    }
    daemon.send(&midi::tap(60));
    let counts = daemon.wait_worker(ID, "the last answer", |worker| worker.calls.done == 101).calls;
    assert_eq!((counts.failed, counts.timed_out), (0, 0));
    let said = bed.works(&["plugin", "call", ID, "say", "{\"text\": \"by hand\"}"]);
    assert!(said.contains("say {\"text\":\"by hand\"}"), "{said}");
    daemon.stop();
}

#[test]
fn a_component_is_installed_from_a_signed_package_and_compiled_once() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new().note(60, ID, "say"));
    publisher.install(&bed, &publisher.package(ID, "0.1.0", ""), &[]);
    let compiled = || std::fs::read_dir(bed.home().join("compiled")).expect("a cache").count();
    assert_eq!(compiled(), 1);
    let mut daemon = bed.start();
    daemon.wait_ready(ID);
    daemon.answers(ID, 60);
    assert_eq!(compiled(), 1);
    daemon.stop();
}

const CRASHY: &str = "crashy-component";

/// What a call by hand printed, whether it went well or not.
fn call(bed: &Bed, action: &str) -> String {
    let output = bed.run(&["plugin", "call", CRASHY, action]);
    String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned()
}

#[test]
fn what_a_component_does_wrong_ends_that_call_alone_and_is_named() {
    let bed = Bed::new();
    bed.install(CRASHY);
    bed.configure(&Config::new().plugin(CRASHY, "timeout_ms = 300"));
    let daemon = bed.start();
    let pid = daemon.wait_ready(CRASHY).pid;
    for (action, named) in [
        ("unreachable", "unreachable"),
        ("panic", "unreachable"),
        ("spin", "fuel"),
        ("fill", "fuel"),
        ("recurse", "stack"),
        ("leak", "the limit is 134217728"),
        ("huge", "fuel"),
        ("sleep", "deadline"),
        // which code it was is not told by WASI 0.2
        ("exit", "it ended itself with exit code 1"),
        ("nothing", "there is no action nothing"),
    ] {
        let said = call(&bed, action);
        assert!(said.contains(named), "{action}: {said}");
        assert!(call(&bed, "nap").contains("slept"), "after {action}");
    }
    let worker = daemon.worker(CRASHY);
    assert_eq!((worker.pid, worker.restarts), (pid, 0), "the process of the start");
    daemon.stop();
}

#[test]
fn a_component_sees_no_arguments_no_sockets_and_no_files_but_its_own() {
    let bed = Bed::new();
    bed.install(CRASHY);
    let tried = |granted: bool| {
        let settings = if granted { "grants = [\"filesystem\"]" } else { "grants = []" };
        bed.configure(&Config::new().plugin(CRASHY, settings));
        let daemon = bed.start();
        daemon.wait_ready(CRASHY);
        let said = [call(&bed, "look-around"), call(&bed, "files"), call(&bed, "sockets")];
        daemon.wait_worker(CRASHY, "what it printed", |worker| {
            ["a line on standard output", "a line on standard error"]
                .iter()
                .all(|line| worker.log_tail.iter().any(|logged| logged.contains(line)))
        });
        daemon.stop();
        said
    };
    for granted in [false, true] {
        let [around, files, sockets] = tried(granted);
        assert_eq!(around.trim(), "0 0 0");
        let allowed: Vec<&str> = files.split("; ").filter(|line| line.ends_with(": yes")).collect();
        assert_eq!(allowed, if granted { vec!["own: yes"] } else { Vec::new() }, "{files}");
        assert_eq!(files.matches("; ").count(), 5, "{files}");
        assert!(sockets.matches("; ").count() == 4 && !sockets.contains(": yes"), "{sockets}");
    }
}
