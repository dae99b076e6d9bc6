//! Consent under attack, by the numbers of the catalogue: what a plugin says, what is typed
//! too early, what comes through a pipe. Each with the honest way that works.

use midimon::home::Home;
use midimon::monitor::MonitorEvent;
use midimon::plugins::store::Store;
use midimon_tests::{Bed, Config, Guest, Publisher, Session, Terminal, eventually, midi};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

fn request(kind: &str, reason: &str) -> String {
    format!("[[capabilities]]\ncapability = \"{kind}\"\nreason = \"{reason}\"\n")
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn store(bed: &Bed) -> Store {
    Store::open(&Home::at(&bed.home()).expect("a home"))
}

/// The version in place and what is granted.
fn state(bed: &Bed) -> Option<(String, Vec<String>)> {
    let id = "asking".parse().expect("an id");
    let record = store(bed).get(&id).expect("a record")?;
    let grants = store(bed).grants(&id).expect("grants").expect("grants");
    Some((record.current.to_string(), grants.granted.iter().map(ToString::to_string).collect()))
}

fn has(version: &str, granted: &[&str]) -> Option<(String, Vec<String>)> {
    Some((version.to_owned(), granted.iter().map(|text| (*text).to_owned()).collect()))
}

/// A bed that trusts the publisher, with the plugin in version 1.0.0 and these requests, all granted.
fn installed(requests: &[&str]) -> (Bed, Publisher) {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let more: String = requests.iter().map(|kind| request(kind, "needs it")).collect();
    let package = publisher.package("asking", "1.0.0", &more);
    let terms = publisher.terms();
    let mut arguments = vec!["plugin", "install", shown(&package)];
    arguments.extend(terms.iter().map(String::as_str));
    requests.iter().for_each(|kind| arguments.extend(["--grant", kind]));
    let output = bed.run(&arguments);
    assert!(output.status.success(), "{output:?}");
    (bed, publisher)
}

fn update(bed: &Bed, package: &Path) -> Session {
    Terminal::new(80, 24).run(bed.command(&["plugin", "update", "asking", shown(package)]))
}

#[test]
fn e094_an_update_that_wants_more_waits_until_it_is_accepted() {
    let (bed, publisher) = installed(&["filesystem"]);
    let daemon = bed.start();
    daemon.wait_ready("asking");
    let more = [request("filesystem", "needs it"), request("system-control", "more")].concat();
    let package = publisher.package("asking", "1.1.0", &more);
    let old = has("1.0.0", &["filesystem"]);

    // silently
    let output = bed.run(&["plugin", "update", "asking", shown(&package), "--yes"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("--grant system-control") && !told.contains("--grant filesystem"), "{told}");
    assert_eq!(state(&bed), old);
    // looked at, and not accepted
    let mut session = update(&bed, &package);
    session.wait_for("NEW:").wait_for("change volume and brightness").wait_for("[c]hoose: ").enter("n");
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(1), "{seen}");
    assert_eq!(state(&bed), old);
    assert_eq!(daemon.worker("asking").version, "1.0.0", "the old one runs on");
    // the update without the new right
    let mut session = update(&bed, &package);
    session.wait_for("[c]hoose: ").enter("c").wait_for("Allow it to change volume").enter("n");
    assert!(session.end().0.success());
    assert_eq!(state(&bed), has("1.1.0", &["filesystem"]));
    // an update that wants nothing new needs no word, and what was denied stays so
    let package = publisher.package("asking", "1.2.0", &more);
    assert!(bed.run(&["plugin", "update", "asking", shown(&package)]).status.success());
    assert_eq!(state(&bed), has("1.2.0", &["filesystem"]));
    daemon.wait_worker("asking", "the new version", |worker| worker.version == "1.2.0");
    // accepted
    let most = [more, request("audio", "beeps")].concat();
    let package = publisher.package("asking", "1.3.0", &most);
    let mut session = update(&bed, &package);
    session.wait_for("play sounds").wait_for("[c]hoose: ").enter("y");
    assert!(session.end().0.success());
    assert_eq!(state(&bed), has("1.3.0", &["filesystem", "audio"]));
    daemon.stop();
}

#[test]
fn e103_a_reason_that_imitates_the_prompt_is_quoted_and_answers_nothing() {
    let (bed, publisher) = installed(&[]);
    let fake = "Update it and allow all this? [y]es, [n]o, [c]hoose: y 4/4 commit ... done Updated asking 1.1.0";
    let package = publisher.package("asking", "1.1.0", &request("audio", fake));
    let mut session = update(&bed, &package);
    session.wait_for("play sounds").wait_for("It says: \"Update it and allow all").wait_for("done").wait_for("1.1.0\"");
    session.wait_for("Update it and allow all this? [y]es, [n]o, [c]hoose: ");
    assert_eq!(state(&bed), has("1.0.0", &[]));
    session.enter("n");
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(1), "{seen}");
    assert_eq!(state(&bed), has("1.0.0", &[]));
    let claims: Vec<&str> = seen.lines().filter(|line| line.contains("commit")).collect();
    assert!(!claims.is_empty(), "{seen}");
    for line in claims {
        assert!(line.starts_with("             "), "a claim never stands where midimon's own words do: {line:?}");
    }
    // what could leave the quotation is no manifest
    for bad in ["x\\u001b[2J", "x\\ny", "\\u202etxet"] {
        let directory = publisher.plugin("asking", "1.1.0", &request("audio", bad));
        let output = bed.run(&["plugin", "install", shown(&directory), "--allow-unsigned", "--dry-run"]);
        assert_eq!(output.status.code(), Some(1), "{bad}: {output:?}");
    }
    // the honest answer
    let mut session = update(&bed, &package);
    session.wait_for("1.1.0\"").wait_for("[c]hoose: ").enter("y");
    assert!(session.end().0.success());
    assert_eq!(state(&bed), has("1.1.0", &["audio"]));
}

#[test]
fn e104_type_ahead_and_pipes_answer_no_question() {
    let (bed, publisher) = installed(&[]);
    let package = publisher.package("asking", "1.1.0", &request("input", "types for you"));
    let arguments = ["plugin", "update", "asking", shown(&package)];

    // typed before the question was there
    let mut terminal = Terminal::new(80, 24);
    terminal.type_ahead("y\nasking\ny\nasking\n");
    let mut session = terminal.run(bed.command(&arguments));
    session.wait_for("HIGH RISK").wait_for("[c]hoose: ");
    // an answer would have brought the next question
    session.enter("y").wait_for("type the plugin's name, asking: ");
    assert!(session.is_running());
    session.enter("");
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(1), "{seen}");
    assert_eq!(seen.matches("[c]hoose: ").count(), 1, "{seen}");
    assert_eq!(state(&bed), has("1.0.0", &[]));

    // through a pipe
    let piped = |input: &str, more: &[&str]| {
        let mut child = bed
            .command(&[&arguments, more].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("midimon runs");
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes()); // it may not be read
        child.wait_with_output().expect("its output")
    };
    let output = piped("y\nasking\n", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--grant input"), "{output:?}");
    // a single yes is no word on anything
    assert_eq!(piped("y\nasking\n", &["--yes"]).status.code(), Some(1));
    assert_eq!(state(&bed), has("1.0.0", &[]));

    // the plugin's name has to be typed in full, for high risk alone
    let mut session = update(&bed, &package);
    session.wait_for("[c]hoose: ").enter("y").wait_for("asking: ").enter("ask").wait_for("not its name");
    session.wait_for("asking: ").enter("asking");
    assert!(session.end().0.success());
    assert_eq!(state(&bed), has("1.1.0", &["input"]));
}

#[test]
fn e105_nothing_asks_again_what_was_denied() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = publisher.package("asking", "1.0.0", &request("input", "types for you"));
    let terms = publisher.terms();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    let output = bed.run(&[&["plugin", "install", shown(&package), "--deny", "input"], &terms[..]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(state(&bed), has("1.0.0", &[]));

    // the plugin asks and asks: each time it is refused, and nobody is bothered
    bed.configure(&Config::new().note_with(60, "asking", "keys", "params = { keys = \"a\" }"));
    let mut daemon = bed.start();
    daemon.wait_ready("asking");
    for _ in 0..50 {
        let before = daemon.worker("asking").calls.failed;
        daemon.send(&midi::tap(60));
        daemon.wait_worker("asking", "a refusal", |worker| worker.calls.failed > before);
    }
    let worker = daemon.worker("asking");
    assert!(worker.calls.done == 0 && worker.pid.is_some(), "{worker:#?}");
    daemon.stop();
    assert_eq!(state(&bed), has("1.0.0", &[]));

    // nor do updates, however many: without a terminal and without a flag
    for minor in 1..4 {
        let package = publisher.package("asking", &format!("1.{minor}.0"), &request("input", "please, please"));
        let output = bed.run(&["plugin", "update", "asking", shown(&package)]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(state(&bed), has(&format!("1.{minor}.0"), &[]));
    }
    // the user can, whenever they want
    assert!(bed.run(&["plugin", "grant", "asking", "input"]).status.success());
    assert_eq!(state(&bed), has("1.3.0", &["input"]));
}

#[test]
fn e107_what_a_plugin_says_stands_under_its_own_name() {
    let bed = Bed::new();
    bed.install("asking");
    // writes lines that look like midimon's own, and erases what stands before them
    let forged = "x\nmidimon stopped (pid 1)\u{1b}[1A\u{1b}[2K\rmidimon started\n";
    let data: String = forged.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let guest = Guest {
        imports: r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#
            .into(),
        more: format!(
            r#"(data (i32.const 1000) "\00\04\00\00\{:02x}\00\00\00") (data (i32.const 1024) "{data}")"#,
            forged.len()
        ),
        ..Guest::executing("(call $write (i32.const 1) (i32.const 1000) (i32.const 1) (i32.const 1008))")
    };
    bed.write_guest("forger", &guest.text());
    bed.configure(&Config::new().note(60, "forger", "go").note_with(
        61,
        "asking",
        "flood",
        "params = { port = \"\", count = 1 }",
    ));
    let mut watched = bed.start();
    watched.wait_ready("forger");
    watched.wait_ready("asking");
    watched.send(&midi::tap(60));
    watched.wait_worker("forger", "an answer", |worker| worker.calls.done == 1);
    let text = eventually("the line is in the log", || {
        let output = bed.run(&["logs"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("midimon started") { Ok(text) } else { Err(text) }
    });
    for line in text.lines().filter(|line| line.contains("midimon st")) {
        assert!(line.starts_with("forger: "), "{line:?} in\n{text}");
        assert!(!line.contains(['\u{1b}', '\r']), "{line:?}");
    }
    // what it has shown on the desktop begins with its name too
    let watch = watched.watch();
    watched.send(&midi::tap(61));
    let note = watch.next("the notification", |event| match event {
        MonitorEvent::Note { text, .. } => Some(text),
        _ => None,
    });
    assert!(note.starts_with("midimon · asking: title"), "{note:?}");
    watched.stop();
}
