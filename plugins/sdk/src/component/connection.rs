//! A connection is a resource that midimon keeps.

use super::bindings::midimon::plugin::net;
use super::host::refused;
use std::io;
use std::time::Duration;

/// The most that is read or written at once, in bytes.
const MAX_AT_ONCE: usize = 64 * 1024;

/// The resource.
#[derive(Debug)]
pub(crate) struct Stream(pub(super) net::Connection);

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let max = buffer.len().min(MAX_AT_ONCE);
        let bytes = self.0.read(max as u32, millis(timeout)).map_err(refused)?;
        // midimon gives no more than was asked for; nothing is the end
        let length = bytes.len().min(max);
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    pub(crate) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(MAX_AT_ONCE)];
        self.0.write(part, millis(timeout)).map_err(refused)?;
        Ok(part.len())
    }

    /// Nothing is held back.
    pub(crate) fn flush(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn finish(&mut self, _: Duration) -> io::Result<()> {
        self.0.finish().map_err(refused).map_err(io::Error::from)
    }
}

fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}
