//! What an installed plugin may do, changed while it runs; and its publisher's key revoked.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::{Bed, Config, Daemon, Publisher, eventually};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

/// `MIDIMON_E_NOT_GRANTED`, as a failure shows it.
const NOT_GRANTED: &str = "-101";

/// Somebody to talk to, whom nobody has called yet.
struct Server {
    listener: TcpListener,
    target: String,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = listener.local_addr().expect("its address").to_string();
        Self { listener, target }
    }

    fn capability(&self) -> String {
        format!("network:{}", self.target)
    }

    /// The manifest's request for it.
    fn request(&self) -> String {
        let (host_and_port, reason) = (&self.target, "talks to it");
        format!("[[capabilities]]\ncapability = \"network\"\ntargets = [\"{host_and_port}\"]\nreason = \"{reason}\"\n")
    }

    fn was_not_called(&self) {
        self.listener.set_nonblocking(true).expect("a socket");
        assert_eq!(self.listener.accept().map(drop).unwrap_err().kind(), ErrorKind::WouldBlock, "somebody called");
        self.listener.set_nonblocking(false).expect("a socket");
    }

    fn accept(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().expect("a call");
        stream.set_read_timeout(Some(midimon_tests::DEADLINE)).expect("a socket");
        let mut request = [0; 18];
        stream.read_exact(&mut request).expect("a request");
        assert_eq!(&request, b"GET / HTTP/1.0\r\n\r\n");
        stream
    }
}

fn get(bed: &Bed, target: &str) -> std::process::Command {
    bed.command(&["plugin", "call", "asking", "get", &json!({ "target": target, "ms": 10_000 }).to_string()])
}

/// The plugin is told that it may not, and nobody is called.
fn denied(bed: &Bed, daemon: &Daemon, server: &Server) {
    let before = daemon.worker("asking");
    assert_eq!((before.grants, before.not_granted), (Vec::<String>::new(), vec![server.capability()]));
    let output = get(bed, &server.target).output().expect("midimon runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(NOT_GRANTED) && told.contains("not granted") && told.contains(&server.target), "{told}");
    server.was_not_called();
    let after = daemon.worker("asking");
    assert_eq!(after.requests.refused, before.requests.refused + 1);
    assert_eq!((after.requests.allowed, after.state), (before.requests.allowed, WorkerState::Ready));
}

/// The plugin is let through, and answers with what it was told.
fn allowed(bed: &Bed, daemon: &Daemon, server: &Server) {
    let before = daemon.worker("asking");
    assert_eq!((before.grants, before.not_granted), (vec![server.capability()], vec![]));
    let call = get(bed, &server.target).stdout(Stdio::piped()).spawn().expect("midimon runs");
    server.accept().write_all(b"HTTP/1.0 200 OK").expect("a plugin that listens");
    let output = call.wait_with_output().expect("a child");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "HTTP/1.0 200 OK");
    assert_eq!(daemon.worker("asking").requests.allowed, before.requests.allowed + 1);
}

/// What was granted, withdrawn and used, in order, once there are so many.
fn history(bed: &Bed, count: usize) -> Vec<Value> {
    eventually("the audit log has it", || {
        let lines = bed.audit("asking");
        let told = |line: &Value| match line["event"].as_str()? {
            "use" => Some(json!({ "use": line["what"], "target": line["target"], "allowed": line["allowed"] })),
            "granted" => Some(json!({ "granted": line["capability"] })),
            "withdrawn" => Some(json!({ "withdrawn": line["capability"] })),
            _ => None,
        };
        let told: Vec<Value> = lines.iter().filter_map(told).collect();
        if told.len() >= count { Ok(told) } else { Err(format!("{lines:#?}")) }
    })
}

/// Whether another process took a plugin's place.
fn is_another(before: &WorkerStatus, after: &WorkerStatus) -> bool {
    after.pid.is_some() && after.pid != before.pid
}

#[test]
fn a_right_counts_at_once_when_it_is_granted_and_when_it_is_revoked_and_is_written_down() {
    let (bed, publisher, server) = (Bed::new(), Publisher::new(), Server::new());
    bed.configure(&Config::new());
    let daemon = bed.start();
    let package = publisher.package("asking", "1.0.0", &server.request());
    publisher.install(&bed, &package, &["--deny", &server.capability()]);
    let first = daemon.wait_ready("asking");
    denied(&bed, &daemon, &server);

    let said = bed.works(&["plugin", "grant", "asking", &server.capability()]);
    assert!(said.contains(&format!("asking may use {}", server.capability())), "{said}");
    // in effect when the command returns
    let second = daemon.wait_ready("asking");
    assert!(is_another(&first, &second), "{second:?}");
    allowed(&bed, &daemon, &server);
    assert!(bed.refused(&["plugin", "grant", "asking", &server.capability()]).contains("granted already"));
    assert_eq!(daemon.worker("asking").pid, second.pid, "what changes nothing restarts nothing");

    let said = bed.works(&["plugin", "revoke", "asking", &server.capability()]);
    assert!(said.contains("may no longer use"), "{said}");
    let third = daemon.wait_ready("asking");
    assert!(is_another(&second, &third), "{third:?}");
    denied(&bed, &daemon, &server);
    assert!(bed.refused(&["plugin", "revoke", "asking", &server.capability()]).contains("is not granted"));

    let used = |allowed: bool| json!({ "use": "connect", "target": server.target, "allowed": allowed });
    let (granted, withdrawn) = (json!({ "granted": server.capability() }), json!({ "withdrawn": server.capability() }));
    assert_eq!(history(&bed, 5), [used(false), granted, used(true), withdrawn, used(false)]);
    let refused = bed.audit("asking").into_iter().rfind(|line| line["event"] == "use").expect("the last use");
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.contains("not granted")), "{refused}");
    // it stays so
    daemon.stop();
    let daemon = bed.start();
    daemon.wait_ready("asking");
    denied(&bed, &daemon, &server);
    daemon.stop();
}

#[test]
fn an_open_connection_ends_with_the_right_to_it() {
    let (bed, publisher, server) = (Bed::new(), Publisher::new(), Server::new());
    // a call that waits is not what ends it
    bed.configure(&Config::new().plugin("asking", "timeout_ms = 600000"));
    let daemon = bed.start();
    publisher.install(
        &bed,
        &publisher.package("asking", "1.0.0", &server.request()),
        &["--grant", &server.capability()],
    );
    let before = daemon.wait_ready("asking");
    let mut call = get(&bed, &server.target).stderr(Stdio::piped()).spawn().expect("midimon runs");
    let mut connection = server.accept();
    daemon.wait_worker("asking", "it waits for an answer", |worker| worker.state == WorkerState::Busy);
    bed.works(&["plugin", "revoke", "asking", &server.capability()]);
    // whatever it had is closed when the command returns
    connection.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let read = connection.read(&mut [0; 1]);
    assert!(matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert_eq!(call.wait().expect("a child").code(), Some(1), "the call failed");
    let after = daemon.wait_ready("asking");
    assert!(is_another(&before, &after), "{after:?}");
    denied(&bed, &daemon, &server);
    daemon.stop();
}

#[test]
fn a_revoked_keys_plugins_end_at_once_and_stay_down_and_nobody_elses_do() {
    let (bed, bad, good) = (Bed::new(), Publisher::new(), Publisher::new());
    bed.configure(&Config::new().note(60, "echo", "say"));
    let mut daemon = bed.start();
    let package = bad.package("asking", "1.0.0", "");
    bad.install(&bed, &package, &[]);
    good.install(&bed, &good.package("echo", "0.1.0", ""), &[]);
    let (theirs, ours) = (daemon.wait_ready("asking"), daemon.wait_ready("echo"));
    daemon.answers("echo", 60);

    let said = bed.works(&["key", "revoke", &bad.name()]);
    let fingerprint = bad.key().fingerprint().to_string();
    assert!(said.contains(&fingerprint), "{said}");
    assert!(said.lines().any(|line| line.split_whitespace().eq(["disabled", "asking"])), "{said}");
    // when the command returns its process is gone, and the other one is as it was
    let pids: Vec<i32> = daemon.workers().iter().map(|process| process.pid).collect();
    assert_eq!(pids, [ours.pid.expect("a process")], "{theirs:?}");
    let is_told = |daemon: &Daemon| {
        let about = |problem: &&String| problem.contains("asking") && problem.contains("revoked");
        let status = daemon.wait_status("it says why", |status| status.problems.iter().any(|told| about(&told)));
        let told = status.problems.iter().find(about).cloned().unwrap_or_default();
        assert!(told.contains(&bad.name()) && told.contains(&fingerprint), "{told}");
        assert!(!status.workers.iter().any(|worker| worker.id.as_str() == "asking" && worker.pid.is_some()));
    };
    is_told(&daemon);
    daemon.answers("echo", 60);
    assert_eq!(daemon.worker("echo").pid, ours.pid);
    let ended = eventually("its end is recorded", || {
        let lines = bed.audit("asking");
        lines.iter().find(|line| line["event"] == "ended").cloned().ok_or_else(|| format!("{lines:#?}"))
    });
    assert!(ended["cause"].is_string(), "{ended}");

    // no way back to it
    let told = bed.refused(&["plugin", "enable", "asking"]);
    assert!(told.contains("revoked") && told.contains(&fingerprint), "{told}");
    let path = package.to_str().expect("UTF-8");
    let told = bed.refused(&["plugin", "install", path, "--key", &bad.key().to_string(), "--yes"]);
    assert!(told.contains("revoked"), "{told}");
    let rows = bed.json(&["plugin", "list", "--json"]);
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == "asking")).expect("a row");
    assert_eq!((&row["enabled"], &row["worker"]), (&json!(false), &Value::Null));
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("revoked")), "{row}");

    daemon.stop();
    // not even where somebody enables it by hand
    let record = bed.home().join("plugins/asking/installed.toml");
    let text = std::fs::read_to_string(&record).expect("the record");
    let kept = text.lines().filter(|line| !line.starts_with("disabled_reason"));
    let enabled: Vec<String> = kept.map(|line| line.replace("enabled = false", "enabled = true")).collect();
    assert_ne!(enabled.join("\n"), text.trim_end(), "{text}");
    for text in [text.clone(), enabled.join("\n") + "\n"] {
        std::fs::write(&record, &text).expect("the record");
        let mut daemon = bed.start();
        daemon.wait_ready("echo");
        is_told(&daemon);
        assert_eq!(daemon.workers().len(), 1, "{text}");
        daemon.answers("echo", 60);
        daemon.stop();
    }
}
