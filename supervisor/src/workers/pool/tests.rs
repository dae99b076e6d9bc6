use super::*;
use crate::audit::Audit;
use crate::plugins::SealedCode;
use crate::workers::quarantine::Quarantine;
use crate::workers::status::{Origin, PluginKind};
use midimon_shared::Limits;
use midimon_shared::pipe::WriteEnd;
use midimon_shared::protocol::Event;

fn spec(id: &str) -> PluginSpec {
    PluginSpec {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        version: String::new(),
        kind: PluginKind::Native,
        origin: Origin::Dev,
        code_path: PathBuf::new(),
        code: Arc::new(SealedCode::copy(&mut &b"code"[..], 4).unwrap()),
        data_dir: None,
        settings: "{}".to_owned(),
        limits: Limits::default(),
    }
}

fn install(requests: &Requests, id: &str) {
    let spec = spec(id);
    let lane = Arc::new(Lane::new(spec.id.clone(), &spec.limits, requests.waker.clone()));
    requests.send(Request::Install { spec: Box::new(spec), lane });
}

/// A pool whose workers are programs that wait, and say nothing.
fn pool(programs: &std::path::Path) -> (Pool, Requests) {
    use std::os::unix::fs::PermissionsExt;
    let program = programs.join("midimon-worker");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let quarantine = Quarantine::open(None);
    Pool::new(Spawner::start().unwrap(), programs.to_owned(), quarantine, None, Audit::default(), Arc::default())
        .unwrap()
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
