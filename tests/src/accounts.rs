//! A stand-in for a service's accounts: it sends browsers back with a code and gives tokens
//! for it, checking what RFC 6749 and RFC 7636 say must be checked. And the browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What it does when somebody logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Manner {
    Grants,
    /// The user says no.
    Denies,
    /// The code is no good any more when it comes back.
    Expires,
    /// It gives a token that lasts an hour, and none to renew it with.
    OneHourOnly,
    /// It is broken.
    Fails,
}

/// The application that is registered there.
pub const CLIENT: &str = "client-0123";
/// The access token that is given so many have been given before it.
#[must_use]
pub fn access(number: usize) -> String {
    format!("access-{number}")
}

/// The refresh token that is given together with [`access`].
#[must_use]
pub fn refresh(number: usize) -> String {
    format!("refresh-{number}")
}

/// A service on a loopback address, until the test ends.
#[derive(Clone, Debug)]
pub struct Accounts {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    /// The address and the challenge each code was given for.
    codes: HashMap<String, (String, String)>,
    /// How many tokens were given.
    given: usize,
    /// The refresh token that holds: the last one, until it is used.
    holds: Option<String>,
    /// Every request, as `METHOD PATH`.
    seen: Vec<String>,
}

impl Accounts {
    /// Starts one.
    ///
    /// # Panics
    /// There is no port to be had.
    #[must_use]
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(Mutex::new(State { manner, codes: HashMap::new(), given: 0, holds: None, seen: Vec::new() }));
        let accounts = Self { address, state };
        let server = accounts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // whoever hangs up gets no answer
                std::thread::spawn(move || server.serve(&stream).ok());
            }
        });
        accounts
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, as `METHOD PATH`.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.state().seen.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let (line, body) = request(stream)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.state().seen.push(format!("{method} {path}"));
        let response = match (method, path) {
            ("GET", "/authorize") => self.authorize(query),
            ("POST", "/api/token") => self.token(&body),
            _ => response("404 Not Found", "", "{}"),
        };
        stream.write_all(response.as_bytes())
    }

    /// RFC 6749, 4.1.1 and 4.1.2.
    fn authorize(&self, query: &str) -> String {
        let pairs = values(query);
        let value = |name: &str| pairs.get(name).map(String::as_str).unwrap_or_default();
        let redirect = value("redirect_uri");
        let is_right = value("client_id") == CLIENT
            && value("response_type") == "code"
            && value("code_challenge_method") == "S256"
            && value("code_challenge").len() == 43
            && value("state").len() >= 22
            && redirect.starts_with("http://127.0.0.1:");
        if !is_right {
            return response("400 Bad Request", "", "{}");
        }
        let mut state = self.state();
        let code = format!("code-{}", state.codes.len());
        let (name, answer) = match state.manner {
            Manner::Denies => ("error", "access_denied"),
            _ => ("code", code.as_str()),
        };
        let location = format!("Location: {redirect}?{name}={}&state={}\r\n", escaped(answer), escaped(value("state")));
        state.codes.insert(code, (redirect.to_owned(), value("code_challenge").to_owned()));
        response("302 Found", &location, "")
    }

    /// RFC 6749, 4.1.3 and 6; RFC 7636, 4.6.
    fn token(&self, body: &str) -> String {
        let pairs = values(body);
        let value = |name: &str| pairs.get(name).map(String::as_str).unwrap_or_default();
        let mut state = self.state();
        let proves = match value("grant_type") {
            "authorization_code" => {
                // a code holds once
                let given = state.codes.remove(value("code"));
                let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(value("code_verifier")));
                given == Some((value("redirect_uri").to_owned(), challenge))
            }
            // and so does a refresh token
            "refresh_token" => state.holds.take_if(|holds| holds == value("refresh_token")).is_some(),
            _ => false,
        };
        let is_right = proves && value("client_id") == CLIENT;
        let no = |error: &str, words: &str| {
            let body = format!(r#"{{"error":"{error}","error_description":"{words}"}}"#);
            response("400 Bad Request", "", &body)
        };
        let refresh = match state.manner {
            Manner::Fails => return response("502 Bad Gateway", "", "<html>"),
            Manner::Expires => return no("invalid_grant", "Authorization code expired"),
            _ if !is_right => return no("invalid_grant", "Invalid authorization code"),
            Manner::OneHourOnly => None,
            _ => Some(refresh(state.given)),
        };
        let more = refresh.as_ref().map_or_else(String::new, |token| format!(r#","refresh_token":"{token}""#));
        let access = access(state.given);
        let body = format!(
            r#"{{"access_token":"{access}","token_type":"Bearer","scope":"play read","expires_in":3600{more}}}"#
        );
        (state.given, state.holds) = (state.given + 1, refresh);
        response("200 OK", "", &body)
    }
}

/// The values of a query or a form, by this file's own reading: what is tested must not be what judges it. Empty
/// where it is none, or has a name twice, which RFC 6749 (3.1 and 3.2) forbids.
fn values(text: &str) -> HashMap<String, String> {
    let pairs: Option<Vec<_>> = text
        .split('&')
        .map(|pair| pair.split_once('=').and_then(|(k, v)| Some((unescaped(k)?, unescaped(v)?))))
        .collect();
    let pairs = pairs.unwrap_or_default();
    let count = pairs.len();
    let values: HashMap<_, _> = pairs.into_iter().collect();
    if values.len() == count { values } else { HashMap::new() }
}

/// Without the escapes of `application/x-www-form-urlencoded`.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.replace('+', " ").into_bytes();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).filter(|(digits, _)| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.replace('+', " ").bytes());
    }
    String::from_utf8(bytes).ok()
}

/// With every byte escaped, so that nobody gets away without reading escapes.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// The first line and the body.
fn request(stream: &TcpStream) -> std::io::Result<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap_or(0),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    Ok((first.trim_end().to_owned(), body))
}

/// Asks for an address, as a browser does; the head of the answer and its body.
///
/// # Panics
/// It is no `http` address, or nobody answers there.
#[must_use]
pub fn get(address: &str) -> (String, String) {
    let rest = address.strip_prefix("http://").unwrap_or_else(|| panic!("{address}"));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{address}: {error}"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n").expect("a server");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{address}: {text}"));
    (head.to_owned(), body.to_owned())
}

/// Opens the service's page, as a browser does; the address it is sent back to.
///
/// # Panics
/// It is not sent anywhere.
#[must_use]
pub fn sent_back(address: &str) -> String {
    let (head, body) = get(address);
    let location = head.lines().find_map(|line| line.strip_prefix("Location: "));
    location.unwrap_or_else(|| panic!("{address}: {head}\n{body}")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_without_their_escapes_and_what_is_no_form_has_none() {
        let read = values("a=%31+%2b%C3%A4&b%3D=x=y&c=");
        let expected = [("a", "1 +ä"), ("b=", "x=y"), ("c", "")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(values(&format!("a={}", escaped("1 +ä&"))), [("a".to_owned(), "1 +ä&".to_owned())].into());
        for wrong in ["", "a", "a=1&a=2", "a=%", "a=%4", "a=%+1", "a=%zz", "a=%ff", "a=1&"] {
            assert!(values(wrong).is_empty(), "{wrong}");
        }
    }
}
