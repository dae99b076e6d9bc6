//! What somebody pastes into the terminal while the browser is waited for.

use super::flow::{Answer, Flow};
use super::listener::{PART, room};
use nix::errno::Errno;
use nix::unistd::read;
use std::os::fd::BorrowedFd;
use zeroize::Zeroizing;

/// Longest line that is read, in bytes.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// What somebody pastes, line by line.
pub(super) struct Pasted<'f> {
    pub from: BorrowedFd<'f>,
    line: Zeroizing<Vec<u8>>,
    /// The line is too long: the rest of it does not count either.
    skips: bool,
}

impl<'f> Pasted<'f> {
    pub fn new(from: BorrowedFd<'f>) -> Self {
        Self { from, line: room(MAX_LINE), skips: false }
    }

    /// Reads what is there; false at the end, which ends the last line too.
    pub fn fill(&mut self) -> bool {
        let mut part = Zeroizing::new([0; PART]);
        match read(self.from, &mut part[..]) {
            Ok(0) => {
                self.line.push(b'\n');
                false
            }
            Ok(count) => {
                self.line.extend_from_slice(&part[..count]);
                true
            }
            Err(errno) => matches!(errno, Errno::EINTR | Errno::EAGAIN),
        }
    }

    /// What the next whole line says; empty ones say nothing.
    pub fn next(&mut self, flow: &Flow) -> Option<Answer> {
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.line.drain(..=end).collect());
            if std::mem::take(&mut self.skips) {
                return Some(Answer::Elsewhere);
            }
            match std::str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Some(flow.read_pasted(text)),
                Err(_) => return Some(Answer::Elsewhere),
            }
        }
        if self.line.len() > MAX_LINE {
            self.line.clear();
            self.skips = true;
        }
        None
    }
}
