//! `audit`: what a plugin did, with or without a daemon.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use super::tail::{Log, POLL, unreadable};
use super::units::bytes;
use super::{CliError, Context};
use crate::audit::{AuditEvent, Entry, FileChange, file_name};
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;

/// `midimon audit`
#[derive(Debug, Args)]
#[command(after_help = "\
Recorded are starts and ends, violations, what was granted and withdrawn, what
the plugin asked midimon for, and what happened to its files. `x 12` is the
same thing 12 times within a second.

Examples:
  midimon audit notes                  the last 20 lines
  midimon audit notes --follow         as they come
  midimon audit notes --json -n 1000 | jq 'select(.event == \"violation\")'")]
pub struct Audit {
    /// The plugin's id
    name: PluginId,
    /// Lines from the end
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: usize,
    /// Go on as lines are written; ends with Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print a line of JSON for each line
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let directory = context.home.audit_dir();
        let path = directory.join(file_name(&self.name));
        let mut log = Log::default();
        if path.is_file() {
            let (opened, lines) = Log::open_at_tail(&path, self.lines).map_err(|error| unreadable(&path, &error))?;
            self.print(context, &lines)?;
            log = opened;
        } else if !self.follow {
            let (name, directory) = (&self.name, directory.display());
            return Err(CliError::Failed(format!("nothing is recorded of '{name}' in '{directory}'")));
        }
        if !self.follow {
            return Ok(());
        }
        loop {
            std::thread::sleep(POLL);
            if path.is_file() {
                let lines = log.new_lines(&path).map_err(|error| unreadable(&path, &error))?;
                self.print(context, &lines)?;
            }
        }
    }

    fn print(&self, context: &Context, lines: &[String]) -> Result<(), CliError> {
        let look = &context.out.look;
        let render = |line: &String| if self.json { json(line) } else { text(line, look) };
        let text: String = lines.iter().map(|line| render(line) + "\n").collect();
        if text.is_empty() { Ok(()) } else { context.out.print(&text) }
    }
}

#[derive(Serialize)]
struct Unreadable<'a> {
    event: &'a str,
    line: &'a str,
}

/// The line as it was written; what is no line of ours, as text within JSON.
fn json(line: &str) -> String {
    match serde_json::from_str::<Entry>(line) {
        Ok(_) => line.to_owned(),
        // cannot fail: two strings
        Err(_) => serde_json::to_string(&Unreadable { event: "unreadable", line }).unwrap_or_default(),
    }
}

fn text(line: &str, look: &Look) -> String {
    let Ok(entry) = serde_json::from_str::<Entry>(line) else {
        return format!("{} {}", look.paint(Colour::Bad, "unreadable:"), safe_text(line));
    };
    let (colour, what, about) = words(&entry.event);
    let times = if entry.times > 1 { format!("  x {}", entry.times) } else { String::new() };
    // milliseconds and the letters of RFC 3339 say little to people
    let time = entry.time.replace('T', " ").replace('Z', "");
    let what = look.paint(colour, &format!("{what:<10}"));
    format!("{}  {what} {}{times}", look.paint(Colour::Faint, &safe_text(&time)), safe_text(&about))
        .trim_end()
        .to_owned()
}

/// The colour, a word, and what there is to say about it.
fn words(event: &AuditEvent) -> (Colour, String, String) {
    let of = |colour, what: &str, about: String| (colour, what.to_owned(), about);
    match event {
        AuditEvent::Started { pid, version, sandbox } => {
            of(Colour::Good, "started", format!("version {version}, pid {pid}, sandbox {sandbox}"))
        }
        AuditEvent::Ended { cause } => of(Colour::Notice, "ended", cause.clone()),
        AuditEvent::Violation { what } => of(Colour::Bad, "violation", what.clone()),
        AuditEvent::Granted { capability } => of(Colour::Strong, "granted", capability.clone()),
        AuditEvent::Withdrawn { capability } => of(Colour::Strong, "withdrawn", capability.clone()),
        AuditEvent::Use { what, target, arguments, more_arguments, bytes: count, allowed, reason } => {
            // quoted: where one ends is no guess
            let quoted = arguments.iter().map(|argument| format!(" {}", serde_json::Value::from(argument.as_str())));
            let more = if *more_arguments > 0 { format!(" and {more_arguments} more") } else { String::new() };
            let arguments = quoted.chain([more]).collect::<String>();
            let size = if *count > 0 { format!(", {}", bytes(*count)) } else { String::new() };
            let reason = reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
            let (colour, word) = if *allowed { (Colour::Good, "allowed") } else { (Colour::Bad, "refused") };
            of(colour, word, format!("{what} {target}{arguments}{size}{reason}"))
        }
        AuditEvent::File { what, path, bytes: count } => {
            let word = match what {
                FileChange::Created => "created",
                FileChange::Written => "written",
                FileChange::Deleted => "deleted",
                FileChange::Renamed => "renamed",
            };
            let size = if *count > 0 { format!("  {}", bytes(*count)) } else { String::new() };
            of(Colour::Faint, word, format!("{path}{size}"))
        }
        AuditEvent::Lost { count } => of(Colour::Bad, "lost", format!("{count} events came too fast to be kept")),
        AuditEvent::Discarded { count } => {
            of(Colour::Notice, "discarded", format!("{count} older lines of files and requests"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        text(line, &Look::plain(80))
    }

    #[test]
    fn lines_read_well() {
        let lines = [
            (
                r#"{"time":"2026-11-22T04:00:00.123Z","plugin":"notes","event":"file","what":"written","path":"a/b","bytes":2048,"times":12}"#,
                "2026-11-22 04:00:00.123  written    a/b  2.0K  x 12",
            ),
            (
                r#"{"time":"2026-11-22T04:00:00.000Z","plugin":"notes","event":"use","what":"connect","target":"h:1","bytes":0,"allowed":false,"reason":"not granted"}"#,
                "2026-11-22 04:00:00.000  refused    connect h:1: not granted",
            ),
            (
                r#"{"time":"2026-11-22T04:00:00.000Z","plugin":"notes","event":"use","what":"run","target":"sh","arguments":["-c","a \"b"],"more_arguments":3,"bytes":9,"allowed":true}"#,
                r#"2026-11-22 04:00:00.000  allowed    run sh "-c" "a \"b" and 3 more, 9B"#,
            ),
            (
                r#"{"time":"2026-11-22T04:00:00.000Z","plugin":"notes","event":"started","pid":7,"version":"1.0.0","sandbox":"full"}"#,
                "2026-11-22 04:00:00.000  started    version 1.0.0, pid 7, sandbox full",
            ),
        ];
        for (line, expected) in lines {
            assert_eq!(shown(line), expected);
            assert_eq!(json(line), line);
        }
    }

    #[test]
    fn a_forged_line_moves_no_cursor_and_is_still_json() {
        let evil = "{\"time\":\"\u{1b}[2J\",\"plugin\":\"notes\",\"event\":\"ended\",\"cause\":\"\u{202e}x\"}";
        for line in
            [evil, "\u{1b}]0;title\u{7}", r#"{"time":"\u001b[2J","plugin":"notes","event":"ended","cause":"\u202ex"}"#]
        {
            assert!(!shown(line).chars().any(|c| c.is_control() || c == '\u{202e}'), "{}", shown(line));
            serde_json::from_str::<serde_json::Value>(&json(line)).unwrap();
        }
    }
}
