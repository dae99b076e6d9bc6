//! Standard input: keys of a terminal one by one, lines of everything else.

use crate::cli::CliError;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;
use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::Duration;

/// Longest line, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Key(u8),
    Line(String),
    Nothing,
    /// No more will come, or a signal asks for the end.
    End,
}

/// Standard input, and the signals that end this.
#[derive(Debug)]
pub struct Keyboard {
    /// How the terminal was, where it is one.
    before: Option<Termios>,
    signals: SignalFd,
    interrupted: bool,
    taken: VecDeque<u8>,
    ended: bool,
}

impl Keyboard {
    /// A terminal gives its keys at once, and does not show them, until this is dropped.
    pub fn open() -> Result<Self, CliError> {
        let failed = |errno: Errno| CliError::Failed(format!("the keyboard cannot be read: {errno}"));
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        // children get an empty mask again
        signals.thread_block().map_err(failed)?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        let mut before = None;
        // its output must be seen, too, for keys to mean anything
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let was = tcgetattr(io::stdin()).map_err(failed)?;
            let mut now = was.clone();
            now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            now.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            tcsetattr(io::stdin(), SetArg::TCSANOW, &now).map_err(failed)?;
            before = Some(was);
        }
        Ok(Self { before, signals, interrupted: false, taken: VecDeque::new(), ended: false })
    }

    /// Whether there are keys to press, rather than lines to read.
    pub const fn is_terminal(&self) -> bool {
        self.before.is_some()
    }

    /// Whether a signal has asked for the end.
    pub fn is_interrupted(&mut self) -> bool {
        if let Ok(Some(_)) = self.signals.read_signal() {
            self.interrupted = true;
        }
        self.interrupted
    }

    /// Waits for something to come, at most this long.
    pub fn wait(&mut self, longest: Duration) -> Result<Input, CliError> {
        if self.is_interrupted() {
            return Ok(Input::End);
        }
        if let Some(input) = self.next() {
            return Ok(input);
        }
        let stdin = io::stdin();
        let mut fds =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(longest).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(CliError::Failed(format!("the keyboard cannot be read: {errno}"))),
        }
        // a pipe that was closed says POLLHUP
        if fds[0].any() == Some(true) {
            let mut buffer = [0; 4096];
            match read(&stdin, &mut buffer) {
                // a terminal that is gone fails
                Ok(0) | Err(Errno::EIO) => self.ended = true,
                Ok(count) => self.taken.extend(&buffer[..count]),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(CliError::Failed(format!("the input cannot be read: {errno}"))),
            }
        }
        if self.is_interrupted() {
            return Ok(Input::End);
        }
        Ok(self.next().unwrap_or(Input::Nothing))
    }

    /// What was read and not given out.
    fn next(&mut self) -> Option<Input> {
        if self.is_terminal() {
            return self.taken.pop_front().map(Input::Key).or(self.ended.then_some(Input::End));
        }
        let end = self.taken.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let full = (self.taken.len() >= MAX_LINE).then_some(MAX_LINE);
        let rest = (self.ended && !self.taken.is_empty()).then_some(self.taken.len());
        let Some(length) = end.or(full).or(rest) else { return self.ended.then_some(Input::End) };
        let line: Vec<u8> = self.taken.drain(..length).collect();
        Some(Input::Line(String::from_utf8_lossy(&line).into_owned()))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before); // a terminal that is gone needs nothing
        }
    }
}
