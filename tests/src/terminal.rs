//! A program in a terminal of its own, with somebody who types.

use crate::wait::DEADLINE;
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take that protects a key with a password: some seconds on a machine
/// that has nothing else to do.
const LONGEST: Duration = Duration::from_secs(300);
/// So long nothing comes once all has come, where something else than the program still has the terminal.
const QUIET: Duration = Duration::from_secs(3);
/// Has the terminal for its own, and no signal ignored, which tests in the background are started with.
const LEADER: [&str; 4] = ["env", "--default-signal", "setsid", "--ctty"];

/// Runs a program that signals end, and stays itself. What a signal does to it is forgotten when
/// it starts the program.
const SHELL: &str =
    r#"trap : INT QUIT TERM HUP; "$@"; echo "ended $?"; read -r rest; echo "left [$rest]"; read -r rest"#;

/// A terminal nothing runs in yet.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    screen: File,
    line: File,
}

/// A program that runs in one.
#[derive(Debug)]
pub struct Session {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    /// With colours.
    raw: String,
    /// How much of it was waited for already.
    at: usize,
}

impl Terminal {
    /// One of this size.
    ///
    /// # Panics
    /// The system has none.
    #[must_use]
    pub fn new(columns: u16, lines: u16) -> Self {
        let size = Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pseudo-terminal");
        // a clone is not handed to programs that other tests start meanwhile, which would hold the terminal open
        let own = |descriptor: &OwnedFd| File::from(descriptor.try_clone().expect("a descriptor"));
        Self { keyboard: own(&pair.master), screen: own(&pair.master), line: own(&pair.slave) }
    }

    /// How it is set.
    ///
    /// # Panics
    /// The terminal is gone.
    #[must_use]
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.keyboard).expect("a terminal")
    }

    /// Types before anything runs.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn type_ahead(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typing");
    }

    /// As [`Self::run`], for a program that asks the terminal it is controlled by, as for
    /// passwords, whatever its input is.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run_controlled(self, command: &Command) -> Session {
        self.run(behind(&LEADER, command))
    }

    /// As [`Self::run_controlled`], under a program that stays, as a shell does: the kernel resets
    /// the terminal when the program it belongs to ends. After `ended N` is on the screen, N as
    /// shells count, a line that is entered comes back between `left [` and `]`, with what was
    /// typed before it and read by nobody.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run_in_shell(self, command: &Command) -> Session {
        self.run(behind(&[&LEADER[..], &["sh", "-c", SHELL, "sh"]].concat(), command))
    }

    /// Runs a program in it.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(self, mut command: Command) -> Session {
        let stdio = || Stdio::from(self.line.try_clone().expect("a descriptor"));
        command.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().expect("the program runs");
        drop(command); // it has copies of the line, which keep the screen open
        drop(self.line);
        let (sender, output) = channel();
        let mut screen = self.screen;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // it fails when the program and all its children have ended
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Session { child, keyboard: self.keyboard, output, seen: String::new(), raw: String::new(), at: 0 }
    }
}

/// The command with this one before it, which runs it.
#[must_use]
pub fn behind(runner: &[&str], command: &Command) -> Command {
    let mut runs = Command::new(runner[0]);
    runs.args(&runner[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => runs.env(name, value),
            None => runs.env_remove(name),
        };
    }
    runs
}

impl Session {
    /// Waits until a text is on the screen, after what was waited for before.
    ///
    /// # Panics
    /// It does not come.
    pub fn wait_for(&mut self, wanted: &str) -> &mut Self {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = self.seen[self.at..].find(wanted) {
                self.at += found + wanted.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{wanted:?} is not on the screen ({error}):\n{}", self.seen),
            }
        }
    }

    /// As [`Self::wait_for`], for several texts in any order.
    ///
    /// # Panics
    /// One does not come.
    pub fn wait_for_all(&mut self, wanted: &[&str]) -> &mut Self {
        let (from, mut end) = (self.at, self.at);
        for text in wanted {
            self.at = from;
            end = end.max(self.wait_for(text).at);
        }
        self.at = end;
        self
    }

    /// Types a line.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn enter(&mut self, line: &str) -> &mut Self {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("typing");
        self
    }

    /// Presses keys, which may be those that end a line, the input or a program.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn press(&mut self, keys: impl AsRef<[u8]>) -> &mut Self {
        self.keyboard.write_all(keys.as_ref()).expect("typing");
        self
    }

    /// How the terminal is set now, which outlives the program.
    ///
    /// # Panics
    /// The terminal is gone.
    #[must_use]
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.keyboard).expect("a terminal")
    }

    /// Whether what is typed now is shown.
    ///
    /// # Panics
    /// The terminal is gone.
    #[must_use]
    pub fn shows_typing(&self) -> bool {
        self.modes().local_flags.contains(LocalFlags::ECHO)
    }

    /// What was on the screen so far, with its colours.
    #[must_use]
    pub fn raw(&self) -> String {
        self.raw.clone()
    }

    /// Whether the program still runs.
    ///
    /// # Panics
    /// It cannot be asked about.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Waits for the end; how it ended, and all that was on the screen, without colours.
    ///
    /// # Panics
    /// It does not end.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = crate::wait::within(LONGEST, "the program ends", || {
            self.child.try_wait().expect("a child").ok_or_else(|| self.seen.clone())
        });
        // all of it is there when nobody has the terminal any more; some leave it to a child, which is quiet
        while let Ok(bytes) = self.output.recv_timeout(QUIET) {
            self.take(&bytes);
        }
        (status, self.seen.clone())
    }

    /// Colours and carriage returns are not kept.
    fn take(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).replace('\r', "");
        self.raw += &text;
        self.seen = plain(&(std::mem::take(&mut self.seen) + &text));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Without the escape sequences that colour a text.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| match part.split_once('m') {
        Some((_, rest)) => plain + rest,
        // cut in the middle: the rest is to come
        None => plain + "\x1b[" + part,
    })
}
