//! A connection is a descriptor of the plugin's own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// The descriptor.
#[derive(Debug)]
pub(crate) struct Stream(pub(super) TcpStream);

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> std::io::Result<usize> {
        self.0.set_read_timeout(Some(timeout))?;
        self.0.read(buffer)
    }

    pub(crate) fn write(&mut self, bytes: &[u8], timeout: Duration) -> std::io::Result<usize> {
        self.0.set_write_timeout(Some(timeout))?;
        self.0.write(bytes)
    }

    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}
