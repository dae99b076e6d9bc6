//! What is recorded, and how a line of it looks.

use crate::workers::log::safe;
use midimon_shared::PluginId;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Longest text within an event, in characters; the rest of a longer one is cut.
pub const MAX_TEXT: usize = 256;
/// Most arguments of a program that an event holds; the rest are counted.
pub const MAX_ARGUMENTS: usize = 16;
/// Longest they are together, in characters before they are made safe to show.
pub const MAX_ARGUMENT_TEXT: usize = 1024;

/// Something a plugin did, or that was done with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum AuditEvent {
    /// Its worker is ready.
    Started {
        /// The process.
        pid: i32,
        /// The plugin's version.
        version: String,
        /// How much of the sandbox holds, in one word.
        sandbox: String,
    },
    /// Its worker has ended.
    Ended {
        /// Why.
        cause: String,
    },
    /// It did what its sandbox forbids.
    Violation {
        /// What.
        what: String,
    },
    /// It may do this from now on.
    Granted {
        /// What, as in the configuration.
        capability: String,
    },
    /// It may not do this any more.
    Withdrawn {
        /// What, as in the configuration.
        capability: String,
    },
    /// It asked the supervisor for something.
    Use {
        /// What: `connect`, `midi-send`, `run` …
        what: String,
        /// With whom or what.
        target: String,
        /// What a program was given, of `run` only: [`MAX_ARGUMENTS`] and [`MAX_ARGUMENT_TEXT`] at most.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
        /// How many arguments there were beyond those.
        #[serde(default, skip_serializing_if = "is_none")]
        more_arguments: u64,
        /// How much was sent or received, in bytes.
        bytes: u64,
        /// Whether it was done.
        allowed: bool,
        /// Why not, or how it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It changed a file in its data directory.
    File {
        /// How.
        what: FileChange,
        /// Which, from the data directory on.
        path: String,
        /// How long it is now, in bytes.
        bytes: u64,
    },
    /// So many events are missing here: they came faster than they can be kept.
    Lost {
        /// How many.
        count: u64,
    },
    /// So many lines, all of files and uses, were deleted from the log's old end.
    Discarded {
        /// How many.
        count: u64,
    },
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum FileChange {
    Created,
    Written,
    Deleted,
    Renamed,
}

impl AuditEvent {
    /// Whether it is one of those that a plugin can cause in any number.
    #[must_use]
    pub const fn is_activity(&self) -> bool {
        matches!(self, Self::Use { .. } | Self::File { .. } | Self::Lost { .. } | Self::Discarded { .. })
    }

    /// The same with its texts, which are a stranger's, cut and made safe to show.
    #[must_use]
    pub(super) fn shown(mut self) -> Self {
        if let Self::Use { arguments, more_arguments, .. } = &mut self {
            *more_arguments = shorten(arguments);
        }
        let texts: [Option<&mut String>; 3] = match &mut self {
            Self::Started { version, sandbox, .. } => [Some(version), Some(sandbox), None],
            Self::Ended { cause } => [Some(cause), None, None],
            Self::Violation { what } => [Some(what), None, None],
            Self::Granted { capability } | Self::Withdrawn { capability } => [Some(capability), None, None],
            Self::Use { what, target, reason, .. } => [Some(what), Some(target), reason.as_mut()],
            Self::File { path, .. } => [Some(path), None, None],
            Self::Lost { .. } | Self::Discarded { .. } => [None, None, None],
        };
        for text in texts.into_iter().flatten() {
            *text = shown(text);
        }
        self
    }

    /// How many bytes it is about, where it is about any.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut u64> {
        match self {
            Self::Use { bytes, .. } | Self::File { bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

/// A text cut to [`MAX_TEXT`] and made safe to show.
fn shown(text: &str) -> String {
    cut(text, MAX_TEXT)
}

/// A text cut to so many characters and made safe to show.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => safe(text),
        Some((end, _)) => safe(&text[..end]) + " … (cut)",
    }
}

/// Cuts arguments to their bounds, makes them safe to show, and says how many are gone.
fn shorten(arguments: &mut Vec<String>) -> u64 {
    let mut room = MAX_ARGUMENT_TEXT;
    let mut kept = 0;
    for argument in arguments.iter_mut().take(MAX_ARGUMENTS) {
        if room == 0 {
            break;
        }
        let length = argument.chars().take(MAX_TEXT).count();
        *argument = cut(argument, room.min(MAX_TEXT));
        room = room.saturating_sub(length.max(1)); // empty ones are no way to have more
        kept += 1;
    }
    let more = arguments.len() - kept;
    arguments.truncate(kept);
    more as u64
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, as RFC 3339 writes it, in UTC, with milliseconds.
    pub time: String,
    /// Which plugin.
    pub plugin: PluginId,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// How often within the second that ended then; the bytes of uses are those of all of them.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
const fn is_none(count: &u64) -> bool {
    *count == 0
}

const fn once() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
const fn is_once(times: &u64) -> bool {
    *times == 1
}

/// As RFC 3339 writes it, in UTC, with milliseconds.
#[must_use]
pub(super) fn time(at: SystemTime) -> String {
    // a clock before 1970 is a clock that is not set
    let unix_ms =
        at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = crate::timestamp::date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |ms| time(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(at(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(at(1_735_689_600_000), "2025-01-01T00:00:00.000Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_is_one_line_of_json_whatever_a_file_is_called() {
        let path = format!("a\n\x1b[2J\u{202e}\"{}", "x".repeat(5_000));
        let event = AuditEvent::File { what: FileChange::Created, path, bytes: 7 }.shown();
        let entry = Entry { time: time(SystemTime::UNIX_EPOCH), plugin: "notes".parse().unwrap(), event, times: 1 };
        let line = serde_json::to_string(&entry).unwrap();
        assert!(line.len() < 600 && !line.chars().any(char::is_control), "{line}");
        assert!(line.contains("(cut)") && line.contains("\\\\u{202e}") && !line.contains("times"), "{line}");
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }

    fn run(arguments: Vec<String>) -> AuditEvent {
        let (what, target) = ("run".to_owned(), "sh".to_owned());
        AuditEvent::Use { what, target, arguments, more_arguments: 0, bytes: 7, allowed: true, reason: None }
    }

    #[test]
    fn arguments_are_recorded_as_they_are_but_for_what_acts_on_a_terminal() {
        let given = ["-c", "echo \"a b\"", "", "\u{1b}[2J\n\u{202e}"].map(str::to_owned).to_vec();
        let expected = ["-c", "echo \"a b\"", "", "\\u{1b}[2J\\u{a}\\u{202e}"].map(str::to_owned).to_vec();
        let event = run(given).shown();
        assert_eq!(event, run(expected));
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<AuditEvent>(&text).unwrap(), event);
        // a line of before, and one of what has no arguments
        let old = r#"{"event":"use","what":"run","target":"sh","bytes":7,"allowed":true}"#;
        assert_eq!(serde_json::from_str::<AuditEvent>(old).unwrap(), run(Vec::new()));
        assert!(!serde_json::to_string(&run(Vec::new())).unwrap().contains("arguments"));
    }

    #[test]
    fn many_or_long_arguments_are_cut_and_what_is_missing_is_counted() {
        let shown = |arguments: Vec<String>| match run(arguments).shown() {
            AuditEvent::Use { arguments, more_arguments, .. } => (arguments, more_arguments),
            other => panic!("{other:?}"),
        };
        let (kept, more) = shown(vec!["x".to_owned(); 64]);
        assert_eq!((kept.len(), more), (MAX_ARGUMENTS, 64 - MAX_ARGUMENTS as u64));
        let (kept, more) = shown(vec!["\u{1b}".repeat(5_000); 5]);
        assert_eq!((kept.len(), more), (4, 1));
        assert!(kept.iter().all(|argument| argument.ends_with(" … (cut)")));
        let (kept, more) = shown(["x".repeat(200), "y".repeat(200)].into_iter().cycle().take(16).collect());
        assert_eq!((kept.len(), more), (6, 10));
        assert_eq!(kept[5], "y".repeat(24) + " … (cut)");
    }

    proptest! {
        #[test]
        fn whatever_a_plugin_is_refused_for_is_one_bounded_line_that_is_read_back(
            texts in prop::collection::vec("(?s).{0,9}", 3), times in 0_usize..99, arguments in prop::collection::vec("(?s).{0,20}", 0..24),
        ) {
            let long = |index: usize| texts[index].repeat(times);
            let event = AuditEvent::Use {
                what: long(0), target: long(1), arguments, more_arguments: 0, bytes: 7, allowed: false, reason: Some(long(2)),
            };
            let entry = Entry { time: time(SystemTime::UNIX_EPOCH), plugin: "notes".parse().unwrap(), event: event.shown(), times: 1 };
            let line = serde_json::to_string(&entry).unwrap();
            // each character is spelt out in ten at most, with a backslash that JSON doubles
            prop_assert!(line.len() < 11 * (3 * MAX_TEXT + MAX_ARGUMENT_TEXT) + 1000, "{}", line.len());
            prop_assert_eq!(midimon_shared::text::unshowable(&line), None);
            prop_assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
        }
    }
}
