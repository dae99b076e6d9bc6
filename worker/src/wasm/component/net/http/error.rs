//! Errors as a guest can read them. `wasi:http` has no room for words, so those go to the log.

use super::super::target::Target;
use super::MAX_HEAD;
use crate::log::{self, Level};
use midimon_shared::host::{HostRefusal, RefusalKind};
use std::error::Error as _;
use std::fmt::Display;
use std::io;
use wasmtime_wasi_http::Error;

/// Says in the log why a request failed.
pub fn tell(whom: impl Display, why: impl Display) {
    log::write(Level::Warn, &format!("HTTP, {whom}: {why}"));
}

/// The supervisor's refusal to connect.
pub fn of_refusal(target: &Target, refusal: &HostRefusal) -> Error {
    tell(target, &refusal.message);
    match refusal.kind {
        RefusalKind::NotGranted => Error::HttpRequestDenied,
        RefusalKind::Invalid => Error::HttpRequestUriInvalid,
        RefusalKind::TooMany => Error::ConnectionLimitReached,
        RefusalKind::TimedOut => Error::ConnectionTimeout,
        RefusalKind::Failed => Error::DestinationUnavailable,
    }
}

/// A connection that broke before a word was said.
pub fn of_connection(target: &Target, error: &io::Error) -> Error {
    tell(target, error);
    Error::ConnectionTerminated
}

/// A TLS handshake that failed.
pub fn of_tls(target: &Target, error: &io::Error) -> Error {
    tell(target, error);
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match reason {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some((*alert).into()),
            alert_message: alert.as_str().map(str::to_owned),
        },
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}

/// An exchange that failed.
pub fn of_hyper(error: &hyper::Error) -> Error {
    let inner = error.source();
    let is = |kind: fn(&io::Error) -> bool| inner.and_then(|inner| inner.downcast_ref::<io::Error>()).is_some_and(kind);
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(u32::try_from(MAX_HEAD).ok())
    } else if error.is_incomplete_message() || is(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
        Error::HttpResponseIncomplete
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if is(|error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())) {
        Error::TlsProtocolError
    } else if error.is_closed() || error.is_canceled() || is(|_| true) {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}
