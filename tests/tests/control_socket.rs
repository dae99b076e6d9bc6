//! The control socket against clients that mean no good, and beside other daemons.

use midimon::control::model::Status;
use midimon::control::protocol::{ErrorCode, Response};
use midimon_tests::{Bed, Config, Daemon, eventually};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// How much memory clients may cost the daemon, in KiB.
const GROWTH_KIB: u64 = 8 * 1024;
/// The user `nobody`, and its group.
const NOBODY: u32 = 65_534;

fn running() -> (Bed, Daemon) {
    let bed = Bed::new();
    bed.configure(&Config::new());
    let daemon = bed.start();
    (bed, daemon)
}

/// A connection that has not said anything; no read of it waits for ever.
fn connect(bed: &Bed) -> UnixStream {
    let stream = UnixStream::connect(bed.home().join("control.sock")).expect("a daemon that listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

fn assert_answers(bed: &Bed) {
    let output = bed.run(&["status", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice::<Status>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The most memory the daemon ever had, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    daemon.process().status_field("VmHWM").expect("a daemon that runs")
}

#[test]
fn four_hundred_megabytes_without_a_newline_cost_no_memory() {
    const ALL: usize = 400_000_000;
    let (bed, daemon) = running();
    assert_answers(&bed);
    let before = peak(&daemon);
    let chunk = vec![b'x'; 64 * 1024];
    let (mut sent, mut connections) = (0, 0);
    thread::scope(|scope| {
        let others = scope.spawn(|| (0..20).for_each(|_| assert_answers(&bed)));
        // whoever breaks the rule is hung up on, and comes again
        while sent < ALL {
            let mut client = connect(&bed);
            connections += 1;
            let end = loop {
                match client.write(&chunk) {
                    Ok(bytes) => sent += bytes,
                    Err(error) => break error,
                }
                if sent >= ALL {
                    return;
                }
            };
            assert!(matches!(end.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{end}");
        }
        others.join().expect("others are served meanwhile");
    });
    let growth = peak(&daemon) - before;
    println!("{sent} bytes over {connections} connections: {growth} KiB more at most");
    assert!(growth < GROWTH_KIB, "{growth} KiB");
    assert_answers(&bed);
    daemon.stop();
}

#[test]
fn a_line_that_is_too_long_is_told_so_and_hung_up_on() {
    let (bed, daemon) = running();
    let mut client = connect(&bed);
    // it may hang up before all of it is written
    let _ = client.write_all(&vec![b' '; 70_000]);
    let mut text = Vec::new();
    match client.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(r#""code":"too-long""#), "{text}");
    daemon.stop();
}

#[test]
fn garbage_is_refused_line_by_line_and_the_connection_goes_on() {
    let (bed, daemon) = running();
    let client = connect(&bed);
    let mut lines = BufReader::new(client.try_clone().expect("a second handle")).lines();
    let mut next = || lines.next().expect("a line").expect("UTF-8");
    assert!(next().contains("protocol"), "the hello");
    let deep = vec![b'['; 50_000];
    let garbage: [&[u8]; 8] = [
        b"hello",
        b"\xff\xfe\x00\x01",
        b"{}",
        br#"{"request":"fly"}"#,
        br#"{"request":"worker-inspect","id":"echo","and":"more"}"#,
        br#"{"request":"worker-inspect","id":"../../etc"}"#,
        b"\x1b[2J",
        &deep,
    ];
    for line in garbage {
        (&client).write_all(&[line, b"\n"].concat()).expect("a line sent");
        let answer = next();
        let response: Response = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let Response::Error(refusal) = response else { panic!("{answer}") };
        assert_eq!(refusal.code, ErrorCode::BadRequest, "{answer}");
        assert!(!answer.contains('\x1b'), "{answer:?}");
    }
    (&client).write_all(b"{\"request\":\"status\"}\n").expect("a request sent");
    assert!(next().starts_with(r#"{"ok":"#));
    daemon.stop();
}

#[test]
fn a_thousand_silent_clients_keep_nobody_out() {
    const CLIENTS: usize = 1_000;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("as many descriptors as allowed");
    let (bed, daemon) = running();
    let before = peak(&daemon);
    let mut silent = Vec::new();
    for number in 0..CLIENTS {
        silent.push(connect(&bed));
        if number % 100 == 99 {
            assert_answers(&bed);
        }
    }
    assert_answers(&bed);
    let growth = peak(&daemon) - before;
    println!("{CLIENTS} silent clients: {growth} KiB more at most");
    assert!(growth < GROWTH_KIB, "{growth} KiB");
    drop(silent);
    assert_answers(&bed);
    daemon.stop();
}

/// `midimon status` of this home as the user `nobody`.
fn as_nobody(bed: &Bed, program: &Path) -> Output {
    let mut status = Command::new(program);
    status.args(["status", "--json", "--home"]).arg(bed.home()).current_dir("/");
    status.uid(NOBODY).gid(NOBODY).output().expect("root, which can be nobody")
}

#[test]
#[ignore = "takes root, to be another user: make vm"]
fn another_user_gets_an_error_and_no_data() {
    let (bed, daemon) = running();
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
    // a program that anybody can run, in a place anybody can reach
    let program = bed.path("midimon");
    fs::copy(midimon_tests::binaries::Binaries::get().midimon(), &program).expect("a copy of midimon");
    open(&program, 0o755);
    open(program.parent().expect("a directory"), 0o755);

    let output = as_nobody(&bed, &program);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty() && stderr(&output).contains("Permission denied"), "{output:?}");

    // even where the doors stand open the daemon asks who it is
    open(&bed.home(), 0o755);
    open(&bed.home().join("control.sock"), 0o666);
    let output = as_nobody(&bed, &program);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty() && stderr(&output).contains("may not control"), "{output:?}");
    open(&bed.home(), 0o700);
    assert_answers(&bed);
    daemon.stop();
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let (bed, daemon) = running();
    daemon.kill();
    let socket = bed.home().join("control.sock");
    let left = fs::symlink_metadata(&socket).expect("a socket left behind");
    assert!(left.file_type().is_socket());
    assert_eq!(bed.run(&["status"]).status.code(), Some(3), "nobody answers there");
    let daemon = bed.start();
    assert_answers(&bed);
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    daemon.stop();
    assert!(!socket.exists(), "a clean end leaves none");
}

#[test]
fn a_second_daemon_of_the_same_home_is_refused() {
    let (bed, daemon) = running();
    let pid = format!("pid {}", daemon.process().pid);
    for arguments in [&["run", "--input", "stdin"], &["start", "--input", "stdin"]] {
        let output = bed.run(arguments);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&pid) && told.contains("midimon stop"), "{told}");
    }
    assert_answers(&bed);
    daemon.stop();
}

#[test]
fn without_a_daemon_commands_end_with_exit_code_3() {
    let bed = Bed::new();
    for arguments in [
        &["status"] as &[&str],
        &["stop"],
        &["reload"],
        &["panic"],
        &["mode"],
        &["monitor"],
        &["worker", "list"],
        &["worker", "inspect", "echo"],
    ] {
        let output = bed.run(arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("midimon start"), "{output:?}");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_request_is_forgotten() {
    let (bed, daemon) = running();
    assert_answers(&bed);
    let before = daemon.process().descriptors();
    for _ in 0..200 {
        connect(&bed).write_all(b"{\"request\":").expect("half a request sent");
    }
    eventually("their descriptors are closed", || {
        let now = daemon.process().descriptors();
        if now == before { Ok(()) } else { Err(format!("{} instead of {}", now.len(), before.len())) }
    });
    daemon.stop();
}
