//! Lines for the plugin's log: the process's own stderr, which is the log pipe.

use midimon_shared::abi::MAX_LOG;
use std::fmt;
use std::io::Write;

/// How much a line matters, shown as `[level]` in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    /// The level behind a number of the C interface; unknown ones are `Info`.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Error,
            2 => Self::Warn,
            4 => Self::Debug,
            _ => Self::Info,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// Writes a message, each line of it with the level in front, in one `write`.
pub fn write(level: Level, message: &str) {
    let mut text = Vec::with_capacity(message.len() + 16);
    for line in bounded(message, MAX_LOG).lines() {
        let _ = writeln!(text, "[{level}] {line}"); // cannot fail: a Vec takes every write
    }
    raw(&text);
}

/// Writes bytes as they are. A log that nobody reads must not stop the plugin, so errors are dropped.
pub fn raw(bytes: &[u8]) {
    let _ = std::io::stderr().write_all(bytes);
}

/// The longest start of `text` that has at most `max` bytes.
#[must_use]
pub fn bounded(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// Makes a panic one line in the log and an abort; a backtrace would read files the sandbox forbids.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("a panic without a message");
        match panic.location() {
            Some(place) => write(Level::Error, &format!("the worker panicked at {place}: {what}")),
            None => write(Level::Error, &format!("the worker panicked: {what}")),
        }
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(bounded("abc", 3), "abc");
        assert_eq!(bounded("abc", 2), "ab");
        assert_eq!(bounded("aö", 2), "a");
        assert_eq!(bounded("ö", 0), "");
    }
}
