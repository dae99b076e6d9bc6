//! Standard MIDI files as a stream of timed bytes: tracks merged, tempo applied.
//!
//! Nothing is collected: a file of any content needs memory for its tracks'
//! positions only.

use midimon_shared::ChannelMessage;
use midly::{EventIter, Format, MetaMessage, Timing, TrackEventKind};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Tracks of a file at most; the header has 16 bits for their number.
const MAX_TRACKS: usize = 65_535;
/// Microseconds a quarter note when the file says nothing: 120 a minute.
const DEFAULT_TEMPO: u32 = 500_000;

/// A file that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmfError {
    /// The header is missing or wrong.
    #[error("it is no Standard MIDI File ({0})")]
    NotMidi(String),
    /// Format 2: independent patterns, not a piece.
    #[error("it is of format 2 (independent patterns); only formats 0 and 1 can be replayed")]
    Patterns,
    /// A division of 0 ticks.
    #[error("its header says that a beat has 0 ticks")]
    NoTicks,
    /// More than [`MAX_TRACKS`].
    #[error("it has more than {MAX_TRACKS} tracks")]
    TooManyTracks,
}

/// What happens at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// A channel message.
    Message(ChannelMessage),
    /// SysEx without its `F0`; may go on in a later [`Chunk::Raw`].
    SysEx(&'a [u8]),
    /// Bytes as they are.
    Raw(&'a [u8]),
}

/// Plays through a file once, in the order of time.
#[derive(Debug)]
pub struct Timeline<'a> {
    tracks: Vec<Track<'a>>,
    /// When each track's next event is, in ticks; earlier tracks first.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    scale: Scale,
    end: Duration,
    damaged: usize,
}

#[derive(Debug)]
struct Track<'a> {
    events: EventIter<'a>,
    pending: Option<TrackEventKind<'a>>,
}

impl<'a> Timeline<'a> {
    /// Reads the header and the beginning of each track.
    ///
    /// # Errors
    /// See [`SmfError`].
    pub fn new(file: &'a [u8]) -> Result<Self, SmfError> {
        if has_overflowing_division(file) {
            return Err(SmfError::NotMidi("its header has an impossible number of frames a second".to_owned()));
        }
        let (header, chunks) = midly::parse(file).map_err(|error| SmfError::NotMidi(error.to_string()))?;
        if header.format == Format::Sequential {
            return Err(SmfError::Patterns);
        }
        let scale = Scale::new(header.timing).ok_or(SmfError::NoTicks)?;
        let mut timeline = Self { tracks: Vec::new(), next: BinaryHeap::new(), scale, end: Duration::ZERO, damaged: 0 };
        // what follows a broken chunk cannot be found
        for events in chunks.map_while(Result::ok) {
            if timeline.tracks.len() == MAX_TRACKS {
                return Err(SmfError::TooManyTracks);
            }
            timeline.tracks.push(Track { events, pending: None });
            timeline.advance(timeline.tracks.len() - 1, 0);
        }
        Ok(timeline)
    }

    /// When the last event so far was, those that say nothing included.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.end
    }

    /// Tracks that broke off so far.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Reads the next event of a track whose last one was at `tick`.
    fn advance(&mut self, track: usize, tick: u64) {
        match self.tracks[track].events.next() {
            Some(Ok(event)) => {
                self.tracks[track].pending = Some(event.kind);
                self.next.push(Reverse((tick + u64::from(event.delta.as_int()), track)));
            }
            Some(Err(_)) => self.damaged += 1,
            None => {}
        }
    }
}

impl<'a> Iterator for Timeline<'a> {
    type Item = (Duration, Chunk<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(Reverse((tick, track))) = self.next.pop() {
            let kind = self.tracks[track].pending.take();
            self.advance(track, tick);
            self.end = self.scale.at(tick);
            let chunk = match kind {
                Some(TrackEventKind::Midi { channel, message }) => message_of(channel.as_int(), message),
                Some(TrackEventKind::SysEx(bytes)) => Some(Chunk::SysEx(bytes)),
                Some(TrackEventKind::Escape(bytes)) => Some(Chunk::Raw(bytes)),
                Some(TrackEventKind::Meta(MetaMessage::Tempo(tempo))) => {
                    self.scale.set_tempo(tick, tempo.as_int());
                    None
                }
                Some(TrackEventKind::Meta(_)) | None => None,
            };
            if let Some(chunk) = chunk {
                return Some((self.end, chunk));
            }
        }
        None
    }
}

/// Whether a header, of which there can be several, divides a second into 128 frames: midly negates the byte that
/// says so, which is -128, and overflows.
fn has_overflowing_division(mut file: &[u8]) -> bool {
    while let Some((head, rest)) = file.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let Some((chunk, next)) = rest.split_at_checked(length as usize) else { break };
        // after 16 bits of format and 16 of tracks
        if head.starts_with(b"MThd") && chunk.get(4) == Some(&0x80) {
            return true;
        }
        file = next;
    }
    false
}

fn message_of(channel: u8, message: midly::MidiMessage) -> Option<Chunk<'static>> {
    use midly::MidiMessage as M;
    let (kind, first, second) = match message {
        M::NoteOff { key, vel } => (0x80, key.as_int(), vel.as_int()),
        M::NoteOn { key, vel } => (0x90, key.as_int(), vel.as_int()),
        M::Aftertouch { key, vel } => (0xA0, key.as_int(), vel.as_int()),
        M::Controller { controller, value } => (0xB0, controller.as_int(), value.as_int()),
        M::ProgramChange { program } => (0xC0, program.as_int(), 0),
        M::ChannelAftertouch { vel } => (0xD0, vel.as_int(), 0),
        M::PitchBend { bend } => {
            let bend = bend.0.as_int();
            (0xE0, (bend & 0x7F) as u8, (bend >> 7) as u8)
        }
    };
    ChannelMessage::from_bytes([kind | channel, first, second]).map(Chunk::Message)
}

/// Ticks to time. Counted from the last change of tempo, so that nothing adds up.
#[derive(Debug)]
struct Scale {
    /// Ticks a beat, or a second where the file counts frames.
    ticks: u64,
    /// Nanoseconds a beat, or a second.
    nanos: u64,
    follows_tempo: bool,
    since_tick: u64,
    since: Duration,
}

impl Scale {
    fn new(timing: Timing) -> Option<Self> {
        let (ticks, nanos, follows_tempo) = match timing {
            Timing::Metrical(ticks) => (u64::from(ticks.as_int()), u64::from(DEFAULT_TEMPO) * 1000, true),
            Timing::Timecode(frames, ticks) => {
                // 29.97 frames a second are counted as 30 in 1.001 seconds
                let nanos = if frames == midly::Fps::Fps29 { 1_001_000_000 } else { 1_000_000_000 };
                let frames = if frames == midly::Fps::Fps29 { 30 } else { u64::from(frames.as_int()) };
                (frames * u64::from(ticks), nanos, false)
            }
        };
        (ticks > 0).then_some(Self { ticks, nanos, follows_tempo, since_tick: 0, since: Duration::ZERO })
    }

    fn at(&self, tick: u64) -> Duration {
        let nanos = u128::from(tick - self.since_tick) * u128::from(self.nanos) / u128::from(self.ticks);
        self.since.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn set_tempo(&mut self, tick: u64, micros_a_beat: u32) {
        if self.follows_tempo {
            (self.since, self.since_tick) = (self.at(tick), tick);
            self.nanos = u64::from(micros_a_beat) * 1000;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use midly::num::{u4, u7, u15, u24, u28};
    use midly::{Header, MidiMessage, Smf, TrackEvent};
    use proptest::prelude::*;

    pub fn note(delta: u32, key: u8, velocity: u8) -> TrackEvent<'static> {
        let message = MidiMessage::NoteOn { key: u7::new(key), vel: u7::new(velocity) };
        TrackEvent { delta: u28::new(delta), kind: TrackEventKind::Midi { channel: u4::new(0), message } }
    }

    fn tempo(delta: u32, micros: u32) -> TrackEvent<'static> {
        let kind = TrackEventKind::Meta(MetaMessage::Tempo(u24::new(micros)));
        TrackEvent { delta: u28::new(delta), kind }
    }

    pub fn file(timing: Timing, tracks: Vec<Vec<TrackEvent<'static>>>) -> Vec<u8> {
        let mut smf = Smf::new(Header::new(Format::Parallel, timing));
        smf.tracks = tracks;
        let mut bytes = Vec::new();
        smf.write_std(&mut bytes).unwrap();
        bytes
    }

    fn played(file: &[u8]) -> Vec<(u64, [u8; 3])> {
        let chunk = |(at, chunk): (Duration, Chunk<'_>)| match chunk {
            Chunk::Message(message) => (at.as_micros() as u64, message.to_bytes()),
            other => panic!("{other:?}"),
        };
        Timeline::new(file).unwrap().map(chunk).collect()
    }

    #[test]
    fn tracks_are_merged_in_time_and_follow_the_first_ones_tempo() {
        let beats = Timing::Metrical(u15::new(100));
        let conductor = vec![tempo(0, 1_000_000), tempo(100, 500_000)];
        let upper = vec![note(50, 60, 1), note(100, 60, 0)];
        let lower = vec![note(0, 40, 1), note(150, 40, 0)];
        assert_eq!(
            played(&file(beats, vec![conductor, upper, lower])),
            [(0, [0x90, 40, 1]), (500_000, [0x90, 60, 1]), (1_250_000, [0x80, 60, 64]), (1_250_000, [0x80, 40, 64])]
        );
    }

    #[test]
    fn frames_a_second_do_not_follow_a_tempo() {
        let timing = Timing::Timecode(midly::Fps::Fps25, 40);
        assert_eq!(played(&file(timing, vec![vec![tempo(0, 1), note(1500, 60, 1)]])), [(1_500_000, [0x90, 60, 1])]);
    }

    #[test]
    fn a_long_piece_does_not_drift() {
        // 1/3 ms a tick cannot be written in nanoseconds
        let timing = Timing::Metrical(u15::new(1500));
        let notes = played(&file(timing, vec![(0..30_000).map(|_| note(1, 60, 1)).collect()]));
        assert_eq!(notes[29_999].0, 10_000_000);
    }

    #[test]
    fn system_exclusive_bytes_come_in_their_parts() {
        let event = |kind| TrackEvent { delta: u28::new(0), kind };
        let parts = vec![event(TrackEventKind::SysEx(&[1, 2])), event(TrackEventKind::Escape(&[3, 0xF7]))];
        let file = file(Timing::Metrical(u15::new(1)), vec![parts]);
        let chunks: Vec<_> = Timeline::new(&file).unwrap().map(|(_, chunk)| chunk).collect();
        assert_eq!(chunks, [Chunk::SysEx(&[1, 2]), Chunk::Raw(&[3, 0xF7])]);
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused_with_the_reason() {
        assert!(matches!(Timeline::new(b"RIFFxxxx"), Err(SmfError::NotMidi(_))));
        assert!(matches!(Timeline::new(b""), Err(SmfError::NotMidi(_))));
        assert_eq!(Timeline::new(b"MThd\0\0\0\x06\0\x02\0\x01\0\x60").unwrap_err(), SmfError::Patterns);
        assert_eq!(Timeline::new(b"MThd\0\0\0\x06\0\x01\0\x01\0\0").unwrap_err(), SmfError::NoTicks);
        let good = b"MThd\0\0\0\x06\0\x01\0\x01\xe7\x28".as_slice();
        assert!(Timeline::new(good).is_ok());
        let frames = b"MThd\0\0\0\x06\0\x01\0\x01\x80\x60".as_slice();
        for file in [frames, &[good, frames].concat(), &[b"RIFF\0\0\0\0", frames].concat()] {
            assert!(matches!(Timeline::new(file), Err(SmfError::NotMidi(why)) if why.contains("frames")), "{file:x?}");
        }
    }

    #[test]
    fn a_damaged_track_ends_early_and_is_counted() {
        let good = file(Timing::Metrical(u15::new(100)), vec![vec![note(1, 60, 1), note(1, 61, 1)]]);
        let mut bad = good.clone();
        let length = bad.len();
        bad[length - 1] = 0xFF; // a velocity that is none
        let mut timeline = Timeline::new(&bad).unwrap();
        assert_eq!(timeline.by_ref().count(), 1);
        assert_eq!(timeline.damaged(), 1);
        let mut timeline = Timeline::new(&good).unwrap();
        assert_eq!((timeline.by_ref().count(), timeline.damaged()), (2, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic_and_in_the_order_of_time(
            tail in prop::collection::vec(any::<u8>(), 0..400),
            tracks in 0u8..4,
            division: [u8; 2],
        ) {
            let mut file = b"MThd\0\0\0\x06\0\x01\0\x02".to_vec();
            file.extend(division);
            for _ in 0..tracks {
                file.extend(b"MTrk");
                file.extend((tail.len() as u32).to_be_bytes());
                file.extend(&tail);
            }
            file.extend(&tail);
            if let Ok(timeline) = Timeline::new(&file) {
                let times: Vec<_> = timeline.map(|(at, _)| at).collect();
                prop_assert!(times.is_sorted());
            }
        }
    }
}
