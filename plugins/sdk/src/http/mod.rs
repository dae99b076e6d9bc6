//! HTTP, the same for native plugins and components (feature `http`).
//!
//! Each host a request goes to, redirects included, needs its grant: `network:HOST:443`, or
//! `:80`, or the port in the address. midimon makes the connections; TLS and HTTP are spoken in the
//! plugin's own worker, where certificates are checked against the authorities midimon trusts.
//!
//! ```no_run
//! use midimon_plugin::http::{Client, Request};
//! use midimon_plugin::{Error, Host};
//! use std::time::Duration;
//!
//! # #[derive(serde::Serialize)] struct Scene { name: &'static str }
//! # #[derive(serde::Deserialize)] struct Answer { id: u32 }
//! fn save(client: &Client) -> Result<u32, Error> {
//!     let request = Request::post("https://api.example.com/v1/scenes")
//!         .header("Authorization", "Bearer …")
//!         .json(&Scene { name: "Live" })?
//!         .timeout(Duration::from_secs(2));
//!     let response = client.send(&request)?;
//!     if !response.is_success() {
//!         return Err(Error::new(format_args!("the server says {}", response.status())));
//!     }
//!     Ok(response.json::<Answer>()?.id)
//! }
//! # fn init(host: Host) { // keep it: it keeps connections
//! let client = Client::new(host);
//! # let _ = save(&client); }
//! ```

#[cfg(target_family = "wasm")]
mod component;
mod message;
#[cfg(not(target_family = "wasm"))]
mod native;
mod url;

#[cfg(target_family = "wasm")]
use component as backend;
#[cfg(not(target_family = "wasm"))]
use native as backend;

pub use message::{Request, Response, percent_encode};

use crate::{Host, HostError, Refusal};
use message::{Deadline, Message, redirected};
use std::fmt;

/// Longest list of redirects that is followed.
const MAX_REDIRECTS: usize = 5;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    kind: HttpErrorKind,
    message: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The user has not granted this host and port.
    NotGranted,
    /// The request makes no sense: its address, its method or a header.
    Invalid,
    /// It took longer than it may.
    TimedOut,
    /// The response is larger than it may be.
    TooLarge,
    /// A sixth redirect, or one to something that is no address.
    Redirect,
    /// No connection, no certificate that holds, or no HTTP.
    Failed,
}

impl HttpError {
    pub(crate) fn new(kind: HttpErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// What kind of reason.
    #[must_use]
    pub const fn kind(&self) -> HttpErrorKind {
        self.kind
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}

impl From<HostError> for HttpError {
    fn from(error: HostError) -> Self {
        let kind = match error.kind() {
            Refusal::NotGranted => HttpErrorKind::NotGranted,
            Refusal::Invalid => HttpErrorKind::Invalid,
            Refusal::TimedOut => HttpErrorKind::TimedOut,
            _ => HttpErrorKind::Failed,
        };
        Self::new(kind, error)
    }
}

/// What sends requests. Keep it: it keeps connections and the list of certificates.
#[derive(Debug)]
pub struct Client {
    backend: backend::Client,
}

impl Client {
    /// One that asks this host.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { backend: backend::Client::new(host) }
    }

    /// Sends a request and reads the whole response. Every status is a response, 500 too.
    ///
    /// # Errors
    /// See [`HttpErrorKind`].
    pub fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let deadline = Deadline::after(request.timeout);
        let mut message = Message::of(request)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.backend.exchange(&message, request.max_body, deadline)?;
            match redirected(message, &response, request.follows)? {
                Some(next) => message = next,
                None => return Ok(response),
            }
        }
        Err(HttpError::new(HttpErrorKind::Redirect, format_args!("more than {MAX_REDIRECTS} redirects")))
    }
}
