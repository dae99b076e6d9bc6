//! What a worker writes to its log pipe: bounded, made safe to show, kept.

use super::rate::TokenBucket;
use crate::clock::Time;
use midimon_shared::text::safe_text;
use std::collections::VecDeque;

/// Lines kept in memory for each worker.
pub const TAIL: usize = 200;
/// Longest line, in bytes; the rest of a longer one is cut.
pub const MAX_LINE: usize = 1024;
/// Lines a second a worker may write for long.
const LINES_PER_S: u32 = 200;
/// Lines it may write at once.
const BURST: u32 = 400;
/// Bytes a second it may write for long, whatever they are: a line without an end is work too.
const BYTES_PER_S: u32 = 256 * 1024;
/// Bytes it may write at once.
const BYTES_BURST: u32 = 1024 * 1024;
/// Times a second its pipe is read for long: bytes that come one by one are most work.
const READS_PER_S: u32 = 200;

/// Splits bytes into lines and makes them safe to show: no control characters,
/// no line over [`MAX_LINE`], no more lines and bytes than the rates allow.
#[derive(Debug)]
pub struct LogFilter {
    line: Vec<u8>,
    cut: bool,
    lines: TokenBucket,
    bytes: TokenBucket,
    reads: TokenBucket,
    /// Dropped, and not told yet.
    untold: Dropped,
    dropped: Dropped,
}

/// What came too fast to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Whole lines.
    pub lines: u64,
    /// Bytes that were not looked at, so nobody knows how many lines they were.
    pub bytes: u64,
}

impl Dropped {
    fn count(&mut self, lines: u64, bytes: u64) {
        self.lines = self.lines.saturating_add(lines);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            cut: false,
            lines: TokenBucket::new(LINES_PER_S, BURST),
            bytes: TokenBucket::new(BYTES_PER_S, BYTES_BURST),
            reads: TokenBucket::new(READS_PER_S, READS_PER_S),
            untold: Dropped::default(),
            dropped: Dropped::default(),
        }
    }
}

impl LogFilter {
    /// Takes the bytes of one read in and gives complete lines to `keep`.
    pub fn feed(&mut self, now: Time, bytes: &[u8], mut keep: impl FnMut(String)) {
        let _ = self.reads.take(now); // one too many is no loss, only a reason to pause
        let allowed = usize::try_from(self.bytes.take_up_to(now, bytes.len() as u64)).unwrap_or(bytes.len());
        let (taken, refused) = bytes.split_at(allowed.min(bytes.len()));
        for chunk in taken.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match chunk.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (chunk, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(now, &mut keep);
            }
        }
        if !refused.is_empty() {
            if !self.line.is_empty() {
                // what comes next belongs to some later line
                self.cut = true;
                self.end_line(now, &mut keep);
            }
            self.untold.count(0, refused.len() as u64);
            self.dropped.count(0, refused.len() as u64);
        }
    }

    /// What came too fast to be kept.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Whether more comes, or in smaller pieces, than is kept.
    #[must_use]
    pub fn is_flooded(&self, now: Time) -> bool {
        [&self.lines, &self.bytes, &self.reads].into_iter().any(|bucket| !bucket.wait(now).is_zero())
    }

    /// The worker has ended: what is left is a line.
    pub fn finish(&mut self, now: Time, mut keep: impl FnMut(String)) {
        if !self.line.is_empty() {
            self.end_line(now, &mut keep);
        }
        if let Some(note) = self.take_untold() {
            keep(note);
        }
    }

    fn end_line(&mut self, now: Time, keep: &mut impl FnMut(String)) {
        if self.lines.take(now) {
            if let Some(note) = self.take_untold() {
                keep(note);
            }
            let mut line = safe(&String::from_utf8_lossy(&self.line));
            if self.cut {
                line.push_str(" … (cut)");
            }
            keep(line);
        } else {
            self.untold.count(1, 0);
            self.dropped.count(1, 0);
        }
        self.line.clear();
        self.cut = false;
    }

    fn take_untold(&mut self) -> Option<String> {
        let limits = format!("over {LINES_PER_S} lines or {} KiB a second", BYTES_PER_S / 1024);
        match std::mem::take(&mut self.untold) {
            Dropped { lines: 0, bytes: 0 } => None,
            Dropped { lines, bytes: 0 } => Some(format!("… {lines} lines dropped: {limits}")),
            Dropped { lines: 0, bytes } => Some(format!("… {bytes} bytes dropped: {limits}")),
            Dropped { lines, bytes } => Some(format!("… {lines} lines and {bytes} bytes more dropped: {limits}")),
        }
    }
}

/// A plugin's text with everything that could act on a terminal or hide
/// something written out: control, bidirectional and zero-width characters.
#[must_use]
pub fn safe(text: &str) -> String {
    safe_text(text).into_owned()
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
    use proptest::prelude::*;

    fn lines_of(filter: &mut LogFilter, now_ms: u64, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        filter.feed(Time::from_millis(now_ms), bytes, |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_cut_anywhere_are_put_together() {
        let mut filter = LogFilter::default();
        assert!(lines_of(&mut filter, 0, b"he").is_empty());
        assert_eq!(lines_of(&mut filter, 0, b"llo\n\nworld"), ["hello", ""]);
        let mut rest = Vec::new();
        filter.finish(Time::default(), |line| rest.push(line));
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
        for _ in 0..1_000 {
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
        assert!(filter.is_flooded(Time::from_millis(1)));
        let later = lines_of(&mut filter, 1_001, b"y\n");
        assert!(!filter.is_flooded(Time::from_millis(1_001)));
        assert_eq!(filter.dropped(), Dropped { lines: 9_600, bytes: 0 });
        assert_eq!(later, ["… 9600 lines dropped: over 200 lines or 256 KiB a second", "y"]);
    }

    #[test]
    fn a_flood_without_lines_is_a_flood_too_and_counted_in_bytes() {
        let mut filter = LogFilter::default();
        let blob = vec![b'y'; 64 * 1024];
        for _ in 0..15 {
            assert!(lines_of(&mut filter, 1, &blob).is_empty());
            assert!(!filter.is_flooded(Time::from_millis(1)));
        }
        assert!(lines_of(&mut filter, 1, &blob).is_empty(), "all that may come at once");
        assert!(filter.is_flooded(Time::from_millis(1)));
        let cut = lines_of(&mut filter, 1, &blob);
        assert_eq!(cut.len(), 1, "what was there is a line");
        assert!(cut[0].starts_with("yyy") && cut[0].ends_with("y … (cut)"), "{}", cut[0]);
        for _ in 0..100 {
            assert!(lines_of(&mut filter, 1, &blob).is_empty());
        }
        assert_eq!(filter.dropped(), Dropped { lines: 0, bytes: 101 * 64 * 1024 });
        let later = lines_of(&mut filter, 1_001, b"z\n");
        assert_eq!(later, ["… 6619136 bytes dropped: over 200 lines or 256 KiB a second", "z"]);
        assert!(!filter.is_flooded(Time::from_millis(1_001)));
    }

    #[test]
    fn bytes_that_come_one_by_one_are_a_flood_and_none_of_them_is_lost() {
        let mut filter = LogFilter::default();
        for byte in 0..READS_PER_S {
            assert!(!filter.is_flooded(Time::from_millis(1)), "{byte}");
            assert!(lines_of(&mut filter, 1, b"x").is_empty());
        }
        assert!(filter.is_flooded(Time::from_millis(1)));
        assert!(!filter.is_flooded(Time::from_millis(21)), "after a pause it goes on");
        let line = lines_of(&mut filter, 21, b"\n");
        assert_eq!((line, filter.dropped()), (vec!["x".repeat(200)], Dropped::default()));
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

    proptest! {
        #[test]
        fn cut_anywhere_they_are_the_same_lines_and_nothing_in_them_acts_on_a_terminal(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>(), 0xCC_u8..0xCE, 0x80_u8..0x90], 0..200), piece in 1_usize..20,
        ) {
            let lines = |piece: usize| {
                let (mut filter, mut lines) = (LogFilter::default(), Vec::new());
                bytes.chunks(piece).for_each(|bytes| filter.feed(Time::default(), bytes, |line| lines.push(line)));
                filter.finish(Time::default(), |line| lines.push(line));
                lines
            };
            let whole = lines(200);
            prop_assert_eq!(&lines(piece), &whole);
            prop_assert!(whole.iter().all(|line| midimon_shared::text::unshowable(line).is_none()), "{:?}", whole);
        }
    }
}
