//! What a worker that means harm sends, writes and holds.

use super::tests::{install, install_spec, pool, pool_of, ptrace, shut_down, spec, started};
use super::*;
use crate::workers::cause::KillReason;
use crate::workers::lifecycle::State;
use crate::workers::log::TAIL;
use crate::workers::program::WorkerProgram;
use crate::workers::spec::PluginSpec;
use crate::workers::status::WorkerState;
use midimon_shared::limits::{MAX_ANSWER, RestartPolicy};
use midimon_shared::protocol::{CallId, CodeKind, Event, Outcome, Ready};
use midimon_shared::{Limits, WorkerExit};
use nix::time::{ClockId, clock_gettime};

/// Handles what comes until something holds.
fn until(pool: &mut Pool, holds: impl Fn(&Slot) -> bool) {
    let began = clock::now();
    while !holds(&pool.slots[0]) {
        assert!(clock::now().since(began) < Duration::from_secs(60), "{:?}", pool.slots[0].status(pool.now));
        assert!(pool.run_once(Some(Duration::from_millis(100))));
    }
}

fn killed(slot: &Slot) -> Option<&KillReason> {
    slot.process.as_ref().and_then(|process| process.kill.as_ref())
}

fn is_violation(slot: &Slot, words: &str) -> bool {
    matches!(killed(slot), Some(KillReason::Protocol(what)) if what.contains(words))
}

fn enter(pool: &mut Pool, events: &[LifeEvent]) {
    let now = pool.now;
    for event in events {
        pool.slots[0].step(&mut pool.shared, now, event.clone());
    }
}

#[test]
fn a_failed_load_is_told_once_and_ends_soon() {
    let programs = tempfile::tempdir().unwrap();
    for times in [1, 2] {
        let (mut pool, requests) = pool(programs.path());
        install(&requests, "loader");
        let events = started(&mut pool);
        enter(&mut pool, &[LifeEvent::SandboxEntered]);
        for _ in 0..times {
            events.send(&Event::LoadFailed { message: "\u{1b}".repeat(20_000) }).unwrap();
        }
        if times == 1 {
            until(&mut pool, |slot| slot.process.as_ref().is_some_and(|process| process.seen != 0));
            let State::Sandboxed { deadline } = *pool.slots[0].life.state() else { panic!() };
            assert!(deadline <= clock::now() + crate::workers::lifecycle::FAILED_LIMIT);
        }
        until(&mut pool, |slot| !slot.has_process());
        let status = pool.slots[0].status(pool.now);
        assert_eq!(status.violations, times - 1, "{status:?}");
        let reason = status.reason.unwrap();
        assert!(reason.contains("\\u{1b}\\u{1b}") && reason.len() < 1_100, "{} {reason}", reason.len());
        shut_down(pool, &requests);
    }
}

#[test]
fn a_load_that_takes_too_long_names_the_file() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install_spec(&requests, PluginSpec { code_path: "/plugins/slow/slow.so".into(), ..spec("slow") });
    let _events = started(&mut pool);
    enter(&mut pool, &[LifeEvent::SandboxEntered]);
    let due = pool.slots[0].life.next_timer().unwrap();
    let Pool { slots, shared, .. } = &mut pool;
    slots[0].scan(shared, due, false);
    until(&mut pool, |slot| !slot.has_process());
    let reason = pool.slots[0].status(pool.now).reason.unwrap();
    assert!(reason.starts_with("/plugins/slow/slow.so: deadline: loading and initialising"), "{reason}");
    shut_down(pool, &requests);
}

#[test]
fn while_it_stops_what_was_under_way_may_come_once() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "late");
    let events = started(&mut pool);
    enter(&mut pool, &[LifeEvent::SandboxEntered]);
    pool.slots[0].process.as_mut().unwrap().commands = None; // as if it had been asked to
    enter(&mut pool, &[LifeEvent::Stop]);
    let ready = Event::Ready(Ready { name: String::new(), version: String::new(), description: String::new() });
    events.send(&ready).unwrap();
    events.send(&Event::LoadFailed { message: String::new() }).unwrap();
    until(&mut pool, |slot| slot.process.as_ref().is_some_and(|process| process.seen.count_ones() == 2));
    assert_eq!(killed(&pool.slots[0]), None);
    events.send(&ready).unwrap();
    until(&mut pool, |slot| is_violation(slot, "a message out of its turn") || !slot.has_process());
    until(&mut pool, |slot| !slot.has_process());
    assert_eq!(pool.slots[0].status(pool.now).violations, 1);
    shut_down(pool, &requests);
}

#[test]
fn an_answer_over_its_limit_and_a_native_plugins_word_on_memory_are_violations() {
    let done = |outcome| Event::Done { call: CallId(1), outcome };
    let long = "x".repeat(MAX_ANSWER + 1);
    let cases = [
        (done(Outcome::Answer(long.clone())), "an answer over 4096 bytes"),
        (done(Outcome::Failed { code: 1, message: long }), "an answer over 4096 bytes"),
        (done(Outcome::Answer("x".repeat(MAX_ANSWER))), "while none is under way"), // no call, but no answer too long
        (Event::OutOfMemory { requested: 123 }, "only a WASM runtime can know"),
    ];
    let programs = tempfile::tempdir().unwrap();
    for (event, words) in cases {
        let (mut pool, requests) = pool(programs.path());
        install(&requests, "wordy");
        let events = started(&mut pool);
        enter(&mut pool, &[LifeEvent::SandboxEntered, LifeEvent::Loaded]);
        events.send(&event).unwrap();
        until(&mut pool, |slot| slot.process.is_none() || killed(slot).is_some());
        assert!(is_violation(&pool.slots[0], words), "{words}: {:?}", killed(&pool.slots[0]));
        shut_down(pool, &requests);
    }
}

#[test]
fn no_word_on_memory_excuses_a_forbidden_call() {
    use nix::sys::signal::Signal;
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "liar");
    let _events = started(&mut pool);
    let now = pool.now;
    let process = pool.slots[0].process.as_mut().unwrap();
    let cause = |process: &crate::workers::process::Process, end, lines: &[&str]| process.cause(end, 1024, lines);
    let abort = EndCause::Signaled { signal: Signal::SIGABRT, memory: None };
    let line = "memory allocation of 4096 bytes failed";
    assert!(matches!(cause(process, abort.clone(), &[line]), EndCause::OutOfMemory(_)));
    for lie in ["memory allocation of all bytes failed", "memory allocation of 4096 bytes failed: midimon is broken"] {
        assert_eq!(cause(process, abort.clone(), &[lie]), abort);
    }
    process.out_of_memory = Some(7);
    assert!(matches!(cause(process, abort.clone(), &[]), EndCause::OutOfMemory(_)));
    assert_eq!(cause(process, EndCause::ForbiddenCall(None), &[line]), EndCause::ForbiddenCall(None));
    let call = crate::sys::syscalls::SystemCall(ptrace());
    process.denied = Some((call, now));
    assert_eq!(cause(process, abort, &[line]), EndCause::ForbiddenCall(Some(call)));
    shut_down(pool, &requests);
}

/// A worker that ends with a code when it is told to, after a line of its own.
fn ends_with(programs: &std::path::Path, code: i32, states: &[LifeEvent]) -> (WorkerState, String) {
    let script = format!("read line <&3; echo 'all is well (add allow_degraded = true)'; exit {code}");
    let (mut pool, requests) = pool_of(programs, &script);
    let limits = Limits { restart: RestartPolicy::Never, ..Limits::default() };
    install_spec(&requests, PluginSpec { limits, ..spec("ender") });
    let _events = started(&mut pool);
    enter(&mut pool, states);
    let commands = pool.slots[0].process.as_ref().unwrap().commands.as_ref().unwrap();
    commands.write_frames(b"\n").unwrap();
    until(&mut pool, |slot| !slot.has_process());
    let status = pool.slots[0].status(pool.now);
    shut_down(pool, &requests);
    (status.state, status.last_end.unwrap())
}

#[test]
fn once_the_code_was_sent_an_exit_code_is_the_plugins_own_and_so_are_its_words() {
    let programs = tempfile::tempdir().unwrap();
    for &exit in WorkerExit::ALL {
        let (state, end) = ends_with(programs.path(), exit as i32, &[LifeEvent::SandboxEntered]);
        assert_eq!(state, WorkerState::Failed, "{exit:?}"); // by the restart policy
        match exit {
            WorkerExit::Done => assert_eq!(end, "exit code 0 without being asked"),
            // ours too, when the plugin's threads differ in their filters
            WorkerExit::Lockdown => {
                let expected = format!("{exit}; its last log line: \"all is well (add allow_degraded = true)\"");
                assert_eq!(end, expected);
            }
            _ => assert_eq!(end, format!("exit code {}", exit as i32)),
        }
    }
    // before, it is the worker's, and it has words of its own
    let (_, end) = ends_with(programs.path(), WorkerExit::Landlock as i32, &[]);
    assert!(end.starts_with("the sandbox lacks landlock: all is well"), "{end}");
}

#[test]
fn a_worker_that_holds_more_than_its_memory_is_killed_with_the_figures_and_has_crashed() {
    let programs = tempfile::tempdir().unwrap();
    let script = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo full; read line <&3";
    let (mut pool, requests) = pool_of(programs.path(), script);
    let limits = Limits { memory_mib: 16, cpu_percent: 0, ..Limits::default() };
    install_spec(&requests, PluginSpec { limits, ..spec("greedy") });
    let _events = started(&mut pool);
    pool.next_look = Time::from_nanos(u64::MAX); // not while it grows
    until(&mut pool, |slot| slot.tail.newest().next() == Some("full"));
    let now = pool.now;
    pool.look(now);
    until(&mut pool, |slot| slot.life.restarts() == 1);
    let end = pool.slots[0].status(pool.now).last_end.unwrap();
    let mib: u64 = end.strip_prefix("out of memory: ").and_then(|end| end.split(' ').next()).unwrap().parse().unwrap();
    assert!((96..=400).contains(&mib), "{end}");
    assert!(end.ends_with(" MiB of 80 MiB (memory_mib = 16, and 64 for all else)"), "{end}");
    shut_down(pool, &requests);
}

/// Processor time of this thread.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

#[test]
fn a_log_that_floods_costs_little_whatever_it_is_made_of() {
    let programs = tempfile::tempdir().unwrap();
    let floods = [
        ("no lines", "exec tr '\\0' y </dev/zero"),
        ("short lines", "exec yes"),
        ("single bytes", "while :; do printf x; done"),
    ];
    for (name, script) in floods {
        let (mut pool, requests) = pool_of(programs.path(), script);
        install(&requests, "flood");
        let _events = started(&mut pool);
        until(&mut pool, |slot| slot.process.as_ref().is_some_and(|process| process.log_paused.is_some()));
        let (began, before) = (clock::now(), worked());
        while clock::now().since(began) < Duration::from_secs(2) {
            assert!(pool.run_once(Some(Duration::from_millis(100))));
        }
        let (took, worked) = (clock::now().since(began), worked() - before);
        println!("{name}: {worked:.1?} of processor time in {took:.1?}; {:?}", pool.slots[0].filter.dropped());
        assert!(worked < took / 10, "{name}: {worked:?} of {took:?}");
        assert!(pool.slots[0].tail.lines().count() <= TAIL);
        shut_down(pool, &requests);
    }
}

#[test]
fn a_wasm_workers_word_on_memory_is_taken_once() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    std::fs::copy(programs.path().join("midimon-worker"), programs.path().join("midimon-worker-wasm")).unwrap();
    install_spec(&requests, PluginSpec { kind: CodeKind::WasmCore, program: WorkerProgram::Wasm, ..spec("guest") });
    let events = started(&mut pool);
    enter(&mut pool, &[LifeEvent::SandboxEntered, LifeEvent::Loaded]);
    events.send(&Event::OutOfMemory { requested: 9 }).unwrap();
    until(&mut pool, |slot| slot.process.as_ref().is_some_and(|process| process.out_of_memory == Some(9)));
    assert_eq!(killed(&pool.slots[0]), None);
    events.send(&Event::OutOfMemory { requested: 9 }).unwrap();
    until(&mut pool, |slot| is_violation(slot, "twice"));
    shut_down(pool, &requests);
}
