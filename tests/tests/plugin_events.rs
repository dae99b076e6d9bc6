//! What plugins emit, light, choose and are called by later, from end to end.

use midimon::audit::{AuditEvent, Entry};
use midimon::control::model::Status;
use midimon::monitor::MonitorEvent;
use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::binaries::Binaries;
use midimon_tests::watch::Answer;
use midimon_tests::{Bed, Daemon, Watch, eventually, midi};
use std::fmt::Write;
use std::time::Instant;

/// What each test adds to: a device with lights, two modes, the plugin `echo`.
const COMMON: &str = r#"
[[devices]]
alias = "lamps"
match = { name = "Lamps" }

[[devices]]
alias = "every"
match = { name = "Nothing has this name" }

[[modes]]
name = "Default"

[[modes]]
name = "Live"
mappings = [{ trigger = { type = "Note", note = 100 }, action = { type = "Plugin", plugin = "echo", action = "live" } }]
"#;

struct Stage {
    bed: Bed,
    daemon: Daemon,
    watch: Watch,
}

impl Stage {
    /// Plugins of the fixture's code with the grants each has, and mappings as trigger and action.
    fn start(plugins: &[(&str, &[&str])], mappings: &[(&str, &str)], environment: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        bed.install("echo");
        let code = std::fs::read(Binaries::get().plugin("events").join("events.so")).expect("the fixture's code");
        let asks = "[[capabilities]]\ncapability = \"midi\"\ntargets = [\"Lamps\"]\nreason = \"a test\"\n\
            [[capabilities]]\ncapability = \"mode\"\nreason = \"a test\"\n\
            [[capabilities]]\ncapability = \"filesystem\"\nreason = \"a test\"\n";
        for (id, _) in plugins {
            bed.write_plugin(id, "events.so", &code, asks);
        }
        Self::configure(&bed, plugins, mappings);
        let daemon = bed.start_in(&["--input", "stdin"], environment);
        daemon.wait_ready("echo");
        for (id, _) in plugins {
            // its answer to that would else be taken for another's
            daemon.wait_worker(id, "woken by the timer of its start", |worker| worker.calls.done == 1);
        }
        let watch = daemon.watch();
        Self { bed, daemon, watch }
    }

    fn configure(bed: &Bed, plugins: &[(&str, &[&str])], mappings: &[(&str, &str)]) {
        let mut text = format!("schema = 1\n[plugins]\ndir = {:?}\n{COMMON}", bed.plugin_dir());
        for (id, grants) in plugins {
            writeln!(text, "[plugins.{id}]\ngrants = {grants:?}").unwrap();
        }
        for (trigger, action) in mappings {
            writeln!(text, "[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}").unwrap();
        }
        bed.configure_text(&text);
    }

    fn tap(&mut self, note: u8) {
        self.daemon.send(&midi::tap(note));
    }

    /// Plays a note and waits for a plugin's answer.
    fn ask(&mut self, note: u8, plugin: &str) -> Answer {
        self.tap(note);
        self.watch.answer(plugin)
    }

    /// The requests of one kind in a plugin's audit log, once there are so many: with whom, and whether done.
    fn uses(&self, plugin: &str, kind: &str, count: u64) -> Vec<(String, bool)> {
        eventually("its requests are recorded", || {
            let output = self.bed.run(&["audit", plugin, "--json", "-n", "1000"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let entries = text.lines().map(|line| serde_json::from_str::<Entry>(line).expect("a line of the log"));
            let uses = entries.filter_map(|entry| match entry.event {
                AuditEvent::Use { what, target, allowed, .. } if what == kind => Some((entry.times, (target, allowed))),
                _ => None,
            });
            let (times, uses): (Vec<u64>, Vec<_>) = uses.unzip();
            if times.iter().sum::<u64>() == count { Ok(uses) } else { Err(text) }
        })
    }
}

fn note(note: u8) -> String {
    format!("type = \"Note\", note = {note}")
}

fn act(plugin: &str, action: &str, params: &str) -> String {
    format!("type = \"Plugin\", plugin = \"{plugin}\", action = \"{action}\", params = {{ {params} }}")
}

fn event(name: &str, more: &str) -> String {
    format!("type = \"Plugin\", plugin = \"events\", event = \"{name}\"{more}")
}

fn borrowed(mappings: &[(String, String)]) -> Vec<(&str, &str)> {
    mappings.iter().map(|(trigger, action)| (trigger.as_str(), action.as_str())).collect()
}

/// Looks that it was refused, and why.
fn refused(answer: &Answer, words: &str) {
    assert!(answer.failed && answer.outcome.contains(words), "{answer:?} without {words:?}");
}

fn well(answer: &Answer) -> &str {
    assert!(!answer.failed, "{answer:?}");
    &answer.outcome
}

#[test]
fn an_event_fires_the_mapping_that_names_its_value_then_the_one_that_names_none() {
    let send =
        r#"type = "SendMidi", port = "Synth", message_type = "CC", channel = 1, controller = 7, value = "$value""#;
    let mappings = [
        (note(0), act("events", "emit", r#"event = "scene", value = "Live""#)),
        (note(1), act("events", "emit", r#"event = "scene", value = "Break""#)),
        (note(2), act("events", "emit", r#"event = "volume", value = "99""#)),
        (note(3), act("events", "emit", r#"event = "unheard", value = "x""#)),
        (note(4), act("events", "emit", r#"event = "bad\nname", value = """#)),
        (event("scene", r#", value = "Live""#), act("echo", "named", "")),
        (event("scene", ""), act("echo", "any", "")),
        (
            event("volume", ""),
            format!("type = \"Sequence\", actions = [{{ {send} }}, {{ {} }}]", act("echo", "loud", "")),
        ),
        // another plugin of that name would be another event
        (r#"type = "Plugin", plugin = "echo", event = "scene""#.to_owned(), act("echo", "wrong", "")),
    ];
    let mut stage = Stage::start(&[("events", &[])], &borrowed(&mappings), &[]);
    stage.tap(0);
    let seen = stage.watch.next("the event", |event| match event {
        MonitorEvent::PluginEvent { plugin, name, value, .. } => Some(format!("{plugin} {name} {value}")),
        _ => None,
    });
    assert_eq!(seen, "events scene Live");
    assert_eq!(well(&stage.watch.answer("echo")), "named {}");
    assert_eq!(well(&stage.ask(1, "echo")), "any {}");
    assert_eq!(well(&stage.ask(2, "echo")), "loud {}, velocity 99", "a number is the trigger's value");
    // with a port it is sent, without one it fails: the machine's business
    let tried = |status: &Status| status.engine.effects + status.engine.effects_failed == 1;
    assert_eq!(stage.daemon.wait_status("the message reaches its output", tried).outputs[0].name, "Synth");
    // its own answers and echo's come in any order: what is waited for is named
    stage.tap(3);
    stage.watch.next("the event nobody waits for", |event| {
        matches!(event, MonitorEvent::PluginEvent { name, .. } if &*name == "unheard").then_some(())
    });
    stage.tap(4);
    let failure = stage.watch.next("a refusal", |event| match event {
        MonitorEvent::Answer { plugin, outcome, failed: true, .. } if plugin.as_str() == "events" => Some(outcome),
        _ => None,
    });
    assert!(failure.contains("control characters"), "{failure}");
    let counts = stage.daemon.worker("events").services;
    assert_eq!((counts.events, counts.events_refused), (4, 1));
    let uses = stage.uses("events", "emit", 5);
    assert!(uses.contains(&("scene".to_owned(), true)) && uses.iter().filter(|(_, allowed)| !allowed).count() == 1);
    stage.daemon.stop();
}

#[test]
fn a_plugin_whose_event_calls_itself_is_held_to_its_rate_and_holds_up_nobody() {
    // each event has two more emitted: without a limit as many as the machine can carry
    let twice = format!(
        "type = \"Sequence\", actions = [{{ {again} }}, {{ {again} }}]",
        again = act("events", "emit", r#"event = "again""#)
    );
    let first = (note(0), act("events", "emit", r#"event = "again""#));
    let echo = (note(5), act("echo", "quiet", ""));
    let mappings = [first.clone(), echo.clone(), (event("again", ""), twice)];
    let plugins: [(&str, &[&str]); 1] = [("events", &[])];
    let mut stage = Stage::start(&plugins, &borrowed(&mappings), &[]);
    let started = Instant::now();
    stage.tap(0);
    let counts = stage.daemon.wait_worker("events", "its loop is cut", |worker| worker.services.events_refused >= 10);
    let most = 100 + 100 * (started.elapsed().as_secs() + 1);
    assert!((100..=most).contains(&counts.services.events), "{most}: {counts:#?}");
    assert!(counts.calls.dropped.queue_full > 0, "what it cannot take is dropped and counted: {counts:#?}");
    for _ in 0..50 {
        stage.tap(5);
        let answer = stage.watch.answer("echo");
        well(&answer);
    }
    let echo_counts = stage.daemon.wait_worker("echo", "all answered", |worker| worker.calls.done == 50);
    assert_eq!(echo_counts.calls.dropped.total(), 0);
    // without the mapping the loop is over
    Stage::configure(&stage.bed, &plugins, &borrowed(&[first, echo]));
    assert!(stage.bed.run(&["reload"]).status.success());
    stage.daemon.wait_worker("events", "idle", |worker| worker.calls.in_flight == 0);
    stage.daemon.stop();
}

#[test]
fn a_mode_is_chosen_with_the_grant_alone_and_counts_for_every_pad() {
    let choose = |plugin, name: &str| act(plugin, "mode", &format!("name = \"{name}\""));
    let mappings = [
        (note(0), choose("granted", "Live")),
        (note(1), choose("refused", "Live")),
        (note(2), choose("granted", "Lively")),
    ];
    let plugins: [(&str, &[&str]); 2] = [("granted", &["mode"]), ("refused", &["midi:Lamps"])];
    let mut stage = Stage::start(&plugins, &borrowed(&mappings), &[]);
    refused(&stage.ask(1, "refused"), "'mode' is not granted");
    refused(&stage.ask(2, "granted"), "no mode 'Lively'; there are: Default, Live");
    assert_eq!(stage.daemon.status().mode.as_deref(), Some("Default"));
    well(&stage.ask(0, "granted"));
    assert_eq!(stage.daemon.status().mode.as_deref(), Some("Live"));
    assert_eq!(well(&stage.ask(100, "echo")), "live {}, note 100, velocity 100");
    assert_eq!(stage.daemon.worker("granted").services.modes, 1);
    assert_eq!(stage.uses("refused", "set-mode", 1), [("Live".to_owned(), false)]);
    assert!(stage.uses("granted", "set-mode", 2).contains(&("Live".to_owned(), true)));
    stage.daemon.stop();
}

#[test]
fn lights_need_the_devices_output_granted_and_the_latest_value_of_each_wins() {
    let light = |plugin, device: &str, more: &str| {
        act(plugin, "light", &format!("device = \"{device}\", channel = 1, number = 36, value = 5{more}"))
    };
    let mappings = [
        (note(0), light("granted", "lamps", "")),
        (note(1), light("refused", "lamps", "")),
        (note(2), light("granted", "nobody", "")),
        (note(3), light("granted", "every", "")),
        (note(4), act("granted", "light", "device = \"lamps\", channel = 0, number = 36, value = 5")),
        // 31 lights, each set 11 times
        (note(5), light("granted", "lamps", ", count = 30, times = 10")),
    ];
    let plugins: [(&str, &[&str]); 2] = [("granted", &["midi:Lamps"]), ("refused", &["mode"])];
    let mut stage = Stage::start(&plugins, &borrowed(&mappings), &[]);
    refused(&stage.ask(1, "refused"), "'midi:Lamps' is not granted");
    refused(&stage.ask(2, "granted"), "no device 'nobody'; there are: lamps, every");
    refused(&stage.ask(3, "granted"), "'midi:Nothing has this name' is not granted");
    refused(&stage.ask(4, "granted"), "there is no channel 0");
    assert!(stage.daemon.status().outputs.is_empty(), "nothing was sent");
    well(&stage.ask(0, "granted"));
    assert_eq!(stage.daemon.status().outputs[0].name, "Lamps");
    well(&stage.ask(5, "granted"));
    let all = |worker: &WorkerStatus| worker.services.lights + worker.services.lights_replaced == 1 + 31 * 11;
    let counts = stage.daemon.wait_worker("granted", "every light has its last value", all).services;
    assert!(counts.lights_replaced > 0, "{counts:?}");
    assert_eq!(stage.daemon.worker("refused").services.lights, 0);
    stage.daemon.stop();
}

#[test]
fn timers_call_their_plugin_until_they_are_cancelled_and_end_with_its_process() {
    let timer = |how: &str, id: u8, then: &str, with: &str| {
        act("events", how, &format!("id = {id}, ms = 10, then = \"{then}\", with = '{with}'"))
    };
    let mappings = [
        (note(0), timer("every", 1, "why", r#"{"text":"tick"}"#)),
        (note(1), act("events", "cancel", "id = 1")),
        (note(2), timer("every", 2, "nap", r#"{"ms":100}"#)),
        (note(3), timer("after", 3, "why", r#"{"text":"once"}"#)),
        (note(4), act("events", "crash", "")),
        (note(5), act("events", "why", r#"text = "a pad""#)),
        (note(6), act("events", "after", "id = 6, ms = 9, then = \"why\"")),
        (note(7), act("events", "after", "id = 7, ms = 10, then = \"why\", with = \"[]\"")),
    ];
    let mut stage = Stage::start(&[("events", &[])], &borrowed(&mappings), &[]);
    assert_eq!(stage.daemon.worker("events").services.timer_calls, 1, "set before it was ready, it waited for that");
    assert_eq!(well(&stage.ask(5, "events")), "trigger 1 a pad");
    refused(&stage.ask(6, "events"), "a timer of 9 ms");
    refused(&stage.ask(7, "events"), "no JSON object");

    assert_eq!(well(&stage.ask(0, "events")), "ok");
    for _ in 0..3 {
        assert_eq!(well(&stage.watch.answer("events")), "trigger 8 tick");
    }
    stage.tap(1);
    stage.daemon.wait_worker("events", "no timer is left", |worker| worker.services.timers == 0);
    // what was cancelled before it was counted comes no more
    let calls = stage.daemon.wait_worker("events", "idle", |worker| worker.calls.in_flight == 0).services.timer_calls;
    assert_eq!(stage.daemon.worker("events").services.timer_calls, calls);

    // each nap is ten intervals long
    stage.tap(2);
    stage.daemon.wait_worker("events", "calls are left out", |worker| worker.services.timer_calls_left_out >= 10);
    // a call that is to come once finds its turn all the same
    stage.tap(3);
    let once = stage.watch.next("the call that comes once", |event| match event {
        MonitorEvent::Answer { outcome, .. } if outcome.contains("once") => Some(outcome),
        _ => None,
    });
    assert_eq!(once, "trigger 8 once");

    let before = stage.daemon.worker("events");
    stage.tap(4);
    let again = |worker: &WorkerStatus| worker.state == WorkerState::Ready && worker.pid != before.pid;
    stage.daemon.wait_worker("events", "replaced", again);
    let after = stage.daemon.wait_worker("events", "started again", |worker| worker.services.timers == 0);
    assert!(after.services.timer_calls > before.services.timer_calls, "what was counted stays: {after:#?}");
    let settled = stage.daemon.worker("events").services.timer_calls;
    well(&stage.ask(5, "events"));
    assert_eq!(stage.daemon.worker("events").services.timer_calls, settled, "the naps ended with their process");
    stage.daemon.stop();
}

#[test]
fn a_timers_call_is_shown_to_those_who_watch_only_where_it_has_something_to_say() {
    let every = |id: u8, then: &str, ms: u8| {
        act("events", "every", &format!("id = {id}, ms = {ms}, then = \"{then}\", with = '{{\"text\":\"x\"}}'"))
    };
    let mappings = [(note(0), every(1, "nap", 10)), (note(1), every(2, "why", 100))];
    let mut stage = Stage::start(&[("events", &[])], &borrowed(&mappings), &[]);
    well(&stage.ask(0, "events"));
    stage.daemon.wait_worker("events", "some calls of its timer", |worker| worker.services.timer_calls > 3);
    well(&stage.ask(1, "events"));
    let is_nap = stage.watch.next("what the other timer has to say", |event| match event {
        MonitorEvent::Answer { action, .. } if ["nap", "why"].contains(&&*action) => Some(&*action == "nap"),
        _ => None,
    });
    assert!(!is_nap, "the one without words is shown");
    stage.daemon.stop();
}

#[test]
fn a_plugin_learns_how_full_its_folder_is_and_has_none_without_the_grant() {
    let mappings = [
        (note(0), act("granted", "keep", "bytes = 1000")),
        (note(1), act("granted", "usage", "")),
        (note(2), act("refused", "usage", "")),
    ];
    let plugins: [(&str, &[&str]); 2] = [("granted", &["filesystem"]), ("refused", &["mode"])];
    let mut stage = Stage::start(&plugins, &borrowed(&mappings), &[]);
    assert_eq!(well(&stage.ask(1, "granted")), "0 of 67108864 bytes, 0 of 4096 files");
    well(&stage.ask(0, "granted"));
    assert_eq!(well(&stage.ask(1, "granted")), "1000 of 67108864 bytes, 1 of 4096 files");
    assert_eq!(well(&stage.ask(2, "refused")), "0 of 0 bytes, 0 of 0 files");
    stage.daemon.stop();
}

#[test]
fn every_plugin_gets_the_systems_certificates_or_mozillas_where_it_has_none() {
    let files = tempfile::tempdir().expect("a directory");
    let two = files.path().join("two.pem");
    let one = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let other = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    std::fs::write(&two, [one, other].concat()).expect("a file of certificates");
    let none = files.path().join("none.pem");
    std::fs::write(&none, "").expect("an empty file");
    let empty = files.path().join("empty");
    std::fs::create_dir(&empty).expect("an empty directory");
    let mappings = [(note(0), act("events", "roots", "")), (note(1), act("second", "roots", ""))];
    let start = |file: &std::path::Path| {
        let plugins: [(&str, &[&str]); 2] = [("events", &[]), ("second", &[])];
        let (file, empty) = (file.to_str().expect("a path in UTF-8"), empty.to_str().expect("a path in UTF-8"));
        // the two ways to say where a system has them
        let environment = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", empty)];
        Stage::start(&plugins, &borrowed(&mappings), &environment)
    };
    let mut stage = start(&two);
    for (note, plugin) in [(0, "events"), (1, "second")] {
        assert_eq!(well(&stage.ask(note, plugin)), "2 certificates, 15 bytes", "each reads from the beginning");
    }
    stage.daemon.stop();
    let mut stage = start(&none);
    let answer = stage.ask(0, "events");
    let count: u32 = well(&answer).split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    assert!(count > 50, "{answer:?}");
    stage.daemon.stop();
}
