//! One request to a service's token address: HTTP/1.1 over TLS, with one deadline over all
//! of it. Redirects are not followed: a code is for whom the manifest names.

use super::response::{self, Fault, Response};
use super::url::WebUrl;
use crate::workers::broker::endpoint::Host;
use crate::workers::broker::{connect, jobs::Resolvers, roots};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Read at once, in bytes.
const PART: usize = 16 * 1024;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExchangeError {
    #[error("{host} cannot be reached: {why}; once it can be, log in again")]
    Connect { host: String, why: String },
    #[error("{host} does not prove that it is: {why}; {}", remedy(why))]
    Unproven { host: String, why: CertificateError },
    #[error("{host} speaks no TLS that is understood: {source}; a proxy may be in its place: try another network")]
    Tls { host: String, source: rustls::Error },
    #[error("{host} is no name that a certificate could have: tell the plugin's author, whose `token_url` it is in")]
    Name { host: String, source: InvalidDnsNameError },
    #[error("{host} did not answer in time: log in again")]
    TimedOut { host: String },
    #[error("{host} cannot be spoken to: {source}; log in again")]
    Io { host: String, source: io::Error },
    #[error("what {host} answers is not used: {fault}; log in again, and tell the plugin's author if it stays so")]
    Response { host: String, fault: Fault },
}

/// What to do about a certificate. Nothing was sent.
const fn remedy(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::UnknownIssuer => {
            "install the certificates of your system (ca-certificates), or add to them those of your proxy"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "look whether this computer's clock is right",
        _ => "somebody else may be in its place: try another network",
    }
}

/// Sends a form by POST and returns the response, within this time all in all.
///
/// # Errors
/// See [`ExchangeError`]; every message names the host.
pub fn post(url: &WebUrl, form: &str, limit: Duration) -> Result<Response, ExchangeError> {
    let deadline = Instant::now() + limit;
    let host = url.authority();
    let connected = connect::connect(&url.endpoint, limit, &Resolvers::of(1));
    let socket = match (connected.result, connected.descriptor) {
        (Ok(_), Some(socket)) => TcpStream::from(socket),
        (Err(refusal), _) => return Err(ExchangeError::Connect { host, why: refusal.message }),
        // cannot be: a connection has a descriptor
        (Ok(_), None) => return Err(ExchangeError::Connect { host, why: "there is no connection".to_owned() }),
    };
    let stream = Timed { socket, deadline };
    let request = request(url, form);
    let outcome = if url.secure {
        let tls = tls(url, &host)?;
        exchange(StreamOwned::new(tls, stream), request.as_bytes())
    } else {
        exchange(stream, request.as_bytes())
    };
    outcome.map_err(|failure| failure.at(host))
}

fn request(url: &WebUrl, form: &str) -> Zeroizing<String> {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: midimon/{}\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        url.target(),
        url.authority(),
        env!("CARGO_PKG_VERSION"),
        form.len()
    );
    // with room for all: growing would leave a copy behind
    let mut request = Zeroizing::new(String::with_capacity(head.len() + form.len()));
    request.push_str(&head);
    request.push_str(form);
    request
}

fn tls(url: &WebUrl, host: &str) -> Result<ClientConnection, ExchangeError> {
    let failed = |source| ExchangeError::Tls { host: host.to_owned(), source };
    let mut trusted = RootCertStore::empty();
    // one that cannot be read is one that vouches for nobody
    trusted.add_parsable_certificates(roots::gather().into_iter().map(CertificateDer::from));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = match &url.endpoint.host {
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|source| ExchangeError::Name { host: host.to_owned(), source })?,
    };
    ClientConnection::new(Arc::new(config), name).map_err(failed)
}

/// What went wrong, before it is said with whom.
enum Failure {
    Io(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    fn at(self, host: String) -> ExchangeError {
        let error = match self {
            Self::Fault(fault) => return ExchangeError::Response { host, fault },
            Self::Io(error) => error,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => ExchangeError::Unproven { host, why: why.clone() },
            Some(source) => ExchangeError::Tls { host, source: source.clone() },
            // a socket whose time is over would block
            None if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                ExchangeError::TimedOut { host }
            }
            None => ExchangeError::Io { host, source: error },
        }
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Result<Response, Failure> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(response::MAX_ALL + PART));
    let mut part = Zeroizing::new([0; PART]);
    loop {
        let count = match stream.read(&mut part[..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // TLS: an end that anybody could have made; what is not whole by then is cut
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(Failure::Fault(Fault::Cut)),
            read => read?,
        };
        bytes.extend_from_slice(&part[..count]);
        if let Some(response) = response::read(&bytes, count == 0).map_err(Failure::Fault)? {
            return Ok(response);
        }
    }
}

/// A connection that ends at a deadline, however slowly it drips.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread::{JoinHandle, spawn};

    const LONG: Duration = Duration::from_secs(20);

    /// Reads a request and answers with these parts; what it read.
    fn server(parts: Vec<Vec<u8>>) -> (WebUrl, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/token", listener.local_addr().unwrap()).parse().unwrap();
        let server = spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"a=b") {
                let mut part = [0; 512];
                let count = socket.read(&mut part).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&part[..count]);
            }
            for part in parts {
                // it may have heard enough
                let _ = socket.write_all(&part);
            }
            String::from_utf8(seen).unwrap()
        });
        (url, server)
    }

    #[test]
    fn a_form_is_sent_and_the_response_read_whole_though_it_comes_in_parts() {
        let text = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n";
        let (url, server) = server(text.iter().map(|byte| vec![*byte]).collect());
        let response = post(&url, "a=b", LONG).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (400, b"{ }".as_slice()));
        let seen = server.join().unwrap();
        assert!(seen.starts_with("POST /api/token HTTP/1.1\r\nHost: 127.0.0.1:"), "{seen}");
        assert!(seen.contains("\r\nContent-Length: 3\r\n") && seen.ends_with("\r\n\r\na=b"), "{seen}");
    }

    #[test]
    fn what_never_ends_is_cut_by_its_size_and_by_the_deadline() {
        let endless = vec![vec![b'x'; 64 * 1024]; 200];
        let (url, flood) = server([vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()], endless].concat());
        let error = post(&url, "a=b", LONG).unwrap_err();
        assert!(matches!(error, ExchangeError::Response { fault: Fault::TooLong, .. }), "{error}");
        flood.join().unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: WebUrl = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        // nobody accepts, so nobody answers
        let error = post(&url, "a=b", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, ExchangeError::TimedOut { .. }), "{error}");
    }

    /// What a server hears that answers without having understood a word.
    fn heard_over_tls(answer: &'static [u8]) -> (ExchangeError, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/api/token", listener.local_addr().unwrap()).parse().unwrap();
        let server = spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            let mut heard = vec![0; 16];
            socket.read_exact(&mut heard).unwrap();
            socket.write_all(answer).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            // to its end, or a reset could come before the answer
            let _ = socket.read_to_end(&mut heard);
            heard
        });
        let error = post(&url, "code=s3cret", LONG).unwrap_err();
        assert!(error.to_string().contains(&url.authority()), "{error}");
        (error, server.join().unwrap())
    }

    #[test]
    fn who_speaks_no_tls_where_it_should_be_hears_nothing_of_the_form() {
        let (error, heard) = heard_over_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(matches!(error, ExchangeError::Tls { .. }), "{error}");
        // RFC 8446, 5.1: a handshake's record
        assert_eq!(heard[0], 22);
        assert!(!heard.windows(6).any(|window| window == b"s3cret"));
        let (error, _) = heard_over_tls(b"");
        assert!(
            matches!(error, ExchangeError::Response { fault: Fault::Cut, .. } | ExchangeError::Io { .. }),
            "{error}"
        );
    }

    #[test]
    fn where_nobody_is_the_host_is_named() {
        // a connection's own end: nobody listens at its port, and nobody else gets it
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = connection.local_addr().unwrap().port();
        let error = post(&format!("https://127.0.0.1:{port}/").parse().unwrap(), "a=b", LONG).unwrap_err();
        assert!(matches!(&error, ExchangeError::Connect { .. }), "{error}");
        assert!(error.to_string().contains(&format!("127.0.0.1:{port} cannot be reached")), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_with_what_to_do() {
        for (source, part) in [
            (CertificateError::UnknownIssuer, "ca-certificates"),
            (CertificateError::Expired, "clock"),
            (CertificateError::NotValidForName, "another network"),
        ] {
            let inner = rustls::Error::InvalidCertificate(source);
            let error = Failure::Io(io::Error::new(ErrorKind::InvalidData, inner)).at("example.org".to_owned());
            assert!(matches!(error, ExchangeError::Unproven { .. }), "{error}");
            assert!(error.to_string().starts_with("example.org does not prove") && error.to_string().contains(part));
        }
    }
}
