//! Addresses of a service, and the names and values in them. Pure.
//!
//! An address is read by one strict reader and written by one writer, so that what the user
//! is shown is where the browser and midimon go.

use crate::workers::broker::endpoint::{Endpoint, Host, InvalidEndpoint};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Most names in a query; an answer has four or five.
const MAX_PAIRS: usize = 32;

/// An `https` address, or an `http` one of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    /// Whether it is `https`.
    pub secure: bool,
    /// Who answers there.
    pub endpoint: Endpoint,
    /// The path, from its `/` on.
    pub path: String,
    /// What stands after `?`, where there is one.
    pub query: Option<String>,
}

/// Why a text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum InvalidUrl {
    #[error("write it as https://HOST/PATH")]
    NoScheme,
    #[error("without TLS only this computer is spoken to (http://127.0.0.1:PORT/PATH): use https")]
    Plain,
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    #[error("it has {character:?}; write it as {}", escaped(*character))]
    Character { character: char },
    #[error("'#' and what stands after it never reach a service: leave them away")]
    Fragment,
    #[error("it has a '%' without two hexadecimal digits after it; write the sign itself as %25")]
    Escape,
    #[error("its path has '&', which stands between the values after a '?' only; write it as %26")]
    Ampersand,
    #[error("after '?' it has NAME=VALUE, joined by '&', the names of letters, digits, '-', '.' and '_'")]
    Query,
}

impl FromStr for WebUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(InvalidUrl::NoScheme),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let has_port = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':');
        let port = if secure { 443 } else { 80 };
        // the transport is said, so that a host called `udp` is one
        let endpoint = match has_port {
            true => Endpoint::parse(&format!("tcp:{authority}"))?,
            false => Endpoint::parse(&format!("tcp:{authority}:{port}"))?,
        };
        if !secure && !matches!(endpoint.host, Host::Ip(ip) if ip.is_loopback()) {
            return Err(InvalidUrl::Plain);
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        plain(path)?;
        // a shell would end a command there, and take what stands after it for the next one
        if path.contains('&') {
            return Err(InvalidUrl::Ampersand);
        }
        if let Some(query) = query {
            plain(query)?;
            if !query.split('&').all(is_pair) {
                return Err(InvalidUrl::Query);
            }
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { secure, endpoint, path: path.to_owned(), query: query.map(str::to_owned) })
    }
}

/// What stands in a path or a query as itself (RFC 3986, 3.3 and 3.4), and whole `%XX`. Of what it
/// allows, `!$'()*;` must be escaped: an address is printed for people, who paste it into shells.
fn plain(text: &str) -> Result<(), InvalidUrl> {
    let digits = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    for (at, char) in text.char_indices() {
        match char {
            '%' if digits(&text[at + 1..]) => {}
            '%' => return Err(InvalidUrl::Escape),
            '#' => return Err(InvalidUrl::Fragment),
            '-' | '.' | '_' | '~' | '&' | '+' | ',' | '=' | ':' | '@' | '/' => {}
            char if char.is_ascii_alphanumeric() => {}
            character => return Err(InvalidUrl::Character { character }),
        }
    }
    Ok(())
}

/// Whether this is `NAME=VALUE`, which a shell takes between two `&` for a variable of its own, and for no program
/// that there is.
fn is_pair(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.split_once('=').is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(is_part))
}

/// A character as an address has it.
fn escaped(char: char) -> String {
    char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl WebUrl {
    /// The host and, where it is not the usual one, the port: as a browser shows it.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.secure { ":443" } else { ":80" };
        let text = self.endpoint.to_string();
        text.strip_suffix(usual).unwrap_or(&text).to_owned()
    }

    /// The path and the query: what a request names.
    #[must_use]
    pub fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    /// The same address with these names and values after what it has.
    #[must_use]
    pub fn with(&self, pairs: &[(&str, &str)]) -> String {
        let mark = if self.query.is_some() { '&' } else { '?' };
        format!("{self}{mark}{}", form(pairs))
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.target())
    }
}

/// Names and values as a query or a form has them. A space is `%20`, which both read.
#[must_use]
pub fn form(pairs: &[(&str, &str)]) -> String {
    // with room for all: some are secret, and growing would leave a copy behind
    let room = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut form = String::with_capacity(room);
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        encode(&mut form, name);
        form.push('=');
        encode(&mut form, value);
    }
    form
}

fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => into.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => into.push(byte.into()),
            byte => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The names and values of a query, in their order; `None` where it is none, has a name twice
/// or too many of them.
#[must_use]
pub fn pairs(query: &str) -> Option<Vec<(String, Zeroizing<String>)>> {
    let mut pairs: Vec<(String, Zeroizing<String>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, Zeroizing::new(decoded(value)?));
        if pairs.len() == MAX_PAIRS || pairs.iter().any(|(known, _)| *known == name) {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Result<WebUrl, InvalidUrl> {
        text.parse()
    }

    #[test]
    fn an_address_is_shown_as_it_is_gone_to() {
        let spotify = url("https://ACCOUNTS.spotify.com/authorize").unwrap();
        assert_eq!((spotify.authority(), spotify.target()), ("accounts.spotify.com".into(), "/authorize".into()));
        assert_eq!(spotify.endpoint.to_string(), "accounts.spotify.com:443");
        assert_eq!(spotify.with(&[("a b", "ü&=")]), "https://accounts.spotify.com/authorize?a%20b=%C3%BC%26%3D");
        let odd = url("https://[2001:db8::1]:8443?x=1").unwrap();
        assert_eq!(odd.to_string(), "https://[2001:db8::1]:8443/?x=1");
        assert_eq!(odd.with(&[("y", "2")]), "https://[2001:db8::1]:8443/?x=1&y=2");
        assert_eq!(url("https://udp/").unwrap().endpoint.to_string(), "udp:443");
    }

    #[test]
    fn without_tls_there_is_this_computer_only() {
        for good in ["http://127.0.0.1:8080/t", "http://[::1]:1/"] {
            assert!(!url(good).unwrap().secure, "{good}");
        }
        for bad in ["http://example.org/", "http://localhost:80/", "http://127.0.0.1.example.org/", "http://10.0.0.1/"]
        {
            assert_eq!(url(bad), Err(InvalidUrl::Plain), "{bad}");
        }
    }

    #[test]
    fn what_another_reader_could_take_for_something_else_is_refused() {
        for bad in [
            "",
            "example.org",
            "HTTPS://example.org/",
            "ftp://example.org/",
            "https:///path",
            "https://user@example.org/",
            "https://example.org:443:1/",
            "https://example.org\\@evil.example/",
            "https://0x7f.1/",
            "https://example.org/a b",
            "https://example.org/a#b",
            "https://example.org/%zz",
            "https://example.org/%4",
            "https://example.org/?a=\"",
            "https://example.org/ü",
            "https://example.org/\n",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_shell_could_take_for_a_command_is_refused_with_the_character_and_its_escape() {
        for char in "!$'()*;`\"\\<>|{}[]^ \t".chars() {
            for text in [format!("https://example.org/a{char}b"), format!("https://example.org/?a={char}b")] {
                assert_eq!(url(&text), Err(InvalidUrl::Character { character: char }), "{text}");
            }
            let escaped = format!("https://example.org/a{}b", escaped(char));
            assert_eq!(url(&escaped).map(|url| url.to_string()), Ok(escaped), "{char}");
        }
        assert_eq!(InvalidUrl::Character { character: '$' }.to_string(), "it has '$'; write it as %24");
        assert_eq!(InvalidUrl::Character { character: 'ü' }.to_string(), "it has 'ü'; write it as %C3%BC");
        assert_eq!(url("https://example.org/a#b"), Err(InvalidUrl::Fragment));
        assert_eq!(url("https://example.org/%4"), Err(InvalidUrl::Escape));
        assert_eq!(url("https://example.org/%4ü"), Err(InvalidUrl::Escape));
        for program in ["a=1&reboot", "reboot&a=1", "a=1&/bin/x=1", "a=1&~/x=1", "a=1&", "&a=1", "a=1&&b=1", "", "=1"] {
            assert_eq!(url(&format!("https://example.org/?{program}")), Err(InvalidUrl::Query), "{program}");
        }
        for path in ["a&reboot&b", "a&/bin/x", "a&b=1", "&", "a&reboot?b=1"] {
            assert_eq!(url(&format!("https://x.org/{path}")), Err(InvalidUrl::Ampersand), "{path}");
        }
        assert!(InvalidUrl::Ampersand.to_string().ends_with("write it as %26"));
        assert_eq!(
            url("https://x.org/a%26reboot%26b").unwrap().with(&[("c", "d")]),
            "https://x.org/a%26reboot%26b?c=d"
        );
        let fine = "https://example.org/a,b:c@d+e/~f?a-b.c_d=/e?&x=";
        assert_eq!(url(fine), Err(InvalidUrl::Character { character: '?' }), "the second one");
        assert!(url("https://example.org/a,b:c@d+e/~f?a-b.c_d=/e,f:g@h+i=j&x=").is_ok());
    }

    #[test]
    fn a_name_that_stands_twice_or_a_broken_escape_is_no_query() {
        let read = |query: &str| pairs(query).map(|pairs| pairs.len());
        assert_eq!(
            pairs("code=a+b%21&state="),
            Some(vec![("code".into(), "a b!".to_owned().into()), ("state".into(), String::new().into())])
        );
        assert_eq!((read(""), read("a&&b")), (Some(0), Some(2)));
        for bad in ["a=1&a=2", "a=1&%61=2", "a=%", "a=%4", "a=%zz", "a=%ff", &"x=1&".repeat(2)] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let many: Vec<String> = (0..=MAX_PAIRS).map(|number| format!("n{number}=1")).collect();
        assert_eq!(read(&many.join("&")), None);
        assert_eq!(read(&many[1..].join("&")), Some(MAX_PAIRS));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in ".{1,20}", value in ".{0,40}") {
            let written = form(&[(&name, &value)]);
            prop_assert_eq!(plain(&written), Ok(()), "{}", written);
            prop_assert_eq!(pairs(&written), Some(vec![(name, value.into())]));
        }

        #[test]
        fn an_address_that_is_read_is_written_as_it_is(text in "https?://[a-zA-Z0-9.:@\\[\\]-]{1,20}(/[ -~]{0,20})?") {
            if let Ok(read) = url(&text) {
                prop_assert!(!read.path.contains('&'), "{}", read);
                prop_assert_eq!(url(&read.to_string()), Ok(read));
            }
        }
    }
}
