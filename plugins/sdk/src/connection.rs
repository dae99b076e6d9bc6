//! Connections.

use crate::backend;
use std::io::{self, Read, Write};
use std::time::Duration;

/// How long a read or write waits unless told otherwise; the longest that midimon waits.
const LONGEST: Duration = Duration::from_secs(30);
/// The shortest: zero would mean "for ever" to some systems.
const SHORTEST: Duration = Duration::from_millis(1);

/// A TCP connection that midimon made, with TLS or without. It ends when it is dropped.
///
/// ```no_run
/// # use midimon_plugin::{Error, Host};
/// # use std::io::{Read, Write};
/// # use std::time::Duration;
/// # fn greeting(host: Host) -> Result<String, Error> {
/// let mut connection = host.connect("localhost:6600", Duration::from_secs(2))?;
/// connection.set_timeout(Duration::from_millis(500));
/// connection.write_all(b"status\n")?;
/// connection.finish()?;
/// let mut answer = String::new();
/// connection.read_to_string(&mut answer)?;
/// # Ok(answer) }
/// ```
#[derive(Debug)]
pub struct Connection {
    stream: backend::Stream,
    timeout: Duration,
}

impl Connection {
    pub(crate) const fn new(stream: backend::Stream) -> Self {
        Self { stream, timeout: LONGEST }
    }

    /// How long each read and each write waits from now on: 1 ms to 30 s, 30 s unless set.
    /// Then it fails with [`io::ErrorKind::TimedOut`], and can be tried again.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout.clamp(SHORTEST, LONGEST);
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// The connection is gone, or takes nothing more in time.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.finish(self.timeout).map_err(timed_out)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.stream.read(buffer, self.timeout).map_err(timed_out)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.stream.write(bytes, self.timeout).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush(self.timeout).map_err(timed_out)
    }
}

/// Unix says "would block" of a timeout.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::Error::new(io::ErrorKind::TimedOut, error) } else { error }
}
