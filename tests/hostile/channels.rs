//! The channels to the supervisor: entries 65 to 74 of the catalogue, and what can be done to
//! descriptors 3, 4 and 5. (75 to 77 are in `requests`.)

use crate::support::{Case, Expected, Libraries, Mode, Seen, cases, observe};
use midimon::workers::status::WorkerState;
use midimon_shared::protocol::{Event, Hello, Outcome, ProtocolRange, Ready};
use midimon_shared::sandbox::{Layer, LayerReport};
use midimon_shared::{CallId, codec};
use midimon_tests::{Bed, Config, Trio, midi};
use nix::errno::Errno;
use std::fmt::Write;

const VIOLATION: Expected = Expected::Ends("protocol violation");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // cannot fail: writing to a string
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn frame(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(event, &mut bytes).expect("a small event");
    bytes
}

/// Writes to a descriptor, so many times.
fn writes(fd: i32, times: u32, bytes: &[u8]) -> Case {
    Case::of("write_fd").on(&format!("{fd} {times} {}", hex(bytes)))
}

fn sends(event: &Event) -> Case {
    writes(4, 1, &frame(event))
}

/// Does it while it is loaded, and never comes back.
fn stays(words: &str) -> Case {
    Case::of("stay").on(words).only(&[Mode::Constructor])
}

fn ready() -> Event {
    Event::Ready(Ready { name: "forged".into(), version: "9".into(), description: String::new() })
}

fn hello() -> Event {
    let layers = Layer::ALL.map(|layer| LayerReport::active(layer, "all of it, believe me")).into();
    Event::Hello(Hello { protocol: ProtocolRange::OURS, version: env!("CARGO_PKG_VERSION").into(), layers })
}

/// A body that begins like this, with the length it has in truth.
fn body(bytes: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(bytes.len()).expect("a small body").to_le_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

/// The number of `Ready` among the events, then a text that claims to be as long as it can be.
fn endless_text() -> Vec<u8> {
    let mut bytes = frame(&ready())[4..8].to_vec();
    bytes.extend_from_slice(&u64::MAX.to_le_bytes());
    bytes.extend_from_slice(b"short");
    body(&bytes)
}

/// A `Hello` that claims a million layers.
fn endless_list() -> Vec<u8> {
    let empty = Event::Hello(Hello { protocol: ProtocolRange::OURS, version: String::new(), layers: Vec::new() });
    let mut bytes = frame(&empty)[4..].to_vec();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&1_000_000_u64.to_le_bytes());
    body(&bytes)
}

fn done(call: u64) -> Event {
    Event::Done { call: CallId(call), outcome: Outcome::Ok }
}

cases! {
    hostile_065_an_answer_to_no_call_is_a_violation: sends(&done(4711)) => VIOLATION;
    hostile_065_a_drop_of_no_call_is_a_violation: sends(&Event::Dropped { call: CallId(4711) }) => VIOLATION;
    hostile_065_a_pong_without_ping_is_a_violation: sends(&Event::Pong { nonce: 1 }) => VIOLATION;
    hostile_065_a_second_ready_is_a_violation: sends(&ready()).only(CALLED) => VIOLATION;
    hostile_065_a_failure_to_load_when_it_is_loaded_is_a_violation:
        sends(&Event::LoadFailed { message: "no".into() }).only(CALLED) => VIOLATION;
    hostile_065_two_answers_at_once_are_a_violation:
        writes(4, 2, &frame(&done(1))).only(&[Mode::Constructor]) => VIOLATION;
    hostile_065_twice_out_of_memory_is_a_violation:
        writes(4, 2, &frame(&Event::OutOfMemory { requested: 1 })) => VIOLATION;
    hostile_065_an_event_of_no_kind_is_a_violation: writes(4, 1, &body(&[0xEE; 8])) => VIOLATION;
    hostile_065_bytes_left_over_are_a_violation: writes(4, 1, &body(&[&frame(&done(1))[4..], &[0]].concat())) => VIOLATION;
    hostile_065_a_forged_denial_that_lives_on_is_a_violation: sends(&Event::Denied { number: 39 }) => LASTING;
    hostile_066_a_frame_of_four_gigabytes_is_a_violation: writes(4, 1, &[0xFF; 4]) => VIOLATION;
    hostile_066_a_frame_just_over_the_limit_is_a_violation: writes(4, 1, &65_537_u32.to_le_bytes()) => VIOLATION;
    hostile_066_an_empty_frame_is_a_violation: writes(4, 1, &[0; 4]) => VIOLATION;
    hostile_067_a_text_without_end_is_a_violation: writes(4, 1, &endless_text()) => VIOLATION;
    hostile_067_a_list_without_end_is_a_violation: writes(4, 1, &endless_list()) => VIOLATION;
    hostile_068_half_a_frame_is_a_violation: stays("forge 40000000ff") => VIOLATION;
    hostile_070_a_flood_of_pongs_is_a_violation: writes(4, 20_000, &frame(&Event::Pong { nonce: 7 })).only(CALLED) => VIOLATION;
    hostile_071_closed_channels_end_it: stays("close") => VIOLATION;
    hostile_071_an_event_pipe_replaced_by_nothing_ends_it: stays("duplicate") => VIOLATION;
    hostile_071_descriptors_exchanged_end_it: stays("exchange") => VIOLATION;
    hostile_072_a_forged_hello_is_a_violation: sends(&hello()) => VIOLATION;
    hostile_074_its_log_is_no_file: Case::of("log_file") => Expected::Errno(&[Errno::ESPIPE]);
    hostile_043_a_message_on_descriptor_5_is_a_violation: writes(5, 1, b"x") => VIOLATION;
    hostile_043_a_flood_on_descriptor_5_is_a_violation: writes(5, 5, &[7; 400]) => VIOLATION;
    // the end of the pipe that it holds is the reading one, with or without a sandbox
    hostile_065_writing_commands_to_itself_fails: writes(3, 1, b"x").nonsense().alike() => Expected::Errno(&[Errno::EBADF]);
}

/// Once it is loaded.
const CALLED: &[Mode] = &[Mode::Handle, Mode::Thread];
/// It is told as what it claims, or as going on after it.
const LASTING: Expected = Expected::Ends("forbidden system call");

/// Its constructor says `Ready` and keeps the thread: the worker's second filter never comes.
#[test]
fn hostile_031_a_constructor_that_forges_ready_and_stays_is_not_believed() {
    stays(&format!("forge {}", hex(&frame(&ready())))).must(Expected::Ends("sandbox check failed"));
}

#[test]
fn hostile_069_a_plugin_that_reads_nothing_holds_up_nobody_and_every_trigger_is_counted() {
    const TRIGGERS: u64 = 2000;
    let bed = Bed::new();
    let code = Libraries::get().patched("hang", b'h', "sleep");
    bed.write_plugin("deaf", "case.so", &code, "");
    let mut trio = Trio::start_in(bed, "deaf", "timeout_ms = 600000\nqueue_depth = 64", &[("act", "params = {}")]);
    for _ in 0..TRIGGERS / 100 {
        (0..100).for_each(|_| trio.misbehave(0));
        trio.others_answer();
    }
    let deaf = trio.until("all are taken in", |deaf| deaf.calls.received == TRIGGERS);
    assert_eq!((deaf.calls.in_flight, deaf.calls.dropped.queue_full), (64, TRIGGERS - 64), "{:?}", deaf.calls);
    trio.finish();
}

#[test]
fn hostile_073_a_log_flood_is_cut_counted_and_cannot_speak_for_others() {
    let bed = Bed::new();
    bed.write_plugin("noisy", "case.so", &Libraries::get().patched("log_flood", b'h', ""), "");
    let mut trio = Trio::start_in(bed, "noisy", "timeout_ms = 60000", &[("act", "params = {}")]);
    let before = trio.daemon.process().private_kib();
    trio.misbehave(0);
    let noisy = trio.until("the flood ends", |noisy| noisy.calls.done == 1);
    assert_eq!(noisy.restarts, 0);
    let after = trio.daemon.process().private_kib();
    assert!(after < before + 2048, "the daemon had {before} KiB and has {after} KiB");
    let tail = trio.until("its last line", |noisy| noisy.log_tail.iter().any(|line| line.contains("echo: its worker")));
    assert!(tail.log_tail.iter().all(|line| !line.contains(['\x1b', '\u{9b}'])), "{:?}", tail.log_tail);
    assert!(tail.log_tail.iter().all(|line| line.len() < 16 * 1024));
    // what it wrote in the name of another is in its own log alone
    assert!(!trio.daemon.log_text().contains("echo: its worker ended"), "{}", trio.daemon.log_text());
    let logs = trio.bed.log_sizes("noisy");
    assert!((1..=2).contains(&logs.len()) && logs.iter().all(|size| *size <= 1024 * 1024 + 4096), "{logs:?}");
    trio.finish();
}

/// Whoever reads the worker's commands harms itself alone.
#[test]
fn hostile_065_stolen_commands_end_at_the_calls_deadline() {
    for fd in ["3", "5"] {
        Case::of("steal_commands")
            .on(fd)
            .with("timeout_ms = 500")
            .only(&[Mode::Handle])
            .must(Expected::Ends("deadline"));
    }
}

#[test]
fn hostile_072_a_plugin_is_who_its_process_is_not_who_it_says() {
    let bed = Bed::new();
    let forged = format!("4 1 {}", hex(&frame(&done(1))));
    bed.write_plugin("liar", "case.so", &Libraries::get().patched("write_fd", b'c', &forged), "");
    bed.install("echo");
    bed.configure(&Config::new().plugin("liar", "restart = \"never\"").note(1, "liar", "act").note(2, "echo", "quiet"));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let liar = daemon.wait_worker("liar", "down", |worker| worker.state == WorkerState::Failed);
    assert!(liar.reason.is_some_and(|reason| reason.contains("protocol violation")));
    // the forged answer was taken for nobody's call
    let before = daemon.worker("echo").calls;
    assert_eq!((before.received, before.done), (0, 0));
    daemon.send(&midi::tap(2));
    daemon.wait_worker("echo", "an answer", |worker| worker.calls.done == 1);
    let watch = daemon.watch();
    assert!(matches!(observe(&mut daemon, &watch, "liar", 1), Seen::Ended(_)));
    daemon.stop();
}
