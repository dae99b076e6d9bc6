//! The person at the terminal.

use super::dialogue::Person;
use crate::cli::CliError;
use crate::cli::safe_text::safe_text;
use nix::sys::termios::{FlushArg, tcflush};
use nix::unistd::read;
use std::io::{self, IsTerminal, Write};
use terminal_size::{Height, Width};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024;

/// Standard input and standard error, where both are a terminal.
#[derive(Debug)]
pub struct Terminal(());

impl Terminal {
    /// The terminal, or `None` where nobody can be asked.
    #[must_use]
    pub fn open() -> Option<Self> {
        (io::stdin().is_terminal() && io::stderr().is_terminal()).then_some(Self(()))
    }

    /// Columns and lines it has.
    #[must_use]
    pub fn size() -> (usize, usize) {
        let size = terminal_size::terminal_size_of(io::stderr());
        size.map_or((80, 24), |(Width(columns), Height(lines))| (usize::from(columns), usize::from(lines)))
    }

    /// Shows a text that is safe already.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&self, text: &str) -> Result<(), CliError> {
        write!(io::stderr(), "{text}").map_err(CliError::Output)
    }
}

impl Person for Terminal {
    fn ask(&mut self, question: &str) -> Result<String, CliError> {
        // whatever was typed before the question was there is no answer to it
        tcflush(io::stdin(), FlushArg::TCIFLUSH).map_err(|errno| no_answer(errno.into()))?;
        let mut stderr = io::stderr().lock();
        write!(stderr, "{}", safe_text(question)).and_then(|()| stderr.flush()).map_err(CliError::Output)?;
        let mut line = Vec::new();
        let mut buffer = [0; MAX_ANSWER];
        // not through a buffer of our own, which would keep what the next flush has to take away
        while !line.ends_with(b"\n") {
            match read(io::stdin(), &mut buffer) {
                Ok(0) => return Err(no_answer(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => line.extend_from_slice(&buffer[..count]),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(no_answer(errno.into())),
            }
            if line.len() > MAX_ANSWER {
                return Err(CliError::Failed("that answer is too long; nothing was installed".to_owned()));
            }
        }
        let text = String::from_utf8(line);
        text.map(|text| text.trim().to_owned())
            .map_err(|_| CliError::Failed("that answer is no text; nothing was installed".to_owned()))
    }

    fn tell(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(io::stderr(), "{}", safe_text(text)).map_err(CliError::Output)
    }
}

fn no_answer(error: io::Error) -> CliError {
    CliError::Failed(format!("there was no answer ({error}); nothing was installed"))
}
