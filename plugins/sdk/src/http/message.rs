//! Requests, responses, and what a redirect makes of a request.

use super::url::Url;
use super::{HttpError, HttpErrorKind};
use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// How long an exchange may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest body of a response unless told otherwise, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Who asks, unless the plugin says it.
const USER_AGENT: &str = concat!("midimon-plugin/", env!("CARGO_PKG_VERSION"));
/// Headers of the connection, which are not the plugin's to set.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that stay with the server they were meant for.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) timeout: Duration,
    pub(super) max_body: usize,
    pub(super) follows: bool,
}

impl Request {
    /// With this method: `GET`, `DELETE`, or another in capital letters.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            max_body: MAX_BODY,
            follows: true,
        }
    }

    /// A `GET` of this address.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` to this address.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT` to this address.
    #[must_use]
    pub fn put(url: &str) -> Self {
        Self::new("PUT", url)
    }

    /// A `DELETE` of this address.
    #[must_use]
    pub fn delete(url: &str) -> Self {
        Self::new("DELETE", url)
    }

    /// With this header, beside others of the name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With this as JSON.
    ///
    /// # Errors
    /// It has something JSON has not.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// With these as the fields of a form.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value))).collect();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(fields.join("&"))
    }

    /// May take this long with everything, redirects and the body included; 30 s unless set.
    /// The deadline of the call it is made in (5 s by default) goes on meanwhile.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes a response of this many bytes at most; 1 MiB unless set.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Gives redirects back as responses, rather than following up to five of them.
    #[must_use]
    pub const fn no_redirects(mut self) -> Self {
        self.follows = false;
        self
    }
}

/// Text as a part of an address or a form: everything but letters, digits and `-._~` as `%XX`.
///
/// ```
/// # use midimon_plugin::http::percent_encode;
/// assert_eq!(percent_encode("a b/ü"), "a%20b%2F%C3%BC");
/// ```
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A response, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status: 200, 404, …
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether it is one of 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The first header of a name, whatever its case; what is no text in it is replaced.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|_| Error::new("the response is no UTF-8 text"))
    }

    /// The body as JSON of this type.
    ///
    /// # Errors
    /// It is not, with where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::new(format_args!("the response: {error}")))
    }
}

/// When an exchange has to be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        // a day is as good as for ever, and can be added to every clock
        Self(Instant::now() + time.min(Duration::from_secs(24 * 3600)))
    }

    /// What is left of it.
    pub(super) fn left(self) -> Result<Duration, HttpError> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(HttpError::new(HttpErrorKind::TimedOut, "the server took too long")) } else { Ok(left) }
    }
}

/// A request, checked.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) url: Url,
    /// Names in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn of(request: &Request) -> Result<Self, HttpError> {
        let invalid = |what: &str, text: &str| {
            HttpError::new(HttpErrorKind::Invalid, format_args!("'{}' is no {what}", text.escape_debug()))
        };
        if !is_token(&request.method) || request.method == "CONNECT" {
            return Err(invalid("method for a request", &request.method));
        }
        let url = Url::parse(&request.url)?;
        let mut headers = Vec::with_capacity(request.headers.len() + 1);
        for (name, value) in &request.headers {
            let name = name.to_ascii_lowercase();
            if !is_token(&name) || RESERVED.contains(&name.as_str()) {
                return Err(invalid("header to set", &name));
            }
            if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7F) {
                return Err(invalid("value of a header", value));
            }
            headers.push((name, value.clone()));
        }
        if !headers.iter().any(|(name, _)| name == "user-agent") {
            headers.push(("user-agent".to_owned(), USER_AGENT.to_owned()));
        }
        Ok(Self { method: request.method.clone(), url, headers, body: request.body.clone() })
    }
}

/// As RFC 9110 has methods and header names.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The request that a response asks for instead.
pub(super) fn redirected(before: Message, response: &Response, follows: bool) -> Result<Option<Message>, HttpError> {
    let Some(location) = response.header("location") else { return Ok(None) };
    if !follows || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Message { mut method, url: from, mut headers, mut body } = before;
    let url = from.join(location).map_err(|error| {
        HttpError::new(HttpErrorKind::Redirect, format_args!("the server redirects to no address: {error}"))
    })?;
    // as browsers do: what was posted is not posted again, unless the server insists (RFC 9110, 15.4)
    if response.status == 303 && method != "HEAD" || matches!(response.status, 301 | 302) && method == "POST" {
        "GET".clone_into(&mut method);
        body.clear();
        headers.retain(|(name, _)| !name.starts_with("content-"));
    }
    if !from.same_origin(&url) {
        headers.retain(|(name, _)| !SECRET.contains(&name.as_str()));
    }
    Ok(Some(Message { method, url, headers, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, location: &str) -> Response {
        Response { status, headers: vec![("Location".into(), location.into())], body: Vec::new() }
    }

    fn message() -> Message {
        let request =
            Request::post("https://a.example/x").header("Authorization", "secret").header("Content-Type", "text/plain");
        Message::of(&request.body("words")).unwrap()
    }

    fn names(message: &Message) -> Vec<&str> {
        message.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn secrets_do_not_follow_a_redirect_to_another_server() {
        let same = redirected(message(), &response(307, "/y"), true).unwrap().unwrap();
        assert_eq!((same.method.as_str(), same.body.as_slice()), ("POST", &b"words"[..]));
        assert_eq!(names(&same), ["authorization", "content-type", "user-agent"]);
        for elsewhere in ["https://b.example/", "http://a.example/", "https://a.example:8443/"] {
            let other = redirected(message(), &response(308, elsewhere), true).unwrap().unwrap();
            assert_eq!(names(&other), ["content-type", "user-agent"], "{elsewhere}");
        }
    }

    #[test]
    fn what_was_posted_is_not_posted_again() {
        for status in [301, 302, 303] {
            let next = redirected(message(), &response(status, "/y"), true).unwrap().unwrap();
            assert_eq!((next.method.as_str(), next.body.len()), ("GET", 0), "{status}");
            assert_eq!(names(&next), ["authorization", "user-agent"]);
        }
    }

    #[test]
    fn other_responses_are_what_they_are() {
        for (status, follows) in [(200, true), (304, true), (302, false)] {
            assert!(redirected(message(), &response(status, "/y"), follows).unwrap().is_none(), "{status}");
        }
        let error = redirected(message(), &response(302, "file:///etc/passwd"), true).unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Redirect);
    }

    #[test]
    fn headers_of_the_connection_and_line_breaks_are_refused() {
        let refused = |request: Request| Message::of(&request).unwrap_err().kind();
        for name in ["Host", "Transfer-Encoding", "content-length", "a b", "", "ä"] {
            assert_eq!(refused(Request::get("http://a/").header(name, "x")), HttpErrorKind::Invalid, "{name}");
        }
        assert_eq!(refused(Request::get("http://a/").header("x", "a\r\nHost: b")), HttpErrorKind::Invalid);
        for method in ["CONNECT", "", "GET /"] {
            assert_eq!(refused(Request::new(method, "http://a/")), HttpErrorKind::Invalid, "{method}");
        }
        let own = Message::of(&Request::get("http://a/").header("User-Agent", "mine")).unwrap();
        assert_eq!(own.headers, [("user-agent".to_owned(), "mine".to_owned())]);
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(Request::post("http://a/").form(&[("a b", "c&d"), ("e", "")]).body, b"a%20b=c%26d&e=");
    }
}
