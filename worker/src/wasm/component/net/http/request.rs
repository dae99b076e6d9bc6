//! A guest's request as it is sent. Pure.

use super::super::target::{BadTarget, Target};
use super::MAX_BODY;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use wasmtime_wasi_http::Error;

/// A request that may be asked for, and whom.
#[derive(Debug)]
pub struct Checked<B> {
    pub target: Target,
    /// With the path alone as its address, and the Host header that belongs to the target.
    pub request: Request<B>,
}

/// Why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error("CONNECT asks for a tunnel; `net.connection` is how a plugin speaks something else than HTTP")]
    Tunnel,
    #[error("its path is none")]
    Path,
    #[error("it has {0} bytes; {MAX_BODY} are the most")]
    TooLarge(u64),
}

impl From<BadRequest> for Error {
    fn from(bad: BadRequest) -> Self {
        match bad {
            // the guest's author is told the words by the log; the guest, that this will never be allowed
            BadRequest::Target(BadTarget::UserInfo | BadTarget::PlainOn443) => Self::HttpRequestDenied,
            BadRequest::Target(_) | BadRequest::Path => Self::HttpRequestUriInvalid,
            BadRequest::Tunnel => Self::HttpRequestMethodInvalid,
            BadRequest::TooLarge(bytes) => Self::HttpRequestBodySize(Some(bytes)),
        }
    }
}

/// Checks a request and makes it what goes over a connection to its target.
///
/// # Errors
/// It is not one that is sent.
pub fn check<B>(mut request: Request<B>) -> Result<Checked<B>, BadRequest> {
    if request.method() == Method::CONNECT {
        return Err(BadRequest::Tunnel);
    }
    let target = Target::of(request.uri())?;
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(bytes) = declared.filter(|&bytes| bytes > MAX_BODY) {
        return Err(BadRequest::TooLarge(bytes));
    }
    *request.uri_mut() = path(request.uri())?;
    let host = HeaderValue::try_from(target.host_header()).map_err(|_| BadRequest::Target(BadTarget::NoHost))?;
    // in the place of all that came: one host is asked, and that one is named
    request.headers_mut().insert(HOST, host);
    Ok(Checked { target, request })
}

/// The path and query alone; a query without a path is of `/`.
fn path(uri: &Uri) -> Result<Uri, BadRequest> {
    let text = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let text = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    Uri::try_from(text).ok().filter(|uri| uri.authority().is_none()).ok_or(BadRequest::Path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checked(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Checked<()>, BadRequest> {
        let builder = Request::builder().method(method).uri(uri);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        check(builder.body(()).unwrap())
    }

    #[test]
    fn the_host_header_is_the_target_whatever_the_guest_wrote() {
        let forged = [("host", "intranet"), ("host", "router"), ("x-other", "kept")];
        let Checked { target, request } = checked("GET", "https://Example.org./a?b=c", &forged).unwrap();
        let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
        assert_eq!(hosts, ["example.org"]);
        assert_eq!(request.headers()["x-other"], "kept");
        assert_eq!(request.uri(), "/a?b=c");
        assert_eq!(target.to_string(), "example.org:443");
        let other_port = checked("GET", "http://[::1]:8080", &[]).unwrap().request;
        assert_eq!((&other_port.headers()[HOST], other_port.uri().path()), (&"[::1]:8080".parse().unwrap(), "/"));
    }

    #[test]
    fn a_query_alone_is_a_query_of_the_root() {
        assert_eq!(checked("GET", "http://example.org?q=1", &[]).unwrap().request.uri(), "/?q=1");
        assert_eq!(checked("GET", "http://example.org//other.org/", &[]).unwrap().request.uri(), "//other.org/");
    }

    #[test]
    fn tunnels_and_bodies_over_the_limit_are_refused_before_anybody_is_asked() {
        assert_eq!(checked("CONNECT", "http://example.org/", &[]).unwrap_err(), BadRequest::Tunnel);
        let declared = |bytes: u64| checked("POST", "http://example.org/", &[("content-length", &bytes.to_string())]);
        assert!(declared(MAX_BODY).is_ok());
        assert_eq!(declared(MAX_BODY + 1).unwrap_err(), BadRequest::TooLarge(MAX_BODY + 1));
    }

    proptest! {
        #[test]
        fn whatever_address_it_has_it_goes_to_one_host_by_a_path(
            authority in "[a-zA-Z0-9.:@_\\[\\]-]{1,12}", tail in "[/?][!-~]{0,20}", forged in "[ -~]{0,9}",
        ) {
            let builder = Request::builder().uri(format!("https://{authority}{tail}")).header(HOST, forged);
            if let Ok(Checked { target, request }) = builder.body(()).map_err(drop).and_then(|request| check(request).map_err(drop)) {
                let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
                prop_assert_eq!(hosts, [&target.host_header()]);
                prop_assert!(request.uri().authority().is_none() && request.uri().path().starts_with('/'));
                prop_assert!(!tail.starts_with('/') || tail.starts_with(request.uri().path()));
            }
        }
    }
}
