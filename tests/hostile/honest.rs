//! Honest plugins live: what ordinary code does by accident works or fails softly, at load, in a
//! call, and on a thread. The same library is run without the sandbox first.

use crate::support::{Case, Expected, Mode, cases};
use midimon::workers::status::WorkerState;
use midimon_tests::{Bed, Config, Guest, Trio};
use nix::errno::Errno;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

fn honest(name: &'static str) -> Case {
    Case::of(name).with_data()
}

const LIVES: Expected = Expected::Works;

cases! {
    honest_files_through_the_c_library: honest("h_stdio") => LIVES;
    honest_files_and_folders: honest("h_files") => LIVES;
    honest_threads_with_their_own_data: honest("h_threads") => LIVES;
    honest_threads_without_the_grant: Case::of("h_threads") => LIVES;
    honest_clocks_and_locales: honest("h_time") => LIVES;
    honest_clocks_and_locales_without_the_grant: Case::of("h_time") => LIVES;
    honest_questions_to_the_system: honest("h_system") => LIVES;
    honest_questions_to_the_system_without_the_grant: Case::of("h_system") => LIVES;
    honest_memory_up_to_near_the_limit: Case::of("h_memory").with("memory_mib = 128") => LIVES;
    honest_random_numbers: Case::of("h_random") => LIVES;
    honest_event_loops: Case::of("h_events") => LIVES;
    honest_system_libraries: Case::of("h_libraries") => LIVES;
    honest_system_libraries_with_the_grant: honest("h_libraries") => LIVES;
    // its own streams are made by a constructor too: an earlier one has none
    honest_cpp: honest("h_cpp").only(&[Mode::Handle, Mode::Thread]) => LIVES;
    honest_aborts_are_aborts: Case::of("h_abort") => Expected::Ends("killed by SIGABRT");
}

/// Answers each request of a connection with its path, and leaves the connection open; its port.
fn web_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for line in listener.incoming().flatten() {
            thread::spawn(move || serve(line));
        }
    });
    port
}

fn serve(line: TcpStream) -> io::Result<()> {
    let (mut requests, mut answers) = (BufReader::new(line.try_clone()?).lines(), line);
    while let Some(request) = requests.next() {
        let body = format!("you asked for {}", request?.split(' ').nth(1).unwrap_or("nothing"));
        while requests.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

#[test]
fn honest_http_over_a_granted_connection() {
    let target = format!("127.0.0.1:{}", web_server());
    // a constructor has nobody to ask yet
    honest_http(&target).with_server(&target).must(LIVES);
}

#[test]
fn honest_http_without_the_grant_fails_softly() {
    let target = format!("127.0.0.1:{}", web_server());
    honest_http(&target).must(Expected::Errno(&[Errno::EPERM]));
}

fn honest_http(target: &str) -> Case {
    Case::of("h_http").on(target).only(&[Mode::Handle, Mode::Thread])
}

#[test]
fn honest_rust_panics_fail_their_call_alone() {
    let mut trio = Trio::start("crashy", "", &[("panic", "params = {}"), ("ok", "params = {}")]);
    let before = trio.bad();
    trio.misbehave(0);
    let answer = trio.watch.answer("crashy");
    assert!(answer.failed && answer.outcome.contains("told to panic"), "{answer:?}");
    trio.misbehave(1);
    assert!(!trio.watch.answer("crashy").failed);
    assert_eq!((trio.bad().pid, trio.bad().restarts), (before.pid, 0));
    trio.finish();
}

#[test]
fn honest_rust_aborts_are_named_and_the_plugin_comes_back() {
    let mut trio = Trio::start("crashy", "", &[("abort", "params = {}"), ("ok", "params = {}")]);
    let before = trio.bad();
    trio.misbehave(0);
    let after = trio.until_replaced(before.pid);
    assert!(after.last_end.is_some_and(|end| end.contains("killed by SIGABRT")));
    trio.misbehave(1);
    assert!(!trio.watch.answer("crashy").failed);
    trio.finish();
}

/// WASI calls on the first directory, each with the errno it must give; 0 is success, 58 is "not supported",
/// 63 "not permitted", 76 "not capable".
#[test]
fn honest_wasi_guests_move_files_and_are_refused_links_and_times() {
    let imports = r#"
        (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_filestat_set_times"
            (func $times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))"#;
    // at 4096 "a", at 4100 "b", at 4104 "a/f", at 4108 "b/f", at 4112 "link"
    let more = r#"(data (i32.const 4096) "a\00\00\00b\00\00\00a/f\00b/f\00link")"#;
    let must_work = [
        "(call $mkdir (i32.const 3) (i32.const 4096) (i32.const 1))",
        "(call $mkdir (i32.const 3) (i32.const 4100) (i32.const 1))",
        "(call $open (i32.const 3) (i32.const 0) (i32.const 4104) (i32.const 3) (i32.const 9) (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 2048))",
        "(call $write (i32.load (i32.const 2048)) (i32.const 1024) (i32.const 1) (i32.const 2052))",
        "(call $close (i32.load (i32.const 2048)))",
        "(call $rename (i32.const 3) (i32.const 4104) (i32.const 3) (i32.const 3) (i32.const 4108) (i32.const 3))",
        "(call $random (i32.const 3000) (i32.const 32))",
        "(call $clock (i32.const 1) (i64.const 0) (i32.const 3072))",
    ];
    let must_fail = [
        "(call $symlink (i32.const 4108) (i32.const 3) (i32.const 3) (i32.const 4112) (i32.const 4))",
        "(call $times (i32.const 3) (i32.const 0) (i32.const 4108) (i32.const 3) (i64.const 0) (i64.const 0) (i32.const 10))",
    ];
    let mut body =
        "(i32.store (i32.const 1024) (i32.const 4096)) (i32.store (i32.const 1028) (i32.const 4))".to_owned();
    // the step that went otherwise, from 100 and 200 on
    for (step, call) in must_work.iter().enumerate() {
        body += &format!("{call} (if (then (return (i32.const {}))))", 100 + step);
    }
    for (step, call) in must_fail.iter().enumerate() {
        body += &format!("{call} (if (then) (else (return (i32.const {}))))", 200 + step);
    }
    let guest = Guest { imports: imports.into(), more: more.into(), ..Guest::executing(body + "i32.const 0") };
    let bed = Bed::new();
    let asks = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";
    let code = wat::parse_str(guest.text()).expect("a guest");
    bed.write_plugin("guest", "guest.wasm", &code, asks);
    let mut trio = Trio::start_in(bed, "guest", "grants = [\"filesystem\"]", &[("act", "params = {}")]);
    let before = trio.bad();
    trio.misbehave(0);
    let answer = trio.watch.answer("guest");
    assert!(!answer.failed, "{answer:?}");
    let data = trio.bed.home().join("plugin-data/guest");
    assert_eq!(std::fs::read(data.join("b/f")).expect("the moved file").len(), 4);
    assert!(!data.join("link").exists() && !data.join("a/f").exists());
    let after = trio.bad();
    assert_eq!((after.pid, after.state), (before.pid, WorkerState::Ready));
    trio.finish();
}

#[test]
fn honest_examples_work_with_nothing_but_their_grants() {
    let bed = Bed::new();
    let examples = ["echo", "echo-c", "notes", "echo-wasm", "notes-wasm"];
    let mut config = Config::new();
    for (note, id) in (1..).zip(examples) {
        bed.install(id);
        config = config.plugin(id, "grants = [\"filesystem\"]\nmax_age_ms = 60000").note(note, id, "quiet");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    for (note, id) in (1..).zip(examples) {
        daemon.wait_ready(id);
        daemon.answers(id, note);
        assert_eq!(daemon.worker(id).restarts, 0, "{id}");
    }
    daemon.stop();
}

#[test]
fn honest_calls_by_hundreds_leave_the_worker_as_it_was() {
    let mut trio = Trio::start("crashy", "", &[("ok", "params = {}")]);
    let before = trio.bad();
    for _ in 0..200 {
        trio.misbehave(0);
        assert!(!trio.watch.answer("crashy").failed);
    }
    let after = trio.bad();
    assert_eq!((after.pid, after.restarts, after.calls.done), (before.pid, 0, 200));
    trio.finish();
}
