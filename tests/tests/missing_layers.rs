//! midimon where the kernel lacks a layer of the sandbox: no plugin starts, everybody is told why and what to do,
//! and the user's word, plugin by plugin, is the only way on.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_shared::sandbox::{Layer, LayerState, SandboxLevel};
use midimon_tests::{Bed, Config, Guest, Refusal};
use nix::errno::Errno;
use nix::libc;
use serde_json::Value;

const ALLOWED: &str = "allow_degraded = true";

/// The layers that a kernel can lack, what it answers then, and a part of the reason.
fn kernels() -> [(Layer, Refusal, &'static str); 3] {
    let landlock = |error| Refusal::of(libc::SYS_landlock_create_ruleset, error);
    [
        (Layer::Landlock, landlock(Errno::ENOSYS), "the kernel does not have it"),
        (Layer::Landlock, landlock(Errno::EOPNOTSUPP), "the kernel does not have it"),
        (Layer::Seccomp, Refusal::of(libc::SYS_seccomp, Errno::EINVAL), "no system-call filters"),
    ]
}

/// The layers that are gone with this one.
const fn gone_with(layer: Layer) -> &'static [Layer] {
    match layer {
        Layer::Seccomp => &[Layer::Seccomp, Layer::Lockdown],
        _ => &[Layer::Landlock],
    }
}

/// `echo` as it is, and `brave`, the same plugin with the user's word for a missing layer; notes 1 and 2.
fn bed(refusal: Refusal) -> Bed {
    let bed = Bed::new().refusing(&[refusal]);
    bed.install("echo");
    bed.install_as("echo", "brave");
    bed.configure(&Config::new().plugin("brave", ALLOWED).note(1, "echo", "say").note(2, "brave", "say"));
    bed
}

fn text(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A plugin's line of a listing.
fn row<'a>(listing: &'a str, id: &str) -> &'a str {
    listing.lines().find(|line| line.starts_with(&format!("{id} "))).unwrap_or_else(|| panic!("{id}: {listing}"))
}

fn assert_not_started(worker: &WorkerStatus, layer: Layer, why: &str) {
    assert_eq!((worker.state, worker.pid, worker.sandbox), (WorkerState::Failed, None, SandboxLevel::None));
    let reason = worker.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with(&format!("the sandbox lacks {layer}: ")) && reason.contains(why), "{reason}");
    assert!(reason.contains(ALLOWED), "{reason}");
    assert_eq!((worker.violations, worker.restarts), (0, 0), "no fault of the plugin's: {worker:#?}");
}

#[test]
fn without_a_layer_of_the_baseline_a_plugin_does_not_start_and_the_reason_is_everywhere() {
    for (layer, refusal, why) in kernels() {
        let bed = bed(refusal);
        let daemon = bed.start();
        let echo = daemon.wait_worker("echo", "given up", |echo| echo.state == WorkerState::Failed);
        assert_not_started(&echo, layer, why);
        let reason = echo.reason.expect("a reason");
        for listing in [["status"].as_slice(), &["worker", "list"]] {
            let shown = text(&bed, listing);
            let row: Vec<&str> = row(&shown, "echo").split_whitespace().collect();
            assert_eq!(row[2..4], ["failed", "-"], "{shown}");
            assert!(shown.contains(&reason), "{listing:?}: {shown}");
        }
        let shown = text(&bed, &["worker", "inspect", "echo"]);
        assert!(shown.contains(&reason), "{shown}");
        daemon.stop();
    }
}

#[test]
fn a_plugin_that_may_run_without_a_layer_runs_and_is_called_degraded_everywhere() {
    for (layer, refusal, _) in kernels() {
        let bed = bed(refusal);
        let mut daemon = bed.start();
        let brave = daemon.wait_ready("brave");
        assert_eq!((brave.sandbox, brave.allow_degraded), (SandboxLevel::Degraded, true));
        for report in &brave.layers {
            let gone = gone_with(layer).contains(&report.layer);
            let may_be = report.layer == Layer::Cgroup;
            assert!(may_be || gone == (report.state == LayerState::Unavailable), "{report:?}");
        }
        daemon.answers("brave", 2);
        for listing in [["status"].as_slice(), &["worker", "list"]] {
            let shown = text(&bed, listing);
            assert!(row(&shown, "brave").contains("degraded"), "{shown}");
        }
        assert!(text(&bed, &["status"]).contains("runs without"), "{}", text(&bed, &["status"]));
        let shown = text(&bed, &["worker", "inspect", "brave"]);
        assert!(shown.contains("  level            degraded\n"), "{shown}");
        let line = shown.lines().find(|line| line.trim_start().starts_with(layer.as_str()));
        assert!(line.is_some_and(|line| line.contains("unavailable")), "{shown}");
        // the word for one is no word for another
        let echo = daemon.wait_worker("echo", "given up", |echo| echo.state == WorkerState::Failed);
        assert!(!echo.allow_degraded);
        daemon.stop();
    }
}

#[test]
fn no_module_is_compiled_without_a_layer_whatever_its_plugin_may_do_without() {
    for (layer, refusal, _) in kernels() {
        let bed = Bed::new().refusing(&[refusal]);
        bed.write_guest("guest", &Guest::default().text());
        bed.configure(&Config::new().plugin("guest", ALLOWED).note(1, "guest", "act"));
        let daemon = bed.start();
        let shown = text(&bed, &["status"]);
        let line = shown.lines().find(|line| line.contains("cannot be compiled")).unwrap_or_else(|| panic!("{shown}"));
        let words = if layer == Layer::Seccomp { "its system-call filter" } else { "Landlock could not be entered" };
        assert!(line.contains("guest") && line.contains(words), "{shown}");
        assert!(daemon.workers().is_empty(), "no worker runs");
        daemon.stop();
    }
}

#[test]
fn doctor_names_the_layer_that_the_kernel_lacks_and_fails() {
    for (layer, refusal, _) in kernels() {
        let bed = bed(refusal);
        let output = bed.run(&["doctor", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((output.status.code(), &report["ok"]), (Some(1), &Value::Bool(false)), "{report:#}");
        let missing = report["findings"].as_array().expect("findings").iter().filter(|it| it["state"] == "missing");
        let what: Vec<&str> = missing.clone().filter_map(|finding| finding["what"].as_str()).collect();
        assert!(what.contains(&layer.as_str()), "{report:#}");
        assert!(missing.clone().all(|finding| finding["fix"].is_string()), "{report:#}");
    }
}

#[test]
fn the_launcher_of_these_tests_takes_away_what_it_is_told_and_no_more() {
    let bed = bed(Refusal::of(libc::SYS_reboot, Errno::ENOSYS));
    let mut daemon = bed.start();
    for (id, note) in [("echo", 1), ("brave", 2)] {
        assert!(daemon.wait_ready(id).sandbox >= SandboxLevel::Baseline);
        daemon.answers(id, note);
    }
    daemon.stop();
}
