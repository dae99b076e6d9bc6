//! What a person is told of the sandbox: `status`, `worker inspect`, `doctor`, and `--sandbox-report`
//! for authors.

use midimon::audit::{AuditEvent, Entry};
use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_shared::sandbox::{Layer, LayerState, SandboxLevel};
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Config, Guest, eventually, midi};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes two forbidden calls, the first one twice, and says what became of it.
const ATTACKER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "midimon_plugin.h"

static const midimon_host *host;
static void describe(midimon_metadata *metadata) { (void)metadata; }
static void shut_down(void *state) { (void)state; }

static int32_t init(const midimon_host *given, midimon_str settings, void **state)
{
    (void)settings;
    host = given;
    *state = 0;
    return MIDIMON_OK;
}

static int32_t handle(void *state, const midimon_call *call)
{
    char text[64];
    (void)state;
    (void)call;
    errno = 0;
    long traced = syscall(SYS_ptrace, 0, 0, 0, 0);
    traced = syscall(SYS_ptrace, 0, 0, 0, 0);
    snprintf(text, sizeof text, "%ld %s", traced, errno == EPERM ? "EPERM" : strerror(errno));
    syscall(SYS_unshare, 0);
    midimon_str answer = { text, strlen(text) };
    host->answer(host, answer);
    return MIDIMON_OK;
}

MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void)
{
    static const midimon_plugin plugin = {
        MIDIMON_ABI_VERSION, sizeof plugin, describe, init, handle, shut_down,
    };
    return &plugin;
}
"#;

/// A bed with the attacker, and `echo` beside it; notes 1 and 2.
fn bed() -> Bed {
    let bed = Bed::new();
    let (source, library) = (bed.path("attacker.c"), bed.path("libattacker.so"));
    fs::write(&source, ATTACKER).expect("a source file");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/include");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I"])
        .arg(include)
        .arg("-o")
        .args([&library, &source]);
    assert!(compiler.status().expect("a C compiler (apt-get install gcc)").success());
    bed.write_plugin("attacker", "libattacker.so", &fs::read(library).expect("the library"), "");
    bed.install("echo");
    bed.configure(&Config::new().note(1, "attacker", "attack").note(2, "echo", "say"));
    bed
}

fn text(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(bed: &Bed, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(bed, arguments)).expect("JSON")
}

fn violations(bed: &Bed, id: &str) -> Vec<String> {
    let log = fs::read_to_string(bed.home().join(format!("audit/{id}.jsonl"))).unwrap_or_default();
    let entries = log.lines().map(|line| serde_json::from_str::<Entry>(line).expect("an entry"));
    let what = |entry: Entry| match entry.event {
        AuditEvent::Violation { what } => Some(what),
        _ => None,
    };
    entries.filter_map(what).collect()
}

fn assert_whole(worker: &WorkerStatus) {
    assert!(worker.sandbox >= SandboxLevel::Baseline, "{worker:#?}");
    for layer in Layer::ALL {
        let reported: Vec<_> = worker.layers.iter().filter(|report| report.layer == layer).collect();
        assert_eq!(reported.len(), 1, "{layer}: {:#?}", worker.layers);
        assert!(!layer.is_baseline() || reported[0].state != LayerState::Unavailable, "{reported:#?}");
        assert!(!reported[0].detail.is_empty(), "{layer} says nothing");
    }
}

#[test]
fn every_layer_of_a_workers_sandbox_is_shown_and_the_word_for_it() {
    let bed = bed();
    bed.write_guest("guest", &Guest::default().text());
    let daemon = bed.start();
    for id in ["echo", "guest"] {
        assert_whole(&daemon.wait_ready(id));
    }
    let status = json(&bed, &["status", "--json"]);
    let echo = status["workers"].as_array().expect("workers").iter().find(|worker| worker["id"] == "echo").expect("it");
    let level = echo["sandbox"].as_str().expect("a level").to_owned();
    assert!(["baseline", "full"].contains(&level.as_str()), "{level}");
    let inspected = text(&bed, &["worker", "inspect", "echo"]);
    assert!(inspected.contains(&format!("  level            {level}\n")), "{inspected}");
    for layer in Layer::ALL {
        let line = inspected.lines().find(|line| line.trim_start().starts_with(layer.as_str()));
        let words = ["active", "degraded", "unavailable"];
        assert!(line.is_some_and(|line| words.iter().any(|word| line.contains(word))), "{layer}: {inspected}");
    }
    for listing in [["status"].as_slice(), &["worker", "list"]] {
        let shown = text(&bed, listing);
        let row = shown.lines().find(|line| line.starts_with("echo ")).expect("a row");
        assert!(shown.contains("SANDBOX") && row.contains(&level), "{shown}");
    }
    daemon.stop();
}

#[test]
fn a_forbidden_call_is_named_counted_and_audited_and_ends_the_worker() {
    let bed = bed();
    let mut daemon = bed.start();
    daemon.wait_ready("attacker");
    daemon.send(&midi::tap(1));
    let after = daemon.wait_worker("attacker", "back", |it| it.restarts == 1 && it.state == WorkerState::Ready);
    let expected = format!("forbidden system call ptrace ({})", libc_ptrace());
    assert_eq!((after.last_end, after.violations), (Some(expected.clone()), 1));
    assert_eq!(after.last_violation, Some(expected.clone()));
    eventually("the audit log has it", || {
        let found = violations(&bed, "attacker");
        if found == [expected.clone()] { Ok(()) } else { Err(format!("{found:?}")) }
    });
    assert!(text(&bed, &["status"]).contains(&format!("violations: 1, the last: {expected}")));
    daemon.stop();
}

#[test]
fn an_author_sees_all_forbidden_calls_in_one_run_and_everybody_that_it_only_reports() {
    let bed = bed();
    let mut daemon =
        bed.start_with(&["--input", "stdin", "--sandbox-report", "attacker", "--sandbox-report", "nobody"]);
    daemon.wait_ready("attacker");
    let watch = daemon.watch();
    daemon.send(&midi::tap(1));
    let answer = watch.answer("attacker");
    assert_eq!((answer.outcome.as_str(), answer.failed), ("-1 EPERM", false));
    let after = daemon.wait_worker("attacker", "both reports", |it| it.violations >= 2);
    assert_eq!((after.restarts, after.report_only, after.last_end), (0, true, None));
    for call in ["ptrace (", "unshare ("] {
        let lines = after.log_tail.iter().filter(|line| line.contains(call)).count();
        assert_eq!(lines, 1, "{call}: {:?}", after.log_tail);
    }
    let shown = text(&bed, &["status"]);
    assert!(shown.contains("attacker: REPORT ONLY: forbidden calls fail with EPERM"), "{shown}");
    assert!(!shown.contains("echo: REPORT ONLY"), "{shown}");
    assert!(shown.contains("plugin nobody: --sandbox-report names it, and it is not loaded"), "{shown}");
    daemon.stop();
}

#[test]
fn the_users_word_for_a_missing_layer_changes_nothing_where_none_is_missing() {
    let bed = bed();
    bed.configure(&Config::new().plugin("echo", "allow_degraded = true").note(2, "echo", "say"));
    let daemon = bed.start();
    let echo = daemon.wait_ready("echo");
    assert!(echo.allow_degraded);
    assert_whole(&echo);
    let shown = text(&bed, &["status"]);
    assert!(!shown.contains("degraded") && !shown.contains("runs without"), "{shown}");
    daemon.stop();
}

#[test]
fn doctor_says_what_workers_get_and_needs_no_daemon() {
    let bed = bed();
    let report = json(&bed, &["doctor", "--json"]);
    assert_eq!(report["ok"], true, "{report:#}");
    let finding = |what: &str| {
        let found = report["findings"].as_array().expect("findings").iter().find(|finding| finding["what"] == what);
        found.unwrap_or_else(|| panic!("{what}: {report:#}")).clone()
    };
    for what in ["kernel", "landlock", "seccomp", "no_new_privs", "/proc", "programs", "sandbox"] {
        assert_ne!(finding(what)["state"], "missing", "{report:#}");
    }
    for finding in report["findings"].as_array().expect("findings") {
        assert_eq!(finding["state"] == "ok", finding["fix"].is_null(), "what is not well has a fix: {finding:#}");
    }
    let daemon = bed.start();
    let echo = daemon.wait_ready("echo");
    let same = echo.layers.iter().filter(|layer| !matches!(layer.layer, Layer::Lockdown | Layer::Cgroup));
    assert!(same.clone().count() > 3, "{:?}", echo.layers);
    for layer in same {
        let tried = report["layers"].as_array().expect("layers");
        let same = tried.iter().find(|tried| tried["layer"] == layer.layer.as_str()).expect("the layer");
        assert_eq!(same["state"], layer.state.to_string(), "{}", layer.layer);
    }
    daemon.stop();
}

#[test]
fn doctor_fails_and_names_the_program_where_one_is_missing_or_is_not_ours() {
    let bed = bed();
    let programs = bed.path("programs");
    fs::create_dir(&programs).expect("a directory");
    for program in ["midimon", "midimon-worker", "midimon-worker-wasm-net", "midimon-compile"] {
        fs::copy(Binaries::get().programs.join(program), programs.join(program)).expect("a copy");
    }
    let doctor = |expected: &[&str]| {
        let output = Command::new(programs.join("midimon")).args(["doctor", "--json"]).output().expect("doctor runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(1), "{report:#}");
        let detail = report["findings"].as_array().expect("findings").iter().find(|it| it["what"] == "programs");
        let detail = detail.expect("programs")["detail"].as_str().expect("text").to_owned();
        assert!(expected.iter().all(|part| detail.contains(part)), "{detail}");
    };
    doctor(&["midimon-worker-wasm", "No such file"]);
    // a program that ends at once, and says nothing a worker would
    fs::copy("/bin/true", programs.join("midimon-worker-wasm")).expect("a copy");
    doctor(&["midimon-worker-wasm", "exit code 0"]);
}

/// The number that the running architecture gives to `ptrace`.
fn libc_ptrace() -> u32 {
    if cfg!(target_arch = "x86_64") { 101 } else { 117 }
}
