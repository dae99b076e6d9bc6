//! What a worker writes to its log pipe: bounded, made safe to show, kept.

use std::collections::VecDeque;

/// Lines kept in memory for each worker.
pub const TAIL: usize = 200;
/// Longest line, in bytes; the rest of a longer one is cut.
pub const MAX_LINE: usize = 1024;
/// Lines a second a worker may write for long.
const LINES_PER_S: f64 = 200.0;
/// Lines it may write at once.
const BURST: f64 = 400.0;

/// Splits bytes into lines and makes them safe to show: no control characters,
/// no line over [`MAX_LINE`], no more lines than the rate allows.
#[derive(Debug)]
pub struct LogFilter {
    line: Vec<u8>,
    cut: bool,
    tokens: f64,
    refilled_ns: u64,
    /// Dropped, and not told yet.
    untold: u64,
    dropped: u64,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { line: Vec::new(), cut: false, tokens: BURST, refilled_ns: 0, untold: 0, dropped: 0 }
    }
}

impl LogFilter {
    /// Takes bytes in and gives complete lines to `keep`.
    pub fn feed(&mut self, now_ns: u64, bytes: &[u8], mut keep: impl FnMut(String)) {
        let elapsed = now_ns.saturating_sub(self.refilled_ns) as f64 / 1e9;
        self.tokens = (self.tokens + elapsed * LINES_PER_S).min(BURST);
        self.refilled_ns = now_ns;
        for chunk in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match chunk.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (chunk, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(&mut keep);
            }
        }
    }

    /// Lines that came too fast to be kept.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether lines come faster than they are kept.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.tokens < 1.0
    }

    /// The worker has ended: what is left is a line.
    pub fn finish(&mut self, mut keep: impl FnMut(String)) {
        if !self.line.is_empty() {
            self.end_line(&mut keep);
        }
        if let Some(note) = self.take_dropped() {
            keep(note);
        }
    }

    fn end_line(&mut self, keep: &mut impl FnMut(String)) {
        if self.tokens < 1.0 {
            self.untold += 1;
            self.dropped += 1;
        } else {
            self.tokens -= 1.0;
            if let Some(note) = self.take_dropped() {
                keep(note);
            }
            let mut line = safe(&String::from_utf8_lossy(&self.line));
            if self.cut {
                line.push_str(" … (cut)");
            }
            keep(line);
        }
        self.line.clear();
        self.cut = false;
    }

    fn take_dropped(&mut self) -> Option<String> {
        let dropped = std::mem::take(&mut self.untold);
        (dropped > 0).then(|| format!("… {dropped} lines dropped: over {LINES_PER_S} lines a second"))
    }
}

/// A plugin's text with everything that could act on a terminal or hide
/// something written out: control, bidirectional and zero-width characters.
#[must_use]
pub fn safe(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{61C}' | '\u{E0000}'..='\u{E007F}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if acts(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// The last lines.
#[derive(Debug, Default)]
pub struct LogTail {
    lines: VecDeque<String>,
    /// How many of them are of the process that runs now.
    current: usize,
}

impl LogTail {
    /// Keeps a line, forgets the oldest.
    pub fn push(&mut self, line: String) {
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.current = (self.current + 1).min(TAIL);
    }

    /// A new process writes from now on.
    pub fn begin(&mut self) {
        self.current = 0;
    }

    /// The lines of the process that runs now, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &str> {
        self.lines().rev().take(self.current)
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(filter: &mut LogFilter, now_ns: u64, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        filter.feed(now_ns, bytes, |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_cut_anywhere_are_put_together() {
        let mut filter = LogFilter::default();
        assert!(lines_of(&mut filter, 0, b"he").is_empty());
        assert_eq!(lines_of(&mut filter, 0, b"llo\n\nworld"), ["hello", ""]);
        let mut rest = Vec::new();
        filter.finish(|line| rest.push(line));
        assert_eq!(rest, ["world"]);
    }

    #[test]
    fn terminal_sequences_and_hidden_characters_are_written_out() {
        let mut filter = LogFilter::default();
        let lines = lines_of(&mut filter, 0, "\x1b[31mred\u{202E}\u{200B}ü\n".as_bytes());
        assert_eq!(lines, ["\\u{1b}[31mred\\u{202e}\\u{200b}ü"]);
        assert_eq!(lines_of(&mut filter, 0, b"\xFF\xFE\n"), ["\u{FFFD}\u{FFFD}"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_limit() {
        let mut filter = LogFilter::default();
        for _ in 0..10_000 {
            assert!(lines_of(&mut filter, 0, &[b'x'; 1000]).is_empty());
        }
        assert!(filter.line.capacity() <= 4 * MAX_LINE);
        let lines = lines_of(&mut filter, 0, b"\n");
        assert_eq!(lines[0].len(), MAX_LINE + " … (cut)".len());
    }

    #[test]
    fn a_flood_is_dropped_with_a_visible_count() {
        let mut filter = LogFilter::default();
        let flood = b"x\n".repeat(10_000);
        assert_eq!(lines_of(&mut filter, 1, &flood).len(), BURST as usize);
        assert!(filter.is_flooded());
        let later = lines_of(&mut filter, 1_000_000_001, b"y\n");
        assert!(!filter.is_flooded());
        assert_eq!(filter.dropped(), 9_600);
        assert_eq!(later, ["… 9600 lines dropped: over 200 lines a second", "y"]);
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut tail = LogTail::default();
        for number in 0..TAIL + 50 {
            tail.push(number.to_string());
        }
        assert_eq!(tail.lines().next(), Some("50"));
        assert_eq!(tail.lines().next_back(), Some("249"));
        assert_eq!(tail.lines().count(), TAIL);
        tail.begin();
        assert_eq!(tail.newest().count(), 0, "another process wrote them");
        tail.push("new".into());
        assert_eq!(tail.newest().collect::<Vec<_>>(), ["new"]);
    }
}
