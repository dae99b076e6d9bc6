//! What plugins ask for reaches the daemon's own log, keys and mouse, and nothing does without the grant.

use midimon::audit::{AuditEvent, Entry};
use midimon::monitor::MonitorEvent;
use midimon_tests::binaries::Binaries;
use midimon_tests::watch::Answer;
use midimon_tests::xvfb::{Input, TypedText, Xvfb};
use midimon_tests::{Bed, Config, DEADLINE, Daemon, Watch, eventually, midi};
use std::ops::Range;
use std::time::Instant;

/// Keysyms of X11's `keysymdef.h`.
const RETURN: Input = Input::Key(0xFF0D);
const SHIFT: Input = Input::Key(0xFFE1);
/// `MIDIMON_MOUSE_*` of `midimon_plugin.h`.
const MOVE: i32 = 1;
const SCROLL: i32 = 2;
const LEFT: i32 = 3;
const MIDDLE: i32 = 4;
const RIGHT: i32 = 5;

/// Two plugins of the same code that ask for the same: `granted` is granted it, `refused` something else.
struct Pair {
    bed: Bed,
    daemon: Daemon,
    watch: Watch,
}

impl Pair {
    /// An action is its name and its parameters as TOML; `other` is what `refused` is granted.
    fn start(capability: &str, other: &str, actions: &[(&str, String)], environment: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        let code = std::fs::read(Binaries::get().plugin("asking").join("asking.so")).expect("the fixture's code");
        let asks: String = [capability, other]
            .map(|asked| {
                let (kind, target) = asked.split_once(':').unwrap_or((asked, ""));
                let targets = if target.is_empty() { String::new() } else { format!("targets = [\"{target}\"]\n") };
                format!("[[capabilities]]\ncapability = \"{kind}\"\n{targets}reason = \"a test\"\n")
            })
            .concat();
        let mut config = Config::new();
        for (id, grant) in [("granted", capability), ("refused", other)] {
            bed.write_plugin(id, "asking.so", &code, &asks);
            config = config.plugin(id, &format!("grants = [\"{grant}\"]"));
        }
        for (note, (action, params)) in (0..).step_by(2).zip(actions) {
            let keys = format!("params = {{ {params} }}");
            config = config.note_with(note, "granted", action, &keys).note_with(note + 1, "refused", action, &keys);
        }
        bed.configure(&config);
        let daemon = bed.start_in(&["--input", "stdin"], environment);
        daemon.wait_ready("granted");
        daemon.wait_ready("refused");
        let watch = daemon.watch();
        Self { bed, daemon, watch }
    }

    fn typing(server: &Xvfb, capability: &str, other: &str, actions: &[(&str, String)]) -> Self {
        Self::start(capability, other, actions, &[("DISPLAY", server.display()), ("MIDIMON_KEYS", "x11")])
    }

    /// Has one of them do the action of this number.
    fn act(&mut self, id: &str, action: usize) -> Answer {
        let note = 2 * action + usize::from(id == "refused");
        self.daemon.send(&midi::tap(u8::try_from(note).expect("a note")));
        self.watch.answer(id)
    }

    /// Has both of them do each action, the one without the grant first.
    fn act_all(&mut self, capability: &str, actions: Range<usize>) {
        for action in actions {
            let refused = self.act("refused", action);
            assert!(refused.failed, "{refused:?}");
            assert!(refused.outcome.contains(&format!("'{capability}' is not granted")), "{refused:?}");
            let granted = self.act("granted", action);
            assert!(!granted.failed, "{granted:?}\n{}", self.daemon.log_text());
        }
    }

    /// The requests in the audit log of one of them, so many of them: what, and whether it was done.
    fn uses(&self, id: &str, count: u64) -> Vec<(String, bool)> {
        eventually("its requests are recorded", || {
            let output = self.bed.run(&["audit", id, "--json", "-n", "1000"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let entries = text.lines().map(|line| serde_json::from_str::<Entry>(line).expect("a line of the log"));
            let uses = entries.filter_map(|entry| match entry.event {
                AuditEvent::Use { what, allowed, .. } => Some((entry.times, (what, allowed))),
                _ => None,
            });
            let (times, uses): (Vec<u64>, Vec<_>) = uses.unzip();
            if times.iter().sum::<u64>() == count { Ok(uses) } else { Err(text) }
        })
    }

    /// The daemon's log, once this is in it so many times.
    fn logged(&self, text: &str, times: usize) -> String {
        eventually("it is logged", || {
            let log = self.daemon.log_text();
            if log.matches(text).count() == times { Ok(log) } else { Err(log) }
        })
    }

    /// All requests of the one are counted and recorded as done, all of the other as refused.
    fn finish(self, whats: &[&str], each: u64) {
        for (id, allowed) in [("granted", true), ("refused", false)] {
            let counts = self.daemon.worker(id).requests;
            let expected = if allowed { (each, 0) } else { (0, each) };
            assert_eq!((counts.allowed, counts.refused), expected, "{id}");
            let uses = self.uses(id, each);
            let is_one = |(what, done): &(String, bool)| whats.contains(&what.as_str()) && *done == allowed;
            assert!(uses.iter().all(is_one), "{id}: {uses:?}");
            assert!(whats.iter().all(|what| uses.iter().any(|(used, _)| used == what)), "{id}: {uses:?}");
        }
        self.daemon.stop();
    }
}

#[test]
fn keys_and_text_of_a_plugin_reach_a_window_and_without_the_grant_none_do() {
    let server = Xvfb::start().expect("an X server");
    let mut window = TypedText::record(&server).expect("a window");
    let text = "Ünï €5, \"quoted\"\\";
    let actions = [
        ("keys", r#"keys = "shift+h""#.to_owned()),
        ("type", format!("text = {}", serde_json::Value::from(text))),
        ("keys", r#"keys = "enter""#.to_owned()),
    ];
    let mut pair = Pair::typing(&server, "input", "system-control", &actions);
    pair.act_all("input", 0..1);
    // the first key makes a server change keyboards: the window is given the time to see it
    let told = window.until(Input::Key('H'.into()), DEADLINE).expect("a keystroke");
    assert_eq!(told, [SHIFT]);
    pair.act_all("input", 1..3);
    let typed = window.until_return(DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", pair.daemon.log_text()));
    assert_eq!(typed, text);
    pair.finish(&["keystroke", "text"], 3);
}

#[test]
fn the_mouse_of_a_plugin_moves_clicks_and_scrolls_and_without_the_grant_it_rests() {
    let server = Xvfb::start().expect("an X server");
    let mut window = TypedText::record(&server).expect("a window");
    let mouse = |what: i32, x: i32, y: i32| ("mouse", format!("what = {what}, x = {x}, y = {y}"));
    let actions = [
        // into the corner, wherever it was
        mouse(MOVE, -1000, -1000),
        mouse(MOVE, 30, 40),
        mouse(LEFT, 0, 0),
        mouse(RIGHT, 0, 0),
        mouse(SCROLL, 1, -2),
        mouse(MIDDLE, 0, 0),
    ];
    let mut pair = Pair::typing(&server, "input", "system-control", &actions);
    pair.act_all("input", 0..actions.len());
    let told =
        window.until(Input::Button(2), DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", pair.daemon.log_text()));
    let (up, down, right) = (Input::Button(4), Input::Button(5), Input::Button(7));
    assert!(!told.contains(&up), "{told:?}");
    let expected =
        [Input::Pointer(0, 0), Input::Pointer(30, 40), Input::Button(1), Input::Button(3), down, down, right];
    assert_eq!(told, expected);
    pair.finish(&["mouse"], 6);
}

#[test]
fn every_media_key_of_a_plugin_is_pressed_and_keys_are_another_grant() {
    /// Keysyms of X11's `XF86keysym.h`, in the order of `MIDIMON_SYSTEM_*`.
    const KEYSYMS: [u32; 9] = [0x13, 0x11, 0x12, 0x14, 0x15, 0x17, 0x16, 0x02, 0x03];
    let server = Xvfb::start().expect("an X server");
    let mut window = TypedText::record(&server).expect("a window");
    let actions: Vec<(&str, String)> = (1..=KEYSYMS.len()).map(|what| ("system", format!("what = {what}"))).collect();
    let with_return = [&actions[..], &[("keys", r#"keys = "enter""#.to_owned())]].concat();
    let mut pair = Pair::typing(&server, "system-control", "input", &with_return);
    pair.act_all("system-control", 0..actions.len());
    // each has what the other has not
    let keys = pair.act("granted", actions.len());
    assert!(keys.failed && keys.outcome.contains("'input' is not granted"), "{keys:?}");
    assert!(!pair.act("refused", actions.len()).failed);
    let told = window.until(RETURN, DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", pair.daemon.log_text()));
    assert_eq!(told, KEYSYMS.map(|low| Input::Key(0x1008_FF00 | low)));
    let (granted, refused) = (pair.daemon.worker("granted").requests, pair.daemon.worker("refused").requests);
    assert_eq!((granted.allowed, granted.refused, refused.allowed, refused.refused), (9, 1, 1, 9));
    for (id, what, allowed) in [("granted", "keystroke", false), ("refused", "keystroke", true)] {
        let uses = pair.uses(id, 10);
        let others = uses.iter().filter(|(used, done)| used == "system" && *done != allowed).count();
        assert!(others >= 1 && uses.contains(&(what.to_owned(), allowed)), "{id}: {uses:?}");
    }
    pair.daemon.stop();
}

#[test]
fn a_flood_of_notes_through_the_daemon_is_cut_to_its_rate() {
    const SENT: u64 = 2_000;
    let flood = format!("port = \"Synth\", count = {SENT}");
    let mut pair = Pair::start("midi:Synth", "input", &[("flood", flood)], &[]);
    let started = Instant::now();
    let granted = pair.act("granted", 0);
    let most = 200 + 1_000 * (started.elapsed().as_millis() as u64 + 1) / 1_000;
    let counts = pair.daemon.worker("granted").requests;
    assert_eq!(granted.outcome, format!("{} -103", counts.allowed));
    assert!((200..=most).contains(&counts.allowed) && counts.refused > 0, "{counts:?}, {most} at most");
    assert_eq!(counts.allowed + counts.refused, SENT);
    // without the grant not one of them; the last may be over the rate of requests of all kinds
    let refused = pair.act("refused", 0).outcome;
    assert!(["0 -101", "0 -103"].contains(&refused.as_str()), "{refused}");
    let counts = pair.daemon.worker("refused").requests;
    assert_eq!((counts.allowed, counts.refused), (0, SENT));
    pair.daemon.stop();
}

#[test]
fn a_notification_is_in_the_log_under_its_plugins_id_and_one_too_many_is_not() {
    let forged = r#"title = "midimon · granted: gone\n2026-01-01 ERROR", body = "\u001b[2Jwords""#;
    let actions = [
        ("notify", r#"title = "Battery low", body = "<b>3 %</b>""#.to_owned()),
        ("notify", forged.to_owned()),
        ("notify", format!("title = \"{}\", body = \"\"", "x".repeat(81))),
        ("flood", "count = 20".to_owned()),
    ];
    let mut pair = Pair::start("input", "system-control", &actions, &[]);
    let shown = |pair: &Pair| {
        pair.watch.next("a note", |event| match event {
            MonitorEvent::Note { text, .. } => Some(text),
            _ => None,
        })
    };
    assert!(!pair.act("granted", 0).failed);
    pair.logged("midimon · granted: Battery low: <b>3 %</b>", 1);
    pair.daemon.send(&midi::tap(3));
    let forged = shown(&pair);
    let expected = r"midimon · refused: midimon · granted: gone\u{a}2026-01-01 ERROR: \u{1b}[2Jwords";
    assert_eq!(forged, expected);
    let log = pair.logged(expected, 1);
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01 ERROR")) && !log.contains("\u{1b}[2J"), "{log}");
    let long = pair.act("granted", 2);
    assert!(long.failed && long.outcome.contains("81 bytes"), "{long:?}");
    // the burst is three, of which one is gone; then one a second
    let flood = pair.act("granted", 3);
    let shown = flood.outcome.strip_suffix(" -103").and_then(|count| count.parse().ok()).expect("what was shown");
    assert!((2..=3).contains(&shown), "{flood:?}");
    pair.logged("midimon · granted: title: body", shown);
    // what is too long got no further than its own worker
    let counts = pair.daemon.worker("granted").requests;
    assert_eq!((counts.allowed, counts.refused), (1 + shown as u64, 20 - shown as u64));
    let uses = pair.uses("granted", 21);
    for done in [true, false] {
        assert!(uses.contains(&("notify".to_owned(), done)), "{uses:?}");
    }
    pair.daemon.stop();
}
