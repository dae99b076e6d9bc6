//! Web servers that a test is itself, plain and with certificates of its own making.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Longest head that is read, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authority")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, which nobody knows.
    ///
    /// # Panics
    /// There is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its certificate, as `SSL_CERT_FILE` takes it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// What a client needs that trusts this authority alone.
    ///
    /// # Panics
    /// Its own certificate is none.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
        Arc::new(config.expect("settings of a client"))
    }

    /// What a server needs that is called so.
    ///
    /// # Panics
    /// The name is none.
    #[must_use]
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let chain = vec![certificate.der().clone(), self.0.as_ref().der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        Arc::new(config.expect("settings of a server"))
    }
}

/// A connection of a server.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Reads more at once than a head's next byte.
struct Buffered<S>(BufReader<S>);

impl<S: Read> Read for Buffered<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Read + Write> Write for Buffered<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// What a server does with a request whose head it has read; an error ends the connection.
pub type Serve = dyn Fn(&mut dyn Stream, &str) -> io::Result<()> + Send + Sync;

/// A server on a loopback address, until the test ends.
#[derive(Clone, Debug)]
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    heads: Vec<String>,
}

impl Server {
    /// On 127.0.0.1.
    ///
    /// # Panics
    /// There is no port to be had.
    #[must_use]
    pub fn start(serve: impl Fn(&mut dyn Stream, &str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, Arc::new(serve))
    }

    /// Answers every request with this.
    #[must_use]
    pub fn answering(answer: &str) -> Self {
        let answer = answer.to_owned();
        Self::start(move |stream, _| stream.write_all(answer.as_bytes()))
    }

    /// The same with TLS.
    #[must_use]
    pub fn answering_with_tls(answer: &str, tls: Arc<ServerConfig>) -> Self {
        let answer = answer.to_owned();
        let serve = move |stream: &mut dyn Stream, _: &str| stream.write_all(answer.as_bytes());
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(tls), Arc::new(serve))
    }

    /// Reads a request and says nothing, until the other side closes.
    #[must_use]
    pub fn silent() -> Self {
        Self::start(|stream, _| {
            let _ = stream.read(&mut [0])?;
            Err(io::ErrorKind::UnexpectedEof.into())
        })
    }

    /// On this address.
    ///
    /// # Panics
    /// It is taken.
    #[must_use]
    pub fn start_at(address: SocketAddr, tls: Option<Arc<ServerConfig>>, serve: Arc<Serve>) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().expect("an address");
        let server = Self { address, seen: Arc::default() };
        let seen = server.seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                lock(&seen).connections += 1;
                let (seen, serve, tls) = (seen.clone(), serve.clone(), tls.clone());
                thread::spawn(move || {
                    // the other side's to judge
                    let _ = connection(stream, tls, &seen, &*serve);
                });
            }
        });
        server
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `127.0.0.1:PORT`, or whatever it was started at.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Under another host.
    #[must_use]
    pub fn at(&self, host: &str) -> String {
        format!("{host}:{}", self.port())
    }

    /// How many have connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// The heads of all requests.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        lock(&self.seen).heads.clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>, seen: &Mutex<Seen>, serve: &Serve) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => requests(&mut Buffered(BufReader::new(stream)), seen, serve),
        Some(config) => {
            let tls = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = Buffered(BufReader::new(StreamOwned::new(tls, stream)));
            requests(&mut stream, seen, serve)?;
            stream.0.get_mut().conn.send_close_notify();
            stream.flush()
        }
    }
}

fn requests(stream: &mut dyn Stream, seen: &Mutex<Seen>, serve: &Serve) -> io::Result<()> {
    while let Some(head) = head(stream)? {
        lock(seen).heads.push(head.clone());
        serve(stream, &head)?;
        stream.flush()?;
    }
    Ok(())
}

/// Reads the body of the request with this head, of so many bytes as `Content-Length` says.
///
/// # Errors
/// The other side's, or there is no such number.
pub fn body(stream: &mut dyn Stream, head: &str) -> io::Result<Vec<u8>> {
    let length = header(head, "content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// What a header of a request's head says, whatever its case.
#[must_use]
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Up to the empty line; none when the other side has finished.
fn head(stream: &mut dyn Stream) -> io::Result<Option<String>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        head.push(byte[0]);
        if byte[0].is_ascii_control() && !byte[0].is_ascii_whitespace() {
            // as web servers answer to TLS where they speak none; then they wait for the other side to close
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            io::copy(stream, &mut io::sink())?;
            return Ok(None);
        }
        if head.len() > MAX_HEAD {
            return Err(io::Error::other("a head without an end"));
        }
    }
    String::from_utf8(head).map(Some).map_err(io::Error::other)
}
