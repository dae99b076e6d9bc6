//! A native plugin's requests: HTTP by `ureq`, over connections that midimon makes, TLS by
//! `rustls` with the certificates midimon gives. No names are resolved here.

use super::message::{Deadline, Message};
use super::{HttpError, HttpErrorKind, Response};
use crate::{Connection, Host, HostError};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{Request, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};
use ureq::{Agent, Error, Timeout};

/// Largest head of a response, in bytes; as in midimon for components.
const MAX_HEAD: usize = 64 * 1024;

/// Keeps connections, and the certificates once there was a request that needs them.
pub(super) struct Client {
    host: Host,
    plain: Agent,
    secure: Mutex<Option<Agent>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(host: Host) -> Self {
        Self { host, plain: agent(host, RootCerts::new_with_certs(&[])), secure: Mutex::new(None) }
    }

    pub(super) fn exchange(&self, message: &Message, max: usize, deadline: Deadline) -> Result<Response, HttpError> {
        let agent = if message.url.secure { self.secure()? } else { self.plain.clone() };
        let mut request = Request::builder().method(message.method.as_str()).uri(message.url.to_string());
        for (name, value) in &message.headers {
            request = request.header(name, value);
        }
        let left = deadline.left()?;
        // methods that usually have a body say that they have none, as a component's do: servers ask for it
        let says_length = !message.body.is_empty() || matches!(message.method.as_str(), "POST" | "PUT" | "PATCH");
        let sent = if !says_length {
            request
                .body(())
                .map_err(Error::from)
                .and_then(|request| agent.run(agent.configure_request(request).timeout_global(Some(left)).build()))
        } else {
            request
                .body(message.body.as_slice())
                .map_err(Error::from)
                .and_then(|request| agent.run(agent.configure_request(request).timeout_global(Some(left)).build()))
        };
        let response = sent.map_err(of_error)?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        // one more shows that there is more
        let body = response.into_body().into_with_config().limit(max as u64 + 1).read_to_vec().map_err(of_error)?;
        if body.len() > max {
            return Err(HttpError::new(
                HttpErrorKind::TooLarge,
                format_args!("the response has more than {max} bytes"),
            ));
        }
        Ok(Response { status, headers, body })
    }

    fn secure(&self) -> Result<Agent, HttpError> {
        let mut known = self.secure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = &*known {
            return Ok(agent.clone());
        }
        let roots = self.host.tls_roots()?;
        let roots: Vec<Certificate<'static>> =
            roots.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        Ok(known.insert(agent(self.host, RootCerts::new_with_certs(&roots))).clone())
    }
}

fn agent(host: Host, roots: RootCerts) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config: Config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .http_status_as_error(false)
        // redirects are followed by the caller, who checks them
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .max_response_header_size(MAX_HEAD)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .build();
    let connector = ().chain(Brokered { host }).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, Unresolved)
}

/// midimon resolves names, and checks what they lead to.
#[derive(Debug)]
struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        // at least one is asked for; nobody connects to it
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

/// Connects through midimon.
#[derive(Debug)]
struct Brokered {
    host: Host,
}

impl Connector for Brokered {
    type Out = Pipe;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Pipe>, Error> {
        let uri = details.uri;
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if details.needs_tls() { 443 } else { 80 });
        let connection = self.host.connect(&format!("{host}:{port}"), wait(details.timeout));
        let connection = connection.map_err(|error| Error::Io(error.into()))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Pipe { connection, buffers, open: true }))
    }
}

/// A connection as `ureq` has them.
#[derive(Debug)]
struct Pipe {
    connection: Connection,
    buffers: LazyBuffers,
    open: bool,
}

impl Transport for Pipe {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.connection.set_timeout(wait(timeout));
        let output = &self.buffers.output()[..amount];
        self.connection.write_all(output).map_err(|error| self.gone(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.connection.set_timeout(wait(timeout));
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match self.connection.read(input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(amount) => break amount,
                Err(error) => return Err(self.gone(error, timeout.reason)),
            }
        };
        self.buffers.input_appended(amount);
        self.open &= amount > 0;
        Ok(amount > 0)
    }

    /// Asked before it is used again: nothing may have come since, its end neither.
    fn is_open(&mut self) -> bool {
        self.connection.set_timeout(Duration::ZERO);
        let idle = matches!(self.connection.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::TimedOut);
        self.open && idle
    }
}

impl Pipe {
    fn gone(&mut self, error: io::Error, reason: Timeout) -> Error {
        self.open = false;
        if error.kind() == io::ErrorKind::TimedOut { Error::Timeout(reason) } else { Error::Io(error) }
    }
}

/// What is left, as a connection takes it.
fn wait(timeout: NextTimeout) -> Duration {
    timeout.not_zero().map_or(Duration::MAX, |time| *time)
}

fn of_error(error: Error) -> HttpError {
    if let Error::Io(inner) = &error
        && let Some(refusal) = inner.get_ref().and_then(|inner| inner.downcast_ref::<HostError>())
    {
        return refusal.clone().into();
    }
    let kind = match &error {
        Error::Timeout(_) => HttpErrorKind::TimedOut,
        Error::BadUri(_) | Error::Http(_) => HttpErrorKind::Invalid,
        Error::BodyExceedsLimit(_) | Error::LargeResponseHeader(..) => HttpErrorKind::TooLarge,
        _ => HttpErrorKind::Failed,
    };
    HttpError::new(kind, error)
}
