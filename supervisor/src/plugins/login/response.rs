//! A service's HTTP/1.1 response, as far as it has come. Pure; every byte is a stranger's.

use httparse::Status;
use zeroize::Zeroizing;

/// Largest head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// Most headers.
const MAX_HEADERS: usize = 128;
/// Largest body, in bytes; tokens take a few thousand.
pub const MAX_BODY: usize = 128 * 1024;
/// Most bytes of one response, with its head and the sizes of its chunks.
pub const MAX_ALL: usize = 2 * (MAX_HEAD + MAX_BODY);

/// A response.
#[derive(PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its body, which has the tokens.
    pub body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Response({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why bytes are no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Fault {
    #[error("it is no HTTP/1.1")]
    NotHttp,
    #[error("it is too long")]
    TooLong,
    #[error("its length is said in two ways, or in none that is understood")]
    Length,
    #[error("it ends in the middle")]
    Cut,
}

/// Where the body ends.
enum End {
    Length(usize),
    Chunks,
    /// With the connection.
    Close,
}

/// Reads a response; `None` while more has to come. `ended` is whether nothing more comes.
///
/// # Errors
/// See [`Fault`].
pub fn read(bytes: &[u8], ended: bool) -> Result<Option<Response>, Fault> {
    match parse(bytes, ended)? {
        None if ended => Err(Fault::Cut),
        None if bytes.len() >= MAX_ALL => Err(Fault::TooLong),
        response => Ok(response),
    }
}

fn parse(mut bytes: &[u8], ended: bool) -> Result<Option<Response>, Fault> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        // in whatever pieces it comes, no more of it counts
        let head = &bytes[..bytes.len().min(MAX_HEAD)];
        let length = match response.parse(head).map_err(|_| Fault::NotHttp)? {
            Status::Complete(length) => length,
            Status::Partial if head.len() == MAX_HEAD => return Err(Fault::TooLong),
            Status::Partial => return Ok(None),
        };
        let status = response.code.ok_or(Fault::NotHttp)?;
        let body = &bytes[length..];
        // RFC 9110, 15.2: others come before the one that counts
        if (100..200).contains(&status) {
            bytes = body;
            continue;
        }
        let body = match end(status, response.headers)? {
            End::Length(length) if length > MAX_BODY => return Err(Fault::TooLong),
            End::Length(length) => body.get(..length).map(owned),
            End::Chunks => chunks(body)?,
            End::Close if body.len() > MAX_BODY => return Err(Fault::TooLong),
            End::Close => ended.then(|| owned(body)),
        };
        return Ok(body.map(|body| Response { status, body }));
    }
}

fn owned(body: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(body.to_vec())
}

/// RFC 9112, 6.3.
fn end(status: u16, headers: &[httparse::Header<'_>]) -> Result<End, Fault> {
    let mut named = [None, None];
    for header in headers {
        let index = match header.name {
            name if name.eq_ignore_ascii_case("transfer-encoding") => 0,
            name if name.eq_ignore_ascii_case("content-length") => 1,
            _ => continue,
        };
        if named[index].replace(header.value).is_some() {
            return Err(Fault::Length);
        }
    }
    match named {
        _ if matches!(status, 204 | 304) => Ok(End::Length(0)),
        [None, None] => Ok(End::Close),
        [Some(encoding), None] if encoding.eq_ignore_ascii_case(b"chunked") => Ok(End::Chunks),
        [None, Some(length)] if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            // digits that are too many are too many bytes
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            Ok(End::Length(length.unwrap_or(usize::MAX)))
        }
        _ => Err(Fault::Length),
    }
}

/// The body out of its chunks; `None` while more has to come. Trailers are not waited for.
fn chunks(mut bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    // with room for all: growing would leave a copy behind
    let mut body = Zeroizing::new(Vec::with_capacity(bytes.len()));
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes).map_err(|_| Fault::NotHttp)? {
            Status::Complete(found) => found,
            Status::Partial => return Ok(None),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).ok().filter(|size| body.len().saturating_add(*size) <= MAX_BODY);
        let end = start + size.ok_or(Fault::TooLong)?;
        let (Some(chunk), Some(line)) = (bytes.get(start..end), bytes.get(end..end + 2)) else { return Ok(None) };
        if line != b"\r\n" {
            return Err(Fault::NotHttp);
        }
        body.extend_from_slice(chunk);
        bytes = &bytes[end + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Result<(u16, String), Fault> {
        let response = read(text.as_bytes(), true)?.expect("nothing more comes");
        Ok((response.status, String::from_utf8(response.body.to_vec()).unwrap()))
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let ok = |body: &str| Ok((200, body.to_owned()));
        assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), ok("abc"));
        assert_eq!(
            whole("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"),
            ok("abc")
        );
        assert_eq!(whole("HTTP/1.0 200 OK\r\n\r\nabc"), ok("abc"));
        assert_eq!(whole("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"), Ok((204, String::new())));
        let early = "HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(whole(early), Ok((400, "x".to_owned())));
    }

    #[test]
    fn half_a_response_is_waited_for_and_is_none_at_its_end() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        ] {
            for end in 0..text.len() {
                assert_eq!(read(&text.as_bytes()[..end], false), Ok(None), "{end} of {text}");
                assert_eq!(read(&text.as_bytes()[..end], true), Err(Fault::Cut), "{end} of {text}");
            }
            assert!(read(text.as_bytes(), false).unwrap().is_some());
        }
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\nabc", false), Ok(None));
    }

    #[test]
    fn a_length_said_in_two_ways_is_none() {
        for headers in [
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Content-Length: +1",
            "Content-Length: ",
            "Content-Length: 1, 1",
        ] {
            assert_eq!(whole(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nab")), Err(Fault::Length), "{headers}");
        }
    }

    #[test]
    fn nothing_without_an_end_is_kept() {
        let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
        let body = "x".repeat(MAX_BODY + 1);
        for text in [
            head("Content-Length: 99999999999999999999999\r\n\r\n"),
            head(&format!("Content-Length: {}\r\n\r\n", MAX_BODY + 1)),
            head("Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n"),
            head(&format!("\r\n{body}")),
            head(&format!("X: {body}")),
            head(&format!("X: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(MAX_HEAD))),
            head(&format!("Transfer-Encoding: chunked\r\n\r\n{}", "1\r\nx\r\n".repeat(MAX_BODY + 1))),
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_ALL / 20),
        ] {
            assert_eq!(read(text.as_bytes(), false), Err(Fault::TooLong), "{}", &text[..60]);
        }
        assert_eq!(whole("SSH-2.0-OpenSSH\r\n"), Err(Fault::NotHttp));
        assert_eq!(whole(&head("Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n")), Err(Fault::NotHttp));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), ended: bool) {
            let _ = read(&bytes, ended);
            let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat(), ended);
        }

        #[test]
        fn a_body_in_any_chunks_is_that_body_when_its_last_byte_is_there(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6), cut: proptest::sample::Index,
        ) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in &parts {
                bytes.extend(format!("{:x};a=b\r\n", part.len()).bytes());
                bytes.extend(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n");
            prop_assert_eq!(read(&bytes[..cut.index(bytes.len())], false), Ok(None));
            let response = read(&bytes, false).unwrap().unwrap();
            prop_assert_eq!(&*response.body, &parts.concat());
        }
    }
}
