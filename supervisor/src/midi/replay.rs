//! Input from a Standard MIDI File, in its own time.

use super::device::{DeviceRef, Feed, MidiSink};
use super::smf::{Chunk, SmfError, Timeline};
use super::stop::{Playing, Stop};
use crate::clock::now;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// A pass of a looped file takes at least this long, unless as fast as possible is wanted.
const SHORTEST_PASS: Duration = Duration::from_millis(10);

/// A file that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`MAX_FILE`].
    #[error("{} is larger than {} MiB", .0.display(), MAX_FILE >> 20)]
    TooLarge(PathBuf),
    /// It is not what it should be.
    #[error("cannot replay {}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SmfError,
    },
}

/// How fast a file is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Times its own speed; positive.
    Times(f64),
    /// As fast as possible.
    Max,
}

impl Default for Speed {
    fn default() -> Self {
        Self::Times(1.0)
    }
}

/// A speed that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no speed: write a factor from 0.001 to 1000 such as 2 or 0.5, or max (or 0)")]
pub struct NoSpeed(String);

impl FromStr for Speed {
    type Err = NoSpeed;

    fn from_str(text: &str) -> Result<Self, NoSpeed> {
        match text.parse::<f64>() {
            _ if text.eq_ignore_ascii_case("max") => Ok(Self::Max),
            Ok(0.0) => Ok(Self::Max),
            Ok(factor) if (0.001..=1000.0).contains(&factor) => Ok(Self::Times(factor)),
            _ => Err(NoSpeed(text.to_owned())),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(factor) => write!(formatter, "{factor}"),
            Self::Max => formatter.write_str("max"),
        }
    }
}

impl Speed {
    fn scale(self, at: Duration) -> Duration {
        match self {
            Self::Times(factor) => Duration::try_from_secs_f64(at.as_secs_f64() / factor).unwrap_or(Duration::MAX),
            Self::Max => Duration::ZERO,
        }
    }
}

/// A file that is being played; dropping it stops it.
#[derive(Debug)]
pub(super) struct Replay {
    _playing: Playing,
}

impl Replay {
    /// Reads the file, then plays it on a thread of its own, again and again if `repeat`.
    pub fn start(
        path: &Path,
        speed: Speed,
        repeat: bool,
        device: DeviceRef,
        sink: Arc<dyn MidiSink>,
    ) -> Result<Self, ReplayError> {
        let file = read(path)?;
        // a file that cannot be played is told before anything starts
        Timeline::new(&file).map_err(|source| ReplayError::Content { path: path.to_owned(), source })?;
        let shown = path.display().to_string();
        let run = move |stop: &Stop| {
            let mut feed = Feed::new(device.clone(), sink.clone());
            while let Some(pass) = play(&file, speed, repeat, &mut feed, stop) {
                if pass.damaged > 0 {
                    sink.note(format!("{shown}: {} of its tracks broke off, it is damaged", pass.damaged));
                }
                if !repeat || pass.chunks == 0 || stop.is_stopped() {
                    break;
                }
            }
            drop(feed); // releases what the file left pressed
            if !stop.is_stopped() {
                sink.finished(&device);
            }
        };
        let playing =
            Playing::start("replay", run).map_err(|source| ReplayError::Read { path: path.to_owned(), source })?;
        Ok(Self { _playing: playing })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReplayError> {
    let failed = |source| ReplayError::Read { path: path.to_owned(), source };
    // a pipe without a writer must not hang us
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReplayError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// What one pass through the file came to.
struct Pass {
    chunks: u64,
    damaged: usize,
}

/// Plays the file once; every event has its own deadline, so that delays do not add up.
fn play(file: &[u8], speed: Speed, repeat: bool, feed: &mut Feed, stop: &Stop) -> Option<Pass> {
    let mut timeline = Timeline::new(file).ok()?;
    let (start, mut chunks) = (now(), 0);
    for (at, chunk) in timeline.by_ref() {
        if stop.sleep_until(start + speed.scale(at)) {
            break;
        }
        chunks += 1;
        match chunk {
            Chunk::Message(message) => feed.message(now(), message),
            Chunk::Raw(bytes) => feed.bytes(now(), bytes),
            Chunk::SysEx(bytes) => {
                feed.bytes(now(), &[0xF0]);
                feed.bytes(now(), bytes);
            }
        }
    }
    if repeat && speed != Speed::Max {
        stop.sleep_until(start + speed.scale(timeline.end()).max(SHORTEST_PASS));
    }
    Some(Pass { chunks, damaged: timeline.damaged() })
}

#[cfg(test)]
mod tests {
    use super::super::device::DeviceTable;
    use super::super::device::testing::{Told, recorder};
    use super::super::smf::tests::{file, note};
    use super::*;
    use crate::clock::Time;
    use midly::{Timing, num::u15};
    use std::io::Write;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn device() -> DeviceRef {
        DeviceTable::default().device("tune")
    }

    /// Notes 1 ms apart at speed 1.
    fn tune(notes: u32) -> Vec<u8> {
        file(Timing::Metrical(u15::new(500)), vec![(0..notes).map(|n| note(1, (n % 128) as u8, 1)).collect()])
    }

    #[test]
    fn every_message_comes_in_order_never_early_and_then_the_end() {
        let (sink, told) = recorder();
        let tune = written(&tune(100));
        let start = now();
        let _replay = Replay::start(tune.path(), Speed::Times(2.0), false, device(), sink).unwrap();
        let told: Vec<_> = told.iter().take_while(|told| !matches!(told, Told::Finished(_))).collect();
        let notes: Vec<(Time, u8)> = told
            .iter()
            .filter_map(|told| match told {
                Told::Message(_, at, message) => Some((*at, message.to_bytes()[1])),
                _ => None,
            })
            .collect();
        assert_eq!(notes.len(), 100);
        for (index, &(at, key)) in notes.iter().enumerate() {
            assert_eq!(usize::from(key), index);
            assert!(at >= start + Duration::from_micros(500) * (index as u32 + 1), "{index} came early");
        }
        assert_eq!(told.last(), Some(&Told::Disconnected("tune".into())));
    }

    #[test]
    fn at_full_speed_nothing_is_left_out() {
        let (sink, told) = recorder();
        let tune = written(&tune(10_000));
        let _replay = Replay::start(tune.path(), Speed::Max, false, device(), sink).unwrap();
        let until_end = told.iter().take_while(|told| !matches!(told, Told::Finished(_)));
        assert_eq!(until_end.filter(|told| matches!(told, Told::Message(..))).count(), 10_000);
    }

    #[test]
    fn a_loop_goes_on_until_it_is_dropped_and_then_tells_no_end() {
        let (sink, told) = recorder();
        let tune = written(&tune(3));
        let replay = Replay::start(tune.path(), Speed::Times(1000.0), true, device(), sink).unwrap();
        assert_eq!(told.iter().filter(|told| matches!(told, Told::Message(..))).take(10).count(), 10);
        drop(replay);
        let rest: Vec<_> = told.try_iter().collect();
        assert_eq!(rest.last(), Some(&Told::Disconnected("tune".into())));
    }

    #[test]
    fn a_loop_of_nothing_ends() {
        let (sink, told) = recorder();
        let empty = written(&file(Timing::Metrical(u15::new(1)), vec![vec![]]));
        let _replay = Replay::start(empty.path(), Speed::Max, true, device(), sink).unwrap();
        assert!(told.iter().any(|told| matches!(told, Told::Finished(_))));
    }

    #[test]
    fn files_that_cannot_be_played_are_refused_at_once() {
        let (sink, _told) = recorder();
        let start = |path: &Path| Replay::start(path, Speed::Max, false, device(), sink.clone()).unwrap_err();
        assert!(matches!(start(Path::new("/nonexistent.mid")), ReplayError::Read { .. }));
        let text = start(written(b"hello").path()).to_string();
        assert!(text.contains("no Standard MIDI File"), "{text}");
        let sparse = tempfile::NamedTempFile::new().unwrap();
        sparse.as_file().set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(start(sparse.path()), ReplayError::TooLarge(_)));
    }

    #[test]
    fn speeds_are_factors_or_max() {
        assert_eq!("2".parse(), Ok(Speed::Times(2.0)));
        assert_eq!("0".parse(), Ok(Speed::Max));
        assert_eq!("MAX".parse(), Ok(Speed::Max));
        for wrong in ["-1", "nan", "inf", "fast", "1e9", ""] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}
