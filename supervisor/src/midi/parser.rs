//! MIDI 1.0 bytes to messages: a total function over any bytes, cut anywhere.
//!
//! Never panics, and allocates for SysEx alone, at most [`MAX_SYSEX`] bytes once.

use midimon_shared::ChannelMessage;
use serde::Serialize;

/// Longest SysEx message that is delivered, in bytes, `F0` and `F7` included.
pub const MAX_SYSEX: usize = 64 * 1024;

const SYSEX: u8 = 0xF0;
const SYSEX_END: u8 = 0xF7;
/// The first of the bytes that may stand anywhere.
const REALTIME: u8 = 0xF8;

/// What the bytes said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedEvent<'a> {
    /// A note, controller, program, pressure or pitch-bend message.
    Channel(ChannelMessage),
    /// A whole SysEx message, `F0` and `F7` included.
    SysEx(&'a [u8]),
    /// A SysEx message that was cut off by another status byte, or was too long.
    SysExAborted,
    /// `F8`, `FA`-`FC`, `FE` or `FF`: clock, transport, active sensing, reset.
    Realtime(u8),
    /// `F1`-`F3` or `F6` with its data bytes: time code, song position, song, tune request.
    SystemCommon(&'a [u8]),
}

/// What went wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Data bytes that belonged to no message.
    pub stray: u64,
    /// SysEx messages longer than [`MAX_SYSEX`].
    pub overruns: u64,
    /// SysEx messages that did not end, overruns included.
    pub aborted: u64,
}

/// Reads one stream of MIDI bytes. Each input has its own.
///
/// ```
/// use midimon::midi::parser::{ParsedEvent, Parser};
///
/// let mut notes = 0;
/// // the second note relies on running status, with a clock tick in its middle
/// Parser::new().feed(&[0x90, 60, 100, 62, 0xF8, 100], |event| {
///     notes += usize::from(matches!(event, ParsedEvent::Channel(_)));
/// });
/// assert_eq!(notes, 2);
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    /// The status that data bytes belong to (running status), 0 for none.
    status: u8,
    /// The message being read: its status and the data so far.
    pending: [u8; 3],
    /// How many bytes of `pending` are there; 0 or 1 between messages.
    filled: usize,
    sysex: Vec<u8>,
    state: SysexState,
    faults: Faults,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SysexState {
    #[default]
    Outside,
    Inside,
    /// Too long: the rest is passed over.
    Overrun,
}

impl Parser {
    /// A parser that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Reads the next bytes of the stream and hands over what they complete, in order.
    pub fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(ParsedEvent<'_>)) {
        for &byte in bytes {
            match byte {
                0x00..=0x7F => self.data(byte, &mut event),
                // undefined, and allowed anywhere: as if it were not there
                0xF9 | 0xFD => {}
                REALTIME.. => event(ParsedEvent::Realtime(byte)),
                _ => self.start(byte, &mut event),
            }
        }
    }

    /// A status byte other than real-time: whatever was being read ends here.
    fn start(&mut self, status: u8, event: &mut impl FnMut(ParsedEvent<'_>)) {
        self.faults.stray += self.filled.saturating_sub(1) as u64;
        self.filled = 0;
        let state = std::mem::take(&mut self.state);
        match (state, status) {
            (SysexState::Inside, SYSEX_END) => {
                self.sysex.push(SYSEX_END);
                event(ParsedEvent::SysEx(&self.sysex));
            }
            (SysexState::Inside | SysexState::Overrun, _) => {
                self.faults.aborted += 1;
                event(ParsedEvent::SysExAborted);
            }
            (SysexState::Outside, _) => {}
        }
        self.status = 0;
        match status {
            SYSEX => {
                self.state = SysexState::Inside;
                self.sysex.clear();
                self.sysex.push(SYSEX);
            }
            0xF6 => event(ParsedEvent::SystemCommon(&[0xF6])),
            // an end of nothing; F4 and F5 are undefined
            SYSEX_END | 0xF4 | 0xF5 => {}
            _ => {
                self.status = status;
                (self.pending[0], self.filled) = (status, 1);
            }
        }
    }

    fn data(&mut self, byte: u8, event: &mut impl FnMut(ParsedEvent<'_>)) {
        match self.state {
            // room is kept for the F7
            SysexState::Inside if self.sysex.len() < MAX_SYSEX - 1 => return self.sysex.push(byte),
            SysexState::Inside => {
                self.faults.overruns += 1;
                self.state = SysexState::Overrun;
                return;
            }
            SysexState::Overrun => return,
            SysexState::Outside => {}
        }
        if self.status == 0 {
            self.faults.stray += 1;
            return;
        }
        self.pending[self.filled] = byte;
        self.filled += 1;
        if self.filled < length(self.status) {
            return;
        }
        let message = &self.pending[..self.filled];
        if self.status >= SYSEX {
            event(ParsedEvent::SystemCommon(message));
            (self.status, self.filled) = (0, 0);
        } else {
            let second = if self.filled == 3 { self.pending[2] } else { 0 };
            if let Some(message) = ChannelMessage::from_bytes([self.status, self.pending[1], second]) {
                event(ParsedEvent::Channel(message));
            }
            self.filled = 1;
        }
    }
}

/// Bytes of a message with this status (not SysEx), the status included.
const fn length(status: u8) -> usize {
    match status {
        0xC0..=0xDF | 0xF1 | 0xF3 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An event with its bytes owned.
    #[derive(Clone, Debug, PartialEq)]
    enum Owned {
        Channel(ChannelMessage),
        Bytes(Vec<u8>),
        Aborted,
        Realtime(u8),
    }

    fn parse(chunks: &[&[u8]]) -> (Vec<Owned>, Faults) {
        let (mut parser, mut events) = (Parser::new(), Vec::new());
        for chunk in chunks {
            parser.feed(chunk, |event| {
                events.push(match event {
                    ParsedEvent::Channel(message) => Owned::Channel(message),
                    ParsedEvent::SysEx(bytes) | ParsedEvent::SystemCommon(bytes) => Owned::Bytes(bytes.to_vec()),
                    ParsedEvent::SysExAborted => Owned::Aborted,
                    ParsedEvent::Realtime(byte) => Owned::Realtime(byte),
                });
            });
        }
        (events, parser.faults())
    }

    fn channel(bytes: [u8; 3]) -> Owned {
        Owned::Channel(ChannelMessage::from_bytes(bytes).unwrap())
    }

    #[test]
    fn running_status_holds_over_real_time_and_ends_at_a_system_message() {
        let (events, faults) = parse(&[&[0x90, 60, 1, 0xFE, 61, 0xF8, 2, 0xF6, 62, 3]]);
        assert_eq!(
            events,
            [
                channel([0x90, 60, 1]),
                Owned::Realtime(0xFE),
                Owned::Realtime(0xF8),
                channel([0x90, 61, 2]),
                Owned::Bytes(vec![0xF6]),
            ]
        );
        assert_eq!(faults.stray, 2);
    }

    #[test]
    fn undefined_real_time_changes_nothing_and_undefined_common_ends_running_status() {
        assert_eq!(parse(&[&[0xB0, 7, 0xF9, 1, 0xFD, 8, 2]]).0, [channel([0xB0, 7, 1]), channel([0xB0, 8, 2])]);
        for undefined in [0xF4, 0xF5, 0xF7] {
            let (events, faults) = parse(&[&[0xB0, 7, 1, undefined, 8, 2]]);
            assert_eq!((events, faults.stray), (vec![channel([0xB0, 7, 1])], 2));
        }
    }

    #[test]
    fn sysex_passes_over_real_time_inside_and_is_delivered_whole() {
        let (events, _) = parse(&[&[0xF0, 1], &[0xF8], &[2, 0xF7, 3]]);
        assert_eq!(events, [Owned::Realtime(0xF8), Owned::Bytes(vec![0xF0, 1, 2, 0xF7])]);
    }

    #[test]
    fn a_status_inside_sysex_aborts_it_and_is_read() {
        let (events, faults) = parse(&[&[0xF0, 1, 2, 0x90, 60, 1, 0xF0, 0xF0, 0xF7]]);
        assert_eq!(events, [Owned::Aborted, channel([0x90, 60, 1]), Owned::Aborted, Owned::Bytes(vec![0xF0, 0xF7])]);
        assert_eq!(faults.aborted, 2);
    }

    #[test]
    fn the_longest_sysex_passes_and_one_byte_more_is_counted_not_kept() {
        for (data, fits) in [(MAX_SYSEX - 2, true), (MAX_SYSEX - 1, false)] {
            let mut bytes = vec![0xF0];
            bytes.resize(1 + data, 1);
            bytes.push(0xF7);
            let (events, faults) = parse(&[&bytes, &[0xC0, 5]]);
            let first = if fits { Owned::Bytes(bytes) } else { Owned::Aborted };
            assert_eq!(events, [first, channel([0xC0, 5, 0])]);
            assert_eq!(faults.overruns, u64::from(!fits));
        }
    }

    #[test]
    fn an_endless_sysex_keeps_memory_bounded() {
        let mut parser = Parser::new();
        parser.feed(&[0xF0], |_| {});
        for _ in 0..1000 {
            parser.feed(&[0; 4096], |event| panic!("{event:?}"));
        }
        assert!(parser.sysex.capacity() <= 2 * MAX_SYSEX);
        assert_eq!(parser.faults().overruns, 1);
    }

    #[test]
    fn data_without_status_and_half_messages_are_counted_as_stray() {
        assert_eq!(
            parse(&[&[1, 2, 0x90, 60, 0x80, 60, 0]]),
            (vec![channel([0x80, 60, 0])], Faults { stray: 3, ..Faults::default() })
        );
    }

    #[test]
    fn system_common_messages_have_their_lengths() {
        let (events, faults) = parse(&[&[0xF1, 1, 0xF2, 2, 3, 0xF3, 4, 5]]);
        let expected: Vec<_> =
            [&[0xF1, 1][..], &[0xF2, 2, 3], &[0xF3, 4]].map(|bytes| Owned::Bytes(bytes.to_vec())).into();
        assert_eq!((events, faults.stray), (expected, 1));
    }

    /// Bytes where status bytes are as frequent as in real streams.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![4 => 0u8..128, 2 => 128u8..=255, 1 => prop::sample::select(vec![0xF0, 0xF7, 0xF8, 0x90])];
        prop::collection::vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(bytes in stream(), cuts in prop::collection::vec(0usize..200, 0..20)) {
            let mut cuts: Vec<_> = cuts.into_iter().filter(|&cut| cut < bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&chunks), parse(&[&bytes]));
        }

        #[test]
        fn real_time_anywhere_changes_no_other_message(
            bytes in stream(),
            inserts in prop::collection::vec((0usize..200, 0xF8u8..=0xFF), 0..20),
        ) {
            let mut mixed = bytes.clone();
            for (at, byte) in inserts {
                mixed.insert(at.min(mixed.len()), byte);
            }
            let others = |bytes: &[u8]| {
                let (mut events, faults) = parse(&[bytes]);
                events.retain(|event| !matches!(event, Owned::Realtime(_)));
                (events, faults)
            };
            prop_assert_eq!(others(&mixed), others(&bytes));
        }

        #[test]
        fn every_byte_is_accounted_for(bytes in stream()) {
            let (events, faults) = parse(&[&bytes]);
            let delivered: usize = events.iter().map(|event| match event {
                Owned::Channel(message) => message.wire_len(),
                Owned::Bytes(bytes) => bytes.len(),
                Owned::Realtime(_) => 1,
                Owned::Aborted => 0,
            }).sum();
            let statuses = bytes.iter().filter(|&&byte| byte >= 0x80).count();
            // running status delivers at most one status byte more a message than was sent
            prop_assert!(delivered <= bytes.len() + events.len());
            prop_assert!(faults.stray as usize <= bytes.len() - statuses);
        }
    }
}
