use super::*;
use crate::plugins::settings::Handed;
use crate::plugins::{Grants, SealedCode};
use crate::testing::eventually;
use crate::workers::cause::KillReason;
use crate::workers::program::WorkerProgram;
use crate::workers::quarantine::Quarantine;
use crate::workers::status::Origin;
use midimon_shared::Limits;
use midimon_shared::pipe::WriteEnd;
use midimon_shared::protocol::{CodeKind, Event};
use midimon_shared::spawn::{MissingLayers, Violations};

pub(super) fn spec(id: &str) -> PluginSpec {
    PluginSpec {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        version: String::new(),
        kind: CodeKind::Native,
        program: WorkerProgram::Native,
        origin: Origin::Dev,
        code_path: PathBuf::new(),
        code: Arc::new(SealedCode::copy(&mut &b"code"[..], 4).unwrap()),
        data_dir: None,
        settings: Handed::default(),
        grants: Grants::default(),
        not_granted: Vec::new(),
        limits: Limits::default(),
        violations: Violations::End,
        missing_layers: MissingLayers::Refuse,
    }
}

pub(super) fn install(requests: &Requests, id: &str) {
    install_spec(requests, spec(id));
}

pub(super) fn install_spec(requests: &Requests, spec: PluginSpec) {
    let lane = Arc::new(Lane::new(spec.id.clone(), &spec.limits, requests.waker.clone()));
    requests.send(Request::Install { spec: Box::new(spec), lane });
}

/// A pool whose workers are programs that wait, and say nothing.
pub(super) fn pool(programs: &std::path::Path) -> (Pool, Requests) {
    pool_of(programs, "exec sleep 60")
}

pub(super) fn pool_of(programs: &std::path::Path, script: &str) -> (Pool, Requests) {
    use std::os::unix::fs::PermissionsExt;
    let program = programs.join("midimon-worker");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let parts = Parts {
        spawner: Spawner::start().unwrap(),
        cgroups: Cgroups::off(),
        programs: programs.to_owned(),
        quarantine: Quarantine::open(None),
        logs: None,
        audit: Audit::default(),
        broker: Broker::new(None, programs.to_owned()),
        monitor: Arc::default(),
    };
    Pool::new(parts).unwrap()
}

fn settled(requests: &Requests, id: &str) -> Receiver<Result<(), String>> {
    let (sender, receiver) = channel();
    requests.send(Request::Settled(id.parse().unwrap(), sender));
    receiver
}

#[test]
fn nothing_is_started_while_the_pool_is_stopping_and_who_asks_is_told() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "first");
    while pool.slots.first().is_none_or(|slot| slot.process.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    requests.send(Request::Shutdown);
    install(&requests, "second");
    install(&requests, "first");
    let (sender, restarted) = channel();
    requests.send(Request::Restart("first".parse().unwrap(), sender));
    let ready = [settled(&requests, "first"), settled(&requests, "second")];
    while pool.run_once(Some(Duration::from_secs(10))) {}
    assert_eq!(pool.slots.len(), 1);
    assert!(!pool.slots[0].has_process());
    assert!(restarted.recv().is_err(), "a yes or no would be a lie");
    for ready in ready {
        assert_eq!(ready.recv().unwrap(), Err(STOPPING.to_owned()));
    }
}

#[test]
fn an_answered_ping_keeps_nobody_awake_and_any_other_event_does() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "quiet");
    while pool.slots.first().is_none_or(|slot| slot.process.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let process = pool.slots[0].process.as_mut().unwrap();
    process.ping = Some((7, clock::now()));
    // the worker's own end of its event pipe
    let pipe = std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/4", process.pid)).unwrap();
    let events: WriteEnd<Event> = WriteEnd::new(pipe.into());

    let awake_until = pool.active_until;
    events.send(&Event::Pong { nonce: 7 }).unwrap();
    while pool.slots[0].process.as_ref().unwrap().ping.is_some() {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    assert_eq!(pool.active_until, awake_until);
    assert_eq!(pool.slots[0].process.as_ref().unwrap().kill, None);

    events.send(&Event::Denied { number: 1 }).unwrap();
    while pool.slots[0].process.as_ref().unwrap().denied.is_none() {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    assert!(pool.active_until > awake_until);
    requests.send(Request::Shutdown);
    while pool.run_once(Some(Duration::from_secs(10))) {}
}

/// Runs the pool until its only worker has a process; the worker's own end of its event pipe.
pub(super) fn started(pool: &mut Pool) -> WriteEnd<Event> {
    while pool.slots.first().is_none_or(|slot| slot.process.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let pid = pool.slots[0].process.as_ref().unwrap().pid;
    WriteEnd::new(std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/4")).unwrap().into())
}

pub(super) fn ptrace() -> u32 {
    u32::try_from(libc::SYS_ptrace).unwrap()
}

pub(super) fn shut_down(mut pool: Pool, requests: &Requests) {
    requests.send(Request::Shutdown);
    while pool.run_once(Some(Duration::from_secs(10))) {}
}

#[test]
fn who_reports_a_forbidden_call_and_lives_on_is_killed_after_a_second_and_the_call_is_named() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "liar");
    let events = started(&mut pool);
    events.send(&Event::Denied { number: ptrace() }).unwrap();
    events.send(&Event::Denied { number: 0 }).unwrap(); // another thread's, at the same time
    while pool.slots[0].process.as_ref().unwrap().denials < 2 {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let since = pool.slots[0].process.as_ref().unwrap().denied.unwrap().1;
    assert!(pool.slots[0].next_timer().unwrap() <= since + Duration::from_secs(1), "it is looked at in time");
    let Pool { slots, shared, .. } = &mut pool;
    slots[0].scan(shared, since + Duration::from_millis(999), false);
    assert_eq!(slots[0].process.as_ref().unwrap().kill, None);
    slots[0].scan(shared, since + Duration::from_secs(1), false);
    while pool.slots[0].process.is_some() && pool.slots[0].status(pool.now).violations == 0 {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let status = pool.slots[0].status(pool.now);
    let expected =
        format!("protocol violation: it goes on after a forbidden system call, ptrace ({})", libc::SYS_ptrace);
    assert_eq!(
        (status.violations, status.last_violation, status.last_end),
        (1, Some(expected.clone()), Some(expected))
    );
    shut_down(pool, &requests);
}

#[test]
fn a_flood_of_denials_is_a_violation_at_once() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "flood");
    let events = started(&mut pool);
    for _ in 0..=crate::workers::violations::MAX_DENIED {
        events.send(&Event::Denied { number: 9 }).unwrap();
    }
    while pool.slots[0].process.as_ref().is_some_and(|process| process.kill.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    shut_down(pool, &requests);
}

#[test]
fn who_only_reports_lives_and_each_call_is_counted_and_named_once_in_the_plugins_log() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install_spec(&requests, PluginSpec { violations: Violations::Report, ..spec("mine") });
    let events = started(&mut pool);
    for number in [ptrace(), ptrace(), 999_999] {
        events.send(&Event::Denied { number }).unwrap();
    }
    while pool.slots[0].status(pool.now).violations < 3 {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let status = pool.slots[0].status(pool.now);
    assert!(status.report_only);
    let process = pool.slots[0].process.as_ref().unwrap();
    assert_eq!((&process.kill, process.denied), (&None, None), "it is not what ends it one day");
    let named = |text: &str| status.log_tail.iter().filter(|line| line.contains(text)).count();
    assert_eq!((named("system call ptrace ("), named("system call number 999999")), (1, 1), "{:?}", status.log_tail);
    shut_down(pool, &requests);
}

#[test]
fn a_worker_whose_sandbox_is_not_what_it_says_gets_no_code() {
    use midimon_shared::protocol::{Hello, ProtocolRange};
    use midimon_shared::sandbox::{Layer, LayerReport};
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "bare");
    let events = started(&mut pool);
    // a plain program that claims every layer
    let layers = Layer::ALL.map(|layer| LayerReport::active(layer, "")).into();
    events.send(&Event::Hello(Hello { protocol: ProtocolRange::OURS, version: String::new(), layers })).unwrap();
    while pool.slots[0].process.as_ref().is_some_and(|process| process.kill.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let process = pool.slots[0].process.as_ref().unwrap();
    assert!(matches!(&process.kill, Some(KillReason::Own(_))), "{:?}", process.kill);
    assert!(process.commands.is_some(), "nothing was sent");
    assert_eq!(violations_at_its_end(&mut pool), 0, "the plugin had no part in it");
    shut_down(pool, &requests);
}

/// Runs the pool until its only worker has ended; its plugin's violations then.
fn violations_at_its_end(pool: &mut Pool) -> u64 {
    while pool.slots[0].process.is_some() {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    pool.slots[0].status(pool.now).violations
}

#[test]
fn a_worker_of_another_version_is_named_and_its_plugin_not_blamed() {
    use midimon_shared::protocol::{Hello, ProtocolRange};
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "elder");
    let events = started(&mut pool);
    let protocol = ProtocolRange { min: u16::MAX, max: u16::MAX };
    events.send(&Event::Hello(Hello { protocol, version: String::new(), layers: Vec::new() })).unwrap();
    while pool.slots[0].process.as_ref().is_some_and(|process| process.kill.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let process = pool.slots[0].process.as_ref().unwrap();
    assert!(matches!(&process.kill, Some(KillReason::Own(what)) if what.contains("one version")), "{:?}", process.kill);
    assert_eq!(violations_at_its_end(&mut pool), 0);
    assert!(pool.slots[0].status(pool.now).reason.unwrap().contains("they must be of one version"));
    shut_down(pool, &requests);
}

#[test]
fn ready_without_the_second_filter_is_the_plugins_violation() {
    use midimon_shared::protocol::Ready;
    use midimon_shared::sandbox::{Layer, LayerReport};
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    install(&requests, "forger");
    let events = started(&mut pool);
    let now = pool.now;
    let Pool { slots, shared, .. } = &mut pool;
    slots[0].step(shared, now, LifeEvent::SandboxEntered);
    // it was there when the code was sent
    slots[0].process.as_mut().unwrap().layers = vec![LayerReport::active(Layer::Seccomp, "")];
    let ready = Ready { name: String::new(), version: String::new(), description: String::new() };
    events.send(&Event::Ready(ready)).unwrap();
    while pool.slots[0].process.as_ref().is_some_and(|process| process.kill.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    let process = pool.slots[0].process.as_ref().unwrap();
    assert!(matches!(&process.kill, Some(KillReason::SandboxCheck(_))), "{:?}", process.kill);
    assert_eq!(violations_at_its_end(&mut pool), 1);
    shut_down(pool, &requests);
}

#[test]
fn an_installed_plugin_that_says_it_is_another_is_ended_and_shown_as_its_manifest_has_it() {
    use crate::workers::status::WorkerState;
    use midimon_shared::protocol::Ready;
    let ready = |name: &str, version: &str| Ready {
        name: name.to_owned(),
        version: version.to_owned(),
        description: String::new(),
    };
    let spec = |origin| PluginSpec { name: "Notes".to_owned(), version: "1.0.0".to_owned(), origin, ..spec("notes") };
    let run = |origin, ready: Ready| {
        let programs = tempfile::tempdir().unwrap();
        let (mut pool, requests) = pool(programs.path());
        install_spec(&requests, spec(origin));
        let events = started(&mut pool);
        let now = pool.now;
        let Pool { slots, shared, .. } = &mut pool;
        slots[0].step(shared, now, LifeEvent::SandboxEntered);
        events.send(&Event::Ready(ready)).unwrap();
        while pool.slots[0].status(pool.now).state != WorkerState::Ready
            && pool.slots[0].process.as_ref().is_some_and(|process| process.kill.is_none())
        {
            assert!(pool.run_once(Some(Duration::from_secs(10))));
        }
        let kill = pool.slots[0].process.as_ref().and_then(|process| process.kill.clone());
        if kill.is_some() {
            assert_eq!(violations_at_its_end(&mut pool), 1);
        }
        let status = pool.slots[0].status(pool.now);
        shut_down(pool, &requests);
        (kill, status)
    };
    for (name, version) in [("midimon 9.9 (verified)", "1.0.0"), ("Notes", "9.9.9")] {
        let (kill, status) = run(Origin::Installed, ready(name, version));
        assert!(matches!(&kill, Some(KillReason::Protocol(what)) if what.contains("another plugin")), "{kill:?}");
        assert_eq!((status.name.as_str(), status.version.as_str()), ("Notes", "1.0.0"));
        assert!(status.reason.unwrap().contains("its manifest that it is"));
        // under development it is what it says
        let (kill, status) = run(Origin::Dev, ready(name, version));
        assert_eq!((kill, status.name.as_str(), status.version.as_str()), (None, name, version));
    }
    for (name, version) in [("Notes", "1.0.0"), ("", "")] {
        let (kill, status) = run(Origin::Installed, ready(name, version));
        assert_eq!((kill, status.name.as_str(), status.state), (None, "Notes", WorkerState::Ready));
    }
}

#[test]
fn a_worker_that_spins_is_quarantined_with_the_figures_and_a_restart_opens_a_new_account() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool_of(programs.path(), "while :; do :; done");
    let limits = Limits { cpu_percent: 2, cpu_window_s: 10, ..Limits::default() };
    install_spec(&requests, PluginSpec { limits, ..spec("spinner") });
    let ready = settled(&requests, "spinner");
    eventually("it is stopped", || {
        pool.next_look = Time::default(); // look at every chance
        assert!(pool.run_once(Some(Duration::from_millis(10))));
        let slot = pool.slots.first();
        if slot.is_some_and(|slot| !slot.has_process()) {
            Ok(())
        } else {
            Err(slot.map(|slot| format!("{:?}", slot.status(pool.now))))
        }
    });
    let reason = ready.recv().unwrap().unwrap_err();
    let ends = reason.ends_with(" s of processor time within 10 s (limit 2 % of a core)");
    assert!(reason.starts_with("budget exceeded: 0.") && ends, "{reason}");
    assert!(matches!(pool.slots[0].life.state(), crate::workers::lifecycle::State::Quarantined { .. }));
    assert!(pool.slots[0].budget.warning().is_some());
    let (sender, restarted) = channel();
    requests.send(Request::Restart("spinner".parse().unwrap(), sender));
    pool.run_once(Some(Duration::from_secs(10)));
    assert_eq!(restarted.recv(), Ok(true));
    assert_eq!(pool.slots[0].budget.warning(), None);
    requests.send(Request::Shutdown);
    while pool.run_once(Some(Duration::from_secs(10))) {}
}

#[test]
fn idle_workers_are_looked_at_every_two_seconds_and_without_any_the_pool_sleeps() {
    let programs = tempfile::tempdir().unwrap();
    let (mut pool, requests) = pool(programs.path());
    pool.run_once(Some(Duration::ZERO));
    pool.scan(clock::now());
    assert_eq!(pool.next_scan, pool.next_ping);
    install(&requests, "quiet");
    while pool.slots.first().is_none_or(|slot| slot.process.is_none()) {
        assert!(pool.run_once(Some(Duration::from_secs(10))));
    }
    // ready, and the activity of the start over
    let now = pool.active_until;
    pool.slots[0].step(&mut pool.shared, now, crate::workers::lifecycle::Event::SandboxEntered);
    pool.slots[0].step(&mut pool.shared, now, crate::workers::lifecycle::Event::Loaded);
    pool.next_look = now;
    pool.scan(now);
    assert_eq!(pool.next_scan, now + Duration::from_secs(2));
    requests.send(Request::Shutdown);
    while pool.run_once(Some(Duration::from_secs(10))) {}
}
