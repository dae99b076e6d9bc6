//! A guest's standard output and error: lines in the plugin's log.

use crate::log;
use bytes::Bytes;
use midimon_shared::abi::MAX_LOG;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Where a WASI context gets its streams from.
pub struct GuestLog;

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LogStream::default())
    }

    // the default one would hand each write to a task of its own
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LogStream::default())
    }
}

/// One stream. What has no newline yet waits for it, for [`MAX_LOG`] bytes, or for the stream's end.
#[derive(Default)]
struct LogStream {
    lines: LineBuffer,
}

impl LogStream {
    fn take(&mut self, bytes: &[u8]) {
        self.lines.take(bytes, log::raw);
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.lines.finish(log::raw);
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(16 * MAX_LOG)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Bytes cut into lines of at most [`MAX_LOG`] bytes.
#[derive(Default)]
struct LineBuffer {
    pending: Vec<u8>,
}

impl LineBuffer {
    fn take(&mut self, bytes: &[u8], mut write: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for chunk in piece.chunks(MAX_LOG) {
                if self.pending.len() + chunk.len() > MAX_LOG {
                    self.finish(&mut write);
                }
                self.pending.extend_from_slice(chunk);
            }
            if self.pending.ends_with(b"\n") {
                self.finish(&mut write);
            }
        }
    }

    fn finish(&mut self, mut write: impl FnMut(&[u8])) {
        match self.pending.last() {
            None => return,
            Some(b'\n') => {}
            Some(_) => self.pending.push(b'\n'),
        }
        write(&self.pending);
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
        for piece in pieces {
            buffer.take(piece, |line| lines.push(line.to_vec()));
        }
        buffer.finish(|line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn pieces_become_whole_lines() {
        assert_eq!(lines(&[b"a", b"b\nc", b"", b"\n\n", b"d"]), [&b"ab\n"[..], b"c\n", b"\n", b"d\n"]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut_and_takes_bounded_memory() {
        let lines = lines(&[&[b'x'; 3 * MAX_LOG + 1]]);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LOG + 1, MAX_LOG + 1, MAX_LOG + 1, 2]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_turned_and_each_line_is_bounded(
            pieces in prop::collection::vec(("[a\\n]{0,9}", 0_usize..2 * MAX_LOG), 0..6),
        ) {
            let pieces: Vec<Vec<u8>> =
                pieces.into_iter().map(|(text, length)| [text.as_bytes(), &vec![b'x'; length]].concat()).collect();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let lines = lines(&pieces);
            for line in &lines {
                prop_assert!(line.len() <= MAX_LOG + 1 && line.iter().position(|&byte| byte == b'\n') == Some(line.len() - 1));
            }
            let without = |bytes: Vec<u8>| bytes.into_iter().filter(|&byte| byte != b'\n').collect::<Vec<_>>();
            prop_assert_eq!(without(lines.concat()), without(pieces.concat()));
        }
    }
}
