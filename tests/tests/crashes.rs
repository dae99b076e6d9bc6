//! Every way a native plugin can end or upset its worker: named rightly, replaced,
//! and noticed by nobody else.

use midimon_tests::Trio;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Deadlines of these tests are short; restarts are at once.
const SETTINGS: &str = "timeout_ms = 400";

/// What is left of a call that the worker did not survive.
#[derive(PartialEq)]
enum Call {
    Failed,
    TimedOut,
}

/// Misbehaves once; the worker must end for `reason` and come back.
fn ends(action: &str, keys: &str, settings: &str, reason: &str, call: Call) {
    let mut trio = Trio::start("crashy", settings, &[(action, keys), ("ok", "params = {}")]);
    let before = trio.bad();
    trio.misbehave(0);
    let after = trio.until_replaced(before.pid);
    let end = after.last_end.clone().unwrap_or_default();
    assert!(end.contains(reason), "{action} ended with '{end}', not '{reason}'\n{}", trio.daemon.log_text());
    assert_eq!(after.restarts, 1);
    let expected = if call == Call::Failed { (1, 0) } else { (0, 1) };
    assert_eq!((after.calls.failed, after.calls.timed_out), expected, "{:?}", after.calls);
    // as the user sees it
    let shown = trio.bed.run(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(reason), "{shown}");
    trio.misbehave(1);
    assert!(!trio.watch.answer("crashy").failed);
    trio.finish();
}

/// The worker gets a signal from outside while idle.
fn signalled(bad: &str, signal: Signal, reason: &str) {
    let mut trio = Trio::start(bad, SETTINGS, &[("ok", "params = {}")]);
    let before = trio.bad();
    kill(Pid::from_raw(before.pid.expect("a ready worker's pid")), signal).expect("a worker that runs");
    let after = trio.until_replaced(before.pid);
    let end = after.last_end.unwrap_or_default();
    assert!(end.contains(reason), "{signal}: '{end}'");
    trio.misbehave(0);
    assert!(!trio.watch.answer(bad).failed);
    trio.finish();
}

mod hostile {
    use super::*;

    #[test]
    fn a_segfault_is_named_and_the_plugin_comes_back() {
        ends("segfault", "params = {}", SETTINGS, "killed by SIGSEGV", Call::Failed);
    }

    #[test]
    fn an_abort_is_named_and_the_plugin_comes_back() {
        ends("abort", "params = {}", SETTINGS, "killed by SIGABRT", Call::Failed);
    }

    #[test]
    fn exiting_unasked_is_a_failure_even_with_code_0() {
        ends("exit", "params = { code = 0 }", SETTINGS, "exit code 0 without being asked", Call::Failed);
    }

    #[test]
    fn an_exit_code_is_told() {
        ends("exit", "params = { code = 1 }", SETTINGS, "exit code 1", Call::Failed);
    }

    #[test]
    fn an_endless_loop_ends_at_its_deadline() {
        ends("spin", "params = {}", SETTINGS, "deadline: a call of 'spin' took longer than 400 ms", Call::TimedOut);
    }

    #[test]
    fn a_call_that_never_answers_ends_at_the_mappings_own_deadline() {
        let reason = "deadline: a call of 'sleep' took longer than 250 ms";
        ends("sleep", "timeout_ms = 250", "timeout_ms = 600000", reason, Call::TimedOut);
    }

    #[test]
    fn a_plugin_that_stops_itself_is_ended_for_a_forbidden_call() {
        ends("stop", "params = {}", SETTINGS, "forbidden system call tgkill", Call::Failed);
    }

    #[test]
    fn a_leak_ends_at_the_memory_limit_and_is_named_as_such() {
        ends("leak", "params = {}", "timeout_ms = 30000\nmemory_mib = 64", "out of memory", Call::Failed);
    }

    #[test]
    fn garbage_on_the_event_pipe_is_a_protocol_violation() {
        ends("garbage", "params = {}", SETTINGS, "protocol violation: not an event", Call::Failed);
    }

    #[test]
    fn half_a_frame_is_a_protocol_violation_after_two_seconds() {
        ends("half-frame", "params = {}", "timeout_ms = 30000", "protocol violation: half a frame", Call::Failed);
    }

    #[test]
    fn a_closed_event_pipe_is_a_protocol_violation() {
        ends("close-pipe", "params = {}", "timeout_ms = 30000", "event pipe", Call::Failed);
    }

    #[test]
    fn a_second_answer_is_a_protocol_violation() {
        let mut trio = Trio::start("crashy", SETTINGS, &[("answer-twice", "params = {}")]);
        let before = trio.bad();
        trio.misbehave(0);
        let after = trio.until_replaced(before.pid);
        let end = after.last_end.unwrap_or_default();
        assert!(end.contains("protocol violation: an answer to call"), "{end}");
        // the forged answer came first and cannot be told from the worker's own
        assert_eq!((after.calls.received, after.calls.done), (1, 1));
        trio.finish();
    }

    #[test]
    fn a_panic_fails_its_call_and_nothing_more() {
        let mut trio = Trio::start("crashy", SETTINGS, &[("panic", "params = {}"), ("ok", "params = {}")]);
        let before = trio.bad();
        trio.misbehave(0);
        let answer = trio.watch.answer("crashy");
        assert!(answer.failed && answer.outcome.contains("told to panic"), "{answer:?}");
        trio.misbehave(1);
        assert!(!trio.watch.answer("crashy").failed);
        let after = trio.bad();
        assert_eq!((after.pid, after.restarts), (before.pid, 0));
        assert_eq!((after.calls.failed, after.calls.done), (1, 1));
        trio.finish();
    }

    #[test]
    fn a_flood_of_the_log_is_capped_and_cannot_act_on_a_terminal() {
        let settings = "timeout_ms = 60000";
        let mut trio = Trio::start("crashy", settings, &[("flood", "params = { lines = 200000 }")]);
        let before = trio.daemon.process().private_kib();
        trio.misbehave(0);
        let flooded = trio.until("the flood ends", |bad| bad.calls.done == 1);
        let after = trio.daemon.process().private_kib();
        println!("40 MB of log: the daemon had {before} KiB and has {after} KiB");
        assert!(after < before + 2048, "{before} KiB, then {after} KiB");
        assert_eq!(flooded.restarts, 0);
        let (tail, dropped) = (trio.bad().log_tail, trio.bad().log_dropped);
        assert!((1..=200).contains(&tail.len()) && dropped > 0, "{dropped} lines dropped: {tail:#?}");
        assert!(tail.iter().all(|line| !line.contains('\x1b')), "{tail:#?}");
        let logs = trio.bed.log_sizes("crashy");
        assert!((1..=2).contains(&logs.len()) && logs.iter().all(|size| *size <= 1024 * 1024 + 4096), "{logs:?}");
        trio.finish();
    }

    #[test]
    fn a_kill_from_outside_is_named_and_the_plugin_comes_back() {
        signalled("crashy", Signal::SIGKILL, "killed by SIGKILL");
        signalled("crashy-wasm", Signal::SIGKILL, "killed by SIGKILL");
    }

    #[test]
    fn a_segfault_from_outside_is_named_and_the_plugin_comes_back() {
        signalled("crashy", Signal::SIGSEGV, "killed by SIGSEGV");
        signalled("crashy-wasm", Signal::SIGSEGV, "killed by SIGSEGV");
    }

    #[test]
    fn a_native_worker_stopped_while_idle_is_found_by_its_ping_and_replaced() {
        signalled("crashy", Signal::SIGSTOP, "did not answer a ping");
    }

    #[test]
    fn a_wasm_worker_stopped_while_idle_is_found_by_its_ping_and_replaced() {
        signalled("crashy-wasm", Signal::SIGSTOP, "did not answer a ping");
    }
}
