//! What browsers, and whoever else finds the port, send to the listener, and what they get. Pure.

use zeroize::Zeroizing;

/// Largest head of a request, in bytes; a browser's with all its cookies is smaller.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most headers of one.
const MAX_HEADERS: usize = 64;

/// A request, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// More has to come.
    Partial,
    /// A browser asks for this path, with its query, which may have the code.
    Get(Zeroizing<String>),
    /// It gets this, and no more is read.
    Refused(Page),
}

/// Reads a request to 127.0.0.1 at this port.
///
/// Only what was sent to that very address counts: a page whose name leads here must not
/// speak to the listener in the name of its own host.
#[must_use]
pub fn read(bytes: &[u8], port: u16) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    // in whatever pieces it comes, no more of it counts
    match request.parse(&bytes[..bytes.len().min(MAX_HEAD)]) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Request::Partial,
        Ok(httparse::Status::Partial) => return Request::Refused(Page::TooLong),
        Err(_) => return Request::Refused(Page::BadRequest),
    }
    let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let (host, second) = (hosts.next().map(|header| header.value), hosts.next());
    if host != Some(format!("127.0.0.1:{port}").as_bytes()) || second.is_some() {
        return Request::Refused(Page::BadRequest);
    }
    match (request.method, request.path) {
        (Some("GET"), Some(path)) => Request::Get(Zeroizing::new(path.to_owned())),
        _ => Request::Refused(Page::BadMethod),
    }
}

/// What a browser gets: nothing in it is from its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The code came.
    Arrived,
    /// The service or the user said no.
    Refused,
    /// It is not of this login.
    NotThisLogin,
    /// It comes from another user's program, or from nobody can see whose.
    Stranger,
    /// A browser was sent on from here already, or none was to be.
    NotSentOn,
    /// There is nothing here.
    NotFound,
    /// No HTTP, or another host's.
    BadRequest,
    /// Not `GET`.
    BadMethod,
    /// The head is too long.
    TooLong,
}

impl Page {
    const fn status_and_text(self) -> (&'static str, &'static str) {
        match self {
            Self::Arrived => {
                ("200 OK", "midimon has the answer. The terminal says what came of it; this page can be closed.")
            }
            Self::Refused => ("200 OK", "The login was refused. Nothing was kept; this page can be closed."),
            Self::NotThisLogin => (
                "400 Bad Request",
                "This answer is not of the login that midimon waits for: nothing was done. Use the address in the terminal.",
            ),
            Self::Stranger => (
                "403 Forbidden",
                "As far as midimon can see, this browser does not run as the user who logs in, so it is not listened to \
                 here. Open the address in the terminal, and paste there the one that the browser ends at.",
            ),
            Self::NotSentOn => (
                "404 Not Found",
                "One browser is sent on from here, once. If it was not yours, end midimon in the terminal and begin again; \
                 else open the address in the terminal.",
            ),
            Self::NotFound => ("404 Not Found", "There is nothing here."),
            Self::BadRequest => ("400 Bad Request", "This is no request that is understood here."),
            Self::BadMethod => ("405 Method Not Allowed", "Only GET is understood here."),
            Self::TooLong => ("431 Request Header Fields Too Large", "The request is too long."),
        }
    }

    /// The whole response.
    #[must_use]
    pub fn response(self) -> String {
        let (status, text) = self.status_and_text();
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>midimon</title><p>{text}</p></html>\n"
        );
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Sends a browser on to an address.
#[must_use]
pub fn sent_on(address: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {address}\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "GET /callback?code=a HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nAccept: */*\r\n\r\n";

    #[test]
    fn a_request_is_read_when_all_of_it_is_there() {
        for end in 0..GOOD.len() {
            assert_eq!(read(&GOOD.as_bytes()[..end], 4711), Request::Partial, "{end}");
        }
        assert_eq!(read(GOOD.as_bytes(), 4711), Request::Get("/callback?code=a".to_owned().into()));
    }

    #[test]
    fn what_was_sent_to_another_host_or_by_another_method_is_refused() {
        let refused = |from: &str, to: &str| match read(GOOD.replace(from, to).as_bytes(), 4711) {
            Request::Refused(page) => page,
            other => panic!("{from} as {to}: {other:?}"),
        };
        let hosts = ["127.0.0.1:4712", "127.0.0.1", "localhost:4711", "evil.example:4711", "127.0.0.1:4711.evil", ""];
        for host in hosts {
            assert_eq!(refused("127.0.0.1:4711", host), Page::BadRequest, "{host}");
        }
        assert_eq!(refused("Accept: */*", "Host: 127.0.0.1:4711"), Page::BadRequest);
        assert_eq!(refused("Host: ", "X: "), Page::BadRequest);
        assert_eq!(refused("GET", "POST"), Page::BadMethod);
        assert_eq!(refused("HTTP/1.1", "SSH/2.0"), Page::BadRequest);
        assert_eq!(refused("Accept", "Acc\0ept"), Page::BadRequest);
    }

    #[test]
    fn a_head_without_an_end_has_one() {
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(read(endless.as_bytes(), 1), Request::Refused(Page::TooLong));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(read(many.as_bytes(), 1), Request::Refused(Page::BadRequest));
        // its end is there, and too late
        let long = GOOD.replace("*/*", &"x".repeat(MAX_HEAD));
        assert_eq!(read(long.as_bytes(), 4711), Request::Refused(Page::TooLong));
        let longest = GOOD.replace("*/*", &"x".repeat(MAX_HEAD - GOOD.len() + 3));
        assert_eq!(read(longest.as_bytes(), 4711), read(GOOD.as_bytes(), 4711));
    }

    #[test]
    fn every_page_is_whole_and_not_kept() {
        let pages = [Page::Arrived, Page::Refused, Page::NotThisLogin, Page::NotFound, Page::BadRequest];
        for page in pages.into_iter().chain([Page::BadMethod, Page::TooLong, Page::Stranger, Page::NotSentOn]) {
            let response = page.response();
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert!(head.contains("no-store") && head.contains("default-src 'none'"), "{head}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, 4711);
        }

        #[test]
        fn in_whatever_pieces_it_comes_it_is_the_same_request(
            at in 0..GOOD.len(), byte: u8, lines in "([A-Za-z:]{0,4}[ -~]{0,9}\r?\n){0,4}", cut in 0_usize..120,
        ) {
            let mut bytes = [lines.as_bytes(), GOOD.as_bytes()].concat();
            bytes[lines.len() + at] = byte;
            let (early, whole) = (read(&bytes[..cut.min(bytes.len())], 4711), read(&bytes, 4711));
            prop_assert!(early == Request::Partial || early == whole, "{:?}, then {:?}", early, whole);
        }
    }
}
