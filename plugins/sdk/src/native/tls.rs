//! TLS on a native plugin's connection, spoken in the plugin's own process, with the certificates midimon trusts.

use super::Raw;
use crate::{HostError, Refusal};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a handshake may take where the plugin does not say: the longest that midimon waits.
const LONGEST: Duration = Duration::from_secs(30);

/// What connections have in common, made at the first one: a process has one plugin, and one midimon.
static CONFIG: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);

/// A connection on which TLS is spoken.
#[derive(Debug)]
pub(crate) struct Session {
    socket: TcpStream,
    tls: ClientConnection,
}

impl Session {
    /// Connects and shakes hands, within `timeout_ms` (0 is the longest).
    pub(super) fn connect(host: &Raw, target: &str, timeout_ms: u32) -> Result<Self, HostError> {
        let longest = if timeout_ms == 0 { LONGEST } else { Duration::from_millis(timeout_ms.into()) };
        let until = Instant::now() + longest;
        let name = server_name(target)?;
        let socket = host.socket(target, timeout_ms)?;
        let failed = |error: rustls::Error| HostError::new(Refusal::Failed, format!("no TLS: {error}"));
        let mut tls = ClientConnection::new(config(host)?, name).map_err(failed)?;
        let mut timed = Timed { socket: &socket, until };
        while tls.is_handshaking() {
            tls.complete_io(&mut timed).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    HostError::new(Refusal::TimedOut, "the server did not answer in time")
                }
                _ => HostError::new(Refusal::Failed, format!("no TLS: {error}")),
            })?;
        }
        Ok(Self { socket, tls })
    }

    pub(super) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        Stream::new(&mut self.tls, &mut Timed::new(&self.socket, timeout)).read(buffer)
    }

    /// What TLS takes of it is sent, now or with the next read, write or flush.
    pub(super) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        Stream::new(&mut self.tls, &mut Timed::new(&self.socket, timeout)).write(bytes)
    }

    pub(super) fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        Stream::new(&mut self.tls, &mut Timed::new(&self.socket, timeout)).flush()
    }

    /// Whatever comes of what is still to be sent, the other side hears no more.
    pub(super) fn finish(&mut self, timeout: Duration) -> io::Result<()> {
        let mut timed = Timed::new(&self.socket, timeout);
        let sent = Stream::new(&mut self.tls, &mut timed).flush();
        self.tls.send_close_notify();
        let said = sent.and_then(|()| match Stream::new(&mut self.tls, &mut timed).flush() {
            // a few bytes; where not even they find room, the end of the connection says it
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            other => other,
        });
        match self.socket.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => said.and(Err(error)),
            _ => said,
        }
    }
}

/// A socket with one deadline over all that is read and written: a server that drips does not move it.
struct Timed<'s> {
    socket: &'s TcpStream,
    until: Instant,
}

impl<'s> Timed<'s> {
    fn new(socket: &'s TcpStream, timeout: Duration) -> Self {
        Self { socket, until: Instant::now() + timeout }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// To whom the certificate of `host:port` must be made out. midimon judges the rest of it.
fn server_name(target: &str) -> Result<ServerName<'static>, HostError> {
    let plain = target.strip_prefix("tcp:").unwrap_or(target);
    let host = plain.rsplit_once(':').map_or("", |(host, _)| host);
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = inside.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host)).to_ascii_lowercase();
    ServerName::try_from(host).map_err(|_| {
        let message = format!("'{}': no certificate can be made out to such a host", target.escape_debug());
        HostError::new(Refusal::Invalid, message)
    })
}

fn config(host: &Raw) -> Result<Arc<ClientConfig>, HostError> {
    let mut made = CONFIG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = &*made {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    // a system's list can have entries that are none
    roots.add_parsable_certificates(host.tls_roots()?.into_iter().map(CertificateDer::from));
    let failed = |message: String| HostError::new(Refusal::Failed, message);
    if roots.is_empty() {
        return Err(failed("no certificate authority is known on this system: install ca-certificates".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(made.insert(Arc::new(config)).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn certificates_are_made_out_to_names_and_to_addresses() {
        let name = |target: &str| server_name(target).map(|name| name.to_str().into_owned());
        for (target, expected) in [
            ("Example.org.:8443", "example.org"),
            ("tcp:example.org:443", "example.org"),
            ("127.0.0.1:443", "127.0.0.1"),
            ("[::1]:443", "::1"),
        ] {
            assert_eq!(name(target).as_deref(), Ok(expected), "{target}");
        }
        for target in ["", "example.org", ":443", "exa mple.org:443", "user@example.org:443", "[fe80::1%25eth0]:443"] {
            assert_eq!(name(target).unwrap_err().kind(), Refusal::Invalid, "{target}");
        }
    }

    #[test]
    fn what_cannot_be_sent_does_not_keep_a_connection_from_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), server_name("localhost:1").unwrap()).unwrap();
        // the other side never shakes hands, so that nothing can be sent
        let mut session = Session { socket, tls };
        let error = session.finish(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        other.set_read_timeout(Some(LONGEST)).unwrap();
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).expect("the end");
        assert_eq!(heard.first(), Some(&22), "the beginning of a handshake, and no more");
    }
}
