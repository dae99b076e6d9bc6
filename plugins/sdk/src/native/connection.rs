//! A connection is a descriptor of the plugin's own.

#[cfg(feature = "http")]
use super::tls::Session;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What is spoken over the descriptor.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Whatever the plugin says.
    Plain(TcpStream),
    /// The same within TLS.
    #[cfg(feature = "http")]
    Tls(Box<Session>),
}

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => {
                socket.set_read_timeout(Some(timeout))?;
                socket.read(buffer)
            }
            #[cfg(feature = "http")]
            Self::Tls(session) => session.read(buffer, timeout),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => {
                socket.set_write_timeout(Some(timeout))?;
                socket.write(bytes)
            }
            #[cfg(feature = "http")]
            Self::Tls(session) => session.write(bytes, timeout),
        }
    }

    #[cfg_attr(not(feature = "http"), allow(unused_variables))]
    pub(crate) fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        match self {
            // nothing is held back
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "http")]
            Self::Tls(session) => session.flush(timeout),
        }
    }

    #[cfg_attr(not(feature = "http"), allow(unused_variables))]
    pub(crate) fn finish(&mut self, timeout: Duration) -> io::Result<()> {
        match self {
            // does not wait
            Self::Plain(socket) => socket.shutdown(Shutdown::Write),
            #[cfg(feature = "http")]
            Self::Tls(session) => session.finish(timeout),
        }
    }
}
