//! A pipe that carries one type of message in one direction.
//!
//! The worker holds a `ReadEnd<Command>` and a `WriteEnd<Event>`, the supervisor
//! the opposite ends, so a message sent the wrong way does not compile:
//!
//! ```compile_fail
//! use midimon_shared::{pipe::WriteEnd, Command, Event};
//! fn wrong_way(events: &WriteEnd<Event>) {
//!     events.send(&Command::Shutdown).unwrap();
//! }
//! ```
//!
//! ```
//! use midimon_shared::{pipe::WriteEnd, Command, Event};
//! fn right_way(commands: &WriteEnd<Command>) -> std::io::Result<()> {
//!     commands.send(&Command::Shutdown)
//! }
//! ```

use crate::codec::{self, CodecError, PREFIX};
use crate::limits::MAX_FRAME;
use bincode::{Decode, Encode};
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The end that messages of type `M` are written to.
#[derive(Debug)]
pub struct WriteEnd<M> {
    file: File,
    direction: PhantomData<fn(M)>,
}

impl<M: Encode> WriteEnd<M> {
    /// Takes over one end of a pipe.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { file: File::from(fd), direction: PhantomData }
    }

    /// Encodes and writes a message; waits when the pipe is full and blocking.
    ///
    /// # Errors
    /// The write's, or `InvalidData` when the message is over the frame limit.
    pub fn send(&self, message: &M) -> io::Result<()> {
        let mut frame = Vec::with_capacity(64);
        self.send_with(message, &mut frame)
    }

    /// [`Self::send`] with a buffer to reuse.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_with(&self, message: &M, frame: &mut Vec<u8>) -> io::Result<()> {
        frame.clear();
        codec::encode(message, frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        (&self.file).write_all(frame)
    }

    /// One `write` of bytes that are frames of `M` already.
    ///
    /// # Errors
    /// The write's; `WouldBlock` when the pipe is full and non-blocking.
    pub fn write_frames(&self, frames: &[u8]) -> io::Result<usize> {
        (&self.file).write(frames)
    }
}

impl<M> AsFd for WriteEnd<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The end that messages of type `M` are read from.
#[derive(Debug)]
pub struct ReadEnd<M> {
    file: File,
    buffer: FrameBuffer<M>,
}

/// Why no message came.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ReceiveError {
    #[error("the other side closed the pipe")]
    Closed,
    #[error("the other side closed the pipe within a frame")]
    ClosedWithinFrame,
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("reading the pipe failed: {0}")]
    Io(#[from] io::Error),
}

impl<M: Decode<()>> ReadEnd<M> {
    /// Takes over one end of a pipe.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { file: File::from(fd), buffer: FrameBuffer::new() }
    }

    /// The next message that has been read completely already.
    ///
    /// # Errors
    /// The bytes are no message.
    pub fn buffered(&mut self) -> Result<Option<M>, CodecError> {
        self.buffer.next()
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub fn receive(&mut self) -> Result<M, ReceiveError> {
        loop {
            if let Some(message) = self.buffer.next()? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// One `read` of what is there. True when it took all there was room for, so
    /// that more may be there.
    ///
    /// # Errors
    /// See [`ReceiveError`]; `Io` with `WouldBlock` when nothing is there and the pipe is non-blocking.
    pub fn fill(&mut self) -> Result<bool, ReceiveError> {
        self.fill_by(|mut file, spare| file.read(spare))
    }

    /// [`Self::fill`] by another function that reads.
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub fn fill_by(&mut self, read: impl Fn(&File, &mut [u8]) -> io::Result<usize>) -> Result<bool, ReceiveError> {
        loop {
            let spare = self.buffer.spare();
            let room = spare.len();
            match read(&self.file, spare) {
                Ok(0) if self.buffer.is_within_frame() => {
                    return Err(ReceiveError::ClosedWithinFrame);
                }
                Ok(0) => return Err(ReceiveError::Closed),
                Ok(count) => {
                    self.buffer.advance(count);
                    return Ok(count == room);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the first bytes of a frame have come, but not all of it.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        self.buffer.is_within_frame()
    }
}

impl<M> AsFd for ReadEnd<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes on their way to being messages. Bounded: room for one largest frame.
#[derive(Debug)]
pub struct FrameBuffer<M> {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    direction: PhantomData<fn() -> M>,
}

impl<M: Decode<()>> FrameBuffer<M> {
    /// What is allocated until a frame needs more.
    const INITIAL: usize = 4096;

    /// An empty buffer.
    #[must_use]
    #[allow(clippy::new_without_default)] // a buffer is made on purpose
    pub fn new() -> Self {
        Self { bytes: vec![0; Self::INITIAL], start: 0, end: 0, direction: PhantomData }
    }

    /// Where to put the next bytes; never empty once [`Self::next`] gave `None`.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.bytes.len() {
                // only a frame longer than the buffer brings us here, and its length was checked
                self.bytes.resize((self.bytes.len() * 2).min(PREFIX + MAX_FRAME), 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// Says how many bytes were put into [`Self::spare`].
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next complete message.
    ///
    /// # Errors
    /// The bytes are no message; the stream cannot be used further.
    #[allow(clippy::should_implement_trait)] // an iterator would end at the first `None`
    pub fn next(&mut self) -> Result<Option<M>, CodecError> {
        let Some(length) = codec::body_length(&self.bytes[self.start..self.end])? else {
            return Ok(None);
        };
        let body = self.start + PREFIX;
        let Some(bytes) = self.bytes[..self.end].get(body..body + length) else {
            return Ok(None);
        };
        let message = codec::decode(bytes)?;
        self.start = body + length;
        Ok(Some(message))
    }

    /// Whether bytes are left that are no complete frame yet.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        self.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CallId, Command, Event, Outcome};
    use proptest::prelude::*;

    fn pipe<M: Encode + Decode<()>>() -> (WriteEnd<M>, ReadEnd<M>) {
        let (reader, writer) = io::pipe().unwrap();
        (WriteEnd::new(writer.into()), ReadEnd::new(reader.into()))
    }

    #[test]
    fn messages_arrive_in_order_and_then_the_end() {
        let (writer, mut reader) = pipe::<Event>();
        for call in 0..1000 {
            writer.send(&Event::Done { call: CallId(call), outcome: Outcome::Ok }).unwrap();
        }
        drop(writer);
        for call in 0..1000 {
            assert_eq!(reader.receive().unwrap(), Event::Done { call: CallId(call), outcome: Outcome::Ok });
        }
        assert!(matches!(reader.receive(), Err(ReceiveError::Closed)));
    }

    #[test]
    fn the_largest_frame_passes_and_one_byte_more_does_not() {
        let (writer, mut reader) = pipe::<Event>();
        let largest = Event::LoadFailed { message: "x".repeat(MAX_FRAME - 12) };
        let sender = std::thread::spawn(move || {
            writer.send(&Event::Pong { nonce: 1 }).unwrap();
            writer.send(&largest).unwrap();
            assert!(writer.send(&Event::LoadFailed { message: "x".repeat(MAX_FRAME - 11) }).is_err());
            largest
        });
        assert_eq!(reader.receive().unwrap(), Event::Pong { nonce: 1 });
        let received = reader.receive().unwrap();
        assert_eq!(received, sender.join().unwrap());
    }

    #[test]
    fn half_a_frame_is_told_from_a_clean_end() {
        let (writer, mut reader) = pipe::<Command>();
        writer.write_frames(&[9, 0, 0, 0, 1]).unwrap();
        reader.fill().unwrap();
        assert!(reader.buffered().unwrap().is_none());
        assert!(reader.is_within_frame());
        drop(writer);
        assert!(matches!(reader.receive(), Err(ReceiveError::ClosedWithinFrame)));
    }

    #[test]
    fn frames_cut_anywhere_are_put_together() {
        let mut bytes = Vec::new();
        for nonce in 0..300 {
            codec::encode(&Command::Ping { nonce }, &mut bytes).unwrap();
        }
        for step in [1, 3, 7, 100, 5000] {
            let mut buffer = FrameBuffer::<Command>::new();
            let (mut sent, mut nonce) = (0, 0);
            while sent < bytes.len() {
                let spare = buffer.spare();
                let count = step.min(spare.len()).min(bytes.len() - sent);
                spare[..count].copy_from_slice(&bytes[sent..sent + count]);
                buffer.advance(count);
                sent += count;
                while let Some(command) = buffer.next().unwrap() {
                    assert_eq!(command, Command::Ping { nonce });
                    nonce += 1;
                }
            }
            assert_eq!(nonce, 300);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_are_the_same_messages_and_the_same_fault(
            nonces in proptest::collection::vec(any::<u64>(), 0..6), tail in proptest::collection::vec(any::<u8>(), 0..30), step in 1_usize..40,
        ) {
            let mut bytes = Vec::new();
            nonces.iter().for_each(|&nonce| codec::encode(&Event::Pong { nonce }, &mut bytes).unwrap());
            bytes.extend(tail);
            let read = |step: usize| {
                let (mut buffer, mut events, mut bytes) = (FrameBuffer::<Event>::new(), Vec::new(), bytes.as_slice());
                loop {
                    match buffer.next() {
                        Ok(Some(event)) => events.push(event),
                        Ok(None) if bytes.is_empty() => return (events, None),
                        Ok(None) => {
                            let (now, later) = bytes.split_at(step.min(bytes.len()));
                            buffer.spare()[..now.len()].copy_from_slice(now);
                            buffer.advance(now.len());
                            bytes = later;
                        }
                        Err(fault) => return (events, Some(fault)),
                    }
                }
            };
            let whole = read(bytes.len().max(1));
            prop_assert!(whole.0.len() >= nonces.len());
            prop_assert_eq!(read(step), whole);
        }
    }
}
