//! What `plugin list` and `plugin info` say of installed plugins is what holds; an
//! update without a change; removing what runs.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::{Bed, Config, Daemon, Publisher, eventually};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const FILES: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n";
const RIGHTS: &str = "\
[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n\
[[capabilities]]\ncapability = \"audio\"\nreason = \"beeps\"\n\
[[settings]]\nname = \"port\"\ntype = \"integer\"\nrequired = false\ndescription = \"where it listens\"\n";

/// As the command line names it in JSON.
fn word<T: serde::Serialize>(value: T) -> Value {
    serde_json::to_value(value).expect("JSON")
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

/// One plugin's row in the list, which must say of its worker what the daemon's status does.
fn row(bed: &Bed, daemon: &Daemon, id: &str) -> Value {
    let rows = bed.json(&["plugin", "list", "--json"]);
    let mut found = rows.as_array().expect("a list").iter().filter(|row| row["id"] == id);
    let (row, more) = (found.next().expect("a row").clone(), found.next());
    assert_eq!(more, None);
    let status = daemon.status();
    match status.workers.iter().find(|worker| worker.id.as_str() == id) {
        Some(worker) => assert_eq!(
            (&row["worker"], &row["version"], &row["origin"]),
            (&word(worker.state), &json!(worker.version), &word(worker.origin))
        ),
        None => assert_eq!(row["worker"], Value::Null),
    }
    row
}

/// What `plugin info` says must be what the daemon and the files say.
fn info(bed: &Bed, id: &str, worker: Option<&WorkerStatus>) -> Value {
    let info = bed.json(&["plugin", "info", id, "--json"]);
    assert_eq!(info["worker"], word(worker.map(|worker| worker.state)));
    let current = info["current"].as_str().expect("a version");
    let path = Path::new(info["path"].as_str().expect("a path"));
    assert_eq!(path, bed.home().join("plugins").join(id).join(current));
    let versions = info["versions"].as_array().expect("versions");
    let version = versions.iter().find(|version| version["version"] == current).expect("the current one");
    assert_eq!(version["manifest_sha256"], sha256(&path.join("plugin.toml")));
    for file in version["files"].as_array().expect("files") {
        let on_disk = path.join(file["name"].as_str().expect("a name"));
        let length = fs::metadata(&on_disk).expect("a file").len();
        assert_eq!((&file["sha256"], &file["size"]), (&json!(sha256(&on_disk)), &json!(length)));
    }
    if let Some(worker) = worker {
        let asks = info["asks"].as_array().expect("what it asks for");
        let of = |is_granted: bool| {
            let asks = asks.iter().filter(move |asked| asked["granted"].is_null() != is_granted);
            let mut names: Vec<String> = asks.map(|asked| asked["what"].as_str().expect("a text").to_owned()).collect();
            names.sort();
            names
        };
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        assert_eq!((of(true), of(false)), (sorted(&worker.grants), sorted(&worker.not_granted)));
        assert_eq!((info["name"].as_str(), current), (Some(worker.name.as_str()), worker.version.as_str()));
    }
    info
}

#[test]
fn list_and_info_say_of_each_plugin_what_status_its_files_and_its_publisher_do() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new());
    bed.install("echo-c");
    let daemon = bed.start();
    publisher.install(
        &bed,
        &publisher.package("asking", "1.0.0", RIGHTS),
        &["--grant", "filesystem", "--deny", "audio"],
    );
    let unsigned = publisher.plugin("notes", "0.1.0", "");
    let unsigned = unsigned.to_str().expect("UTF-8");
    bed.works(&["plugin", "install", unsigned, "--allow-unsigned", "--grant", "filesystem", "--yes"]);
    publisher.install(&bed, &publisher.package("echo", "0.1.0", ""), &[]);
    bed.works(&["plugin", "disable", "echo"]);
    for id in ["asking", "notes", "echo-c"] {
        daemon.wait_ready(id);
    }

    let asking = row(&bed, &daemon, "asking");
    assert_eq!((&asking["enabled"], &asking["publisher"]), (&json!(true), &json!(publisher.name())));
    assert_eq!((&asking["origin"], &asking["worker"]), (&json!("installed"), &json!("ready")));
    let notes = row(&bed, &daemon, "notes");
    assert_eq!((&notes["publisher"], &notes["worker"]), (&Value::Null, &json!("ready")));
    let echo = row(&bed, &daemon, "echo");
    assert_eq!((&echo["enabled"], &echo["worker"], &echo["version"]), (&json!(false), &Value::Null, &json!("0.1.0")));
    let dev = row(&bed, &daemon, "echo-c");
    assert_eq!((&dev["origin"], &dev["publisher"]), (&json!("dev"), &Value::Null));
    assert_eq!(bed.json(&["plugin", "list", "--json"]).as_array().map(Vec::len), Some(4));

    let asking = info(&bed, "asking", Some(&daemon.worker("asking")));
    assert_eq!((&asking["publisher"], &asking["unsigned"]), (&json!(publisher.key().to_string()), &json!(false)));
    assert_eq!((&asking["publisher_name"], &asking["problem"]), (&json!(publisher.name()), &Value::Null));
    assert_eq!(asking["settings"][0]["name"], "port");
    assert_eq!(asking["settings"][0]["set"], false);
    bed.works(&["plugin", "config", "set", "asking", "port", "7"]);
    assert_eq!(bed.json(&["plugin", "info", "asking", "--json"])["settings"][0]["set"], true);
    let notes = info(&bed, "notes", Some(&daemon.worker("notes")));
    assert_eq!((&notes["publisher"], &notes["unsigned"]), (&Value::Null, &json!(true)));
    let echo = info(&bed, "echo", None);
    assert_eq!((&echo["enabled"], &echo["disabled_reason"]), (&json!(false), &Value::Null));
    assert!(bed.refused(&["plugin", "info", "echo-c", "--json"]).contains("is not installed"));

    // without a daemon the same, and no worker
    daemon.stop();
    let rows = bed.json(&["plugin", "list", "--json"]);
    let ids: Vec<&Value> = rows.as_array().expect("a list").iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, ["asking", "echo", "notes"]);
    assert!(rows.as_array().expect("a list").iter().all(|row| row["worker"].is_null()), "{rows}");
    info(&bed, "asking", None);
    // and a file that was changed is said
    let library = bed.home().join("plugins/asking/1.0.0/asking.so");
    let code = fs::read(&library).expect("the code");
    fs::write(&library, [&code[..], b"x"].concat()).expect("changed code");
    let problem = bed.json(&["plugin", "info", "asking", "--json"])["problem"].clone();
    assert!(problem.as_str().is_some_and(|text| text.contains("was changed after it was installed")), "{problem}");
}

#[test]
fn the_list_says_why_an_installed_plugin_does_not_run_with_a_daemon_and_without() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new());
    let needed = "[[settings]]\nname = \"port\"\ntype = \"integer\"\nrequired = true\n";
    for (id, more) in [("echo", ""), ("echo-c", ""), ("given", needed), ("notes", ""), ("asking", "")] {
        let flags: &[&str] = if id == "notes" { &["--grant", "filesystem"] } else { &[] };
        publisher.install(&bed, &publisher.package(id, "0.1.0", more), flags);
    }
    let rows = || bed.json(&["plugin", "list", "--json"]);
    let why = |rows: &Value, id: &str| {
        let row = rows.as_array().expect("a list").iter().find(|row| row["id"] == id).expect("a row").clone();
        row["reason"].as_str().map(str::to_owned)
    };
    // the control: what can run has no note
    assert_eq!((why(&rows(), "echo"), why(&rows(), "notes")), (None, None));
    let library = bed.home().join("plugins/echo/0.1.0/libecho.so");
    let code = fs::read(&library).expect("the code");
    fs::write(&library, [&code[..], b"x"].concat()).expect("changed code");
    fs::write(bed.home().join("grants/notes.toml"), "schema = 1\nbroken\nbroken").expect("damaged grants");
    bed.configure(&Config::new().plugin("asking", "enabled = false"));
    let expected = [
        ("asking", "`enabled = false`"),
        ("echo", "was changed after it was installed"),
        ("given", "port"),
        ("notes", "notes.toml:2:"),
    ];
    let says_so = || {
        let rows = rows();
        for (id, words) in expected {
            assert!(why(&rows, id).is_some_and(|why| why.contains(words)), "{id}: {rows}");
        }
        assert_eq!(why(&rows, "echo-c"), None);
        assert_eq!(bed.works(&["plugin", "list"]).matches("cannot run").count(), expected.len());
    };
    says_so();
    let daemon = bed.start();
    daemon.wait_ready("echo-c");
    says_so();
    daemon.stop();
}

#[test]
fn an_update_to_what_is_installed_changes_nothing_and_restarts_nothing() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new().note(60, "echo", "say"));
    let package = publisher.package("echo", "0.1.0", FILES);
    publisher.install(&bed, &package, &["--grant", "filesystem"]);
    let mut daemon = bed.start();
    let before = daemon.wait_ready("echo");
    let record = || fs::read_to_string(bed.home().join("plugins/echo/installed.toml")).expect("the record");
    let grants = || fs::read(bed.home().join("grants/echo.toml")).expect("the grants");
    let without_time = |text: String| {
        text.lines().filter(|line| !line.starts_with("installed = ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let known = (without_time(record()), grants());

    let said = bed.works(&["plugin", "update", "echo", package.to_str().expect("UTF-8")]);
    assert!(said.contains("echo 0.1.0"), "{said}");
    assert_eq!((without_time(record()), grants()), known, "{said}");
    daemon.answers("echo", 60);
    let after = daemon.worker("echo");
    assert_eq!((after.pid, after.restarts, after.state), (before.pid, before.restarts, WorkerState::Ready), "{said}");

    // without an index there is nothing to look in
    assert!(bed.refused(&["plugin", "update"]).contains("there is no index"));
    assert!(bed.refused(&["plugin", "rollback", "echo"]).contains("no version to go back to"));
    assert_eq!(daemon.worker("echo").pid, before.pid);

    // the same number on other bytes is no such thing
    let other = publisher.package("echo", "0.1.0", &FILES.replace("keeps a list", "keeps another list"));
    let told = bed.refused(&["plugin", "update", "echo", other.to_str().expect("UTF-8"), "--yes"]);
    assert!(told.contains("0.1.0"), "{told}");
    assert_eq!((without_time(record()), grants()), known);
    daemon.answers("echo", 60);
    daemon.stop();
}

#[test]
fn what_runs_is_stopped_and_gone_when_its_removal_returns() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let program = "[[capabilities]]\ncapability = \"subprocess\"\ntargets = [\"sh\"]\nreason = \"runs it\"\n";
    let flags = ["--grant", "filesystem", "--grant", "subprocess:sh"];
    bed.configure(&Config::new().plugin("asking", "timeout_ms = 600000"));
    let daemon = bed.start();
    publisher.install(&bed, &publisher.package("asking", "1.0.0", &format!("{FILES}{program}")), &flags);
    publisher.install(&bed, &publisher.package("echo", "0.1.0", ""), &[]);
    let (worker, echo) = (daemon.wait_ready("asking"), daemon.wait_ready("echo"));
    fs::write(worker.data_dir.expect("a data directory").join("list"), "one").expect("data");

    // in the middle of a call, which has a program running
    let file = bed.path("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let params = json!({ "program": "sh", "script": script, "ms": 30_000 }).to_string();
    let mut call = bed.command(&["plugin", "call", "asking", "run", &params]);
    let mut call = call.stderr(Stdio::null()).spawn().expect("midimon runs");
    let pid = eventually("the program runs", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.ends_with('\n').then(|| text.trim().to_owned()).ok_or(text)
    });
    assert!(Path::new("/proc").join(&pid).exists());
    let said = bed.works(&["plugin", "remove", "asking", "--yes"]);
    assert!(said.contains("asking is removed"), "{said}");
    let left: Vec<i32> = daemon.workers().iter().map(|process| process.pid).collect();
    assert_eq!(left, [echo.pid.expect("a process")]);
    assert_eq!(call.wait().expect("a child").code(), Some(1), "the call failed");
    eventually("the program has ended with it", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") { Ok(()) } else { Err(stat) }
    });
    for gone in ["plugins/asking", "plugin-data/asking", "grants/asking.toml", "state/kept-asking.toml"] {
        assert!(!bed.home().join(gone).exists(), "{gone}");
    }
    let status = daemon.status();
    assert!(status.problems.is_empty() && status.workers.len() == 1, "{status:#?}");
    assert_eq!(status.workers[0].pid, echo.pid, "the other one is as it was");
    assert!(bed.audit("asking").iter().any(|line| line["event"] == "ended"), "what it did stays known");
    daemon.stop();
}
