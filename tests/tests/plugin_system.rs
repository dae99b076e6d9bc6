//! The plugin `system` as a component in its sandbox, with the programs of a desktop as scripts that write down how
//! they were called.

use midimon::plugins::Manifest;
use midimon_tests::binaries::Binaries;
use midimon_tests::mounts::where_programs_are_its_own;
use midimon_tests::watch::Answer;
use midimon_tests::{Bed, Config, Daemon, Watch, eventually, midi};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every program that the plugin can run.
const ALL: [&str; 23] = [
    "wpctl",
    "pactl",
    "amixer",
    "brightnessctl",
    "light",
    "playerctl",
    "notify-send",
    "loginctl",
    "xdg-screensaver",
    "grim",
    "gnome-screenshot",
    "spectacle",
    "scrot",
    "copyq",
    "qdbus6",
    "qdbus",
    "gpaste-client",
    "wl-paste",
    "xclip",
    "xsel",
    "wl-copy",
    "dbus-send",
    "ydotool",
];
/// How long it takes until as many programs as at once can be run again: 10, five a second.
const REFILL: Duration = Duration::from_secs(2);
/// Taps that too many programs may be the answer to: the second has room, unless the machine is slow.
const TAPS: u32 = 10;
/// What is in the clipboard.
const CLIPPED: &str = "from the clipboard";

/// A daemon with the plugin, and what its programs wrote down.
struct Desk {
    bed: Bed,
    daemon: Daemon,
    watch: Watch,
    record: PathBuf,
}

impl Desk {
    /// With these actions, on notes from 0, and these programs: the name, and what the script does in the end.
    fn start(place: &Path, granted: bool, actions: &[(&str, &str)], programs: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        let dir = bed.install("system");
        let record = bed.path("record");
        for name in ALL {
            let _ = fs::remove_file(place.join(name)); // of the desk before
        }
        for (name, end) in programs {
            // one line a call, its arguments apart by a character that is in none
            let script = format!(
                "#!/bin/sh\n{{ printf %s {name}; for one; do printf '|%s' \"$one\"; done; echo; }} >>'{}'\n{end}\n",
                record.display()
            );
            fs::write(place.join(name), script).expect("a program written");
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).expect("a program");
        }
        let asked = Manifest::read(&dir).expect("its manifest").capabilities;
        let grants: Vec<String> =
            asked.iter().filter(|_| granted).map(|request| request.capability.to_string()).collect();
        let mut config = Config::new().plugin("system", &format!("grants = {grants:?}"));
        for (note, (action, params)) in (0..).zip(actions) {
            config = config.note_with(note, "system", action, &format!("params = {{ {params} }}"));
        }
        bed.configure(&config);
        bed.works(&["plugin", "config", "set", "system", "screenshots", "/pictures/"]);
        let daemon = bed.start();
        daemon.wait_ready("system");
        let watch = daemon.watch();
        Self { bed, daemon, watch, record }
    }

    /// Taps a pad; what the plugin answers. Where it says that too many programs were run, it is tapped again when
    /// there is room for some.
    fn tap(&mut self, note: u8) -> Answer {
        for _ in 0..TAPS {
            self.daemon.send(&midi::tap(note));
            let answer = self.watch.answer("system");
            if !(answer.failed && answer.outcome.contains("too many programs")) {
                return answer;
            }
            std::thread::sleep(REFILL);
        }
        panic!("note {note}: {TAPS} times too many programs\n{}", self.daemon.log_text());
    }

    fn record(&self) -> String {
        fs::read_to_string(&self.record).unwrap_or_default()
    }

    /// Taps a pad and looks for how the program was called.
    #[track_caller]
    fn runs(&mut self, note: u8, call: &str) -> Answer {
        let _ = fs::remove_file(&self.record); // there is none before the first
        let answer = self.tap(note);
        assert!(!answer.failed, "{call}: {answer:?}");
        eventually(call, || {
            let record = self.record();
            let is_it = |line: &str| match call.strip_suffix('…') {
                Some(start) => line.starts_with(start),
                None => line == call,
            };
            let lines: Vec<&str> = record.lines().collect();
            if matches!(lines[..], [line] if is_it(line)) { Ok(()) } else { Err(record.clone()) }
        });
        answer
    }
}

/// Every action, and what runs where every program is there, and where the best one is missing. What a fader sets comes
/// first, while there is room for programs: later it would be done when there is some, and not be refused.
const ACTIONS: [(&str, &str, &str, &str); 17] = [
    // as loud as the pad was struck: the taps have 100 of 127
    ("volume", "", "wpctl|set-volume|--limit|1.0|@DEFAULT_AUDIO_SINK@|79%", "pactl|set-sink-volume|@DEFAULT_SINK@|79%"),
    ("brightness", "percent = 0", "brightnessctl|--quiet|--min-value=1|set|1%", "light|-S|1"),
    (
        "volume",
        "by = 5",
        "wpctl|set-volume|--limit|1.0|@DEFAULT_AUDIO_SINK@|5%+",
        "pactl|set-sink-volume|@DEFAULT_SINK@|+5%",
    ),
    (
        "volume",
        "by = -5, of = \"microphone\"",
        "wpctl|set-volume|--limit|1.0|@DEFAULT_AUDIO_SOURCE@|5%-",
        "pactl|set-source-volume|@DEFAULT_SOURCE@|-5%",
    ),
    ("mute", "", "wpctl|set-mute|@DEFAULT_AUDIO_SINK@|toggle", "pactl|set-sink-mute|@DEFAULT_SINK@|toggle"),
    (
        "mute",
        "of = \"microphone\", state = \"on\"",
        "wpctl|set-mute|@DEFAULT_AUDIO_SOURCE@|1",
        "pactl|set-source-mute|@DEFAULT_SOURCE@|1",
    ),
    ("play_pause", "", "playerctl|play-pause", ""),
    ("play", "", "playerctl|play", ""),
    ("pause", "", "playerctl|pause", ""),
    ("stop", "", "playerctl|stop", ""),
    ("next", "", "playerctl|next", ""),
    ("previous", "player = \"mpd\"", "playerctl|--player=mpd|previous", ""),
    (
        "notify",
        "title = \"--help\", body = \"pad {note} $(id) `id`\", urgency = \"critical\"",
        "notify-send|--app-name=midimon|--urgency|critical|--|--help|pad 12 $(id) `id`",
        "",
    ),
    ("lock", "", "loginctl|lock-session", "xdg-screensaver|lock"),
    ("screenshot", "", "grim|/pictures/midimon-…", "gnome-screenshot|--file|/pictures/midimon-…"),
    (
        "copy",
        "text = \"a b; $(id)\"",
        "copyq|copy|--|a b; $(id)",
        "qdbus6|org.kde.klipper|/klipper|setClipboardContents|a b; $(id)",
    ),
    ("paste", "", "wl-paste|--no-newline", "xclip|-selection|clipboard|-out"),
];

/// The best program of actions, and what it says to install where there is none of its programs.
const INSTALL: [(&str, &str); 7] = [
    ("wpctl", "wireplumber (wpctl)"),
    ("brightnessctl", "brightnessctl or light"),
    ("playerctl", "playerctl"),
    ("loginctl", "xdg-utils"),
    ("grim", "grim (Wayland)"),
    ("copyq", "copyq"),
    ("wl-paste", "wl-clipboard"),
];

/// The program of a call.
fn program_of(call: &str) -> &str {
    call.split('|').next().unwrap_or(call)
}

fn actions() -> Vec<(&'static str, &'static str)> {
    ACTIONS.iter().map(|(action, params, ..)| (*action, *params)).collect()
}

/// Every program, as one that does its work.
fn working() -> Vec<(&'static str, &'static str)> {
    let end = |name: &str| match name {
        "wl-paste" | "xclip" | "xsel" => "printf 'from the clipboard'",
        _ => "exit 0",
    };
    ALL.into_iter().map(|name| (name, end(name))).collect()
}

#[test]
fn each_action_runs_the_best_program_with_its_arguments_untouched() {
    let test = "each_action_runs_the_best_program_with_its_arguments_untouched";
    where_programs_are_its_own(test, &ALL, |place| {
        let mut desk = Desk::start(place, true, &actions(), &working());
        for (note, (action, _, call, _)) in (0..).zip(ACTIONS) {
            let answer = desk.runs(note, call);
            match action {
                "paste" => assert_eq!(answer.outcome, CLIPPED),
                "screenshot" => assert!(answer.outcome.starts_with("/pictures/midimon-"), "{answer:?}"),
                _ => {}
            }
        }
        assert_eq!(desk.daemon.worker("system").restarts, 0);
        desk.daemon.stop();
    });
}

#[test]
fn where_the_best_program_is_missing_the_next_one_is_run() {
    let test = "where_the_best_program_is_missing_the_next_one_is_run";
    where_programs_are_its_own(test, &ALL, |place| {
        let is_first =
            |name: &str| ACTIONS.iter().any(|(_, _, best, second)| !second.is_empty() && program_of(best) == name);
        let programs: Vec<_> = working().into_iter().filter(|(name, _)| !is_first(name)).collect();
        let mut desk = Desk::start(place, true, &actions(), &programs);
        for (note, (_, _, first, second)) in (0..).zip(ACTIONS) {
            desk.runs(note, if second.is_empty() { first } else { second });
        }
        desk.daemon.stop();
    });
}

#[test]
fn without_any_program_the_packages_are_named_and_a_complaint_is_passed_on() {
    let test = "without_any_program_the_packages_are_named_and_a_complaint_is_passed_on";
    where_programs_are_its_own(test, &ALL, |place| {
        let mut desk = Desk::start(place, true, &actions(), &[]);
        for (note, (_, _, best, _)) in (0..).zip(ACTIONS) {
            let answer = desk.tap(note);
            match INSTALL.iter().find(|(program, _)| *program == program_of(best)) {
                Some((_, packages)) => {
                    let is_told = answer.outcome.contains("Install ") && answer.outcome.contains(packages);
                    assert!(answer.failed && is_told, "{best}: {answer:?}");
                }
                // midimon shows a notification itself
                None => assert_eq!((program_of(best), answer.outcome.as_str()), ("notify-send", "shown by midimon")),
            }
        }
        desk.daemon.stop();

        let complaint = "echo 'no such sink' >&2; exit 3";
        let mut desk = Desk::start(place, true, &[("volume", "by = 5")], &[("amixer", complaint)]);
        let answer = desk.tap(0);
        assert!(answer.failed && answer.outcome.contains("amixer ended with 3: no such sink"), "{answer:?}");
        desk.daemon.stop();
    });
}

#[test]
fn a_program_that_is_not_granted_is_refused_named_and_audited() {
    let test = "a_program_that_is_not_granted_is_refused_named_and_audited";
    where_programs_are_its_own(test, &ALL, |place| {
        let mut desk = Desk::start(place, false, &[("next", "")], &working());
        let answer = desk.tap(0);
        assert!(
            answer.failed && answer.outcome.contains("midimon plugin grant system subprocess:playerctl"),
            "{answer:?}"
        );
        assert_eq!(desk.record(), "", "nothing ran");
        desk.daemon.stop();
        let refused = |entry: &serde_json::Value| {
            entry["what"] == "run" && entry["target"] == "playerctl" && entry["allowed"] == false
        };
        let audit = desk.bed.audit("system");
        assert_eq!(audit.iter().filter(|entry| refused(entry)).count(), 1, "{audit:#?}");
        // the control: with the grant the same pad runs it, which is audited too
        let mut desk = Desk::start(place, true, &[("next", "")], &working());
        desk.runs(0, "playerctl|next");
        desk.daemon.stop();
        let audit = desk.bed.audit("system");
        let ran = |entry: &&serde_json::Value| entry["target"] == "playerctl" && entry["allowed"] == true;
        assert_eq!(audit.iter().find(ran).expect("it is recorded")["arguments"], serde_json::json!(["next"]));
    });
}

#[test]
fn every_program_of_the_manifest_is_among_those_hidden_here() {
    let manifest = Manifest::read(&Binaries::get().plugin("system")).expect("its manifest");
    for request in manifest.capabilities {
        let target = request.capability.target.unwrap_or_default();
        assert!(ALL.contains(&target.as_str()), "{target}");
    }
}
