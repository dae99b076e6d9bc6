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
