//! Hosts and ports as grants and requests write them. Pure.
//!
//! A grant's target and a request's are read by the same function and compared as
//! values, so that no spelling of one can mean the other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a host, in bytes (RFC 1035).
const MAX_NAME: usize = 253;
/// Longest part of one, in bytes (RFC 1035).
const MAX_LABEL: usize = 63;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Who is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name in lower case, without a dot at its end.
    Name(String),
    /// An address, written as one.
    Ip(IpAddr),
}

/// With whom a plugin may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How.
    pub transport: Transport,
    /// With whom.
    pub host: Host,
    /// At which port, never 0.
    pub port: u16,
}

/// Why a text names no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum InvalidEndpoint {
    #[error("write it as HOST:PORT")]
    NoPort,
    #[error("the port must be a number from 1 to 65535, without zeros in front")]
    Port,
    #[error("a host has letters, digits, '-', '_' and '.' (no user name, no scheme, no path)")]
    Characters,
    #[error("a host outside ASCII is written in punycode (xn--…)")]
    NotAscii,
    #[error("the host has an empty or overlong part")]
    Labels,
    #[error("an IPv4 address is written as four decimal numbers, as in 192.0.2.1")]
    OddNumber,
    #[error("an IPv6 address is written in brackets and in its shortest form, as in [2001:db8::1]")]
    OddIpv6,
}

impl Endpoint {
    /// Reads `HOST:PORT`, or with `tcp:` or `udp:` in front; without, it is TCP.
    ///
    /// # Errors
    /// Anything that is not exactly that.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let (transport, rest) = match text.split_once(':') {
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            _ => (Transport::Tcp, text),
        };
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidEndpoint::NoPort)?;
        Ok(Self { transport, host: Host::parse(host)?, port: self::port(port)? })
    }

    /// Reads a request's target, which need not say again that it is UDP.
    ///
    /// # Errors
    /// As [`Self::parse`]; a TCP endpoint where UDP is meant, or the other way.
    pub fn requested(text: &str, transport: Transport) -> Result<Self, InvalidEndpoint> {
        let prefixed = text.starts_with("tcp:") || text.starts_with("udp:");
        let endpoint = Self::parse(text)?;
        match endpoint.transport == transport {
            true => Ok(endpoint),
            false if prefixed => Err(InvalidEndpoint::Characters),
            false => Ok(Self { transport, ..endpoint }),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(InvalidEndpoint::OddIpv6)?;
            let address: Ipv6Addr = inside.parse().map_err(|_| InvalidEndpoint::OddIpv6)?;
            let canonical = address.to_string() == inside;
            return if canonical { Ok(Self::Ip(address.into())) } else { Err(InvalidEndpoint::OddIpv6) };
        }
        if !text.is_ascii() {
            return Err(InvalidEndpoint::NotAscii);
        }
        if text.contains(':') {
            return Err(InvalidEndpoint::OddIpv6);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
            return Err(InvalidEndpoint::Characters);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label =
            |label: &str| (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        if name.len() > MAX_NAME || !name.split('.').all(is_label) {
            return Err(InvalidEndpoint::Labels);
        }
        // what a resolver would take for a number: 2130706433, 0x7f.1, 0177.0.0.1
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hexadecimal) {
            return Err(InvalidEndpoint::OddNumber);
        }
        Ok(Self::Name(name))
    }
}

fn port(text: &str) -> Result<u16, InvalidEndpoint> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain).ok_or(InvalidEndpoint::Port)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport == Transport::Udp {
            formatter.write_str("udp:")?;
        }
        match &self.host {
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Ip(IpAddr::V4(address)) => write!(formatter, "{address}:{}", self.port),
            Host::Ip(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Endpoint, InvalidEndpoint> {
        Endpoint::parse(text)
    }

    #[test]
    fn case_and_a_dot_at_the_end_make_no_difference() {
        let plain = parse("example.org:443").unwrap();
        for other in ["EXAMPLE.org:443", "example.org.:443", "tcp:Example.Org.:443"] {
            assert_eq!(parse(other).unwrap(), plain, "{other}");
        }
        assert_ne!(parse("udp:example.org:443").unwrap(), plain);
        assert_ne!(parse("example.org:80").unwrap(), plain);
        assert_ne!(parse("sub.example.org:443").unwrap(), plain);
    }

    #[test]
    fn spellings_that_another_reader_could_take_for_something_else_are_refused() {
        use InvalidEndpoint::*;
        let cases = [
            ("example.org", NoPort),
            ("example.org:", Port),
            ("example.org:0", Port),
            ("example.org:080", Port),
            ("example.org:+80", Port),
            ("example.org:65536", Port),
            ("user@example.org:80", Characters),
            ("user:pass@example.org:80", OddIpv6),
            ("http://example.org:80", OddIpv6),
            ("example.org/path:80", Characters),
            ("example.org#x:80", Characters),
            ("exa mple.org:80", Characters),
            ("exam\0ple.org:80", Characters),
            ("examplé.org:80", NotAscii),
            ("example。org:80", NotAscii),
            ("１２７.0.0.1:80", NotAscii),
            (":80", Labels),
            ("example..org:80", Labels),
            ("example.org..:80", Labels),
            ("-a.org:80", Labels),
            ("2130706433:80", OddNumber),
            ("127.1:80", OddNumber),
            ("0177.0.0.1:80", OddNumber),
            ("0x7f000001:80", OddNumber),
            ("0x7f.1:80", OddNumber),
            ("127.0.0.01:80", OddNumber),
            ("256.0.0.1:80", OddNumber),
            ("1.2.3.4.5:80", OddNumber),
            ("::1:80", OddIpv6),
            ("[::1:80", OddIpv6),
            ("[0:0:0:0:0:0:0:1]:80", OddIpv6),
            ("[::0001]:80", OddIpv6),
            ("[FE80::1]:80", OddIpv6),
            ("[fe80::1%eth0]:80", OddIpv6),
            ("[127.0.0.1]:80", OddIpv6),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text), Err(why), "{text}");
        }
        assert_eq!(parse(&format!("{}.org:80", "a".repeat(64))), Err(Labels));
        assert_eq!(parse(&format!("{}a:80", "abcdefg.".repeat(32))), Err(Labels));
    }

    #[test]
    fn addresses_are_addresses_and_names_are_names() {
        assert_eq!(parse("192.0.2.1:80").unwrap().host, Host::Ip("192.0.2.1".parse().unwrap()));
        assert_eq!(parse("[::1]:80").unwrap().host, Host::Ip("::1".parse().unwrap()));
        assert_eq!(parse("xn--exampl-gva.org:80").unwrap().host, Host::Name("xn--exampl-gva.org".into()));
        assert_eq!(parse("localhost:80").unwrap().host, Host::Name("localhost".into()));
    }

    #[test]
    fn a_request_for_datagrams_need_not_say_so_and_never_means_a_connection() {
        let granted = parse("udp:example.org:53").unwrap();
        assert_eq!(Endpoint::requested("example.org:53", Transport::Udp).unwrap(), granted);
        assert_eq!(Endpoint::requested("udp:example.org:53", Transport::Udp).unwrap(), granted);
        assert!(Endpoint::requested("udp:example.org:53", Transport::Tcp).is_err());
        assert!(Endpoint::requested("tcp:example.org:53", Transport::Udp).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_as_the_same(text in "(tcp:|udp:)?[a-zA-Z0-9._\\[\\]:-]{1,30}:[0-9]{1,5}") {
            if let Ok(endpoint) = parse(&text) {
                prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
