//! Input from raw MIDI bytes on a descriptor, standard input as a rule.

use super::device::{DeviceRef, Feed, MidiSink};
use crate::clock::now;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Bytes read at once.
const BUFFER: usize = 4096;

/// A descriptor that is being read; dropping it stops that.
#[derive(Debug)]
pub(super) struct RawInput {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl RawInput {
    /// Reads on a thread of its own until the end, which is told as finished.
    pub fn start(source: impl AsFd + Send + 'static, device: DeviceRef, sink: Arc<dyn MidiSink>) -> io::Result<Self> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?);
        let told = stop.clone();
        let run = move || {
            let mut feed = Feed::new(device.clone(), sink.clone());
            let end = read_all(&source, &told, &mut feed);
            drop(feed);
            match end {
                Ok(End::Stopped) => return,
                Ok(End::EndOfFile) => {}
                Err(error) => sink.note(format!("reading MIDI bytes from {} failed: {error}", device.name)),
            }
            sink.finished(&device);
        };
        let thread = std::thread::Builder::new().name("raw-input".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

enum End {
    Stopped,
    EndOfFile,
}

fn read_all(source: &impl AsFd, stop: &EventFd, feed: &mut Feed) -> Result<End, Errno> {
    let mut buffer = [0; BUFFER];
    loop {
        let mut fds = [PollFd::new(source.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            ready => ready?,
        };
        if fds[1].any() == Some(true) {
            return Ok(End::Stopped);
        }
        match nix::unistd::read(source, &mut buffer) {
            Ok(0) => return Ok(End::EndOfFile),
            Ok(count) => feed.bytes(now(), &buffer[..count]),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Drop for RawInput {
    fn drop(&mut self) {
        let _ = self.stop.write(1); // fails only when it is told already
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::DeviceTable;
    use super::super::device::testing::{Told, recorder};
    use super::*;
    use std::io::Write;

    fn started() -> (RawInput, io::PipeWriter, std::sync::mpsc::Receiver<Told>) {
        let (sink, told) = recorder();
        let (reader, writer) = io::pipe().unwrap();
        (RawInput::start(reader, DeviceTable::default().device("stdin"), sink).unwrap(), writer, told)
    }

    #[test]
    fn bytes_cut_anywhere_are_read_until_the_end_which_is_told() {
        let (_input, mut writer, told) = started();
        writer.write_all(&[0x90, 60]).unwrap();
        writer.write_all(&[100, 61, 101, 0x90]).unwrap();
        drop(writer);
        let told: Vec<_> = told.iter().take(5).collect();
        assert_eq!(told.iter().filter(|told| matches!(told, Told::Message(..))).count(), 2);
        assert_eq!(told[3..], [Told::Disconnected("stdin".into()), Told::Finished("stdin".into())]);
    }

    #[test]
    fn dropping_it_ends_the_reading_though_nothing_comes() {
        let (input, writer, told) = started();
        drop(input);
        assert_eq!(
            told.iter().collect::<Vec<_>>(),
            [Told::Connected("stdin".into()), Told::Disconnected("stdin".into())]
        );
        drop(writer);
    }
}
