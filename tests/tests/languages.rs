//! Plugins in JavaScript, Python and C as components, from what an author writes to what happens
//! when a pad is hit. `make test-langs` builds them and runs this.

use midimon::monitor::MonitorEvent;
use midimon_tests::watch::Answer;
use midimon_tests::xvfb::{TypedText, Xvfb};
use midimon_tests::{Bed, Config, DEADLINE, Daemon, Watch, midi};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What the plugins are played with: velocities at which the greeting is not loud, and is.
const SOFT: u8 = 30;
const HARD: u8 = 120;
/// X11's keysym for Return, which ends what a window writes down.
const RETURN: &str = "\n";

/// A plugin as it was built.
fn built(name: &str) -> PathBuf {
    let directory = std::env::var_os("MIDIMON_LANGS_DIR").expect("MIDIMON_LANGS_DIR: run make test-langs");
    let path = Path::new(&directory).join(name);
    assert!(path.join("plugin.toml").is_file(), "{} was not built: run make test-langs", path.display());
    path
}

/// Packs, signs and installs it with the commands its author and its user type; prints how long compiling took.
fn install(bed: &Bed, directory: &Path, flags: &[&str]) {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (package, key) = (text(&bed.path("plugin.mmp")), text(&bed.path("author")));
    bed.works(&["key", "generate", "--no-password", "--force", "-o", &key]);
    bed.works(&["plugin", "pack", &text(directory), "-o", &package]);
    bed.works(&["plugin", "sign", &package, "--key", &format!("{key}.key")]);
    let public = format!("{key}.pub");
    let started = Instant::now();
    let terms = ["plugin", "install", &package, "--key", &public, "--key-name", "Author", "--yes"];
    bed.works(&[&terms[..], flags].concat());
    let name = directory.file_name().expect("a name").to_string_lossy();
    println!("{name}: installed, that is compiled and tried, in {:.2?}", started.elapsed());
}

/// A plugin that takes calls.
struct Playing {
    id: &'static str,
    daemon: Daemon,
    watch: Watch,
}

impl Playing {
    fn start(bed: &Bed, id: &'static str, environment: &[(&str, &str)]) -> Self {
        let started = Instant::now();
        let daemon = bed.start_in(&["--input", "stdin"], environment);
        let worker = daemon.wait_ready(id);
        let memory = worker.memory_kib.unwrap_or(0);
        println!("{id}: ready {:.2?} after midimon was started, {memory} KiB of its own", started.elapsed());
        let watch = daemon.watch();
        Self { id, daemon, watch }
    }

    /// Hits a pad; the plugin's answer.
    fn hit(&mut self, note: u8, velocity: u8) -> Answer {
        self.daemon.send(&[0x90, note, velocity, 0x80, note, 0]);
        self.watch.answer(self.id)
    }

    /// As [`Self::hit`], where the plugin has to do as it is told.
    fn says(&mut self, note: u8, velocity: u8) -> String {
        let answer = self.hit(note, velocity);
        assert!(!answer.failed, "{answer:?}\n{}", self.daemon.log_text());
        answer.outcome
    }

    /// As [`Self::hit`], where the plugin has to refuse.
    fn fails(&mut self, note: u8) -> String {
        let answer = self.hit(note, HARD);
        assert!(answer.failed, "{answer:?}");
        answer.outcome
    }

    /// The next event that the plugin emits.
    fn event(&self) -> (String, String) {
        self.watch.next("an event", |event| match event {
            MonitorEvent::PluginEvent { plugin, name, value, .. } if plugin.as_str() == self.id => {
                Some((name.to_string(), value.to_string()))
            }
            _ => None,
        })
    }
}

/// A new plugin of a language is built as it was written, greets, and remembers.
fn greets(id: &'static str) {
    let bed = Bed::new();
    let odd = r#"Ünï "5 €" \\ 😀"#;
    let config = Config::new()
        .note_with(1, id, "greet", r#"params = { name = "Ada", more = { name = "in" } }"#)
        .note(2, id, "greet")
        .note_with(3, id, "greet", "params = { name = 5 }")
        .note_with(4, id, "greet", &format!("params = {{ name = '{odd}' }}"))
        .note(5, id, "wave");
    bed.configure(&config);
    install(&bed, &built(id), &[]);
    let mut playing = Playing::start(&bed, id, &[]);
    let pid = playing.daemon.worker(id).pid;
    assert_eq!(playing.says(1, HARD), "hello Ada!");
    assert_eq!(playing.says(2, SOFT), "hello you");
    let wrong = playing.fails(3);
    assert!(wrong.contains("'name': expected a text"), "{wrong}");
    assert_eq!(playing.says(4, SOFT), format!("hello {odd}"));
    let unknown = playing.fails(5);
    assert!(unknown.contains("there is no"), "{unknown}");
    // neither refusal cost the instance what it remembers
    assert_eq!(playing.says(1, SOFT), "hello Ada");
    let logged = format!("hello Ada (number {})", 4);
    let worker = playing
        .daemon
        .wait_worker(id, "its log", |worker| worker.log_tail.last().is_some_and(|line| line.contains(&logged)));
    assert_eq!(worker.pid, pid, "{worker:?}");
    println!("{id}: calls took {:?}", worker.latency);
    playing.daemon.stop();
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn a_new_plugin_in_javascript_greets_and_remembers() {
    greets("greet-js");
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn a_new_plugin_in_python_greets_and_remembers() {
    greets("greet-python");
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn a_new_component_in_c_greets_and_remembers() {
    greets("greet-c");
}

/// What docs/languages.md shows, built as it stands, types what it says and answers.
fn types_hello(directory: &str) {
    let server = Xvfb::start().expect("an X server");
    let environment = [("DISPLAY", server.display()), ("MIDIMON_KEYS", "x11")];
    let bed = Bed::new();
    let config = Config::new()
        .note_with(1, "hello", "greet", "params = { name = \"Ada\" }")
        .mapping("type = \"Note\", note = 2", "type = \"Text\", text = \"\\n\"");
    bed.configure(&config);
    install(&bed, &built(directory), &["--grant", "input"]);
    let mut window = TypedText::record(&server).expect("a window");
    let mut playing = Playing::start(&bed, "hello", &environment);
    assert_eq!(playing.says(1, HARD), format!("velocity {HARD}"));
    playing.daemon.send(&midi::tap(2));
    let found = window.until_return(DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", playing.daemon.log_text()));
    assert_eq!(found, "hello Ada");
    playing.daemon.stop();
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn the_guides_javascript_types_hello_and_answers() {
    types_hello("guide-js");
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn the_guides_python_types_hello_and_answers() {
    types_hello("guide-python");
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn snippets_types_texts_with_what_it_fills_in_and_none_without_the_grant() {
    let server = Xvfb::start().expect("an X server");
    let environment = [("DISPLAY", server.display()), ("MIDIMON_KEYS", "x11")];
    let bed = Bed::new();
    let text = |text: &str| format!("params = {{ text = {} }}", serde_json::Value::from(text));
    let config = Config::new()
        .note_with(1, "snippets", "type", &text("{count}. {name} hit at {velocity}, {{ok}"))
        .note_with(2, "snippets", "type", &text(&format!(" {{date}} {{time}}{RETURN}")))
        .note_with(3, "snippets", "type", &text("{nobody}"))
        .note(4, "snippets", "reset");
    bed.configure(&config);
    install(&bed, &built("js/snippets"), &["--grant", "input"]);
    bed.works(&["plugin", "config", "set", "snippets", "name", "Ada"]);
    let mut window = TypedText::record(&server).expect("a window");
    let mut playing = Playing::start(&bed, "snippets", &environment);
    playing.says(1, 70);
    playing.says(1, 71);
    playing.says(4, HARD);
    playing.says(1, 72);
    let unknown = playing.fails(3);
    assert!(unknown.contains("there is no {nobody}"), "{unknown}");
    playing.says(2, HARD);
    let typed = window.until_return(DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", playing.daemon.log_text()));
    let rest = typed.strip_prefix("1. Ada hit at 70, {ok}2. Ada hit at 71, {ok}1. Ada hit at 72, {ok} ");
    let shape = |character: char| if character.is_ascii_digit() { '0' } else { character };
    assert_eq!(rest.map(|rest| rest.chars().map(shape).collect()), Some("0000-00-00 00:00".to_owned()), "{typed:?}");
    playing.daemon.stop();

    bed.works(&["plugin", "revoke", "snippets", "input"]);
    let mut playing = Playing::start(&bed, "snippets", &environment);
    let refused = playing.fails(1);
    assert!(refused.contains("not-granted"), "{refused}");
    playing.daemon.stop();
}

#[test]
#[ignore = "make test-langs builds what it plays"]
fn pomodoro_goes_from_phase_to_phase_by_its_own_timer_and_stops_when_it_is_told() {
    let bed = Bed::new();
    let config = ["toggle", "skip", "stop", "status"]
        .iter()
        .zip(1..)
        .fold(Config::new(), |config, (action, note)| config.note(note, "pomodoro", action));
    bed.configure(&config);
    install(&bed, &built("python/pomodoro"), &[]);
    // 600 ms each
    for setting in ["work_minutes", "break_minutes"] {
        bed.works(&["plugin", "config", "set", "pomodoro", setting, "0.01"]);
    }
    let mut playing = Playing::start(&bed, "pomodoro", &[]);
    let phase = |name: &str| ("phase".to_owned(), name.to_owned());
    assert_eq!(playing.says(4, HARD), "idle");
    playing.daemon.send(&midi::tap(1));
    for name in ["work", "break", "work", "break"] {
        assert_eq!(playing.event(), phase(name));
    }
    playing.daemon.send(&midi::tap(3));
    while playing.event() != phase("idle") {}
    assert_eq!(playing.says(4, HARD), "idle");
    playing.daemon.stop();

    // paused, it stays where it is; what is left is left
    bed.works(&["plugin", "config", "set", "pomodoro", "work_minutes", "25"]);
    let mut playing = Playing::start(&bed, "pomodoro", &[]);
    assert!(playing.says(1, HARD).starts_with("work: 25:00 left"));
    let paused = playing.says(1, HARD);
    assert!(paused.starts_with("work, paused: 2"), "{paused}");
    assert_eq!(playing.says(4, HARD), paused);
    assert!(playing.says(2, HARD).starts_with("break: 0:01 left, 1 done"));
    playing.daemon.stop();

    let refused = bed.refused(&["plugin", "config", "set", "pomodoro", "rounds", "many"]);
    assert!(refused.contains("rounds"), "{refused}");
}
