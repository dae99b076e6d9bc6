//! A line typed on the terminal that nobody sees: passwords and secret settings.
//!
//! The prompt comes when the terminal shows nothing any more, so whoever answers a prompt is
//! never shown. A signal that ends the process finds the terminal as it was before.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use zeroize::{Zeroize, Zeroizing};

/// What Linux keeps of one line of a terminal, in bytes, without its end. It drops what is
/// over that without a word, so a line this long may have been cut.
/// Source: termios(3), "Canonical and noncanonical mode".
const TERMINAL_KEEPS: usize = 4095;

/// A control character that no key makes: `_POSIX_VDISABLE` of Linux.
const NO_KEY: u8 = 0;

/// What ends a process, and would leave the terminal without an echo.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(super) enum HiddenLineError {
    #[error("this process has no terminal: {0}")]
    NoTerminal(#[source] io::Error),
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
    #[error("the input ended before the line did")]
    EndOfInput,
    #[error("a signal came before the line did")]
    Signal,
    #[error("that line is too long: a terminal takes {} bytes", TERMINAL_KEEPS - 1)]
    TooLong,
    #[error("that line is no UTF-8 text")]
    NotText,
}

impl From<Errno> for HiddenLineError {
    fn from(errno: Errno) -> Self {
        Self::Terminal(errno.into())
    }
}

/// Asks on the terminal of this process, wherever its input comes from, and returns the line
/// that was typed, without its end. What was typed before the prompt is dropped.
///
/// A signal that ends the process does so as always, after the terminal shows again what is
/// typed. This holds for a process of one thread: another one would take the signal.
///
/// # Errors
/// There is no terminal, or no line; see the variants.
pub(super) fn hidden_line(prompt: &str) -> Result<Zeroizing<String>, HiddenLineError> {
    let mut screen = open(0)?;
    // a key that sends a signal empties what poll(2) has just told of
    let keyboard = open(libc::O_NONBLOCK)?;
    let held = Held::new()?;
    let unseen = Unseen::new(&keyboard)?;
    write!(screen, "{prompt}")?;
    let line = typed(&keyboard, &held.signals);
    if line.is_err() {
        // the key that ends a line is shown, and it was not pressed
        let _ = writeln!(screen); // a terminal that is gone needs no new line
    }
    drop(unseen);
    drop(held); // a signal that came ends the process here
    line
}

fn open(flags: libc::c_int) -> Result<File, HiddenLineError> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).custom_flags(libc::O_NOCTTY | flags);
    how.open("/dev/tty").map_err(HiddenLineError::NoTerminal)
}

fn typed(keyboard: &File, signals: &SignalFd) -> Result<Zeroizing<String>, HiddenLineError> {
    // as long as it can get: one that grows would leave copies of itself
    let mut line = Zeroizing::new(Vec::with_capacity(2 * TERMINAL_KEEPS));
    let mut buffer = Zeroizing::new([0; TERMINAL_KEEPS]);
    loop {
        let mut ready =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(keyboard.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        // it is not read: what is pending ends the process
        if ready[0].any().unwrap_or(true) {
            return Err(HiddenLineError::Signal);
        }
        match read(keyboard, &mut buffer[..]) {
            Ok(0) => return Err(HiddenLineError::EndOfInput),
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            break;
        }
        // without an end: Ctrl-D hands over what is typed so far
        if line.len() >= TERMINAL_KEEPS {
            break;
        }
    }
    if line.len() >= TERMINAL_KEEPS {
        return Err(HiddenLineError::TooLong);
    }
    String::from_utf8(std::mem::take(&mut *line)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        HiddenLineError::NotText
    })
}

/// The signals that end the process wait while this lives.
struct Held {
    signals: SignalFd,
    before: SigSet,
}

impl Held {
    fn new() -> Result<Self, HiddenLineError> {
        let ending: SigSet = ENDING.into_iter().collect();
        let signals = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { signals, before: ending.thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask(); // cannot fail: it is a mask the kernel gave
    }
}

/// The terminal shows nothing that is typed while this lives.
struct Unseen<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Unseen<'a> {
    fn new(terminal: &'a File) -> Result<Self, HiddenLineError> {
        let before = tcgetattr(terminal)?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        // the line's end is shown; keys end the process and the line, as elsewhere
        unseen.local_flags.insert(LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        // stopped, it would leave the rest of the line to the shell, which shows it
        unseen.control_chars[SpecialCharacterIndices::VSUSP as usize] = NO_KEY;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &unseen)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        // half a line is nobody's; a terminal that is gone needs nothing
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}
