//! Whom a request goes to, read from its address. Pure.
//!
//! The supervisor reads the host again, more strictly, and compares it with the grants. Here is what it never sees:
//! scheme, user names, and ports that other programs would read otherwise.

use http::Uri;
use http::uri::Scheme;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why an address is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadTarget {
    #[error("the address names no host")]
    NoHost,
    #[error("the address has a user name: put it into the Authorization header")]
    UserInfo,
    #[error("the port must be a number from 1 to 65535, without zeros in front")]
    Port,
    #[error("the address is neither http nor https")]
    Scheme,
    #[error("http on port 443, which is https's: what is sent there must be encrypted")]
    PlainOn443,
    #[error("an IPv6 address is written in brackets, without a zone")]
    Brackets,
    #[error("no certificate can be made out to such a host")]
    ServerName,
}

/// Scheme, host and port; equal when one connection can serve both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// In lower case, without a dot at its end; an IPv6 address in brackets.
    host: String,
    port: u16,
}

impl Target {
    /// Of a request.
    ///
    /// # Errors
    /// The address names nobody, or not plainly.
    pub fn of(uri: &Uri) -> Result<Self, BadTarget> {
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(BadTarget::Scheme),
        };
        let authority = uri.authority().ok_or(BadTarget::NoHost)?;
        let target = Self::read(secure, authority.as_str())?;
        if !secure && target.port == 443 { Err(BadTarget::PlainOn443) } else { Ok(target) }
    }

    /// Of `host:port`, where TLS is spoken.
    ///
    /// # Errors
    /// It is not that, or the host is one to whom no certificate can be made out.
    pub fn secure(text: &str) -> Result<(Self, ServerName<'static>), BadTarget> {
        let target = Self::read(true, text)?;
        let name = target.server_name()?;
        Ok((target, name))
    }

    fn read(secure: bool, text: &str) -> Result<Self, BadTarget> {
        if text.contains('@') {
            return Err(BadTarget::UserInfo);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or(BadTarget::Brackets)?;
                let address: Ipv6Addr = inside.parse().map_err(|_| BadTarget::Brackets)?;
                let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(BadTarget::Port)?) };
                (format!("[{address}]"), port)
            }
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(BadTarget::Brackets),
                Some((host, port)) => (plain(host), Some(port)),
                None => (plain(text), None),
            },
        };
        let default = if secure { 443 } else { 80 };
        let port = port.map_or(Ok(default), self::port)?;
        if host.split('.').any(str::is_empty) { Err(BadTarget::NoHost) } else { Ok(Self { secure, host, port }) }
    }

    /// To whom the other side's certificate must be made out.
    ///
    /// # Errors
    /// No such certificate can be.
    pub fn server_name(&self) -> Result<ServerName<'static>, BadTarget> {
        let inside = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Some(address) = inside.and_then(|inside| inside.parse::<Ipv6Addr>().ok()) {
            return Ok(ServerName::IpAddress(address.into()));
        }
        if let Ok(address) = self.host.parse::<Ipv4Addr>() {
            return Ok(ServerName::IpAddress(address.into()));
        }
        ServerName::try_from(self.host.clone()).map_err(|_| BadTarget::ServerName)
    }

    /// What stands in the Host header: without the port where it is the scheme's own.
    pub fn host_header(&self) -> String {
        let default = if self.secure { 443 } else { 80 };
        if self.port == default { self.host.clone() } else { self.to_string() }
    }
}

/// `host:port`, as grants have it.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn port(text: &str) -> Result<u16, BadTarget> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits).ok_or(BadTarget::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<String, BadTarget> {
        Target::of(&text.parse().unwrap()).map(|target| target.to_string())
    }

    #[test]
    fn host_and_port_are_what_the_grant_names() {
        for (text, expected) in [
            ("http://example.org/a?b", "example.org:80"),
            ("https://Example.ORG.", "example.org:443"),
            ("https://example.org:8443/", "example.org:8443"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("http://[0:0:0:0:0:0:0:1]/", "[::1]:80"),
            // the supervisor's to refuse: no grant can be spelled so
            ("http://2130706433/", "2130706433:80"),
            ("http://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]:80"),
        ] {
            assert_eq!(target(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, expected) in [
            ("http://user@example.org/", BadTarget::UserInfo),
            ("http://example.org:80@127.0.0.1/", BadTarget::UserInfo),
            ("http://example.org:/", BadTarget::Port),
            ("http://example.org:080/", BadTarget::Port),
            ("http://example.org:0/", BadTarget::Port),
            ("http://example.org:65536/", BadTarget::Port),
            ("http://example.org:443/", BadTarget::PlainOn443),
            ("ftp://example.org/", BadTarget::Scheme),
            ("/path", BadTarget::Scheme),
        ] {
            assert_eq!(target(text), Err(expected), "{text}");
        }
        for (text, expected) in [
            ("", BadTarget::NoHost),
            (".", BadTarget::NoHost),
            (":80", BadTarget::NoHost),
            ("example.org..:80", BadTarget::NoHost),
            ("::1", BadTarget::Brackets),
            ("[::1", BadTarget::Brackets),
            ("[fe80::1%25eth0]:80", BadTarget::Brackets),
            ("[::1]80", BadTarget::Port),
            ("a:1:2", BadTarget::Brackets),
        ] {
            assert_eq!(Target::read(false, text).map(|target| target.to_string()), Err(expected), "{text}");
        }
    }

    #[test]
    fn certificates_are_made_out_to_names_and_to_addresses() {
        let name = |text: &str| Target::secure(text).map(|(_, name)| name.to_str().into_owned());
        assert_eq!(name("Example.org.:8443").as_deref(), Ok("example.org"));
        assert_eq!(name("127.0.0.1:443").as_deref(), Ok("127.0.0.1"));
        assert_eq!(name("[::1]:443").as_deref(), Ok("::1"));
        assert_eq!(name("exa mple.org:443"), Err(BadTarget::ServerName));
    }

    #[test]
    fn no_authority_makes_it_panic_or_smuggles_a_second_port() {
        let alphabet = b"aB0139.:@%_[]-";
        let mut seed = 1_u64;
        let mut accepted = 0;
        for _ in 0..200_000 {
            let mut next = |below: usize| {
                // Knuth's multiplier: any would do
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) as usize % below
            };
            let text: String = (0..next(16)).map(|_| char::from(alphabet[next(alphabet.len())])).collect();
            if let Ok(target) = Target::read(true, &text) {
                let shown = target.to_string();
                assert_eq!(Target::read(true, &shown), Ok(target), "{text}");
                assert!(!shown.contains('@'), "{text}");
                assert!(shown.starts_with('[') || shown.matches(':').count() == 1, "{text}");
                accepted += 1;
            }
        }
        assert!(accepted > 1_000, "{accepted}");
    }
}
