//! What a plugin writes to its log, cut anywhere: lines of bounded length that do nothing to a
//! terminal, and a bounded number of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::clock::Time;
use midimon::workers::log::{LogFilter, MAX_LINE, safe};
use midimon_shared::text::unshowable;
use std::time::Duration;

/// The lines of a log that comes in pieces of the given size, as fast as it is read at most.
fn lines(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut filter, mut lines, mut now) = (LogFilter::default(), Vec::new(), Time::default());
    for bytes in bytes.chunks(piece) {
        filter.feed(now, bytes, |line| lines.push(line));
        // so long that none is dropped: 200 a second are kept, and a piece has as many as it has bytes
        now = now + Duration::from_millis(5) * u32::try_from(piece).unwrap_or(u32::MAX);
    }
    filter.finish(now, |line| lines.push(line));
    lines
}

fuzz_target!(|bytes: &[u8]| {
    let slow = lines(bytes, 32);
    assert!(slow.len() <= bytes.len());
    for line in &slow {
        // a character of a byte is spelt out in six at most, one that is no text in three
        assert!(line.len() <= 8 * MAX_LINE && unshowable(line).is_none(), "{line:?}");
        assert_eq!(safe(line), *line);
    }
    assert_eq!(lines(bytes, 7), slow);
    // all at once: what is too much is dropped, and that is told
    let (mut filter, mut kept) = (LogFilter::default(), 0);
    filter.feed(Time::default(), bytes, |_| kept += 1);
    let newlines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!((kept + filter.dropped().lines, filter.dropped().bytes), (newlines as u64, 0));
});
