//! Where a command prints: colours, width, and what happens when nobody reads.

use super::CliError;
use std::io::{self, IsTerminal, Write};

/// Width of tables that go into a file or a pipe.
const UNLIMITED: usize = 10_000;

/// Colours by what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// As it should be.
    Good,
    /// On its way, or worth a look.
    Notice,
    /// Wrong.
    Bad,
    /// Headings.
    Strong,
    /// Of little weight.
    Faint,
}

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours are used.
    pub coloured: bool,
    /// Columns there are.
    pub width: usize,
}

impl Look {
    /// No colours, this width.
    #[must_use]
    pub const fn plain(width: usize) -> Self {
        Self { coloured: false, width }
    }

    /// The text in this colour, or as it is.
    #[must_use]
    pub fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Notice => "33",
            Colour::Bad => "31",
            Colour::Strong => "1",
            Colour::Faint => "2",
        };
        if self.coloured && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Standard output.
#[derive(Debug)]
pub struct Output {
    /// How text is laid out there.
    pub look: Look,
    /// Whether a person may be looking at it now.
    pub is_terminal: bool,
}

impl Output {
    /// Looks at standard output, `NO_COLOR` and `TERM`.
    #[must_use]
    pub fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = match terminal_size::terminal_size() {
            Some((terminal_size::Width(columns), _)) if is_terminal => usize::from(columns).max(20),
            _ => UNLIMITED,
        };
        Self { look: Look { coloured: is_terminal && colours_wanted(), width }, is_terminal }
    }

    /// Prints text as it is, and at once.
    ///
    /// # Errors
    /// When nobody reads it any more; the program then ends without a word.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::Output)
    }

    /// Prints a line.
    ///
    /// # Errors
    /// As [`Output::print`].
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        self.print(&format!("{text}\n"))
    }

    /// Prints JSON for programs.
    ///
    /// # Errors
    /// As [`Output::print`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Failed(error.to_string()))?;
        self.line(&text)
    }
}

/// Whether standard error may be coloured.
#[must_use]
pub fn coloured_stderr() -> bool {
    io::stderr().is_terminal() && colours_wanted()
}

/// <https://no-color.org>, and terminals that have none.
fn colours_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
