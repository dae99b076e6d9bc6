//! Addresses: what of them matters for a request.

use super::{HttpError, HttpErrorKind};

/// Longest address, in bytes.
const MAX_URL: usize = 8 * 1024;

/// An `http` or `https` address, taken apart. Fragments stay at home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) secure: bool,
    /// Host, and port where one is given.
    pub(super) authority: String,
    /// Path and query; begins with `/`.
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, HttpError> {
        let invalid =
            |why: &str| HttpError::new(HttpErrorKind::Invalid, format_args!("'{}': {why}", text.escape_debug()));
        if text.len() > MAX_URL {
            return Err(HttpError::new(HttpErrorKind::Invalid, "an address of more than 8192 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("spaces and what is not ASCII must be percent-encoded"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("no http:// or https:// address"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(invalid("no http:// or https:// address")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() || authority.contains(['@', '\\']) {
            return Err(invalid("an address needs a host, and has no user name in it"));
        }
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, authority: authority.to_ascii_lowercase(), path })
    }

    /// What a reference in a response of this address leads to.
    pub(super) fn join(&self, reference: &str) -> Result<Self, HttpError> {
        let (scheme, authority) = (if self.secure { "https" } else { "http" }, &self.authority);
        let before_query = self.path.split('?').next().unwrap_or_default();
        // a colon before any of these ends a scheme
        let has_scheme = reference.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
        let full = match reference {
            _ if has_scheme => reference.to_owned(),
            _ if reference.starts_with("//") => format!("{scheme}:{reference}"),
            _ if reference.starts_with('/') => format!("{scheme}://{authority}{reference}"),
            _ if reference.starts_with('?') => format!("{scheme}://{authority}{before_query}{reference}"),
            _ => {
                let directory = before_query.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{scheme}://{authority}{directory}/{reference}")
            }
        };
        Self::parse(&full)
    }

    /// Whether both are on one server: then secrets of one may go to the other.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.target() == other.target()
    }

    /// `host:port`.
    pub(super) fn target(&self) -> String {
        let after_host = self.authority.rfind(']').map_or(0, |end| end + 1);
        match self.authority[after_host..].contains(':') {
            true => self.authority.clone(),
            false => format!("{}:{}", self.authority, if self.secure { 443 } else { 80 }),
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let parse = |text: &str| Url::parse(text).map(|url| (url.target(), url.path));
        let of = |target: &str, path: &str| Ok((target.to_owned(), path.to_owned()));
        assert_eq!(parse("https://API.example.com/v1?a=b#c"), of("api.example.com:443", "/v1?a=b"));
        assert_eq!(parse("HTTP://example.com"), of("example.com:80", "/"));
        assert_eq!(parse("http://example.com:8080?q"), of("example.com:8080", "/?q"));
        assert_eq!(parse("http://[::1]/"), of("[::1]:80", "/"));
        assert_eq!(parse("http://[::1]:81/"), of("[::1]:81", "/"));
        for wrong in
            ["", "example.com", "ftp://a/", "http:///a", "http://u@a/", "http://a/ b", "http://a\\@b/", "http://ä/"]
        {
            assert_eq!(Url::parse(wrong).unwrap_err().kind(), HttpErrorKind::Invalid, "{wrong}");
        }
    }

    #[test]
    fn a_reference_leads_where_a_browser_would_go() {
        let base = Url::parse("https://a.example/x/y?q#f").unwrap();
        let join = |reference: &str| base.join(reference).map(|url| url.to_string()).unwrap_or_default();
        assert_eq!(join("http://b.example"), "http://b.example/");
        assert_eq!(join("//b.example/z"), "https://b.example/z");
        assert_eq!(join("/z"), "https://a.example/z");
        assert_eq!(join("z?r"), "https://a.example/x/z?r");
        assert_eq!(join("?r"), "https://a.example/x/y?r");
        assert_eq!(join("javascript:alert(1)"), "");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().same_origin(&Url::parse(b).unwrap());
        assert!(same("https://a/x", "https://A:443/y"));
        assert!(
            !same("https://a/x", "http://a:443/x")
                && !same("https://a/", "https://b/")
                && !same("http://a/", "http://a:81/")
        );
    }
}
