//! Real workers ask the real broker; what it has done is written down instead.

use midimon::workers::broker::effects::{Effects, MidiMessage};
use midimon::workers::manager::{CallError, ManagerOptions, PluginManager, Policies, Policy};
use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_shared::PluginId;
use midimon_shared::host::{HostRefusal, Mouse, SystemControl};
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, eventually};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Codes of `midimon_plugin.h`.
const NOT_GRANTED: i32 = -101;
const INVALID: i32 = -102;
const TOO_MANY: i32 = -103;
const TIMED_OUT: i32 = -104;
const FAILED: i32 = -105;

/// Writes down every effect as a line.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, line: String) -> Result<(), HostRefusal> {
        self.0.lock().unwrap().push(line);
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Effects for Recorder {
    fn send_midi(&self, port: &str, message: &MidiMessage) -> Result<(), HostRefusal> {
        match message {
            MidiMessage::Channel(message) => self.note(format!("{port} {:x?}", message.to_bytes())),
            MidiMessage::SysEx(bytes) => self.note(format!("{port} {bytes:x?}")),
        }
    }
    fn keystroke(&self, keys: &str) -> Result<(), HostRefusal> {
        self.note(format!("keys {keys}"))
    }
    fn text(&self, text: &str) -> Result<(), HostRefusal> {
        self.note(format!("text {text}"))
    }
    fn mouse(&self, mouse: Mouse) -> Result<(), HostRefusal> {
        self.note(format!("{mouse:?}"))
    }
    fn system(&self, control: SystemControl) -> Result<(), HostRefusal> {
        self.note(format!("{control:?}"))
    }
    fn notify(&self, plugin: &PluginId, title: &str, body: &str) -> Result<(), HostRefusal> {
        self.note(format!("{plugin}: {title}: {body}"))
    }
    fn emit(&self, plugin: &PluginId, event: &str, value: &str) -> Result<(), HostRefusal> {
        self.note(format!("{plugin} emits {event}: {value}"))
    }
    fn set_mode(&self, plugin: &PluginId, name: &str) -> Result<(), HostRefusal> {
        self.note(format!("{plugin} chooses {name}"))
    }
    fn output_of(&self, device: &str) -> Result<String, HostRefusal> {
        Ok(format!("{device} out"))
    }
}

/// The plugin `asking`, which asks for `asked` and is granted `granted`.
struct Asking {
    manager: PluginManager,
    effects: Arc<Recorder>,
    bed: Bed,
}

impl Asking {
    fn new(asked: &[&str], granted: &[&str]) -> Self {
        let bed = Bed::new();
        let code = std::fs::read(Binaries::get().plugin("asking").join("asking.so")).expect("the fixture's code");
        let mut capabilities = String::new();
        for capability in asked {
            let (kind, target) = capability.split_once(':').unwrap_or((capability, ""));
            let targets = if target.is_empty() { String::new() } else { format!("targets = [\"{target}\"]\n") };
            write!(capabilities, "[[capabilities]]\ncapability = \"{kind}\"\n{targets}reason = \"a test\"\n").unwrap();
        }
        bed.write_plugin("asking", "asking.so", &code, &capabilities);
        let effects = Arc::<Recorder>::default();
        let manager = PluginManager::new(ManagerOptions {
            programs: Some(Binaries::get().programs.clone()),
            audit: Some(bed.path("audit")),
            effects: Some(effects.clone()),
            ..ManagerOptions::new(bed.plugin_dir(), bed.path("plugin-data"))
        })
        .expect("a manager");
        let asking = Self { manager, effects, bed };
        asking.grant(granted);
        asking.manager.load_plugin("asking").expect("a plugin that is ready");
        asking
    }

    fn grant(&self, granted: &[&str]) {
        let policy =
            Policy { grants: granted.iter().map(|grant| grant.parse().unwrap()).collect(), ..Policy::default() };
        let policies = Policies::from([("asking".parse().unwrap(), policy)]);
        self.manager.set_policies(Some(self.bed.plugin_dir()), policies);
    }

    fn granted(granted: &[&str]) -> Self {
        Self::new(granted, granted)
    }

    fn ask(&self, params: Value) -> Result<String, (i32, String)> {
        match self.manager.execute_plugin("asking", params, None) {
            Ok(answer) => Ok(answer.text),
            Err(CallError::Failed { code, message }) => Err((code, message)),
            Err(other) => panic!("{other}: {:#?}", self.status()),
        }
    }

    fn refusal(&self, params: Value) -> i32 {
        self.ask(params).expect_err("a refusal").0
    }

    /// Asks for what ends the process, and waits for it to be replaced.
    fn ends(&self, params: Value) -> WorkerStatus {
        let before = self.status().pid;
        let ended = self.manager.execute_plugin("asking", params, None);
        assert!(matches!(ended, Err(CallError::Crashed)), "{ended:?}");
        eventually("it is replaced", || {
            let status = self.status();
            if status.state == WorkerState::Ready && status.pid != before {
                Ok(status)
            } else {
                Err(format!("{status:#?}"))
            }
        })
    }

    fn status(&self) -> WorkerStatus {
        self.manager.status().into_iter().next().expect("a worker")
    }

    /// The audit log's lines about requests, once there are so many.
    fn uses(&self, count: usize) -> Vec<Value> {
        let path = self.bed.path("audit").join("asking.jsonl");
        eventually("the uses are recorded", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
            let uses: Vec<Value> = lines.filter(|line| line["event"] == "use").collect();
            if uses.len() >= count { Ok(uses) } else { Err(text) }
        })
    }
}

/// Answers one request like a web server.
fn web_server() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut chunk).unwrap();
            assert_ne!(count, 0, "the request ended early");
            request.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        String::from_utf8(request).unwrap()
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn a_granted_connection_speaks_http_and_is_recorded() {
    let (port, server) = web_server();
    let target = format!("127.0.0.1:{port}");
    let asking = Asking::granted(&[&format!("network:{target}")]);
    let answer = asking.ask(json!({ "action": "get", "target": target, "ms": 10_000 })).expect("an answer");
    assert_eq!(answer, "HTTP/1.0 200 OK\r\n\r\nhello");
    assert_eq!(server.join().unwrap(), "GET / HTTP/1.0\r\n\r\n");
    let status = asking.status();
    assert_eq!((status.requests.allowed, status.requests.refused), (1, 0));
    assert_eq!(status.grants, [format!("network:{target}")]);
    let used = &asking.uses(1)[0];
    assert_eq!((&used["what"], &used["target"], &used["allowed"]), (&json!("connect"), &json!(target), &json!(true)));
}

#[test]
fn without_the_grant_nothing_is_connected_and_the_reason_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = format!("network:127.0.0.1:{port}");
    let other = format!("network:127.0.0.1:{}", port ^ 1);
    let asking = Asking::new(&[&asked, &other], &[&other]);
    let get = |target: &str| asking.ask(json!({ "action": "get", "target": target, "ms": 10_000 }));
    let (code, words) = get(&format!("127.0.0.1:{port}")).unwrap_err();
    assert_eq!(code, NOT_GRANTED);
    assert!(words.contains(&asked) && words.contains("not granted"), "{words}");
    // other names of the same place
    for target in ["localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.2"] {
        assert_eq!(get(&format!("{target}:{port}")).unwrap_err().0, NOT_GRANTED, "{target}");
    }
    for target in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "x@127.0.0.1", "127.0.0.1:80"] {
        assert_eq!(get(&format!("{target}:{port}")).unwrap_err().0, INVALID, "{target}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
    let status = asking.status();
    assert_eq!((status.requests.allowed, status.requests.refused), (0, 12));
    assert_eq!(status.not_granted, [asked]);
    let uses = asking.uses(1);
    assert!(uses.iter().all(|used| used["allowed"] == false && used["reason"].is_string()), "{uses:?}");
}

#[test]
fn a_granted_name_that_leads_inside_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    // names that the machine itself gives to its loopback addresses
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let inside = hosts.lines().filter(|line| line.starts_with("127.") || line.starts_with("::1"));
    let name = inside.flat_map(|line| line.split_whitespace().skip(1)).find(|name| *name != "localhost");
    let name = name.expect("/etc/hosts has a second name for a loopback address, as ip6-loopback").to_owned();
    let targets = [format!("{name}:{port}"), format!("localhost:{port}")];
    let grants = targets.each_ref().map(|target| format!("network:{target}"));
    let asking = Asking::granted(&grants.each_ref().map(String::as_str));
    let (code, words) = asking.ask(json!({ "action": "get", "target": targets[0], "ms": 10_000 })).unwrap_err();
    assert_eq!(code, NOT_GRANTED, "{words}");
    assert!(words.contains("loopback"), "{words}");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // the same place, granted as what it is
    listener.set_nonblocking(false).unwrap();
    let serve = std::thread::spawn(move || drop(listener.accept().unwrap()));
    asking.ask(json!({ "action": "get", "target": targets[1], "ms": 10_000 })).expect("a connection");
    serve.join().unwrap();
}

#[test]
fn nobody_listening_and_a_grant_taken_away_are_told_apart() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let grant = format!("network:127.0.0.1:{port}");
    let asking = Asking::granted(&[&grant]);
    let get = json!({ "action": "get", "target": format!("127.0.0.1:{port}"), "ms": 10_000 });
    assert_eq!(asking.refusal(get.clone()), FAILED);
    asking.grant(&[]);
    asking.manager.load_plugin("asking").expect("the plugin again");
    assert_eq!(asking.refusal(get), NOT_GRANTED);
}

#[test]
fn datagrams_go_to_the_granted_target_and_come_back_from_it() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let asking = Asking::granted(&[&format!("network:udp:{target}")]);
    let server = std::thread::spawn(move || {
        let mut bytes = [0; 64];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        socket.send_to(&bytes[..length], from).unwrap();
        socket
    });
    let echo = |target: &str, ms| asking.ask(json!({ "action": "echo", "target": target, "text": "ping", "ms": ms }));
    assert_eq!(echo(&target, 10_000).as_deref(), Ok("ping"));
    let _socket = server.join().unwrap();
    assert_eq!(echo(&target, 20).unwrap_err().0, TIMED_OUT);
    assert_eq!(echo("127.0.0.1:9", 20).unwrap_err().0, NOT_GRANTED);
    // a grant for datagrams is none for connections
    assert_eq!(asking.refusal(json!({ "action": "get", "target": target, "ms": 1000 })), NOT_GRANTED);
}

#[test]
fn a_granted_program_runs_and_comes_to_its_end() {
    let asking = Asking::granted(&["subprocess:sh", "subprocess:/usr/bin/env"]);
    let run = |program: &str, script: &str, ms| {
        asking.ask(json!({ "action": "run", "program": program, "script": script, "ms": ms }))
    };
    assert_eq!(run("sh", "echo hi; echo oops >&2; exit 3", 10_000).as_deref(), Ok("3 3 5 hi\n"));
    let used = &asking.uses(1)[0];
    let given = json!(["-c", "echo hi; echo oops >&2; exit 3"]);
    assert_eq!((&used["what"], &used["target"], &used["arguments"]), (&json!("run"), &json!("sh"), &given));
    // what is over the cap is cut, and the plugin is told no more than that
    let answer = run("sh", "head -c 100000 /dev/zero | tr '\\0' x", 10_000).unwrap();
    assert!(answer.starts_with("0 24576 0 xxx"), "{answer}");
    assert_eq!(run("sh", "sleep 1000 & wait", 300).unwrap_err().0, TIMED_OUT);
    for program in ["/bin/sh", "bash", "env", "../bin/sh", ""] {
        assert_eq!(run(program, "true", 1000).unwrap_err().0, NOT_GRANTED, "{program}");
    }
    let refused = asking.uses(8).pop().unwrap_or_default();
    assert_eq!((&refused["allowed"], &refused["arguments"]), (&json!(false), &json!(["-c", "true"])));
}

#[test]
fn a_note_is_switched_off_when_the_plugin_dies_and_a_granted_port_alone_is_sent_to() {
    let asking = Asking::granted(&["midi:Synth"]);
    asking.ask(json!({ "action": "note", "port": "Synth" })).expect("a note");
    assert_eq!(asking.refusal(json!({ "action": "note", "port": "Other" })), NOT_GRANTED);
    asking.ends(json!({ "action": "crash" }));
    assert_eq!(asking.effects.lines(), ["Synth [90, 3c, 64]", "Synth [80, 3c, 40]"]);
}

#[test]
fn floods_are_cut_to_their_rate_and_counted() {
    let asking = Asking::granted(&["midi:Synth"]);
    let started = Instant::now();
    let notices = asking.ask(json!({ "action": "flood", "count": 20 })).unwrap();
    let (noticed, refused) = notices.split_once(' ').unwrap();
    let noticed: u64 = noticed.parse().unwrap();
    let most = 3 + (started.elapsed().as_millis() as u64 + 1) / 1_000;
    assert!((3..=most).contains(&noticed), "{notices}, {most} at most");
    assert_eq!(refused, TOO_MANY.to_string());
    assert_eq!(asking.effects.lines()[0], "asking: title: body");
    let started = Instant::now();
    let notes = asking.ask(json!({ "action": "flood", "port": "Synth", "count": 400 })).unwrap();
    let allowed: u64 = notes.split_once(' ').unwrap().0.parse().unwrap();
    let most = 200 + 1_000 * (started.elapsed().as_millis() as u64 + 1) / 1_000;
    assert!((200..=most.min(400)).contains(&allowed), "{notes}, {most} at most");
    let requests = asking.status().requests;
    assert_eq!((requests.allowed, requests.refused), (noticed + allowed, 420 - noticed - allowed));
}

#[test]
fn keys_need_their_grant() {
    let without = Asking::new(&["input"], &[]);
    assert_eq!(without.refusal(json!({ "action": "keys", "keys": "ctrl+a" })), NOT_GRANTED);
    assert!(without.effects.lines().is_empty());
    let with = Asking::granted(&["input"]);
    with.ask(json!({ "action": "keys", "keys": "ctrl+a" })).expect("a keystroke");
    assert_eq!(with.effects.lines(), ["keys ctrl+a"]);
}

#[test]
fn requests_out_of_turn_end_the_worker() {
    let asking = Asking::granted(&[]);
    let two = asking.ends(json!({ "action": "forge", "count": 10, "first": 1, "step": 1 }));
    let end = two.last_end.unwrap_or_default();
    assert!(end.contains("protocol violation") && end.contains("request"), "{end}");
    let same = asking.ends(json!({ "action": "forge", "count": 2, "first": 7, "step": 0 }));
    let end = same.last_end.unwrap_or_default();
    assert!(end.contains("protocol violation") && end.contains("request"), "{end}");
}

#[test]
fn a_message_on_the_request_socket_ends_the_worker() {
    let asking = Asking::granted(&[]);
    let end = asking.ends(json!({ "action": "write-5" })).last_end.unwrap_or_default();
    assert!(end.contains("protocol violation") || end.contains("forbidden system call"), "{end}");
}

/// Each answer it does not read holds a connection open: in no process, and counted against our user.
#[test]
fn a_worker_that_asks_on_without_reading_its_answers_ends_and_its_connections_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let asking = Asking::granted(&[&format!("network:{target}")]);
    let hoard = json!({ "action": "hoard", "target": target, "count": 15, "ms": 100 });
    let end = asking.ends(hoard).last_end.unwrap_or_default();
    assert!(end.contains("protocol violation: a request before it has read the last answer"), "{end}");
    let (mut first, _) = listener.accept().unwrap();
    first.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(first.read(&mut [0; 1]).unwrap(), 0, "nobody holds it any more");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the second was made");
}

#[test]
fn a_worker_that_ends_while_its_request_is_out_leaves_nothing_behind() {
    let asking = Asking::granted(&["subprocess:sh"]);
    let file = asking.bed.path("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let policy_deadline = json!({ "action": "run", "program": "sh", "script": script, "ms": 30_000 });
    // the call's own deadline, five seconds, ends the worker first
    let ended = asking.manager.execute_plugin("asking", policy_deadline, None);
    assert!(matches!(ended, Err(CallError::TimedOut)), "{ended:?}");
    let pid = std::fs::read_to_string(&file).expect("the program ran");
    eventually("the program is killed with the worker", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") { Ok(()) } else { Err(stat) }
    });
    let again = json!({ "action": "run", "program": "sh", "script": "exit 0", "ms": 1_000 });
    assert_eq!(asking.ask(again).as_deref(), Ok("0 0 0 "));
}
