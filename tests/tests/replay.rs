//! Files played through the real binaries: nothing is lost at the speed of
//! people, and at any speed every trigger is accounted for.

use midimon::control::model::Status;
use midimon::workers::status::{CallCounts, WorkerStatus};
use midimon_tests::{Bed, Config, midi};
use std::fs;
use std::path::PathBuf;

const EVENTS: u32 = 10_000;
/// 1,000 events a second, in the units of [`midi::file`].
const APART: u32 = 10;
/// The default queue holds 32 ms of that; a busy machine stands still for longer.
const PATIENT: &str = "queue_depth = 1024\nmax_age_ms = 20000";

/// Presses and releases of one note, each calling the plugin.
fn bed(plugins: &[(&str, u8)], settings: &str) -> Bed {
    let bed = Bed::new();
    let config = plugins.iter().fold(Config::new(), |config, (id, note)| {
        bed.install(id);
        config.plugin(id, settings).note_with(*note, id, "quiet", "params = {}, on = \"both\"")
    });
    bed.configure(&config);
    bed
}

fn write_file(bed: &Bed, events: u32, apart: u32, notes: &[u8]) -> PathBuf {
    let event = |index: u32| {
        let note = notes[index as usize / 2 % notes.len()];
        (apart, if index.is_multiple_of(2) { midi::press(note) } else { midi::release(note) })
    };
    let path = bed.path("song.mid");
    fs::write(&path, midi::file((0..events).map(event))).expect("a MIDI file");
    path
}

/// What `midimon replay --json` says in the end.
fn replayed(bed: &Bed, arguments: &[&str]) -> Status {
    let song = bed.path("song.mid");
    let output = bed.command(&["replay", "--json"]).args(arguments).arg(&song).output().expect("midimon runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn worker<'s>(status: &'s Status, id: &str) -> &'s WorkerStatus {
    status.workers.iter().find(|worker| worker.id.as_str() == id).unwrap_or_else(|| panic!("no {id}: {status:#?}"))
}

fn assert_nothing_is_lost_at_recorded_speed(id: &str) {
    let bed = bed(&[(id, 60)], PATIENT);
    write_file(&bed, EVENTS, APART, &[60]);
    let status = replayed(&bed, &[]);
    let worker = worker(&status, id);
    let all = u64::from(EVENTS);
    assert_eq!(worker.calls, CallCounts { received: all, done: all, ..CallCounts::default() }, "{worker:#?}");
    assert_eq!((status.engine.messages, worker.restarts), (all, 0));
    println!("{id}: {all} events, {:?}", worker.latency);
}

#[test]
fn ten_thousand_recorded_events_reach_a_native_plugin() {
    assert_nothing_is_lost_at_recorded_speed("echo");
}

#[test]
fn ten_thousand_recorded_events_reach_a_wasm_plugin() {
    assert_nothing_is_lost_at_recorded_speed("echo-wasm");
}

fn assert_sum(worker: &WorkerStatus) {
    let calls = &worker.calls;
    let ends = calls.done + calls.failed + calls.timed_out + calls.dropped.total() + calls.in_flight;
    assert_eq!(calls.received, ends, "{}: {calls:?}", worker.id);
}

#[test]
fn at_full_speed_the_sum_holds_whenever_it_is_read() {
    const LOOKS: usize = 40;
    let bed = bed(&[("echo", 60), ("echo-wasm", 61)], "");
    let song = write_file(&bed, EVENTS, APART, &[60, 61]);
    let input = format!("replay:{}", song.display());
    let daemon = bed.start_with(&["--input", &input, "--speed", "max", "--loop"]);
    for id in ["echo", "echo-wasm"] {
        daemon.wait_worker(id, "answers at full speed", |worker| worker.calls.done > 0);
    }
    for _ in 0..LOOKS {
        let output = bed.run(&["status", "--json"]);
        let status: Status =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        status.workers.iter().for_each(assert_sum);
        let before = worker(&status, "echo").calls.received;
        daemon.wait_worker("echo", "it plays on", |worker| {
            assert_sum(worker);
            worker.calls.received > before
        });
    }
    daemon.stop();
}

#[test]
fn a_file_played_once_at_full_speed_leaves_nothing_in_flight() {
    let bed = bed(&[("echo", 60), ("echo-wasm", 61)], "");
    write_file(&bed, EVENTS, APART, &[60, 61]);
    let status = replayed(&bed, &["--speed", "max"]);
    for id in ["echo", "echo-wasm"] {
        let worker = worker(&status, id);
        assert_sum(worker);
        assert_eq!((worker.calls.received, worker.calls.in_flight), (u64::from(EVENTS / 2), 0), "{worker:#?}");
        println!("{id}: {:?}", worker.calls);
    }
}

#[test]
fn a_replay_ends_when_the_commands_it_started_have_ended() {
    let bed = Bed::new();
    let done = bed.path("done");
    let command = format!("sleep 1; echo > '{}'", done.display());
    let action = format!("type = \"Shell\", command = \"{command}\"");
    bed.configure(&Config::new().mapping("type = \"Note\", note = 60", &action));
    write_file(&bed, 1, APART, &[60]);
    let status = replayed(&bed, &["--speed", "max"]);
    assert!(done.exists(), "the command was cut short: {status:#?}");
    assert_eq!((status.engine.effects, status.engine.effects_failed), (1, 0));
}

#[test]
fn without_a_configuration_a_replay_says_that_nothing_is_mapped() {
    let bed = Bed::new();
    write_file(&bed, 2, APART, &[60]);
    let output = bed.command(&["replay"]).arg(bed.path("song.mid")).output().expect("midimon runs");
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("there is no configuration") && told.contains("nothing is mapped"), "{told}");
    assert!(!told.contains("stays in force"), "{told}");
}
