//! A component's requests: `wasi:http`, which midimon carries out.

use super::message::{Deadline, Message};
use super::{HttpError, HttpErrorKind, Response};
use crate::Host;
use std::time::Duration;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::poll::poll;
use wasip2::io::streams::StreamError;

/// The most that `blocking_write_and_flush` takes, in bytes (WASI 0.2, `wasi:io/streams`).
const MAX_WRITE: usize = 4096;
/// Read at once, in bytes.
const MAX_READ: u64 = 64 * 1024;

/// midimon keeps the connections.
#[derive(Debug)]
pub(super) struct Client;

impl Client {
    pub(super) const fn new(_: Host) -> Self {
        Self
    }

    pub(super) fn exchange(&self, message: &Message, max: usize, deadline: Deadline) -> Result<Response, HttpError> {
        let request = request_of(message)?;
        // cannot be taken yet: this is the first time
        let body = request.body().map_err(|()| failed("the request has no body"))?;
        let options = options_of(deadline.left()?)?;
        let future = handle(request, Some(options)).map_err(of_code)?;
        write(body, &message.body);
        let response = wait(&future, deadline)?;
        let headers = response.headers().entries();
        let headers = headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
        let (status, headers) = (response.status(), headers.collect());
        let body = read(&response, max, deadline)?;
        Ok(Response { status, headers, body })
    }
}

fn request_of(message: &Message) -> Result<OutgoingRequest, HttpError> {
    let invalid =
        |what: &str| HttpError::new(HttpErrorKind::Invalid, format_args!("the request's {what} is not possible"));
    let mut headers: Vec<(String, Vec<u8>)> =
        message.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())).collect();
    // as HTTP clients do: methods that usually have a body say when they have none
    if !message.body.is_empty() || matches!(message.method.as_str(), "POST" | "PUT" | "PATCH") {
        headers.push(("content-length".to_owned(), message.body.len().to_string().into_bytes()));
    }
    let fields = Fields::from_list(&headers).map_err(|_| invalid("header"))?;
    let request = OutgoingRequest::new(fields);
    let method = match message.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    };
    let scheme = if message.url.secure { Scheme::Https } else { Scheme::Http };
    request.set_method(&method).map_err(|()| invalid("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| invalid("address"))?;
    request.set_authority(Some(&message.url.authority)).map_err(|()| invalid("address"))?;
    request.set_path_with_query(Some(&message.url.path)).map_err(|()| invalid("address"))?;
    Ok(request)
}

fn options_of(left: Duration) -> Result<RequestOptions, HttpError> {
    let options = RequestOptions::new();
    let nanoseconds = Some(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
    let set = options.set_connect_timeout(nanoseconds).and_then(|()| options.set_first_byte_timeout(nanoseconds));
    set.and_then(|()| options.set_between_bytes_timeout(nanoseconds))
        .map_err(|()| failed("no timeouts are possible"))?;
    Ok(options)
}

/// Writes the body. A server that answers early stops reading: its answer says more than an error here.
fn write(body: OutgoingBody, bytes: &[u8]) {
    if !bytes.is_empty()
        && let Ok(stream) = body.write()
    {
        let _ = bytes.chunks(MAX_WRITE).try_for_each(|part| stream.blocking_write_and_flush(part));
    }
    let _ = OutgoingBody::finish(body, None); // as above
}

fn wait(future: &FutureIncomingResponse, deadline: Deadline) -> Result<IncomingResponse, HttpError> {
    loop {
        match future.get() {
            Some(Ok(response)) => return response.map_err(of_code),
            Some(Err(())) => return Err(failed("the response was taken already")),
            None => {
                let left = u64::try_from(deadline.left()?.as_nanos()).unwrap_or(u64::MAX);
                poll(&[&future.subscribe(), &subscribe_duration(left)]);
            }
        }
    }
}

fn read(response: &IncomingResponse, max: usize, deadline: Deadline) -> Result<Vec<u8>, HttpError> {
    let body = response.consume().map_err(|()| failed("the response has no body"))?;
    let stream = body.stream().map_err(|()| failed("the response has no body"))?;
    let mut bytes = Vec::new();
    let end = loop {
        let left = u64::try_from(deadline.left()?.as_nanos()).unwrap_or(u64::MAX);
        poll(&[&stream.subscribe(), &subscribe_duration(left)]);
        match stream.read(MAX_READ) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(StreamError::Closed) => break Ok(()),
            Err(StreamError::LastOperationFailed(error)) => {
                break Err(wasip2::http::types::http_error_code(&error)
                    .map_or_else(|| failed(&error.to_debug_string()), of_code));
            }
        }
        if bytes.len() > max {
            break Err(HttpError::new(HttpErrorKind::TooLarge, format_args!("the response has more than {max} bytes")));
        }
    };
    // children first: the body owns the stream
    drop(stream);
    drop(IncomingBody::finish(body));
    end.map(|()| bytes)
}

fn failed(message: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Failed, message)
}

fn of_code(code: ErrorCode) -> HttpError {
    use ErrorCode as E;
    let kind = match code {
        E::HttpRequestDenied | E::DestinationIpProhibited => HttpErrorKind::NotGranted,
        E::HttpRequestMethodInvalid | E::HttpRequestUriInvalid | E::HttpRequestUriTooLong => HttpErrorKind::Invalid,
        E::DnsTimeout
        | E::ConnectionTimeout
        | E::ConnectionReadTimeout
        | E::ConnectionWriteTimeout
        | E::HttpResponseTimeout => HttpErrorKind::TimedOut,
        E::HttpResponseBodySize(_) => HttpErrorKind::TooLarge,
        _ => HttpErrorKind::Failed,
    };
    let words = match &code {
        E::HttpRequestDenied => "the user has not granted this host and port".to_owned(),
        E::InternalError(Some(words)) => words.clone(),
        other => format!("{other:?}").replace("ErrorCode::", ""),
    };
    HttpError::new(kind, words)
}
