//! What is typed where nobody may see it: the terminal shows nothing from the first letter of the
//! prompt on, and everything again however the question ends.

use midimon::plugins::minisign::{Password, SecretKey};
use midimon_tests::terminal::behind;
use midimon_tests::{Bed, Config, Publisher, Session, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SpecialCharacterIndices};
use nix::unistd::Pid;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

const NEW: &str = "Password for the new key: ";
/// Half of a password.
const HALF: &str = "correct ho";

fn generate(bed: &Bed) -> Command {
    bed.command(&["key", "generate", "-o", &bed.path("ours").to_string_lossy()])
}

/// `key generate` at its first prompt, in a shell.
fn asked(bed: &Bed) -> Session {
    let mut session = Terminal::new(80, 24).run_in_shell(&generate(bed));
    session.wait_for(NEW);
    session
}

fn has_key(bed: &Bed) -> bool {
    bed.path("ours.key").exists() || bed.path("ours.pub").exists()
}

/// A plugin with settings, installed and not running.
fn installed() -> Bed {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new());
    let setting = "[[settings]]\nname = \"address\"\ntype = \"string\"\n";
    publisher.install(&bed, &publisher.package("given", "0.1.0", setting), &[]);
    bed
}

/// Asks for the setting of [`installed`].
fn set(bed: &Bed) -> Command {
    bed.command(&["plugin", "config", "set", "given", "address"])
}

fn address(bed: &Bed) -> String {
    bed.works(&["plugin", "config", "get", "given", "address"]).trim().to_owned()
}

#[test]
fn the_prompt_comes_when_typing_is_not_shown_any_more() {
    let bed = Bed::new();
    let mut session = asked(&bed);
    for _ in 0..2 {
        assert!(!session.shows_typing());
        session.enter("pass word").wait_for("The same again: ");
        assert!(!session.shows_typing());
        session.enter("pass ward").wait_for("the two differ").wait_for(NEW);
    }
    session.press("\x03").wait_for("ended 130\n").enter("").wait_for("left []\n").enter("");
    let (_, seen) = session.end();
    assert!(!seen.contains("pass w"), "{seen}");
}

#[test]
fn a_line_is_edited_and_keys_send_signals_as_ever_but_nothing_stops_it_half_way() {
    let bed = Bed::new();
    let modes = asked(&bed).modes();
    assert!(modes.local_flags.contains(LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::ECHONL));
    let suspend = modes.control_chars[SpecialCharacterIndices::VSUSP as usize];
    assert_eq!(suspend, 0, "Ctrl-Z would leave the rest of the line to a shell, which shows it");
}

#[test]
fn whatever_signal_ends_it_leaves_the_terminal_as_it_was() {
    let ending = [
        (Signal::SIGINT, Some("\x03")),
        (Signal::SIGQUIT, Some("\x1c")),
        (Signal::SIGINT, None),
        (Signal::SIGQUIT, None),
        (Signal::SIGTERM, None),
        (Signal::SIGHUP, None),
    ];
    for (signal, key) in ending {
        let bed = Bed::new();
        let terminal = Terminal::new(80, 24);
        let before = terminal.modes();
        let mut session = terminal.run_in_shell(&generate(&bed));
        session.wait_for(NEW).press(HALF);
        assert_ne!(session.modes(), before);
        match key {
            Some(key) => {
                session.press(key);
            }
            // the shell and what it runs
            None => kill(Pid::from_raw(-session.pid()), signal).expect("its parent may"),
        }
        session.wait_for(&format!("ended {}", 128 + signal as i32));
        assert_eq!(session.modes(), before, "{signal} {key:?}");
        // half a password is nobody's
        session.enter("").wait_for("left []\n").enter("");
        let (_, seen) = session.end();
        assert!(seen.contains(&format!("{NEW}\n")) && !seen.contains(HALF), "{signal} {key:?}: {seen:?}");
        assert!(!has_key(&bed));
    }
}

#[test]
fn the_end_of_the_input_is_no_password() {
    let bed = Bed::new();
    for keys in ["\x04", "half\x04\x04"] {
        let mut session = asked(&bed);
        session.press(keys).wait_for("ended 1\n");
        assert!(session.shows_typing());
        session.enter("").enter("");
        let (_, seen) = session.end();
        assert!(seen.contains("no password was given: the input ended before the line did"), "{seen}");
        assert!(!has_key(&bed) && !seen.contains("half"), "{seen}");
    }
}

#[test]
fn what_was_typed_before_the_prompt_is_no_answer() {
    let bed = installed();
    let mut terminal = Terminal::new(80, 24);
    terminal.type_ahead("early\n");
    let mut session = terminal.run_controlled(&set(&bed));
    session.wait_for("address of given (not shown): ").enter("in time");
    let (status, seen) = session.end();
    assert!(status.success(), "{seen}");
    assert_eq!(address(&bed), "in time");
}

#[test]
fn a_line_arrives_whole_or_is_refused() {
    // what is over 4,095 bytes the kernel drops without a word
    let (bed, longest) = (installed(), "x".repeat(4094));
    for (line, fits) in [(longest.clone(), true), (format!("{longest}x"), false), ("y".repeat(6000), false)] {
        let mut session = Terminal::new(80, 24).run_controlled(&set(&bed));
        session.wait_for("(not shown): ").enter(&line);
        let (status, seen) = session.end();
        assert_eq!(status.success(), fits, "{seen}");
        assert!(fits || seen.contains("too long") && seen.contains("config set given address < FILE"), "{seen}");
        assert_eq!(address(&bed), longest);
    }
}

#[test]
fn a_line_that_is_no_text_is_refused() {
    let bed = installed();
    let mut session = Terminal::new(80, 24).run_controlled(&set(&bed));
    session.wait_for("(not shown): ").press(b"a\xffb\n");
    let (status, seen) = session.end();
    assert!(!status.success() && seen.contains("address of given was not set: that line is no UTF-8 text"), "{seen}");
}

#[test]
fn without_a_terminal_of_its_own_the_way_out_is_named() {
    let bed = installed();
    // its input is a terminal, and it is not the one the process belongs to
    let session = Terminal::new(80, 24).run(behind(&["setsid", "--wait"], &set(&bed)));
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(1), "{seen}");
    let seen = seen.replace('\n', " ");
    assert!(
        seen.contains("give the value on standard input: midimon plugin config set given address < FILE"),
        "{seen}"
    );
    let mut child = set(&bed).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("midimon runs");
    child.stdin.take().expect("a pipe").write_all(b"piped\n").expect("it reads");
    assert!(child.wait().expect("a child").success());
    assert_eq!(address(&bed), "piped");
}

#[test]
fn signing_asks_for_the_keys_password_in_the_same_way() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let secret = SecretKey::generate().expect("a key");
    let password = Password::new("correct horse".to_owned().into()).expect("a password");
    let (package, key) = (publisher.package("given", "0.1.0", ""), bed.path("ours.key"));
    fs::write(&key, secret.to_file_text(Some(&password), "ours").expect("a text")).expect("a key file");
    let (package, key) = (package.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    let command = bed.command(&["plugin", "sign", &package, "--key", &key]);
    let mut session = Terminal::new(500, 24).run_in_shell(&command);
    session.wait_for("ours.key: ");
    assert!(!session.shows_typing());
    session.press(HALF).press("\x03").wait_for("ended 130\n");
    assert!(session.shows_typing());
    let mut session = Terminal::new(500, 24).run_controlled(&command);
    session.wait_for("ours.key: ").enter("correct horse");
    let (status, seen) = session.end();
    assert!(status.success() && !seen.contains("horse"), "{seen}");
}
