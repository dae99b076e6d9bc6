//! An X11 desktop without a screen, and a window that writes down what is typed.
//!
//! [`Xvfb`] starts a server on a display of its own; [`TypedText`] opens a
//! window there (`xev`) and gives back the typed text exactly, as a program
//! with that window would receive it, or key by key with the mouse. Needs the Debian packages `xvfb` and
//! `x11-utils`; uses the standard library only.
//!
//! There is no window manager: keys go to the window under the pointer, which
//! covers the screen.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program of the bed may take to start.
const START: Duration = Duration::from_secs(20);

/// A running X server; stopped when dropped.
pub struct Xvfb {
    server: Child,
    display: String,
}

impl Xvfb {
    /// Starts a server on a free display and returns once it takes clients.
    ///
    /// # Errors
    /// When `Xvfb` is not installed (the message names the package) or does
    /// not become ready.
    pub fn start() -> io::Result<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24"])
            .args(["-nolisten", "tcp", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing("Xvfb", "xvfb", &error))?;
        let lines = lines_of(server.stdout.take());
        let mut this = Self { server, display: String::new() };
        let number = lines.recv_timeout(START).map_err(|_| io::Error::other("Xvfb did not name its display"))?;
        this.display = format!(":{}", number.trim());
        Ok(this)
    }

    /// What clients need as `DISPLAY`, such as `:7`.
    pub fn display(&self) -> &str {
        &self.display
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        stop(&mut self.server);
    }
}

/// A window that records what is typed into it; closed when dropped.
pub struct TypedText {
    window: Child,
    lines: Receiver<String>,
    /// Inside the description of a key press (they end with an empty line).
    in_press: bool,
}

/// What a window is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed; its keysym.
    Key(u32),
    /// A button of the mouse was pressed: 1 to 3 from the left; 4 to 7 are the wheel up, down, left, right.
    Button(u8),
    /// The pointer was moved to there, in pixels from the screen's upper left corner.
    Pointer(i32, i32),
}

impl TypedText {
    /// Opens the window and returns once it is on the screen.
    ///
    /// # Errors
    /// When `xev` is not installed (the message names the package) or shows no window.
    pub fn record(server: &Xvfb) -> io::Result<Self> {
        let mut window = Command::new("xev")
            .args(["-geometry", "800x600+0+0"])
            .args(["-event", "keyboard", "-event", "mouse", "-event", "expose"])
            .env("DISPLAY", server.display())
            // UTF-8, and no input method between the keys and the text.
            .env("LC_ALL", "C.UTF-8")
            .env("XMODIFIERS", "@im=none")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing("xev", "x11-utils", &error))?;
        let lines = lines_of(window.stdout.take());
        let this = Self { window, lines, in_press: false };
        let end = Instant::now() + START;
        while !this.next_line(end)?.starts_with("Expose event") {}
        Ok(this)
    }

    /// The text typed since the last call, up to and without the next press of
    /// Return: type one after what is to be checked, so that nothing that
    /// comes late or too often goes unseen.
    ///
    /// # Errors
    /// When no Return comes in time; the message holds what did come.
    pub fn until_return(&mut self, limit: Duration) -> io::Result<String> {
        let end = Instant::now() + limit;
        let mut typed = Vec::new();
        loop {
            let line = self.next_line(end).map_err(|error| {
                let so_far = String::from_utf8_lossy(&typed);
                io::Error::new(error.kind(), format!("{error}; typed so far: {so_far:?}"))
            })?;
            if line.is_empty() {
                self.in_press = false;
            } else if line.starts_with("KeyPress event") {
                self.in_press = true;
            } else if self.in_press
                && let Some(bytes) = looked_up(&line)
            {
                if bytes == b"\r" {
                    break;
                }
                typed.extend(bytes);
            }
        }
        String::from_utf8(typed).map_err(io::Error::other)
    }

    /// What the window was told of since the last call, up to and without this.
    ///
    /// # Errors
    /// When it does not come in time; the message holds what did come.
    pub fn until(&mut self, last: Input, limit: Duration) -> io::Result<Vec<Input>> {
        let end = Instant::now() + limit;
        let (mut told, mut event) = (Vec::new(), String::new());
        loop {
            let line = self
                .next_line(end)
                .map_err(|error| io::Error::new(error.kind(), format!("{error}; so far: {told:x?}")))?;
            // an event's lines end with an empty one
            if !line.is_empty() {
                event.push_str(&line);
                continue;
            }
            match input(&std::mem::take(&mut event)) {
                Some(input) if input == last => return Ok(told),
                input => told.extend(input),
            }
        }
    }

    fn next_line(&self, end: Instant) -> io::Result<String> {
        let left = end.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::new(io::ErrorKind::TimedOut, "the window saw nothing more in time"),
            RecvTimeoutError::Disconnected => io::Error::other("the window was closed"),
        })
    }
}

impl Drop for TypedText {
    fn drop(&mut self) {
        stop(&mut self.window);
    }
}

/// What an event that xev describes tells of; nothing for a release.
fn input(event: &str) -> Option<Input> {
    let after = |mark: &str| Some(event.split_once(mark)?.1);
    let until = |mark: &str, ends: &[char]| after(mark)?.split(ends).next();
    if event.starts_with("KeyPress event") {
        let keysym = u32::from_str_radix(until("(keysym 0x", &[','])?, 16).ok()?;
        Some(Input::Key(keysym))
    } else if event.starts_with("ButtonPress event") {
        Some(Input::Button(until("button ", &[','])?.parse().ok()?))
    } else if event.starts_with("MotionNotify event") {
        let (x, y) = until("root:(", &[')'])?.split_once(',')?;
        Some(Input::Pointer(x.parse().ok()?, y.parse().ok()?))
    } else {
        None
    }
}

/// The bytes in a line such as `XmbLookupString gives 3 bytes: (e2 82 ac) "€"`.
fn looked_up(line: &str) -> Option<Vec<u8>> {
    let said = line.trim_start().strip_prefix("XmbLookupString gives ")?;
    let (hex, _) = said.split_once('(')?.1.split_once(')')?;
    hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// The program's output, a line at a time; ends when the program does.
fn lines_of(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(output) = output {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

fn missing(program: &str, package: &str, error: &io::Error) -> io::Error {
    let fix = format!("cannot run {program}: {error} (Debian package {package})");
    io::Error::new(error.kind(), fix)
}

fn stop(child: &mut Child) {
    // Both fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_bytes_of_a_looked_up_key() {
        let line = "    XmbLookupString gives 3 bytes: (e2 82 ac) \"€\"";
        assert_eq!(looked_up(line), Some("€".as_bytes().to_vec()));
        assert_eq!(looked_up("    XmbLookupString gives 0 bytes: "), None);
        assert_eq!(looked_up("    XLookupString gives 1 bytes: (61) \"a\""), None);
        // A closing bracket that was typed is not the end of the bytes.
        let line = "    XmbLookupString gives 1 bytes: (29) \")\"";
        assert_eq!(looked_up(line), Some(b")".to_vec()));
    }

    #[test]
    fn reads_what_an_event_tells_of() {
        let event = |kind: &str, rest: &str| {
            format!("{kind} event, serial 34, root 0x5a, subw 0x0, time 9, (1,2), root:(30,40),    state 0x0, {rest}")
        };
        let key = event("KeyPress", "keycode 123 (keysym 0x1008ff13, XF86AudioRaiseVolume), same_screen YES,");
        assert_eq!(input(&key), Some(Input::Key(0x1008_FF13)));
        assert_eq!(input(&event("ButtonPress", "button 5, same_screen YES")), Some(Input::Button(5)));
        assert_eq!(input(&event("MotionNotify", "is_hint 0, same_screen YES")), Some(Input::Pointer(30, 40)));
        assert_eq!(input(&event("ButtonRelease", "button 5, same_screen YES")), None);
        assert_eq!(input(&event("EnterNotify", "mode NotifyNormal")), None);
    }

    #[test]
    fn a_window_that_nobody_types_into_reports_nothing() {
        let server = Xvfb::start().expect("an X server");
        let mut typed = TypedText::record(&server).expect("a window");
        let error = typed.until_return(Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
