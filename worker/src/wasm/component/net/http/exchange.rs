//! One request and its answer.

use super::super::target::Target;
use super::super::{Net, places::Place};
use super::body::{Counted, Held, Patience, Read};
use super::dial::dial;
use super::error;
use super::pool::Lease;
use super::request::{Checked, check};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody};

/// How long a connection that was kept may need to finish with its last answer.
const FINISHING: Duration = Duration::from_secs(1);

/// Begins an exchange that ends, the reading of its answer included, at `until`. Dropped, it is given up.
///
/// # Errors
/// The request is none that is sent, or too many are under way.
pub fn begin(
    net: &Arc<Net>,
    request: Request<WasiBody>,
    options: RequestOptions,
    until: Instant,
) -> Result<AbortOnDropJoinHandle<Result<Response<WasiBody>>>> {
    let whom = request.uri().authority().map(|authority| authority.host().to_owned()).unwrap_or_default();
    let told = |error: Error, why: &dyn std::fmt::Display| {
        error::tell(&whom, why);
        error
    };
    let checked = check(request).map_err(|bad| told(bad.into(), &bad))?;
    let place = net.exchanges.take().ok_or_else(|| {
        told(Error::ConnectionLimitReached, &"too many requests at once, or answers that were not read to their end")
    })?;
    let reactor = net.reactor.threads().map_err(|error| {
        told(Error::InternalError(Some(error.to_string())), &format_args!("the network cannot be set up: {error}"))
    })?;
    let exchange = Exchange { net: net.clone(), options, until, place: Arc::new(place) };
    Ok(reactor.tasks.spawn(exchange.run(checked)).into())
}

struct Exchange {
    net: Arc<Net>,
    options: RequestOptions,
    until: Instant,
    place: Arc<Place>,
}

/// What came of sending on one connection.
enum Sent {
    Answer(Response<Incoming>),
    /// The connection had been kept, and was closed before the request went out.
    Unsent(Request<WasiBody>),
    /// It had been kept, and was closed in answer to the request.
    Closed(Error),
    Failed(Error),
}

impl Exchange {
    async fn run(self, Checked { target, request }: Checked<WasiBody>) -> Result<Response<WasiBody>> {
        let too_large = Arc::new(AtomicBool::new(false));
        let (parts, body) = request.into_parts();
        let mut again = repeatable(&parts, &body).then(|| parts.clone());
        let mut request = Request::from_parts(parts, Counted::new(body, too_large.clone()).boxed_unsync());
        // when one that was kept turns out to be closed, others may be, too
        let mut may_be_kept = true;
        loop {
            let lease = if may_be_kept { self.kept(&target).await } else { None };
            let (mut lease, kept) = match lease {
                Some(lease) => (lease, true),
                None => (
                    dial(&self.net, target.clone(), self.end(self.options.connect_timeout), self.place.clone()).await?,
                    false,
                ),
            };
            may_be_kept = false;
            match (self.send(&mut lease, request, kept).await, again.take()) {
                (Sent::Answer(response), _) => return self.answer(response, lease),
                (Sent::Unsent(unsent), parts) => (request, again) = (unsent, parts),
                (Sent::Closed(_), Some(parts)) => request = Request::from_parts(parts, empty()),
                (Sent::Closed(error) | Sent::Failed(error), _) => {
                    let error = if too_large.load(Ordering::Acquire) {
                        Error::HttpRequestBodySize(Some(super::MAX_BODY))
                    } else {
                        error
                    };
                    error::tell(&target, &error);
                    return Err(error);
                }
            }
        }
    }

    /// A connection that was kept and can be used.
    async fn kept(&self, target: &Target) -> Option<Lease> {
        loop {
            let mut lease = self.net.pool.take(target)?;
            if let Ok(Ok(())) = timeout_at(self.end(Some(FINISHING)).into(), lease.sender.ready()).await {
                return Some(lease);
            }
        }
    }

    async fn send(&self, lease: &mut Lease, request: Request<WasiBody>, kept: bool) -> Sent {
        let end = self.end(self.options.first_byte_timeout);
        match timeout_at(end.into(), lease.sender.try_send_request(request)).await {
            Ok(Ok(response)) => Sent::Answer(response),
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(unsent) if kept => Sent::Unsent(unsent),
                _ if kept && !failed.error().is_parse() => Sent::Closed(error::of_hyper(failed.error())),
                _ => Sent::Failed(error::of_hyper(failed.error())),
            },
            Err(_) if end == self.until => Sent::Failed(Error::HttpResponseTimeout),
            Err(_) => Sent::Failed(Error::ConnectionReadTimeout),
        }
    }

    fn answer(self, response: Response<Incoming>, lease: Lease) -> Result<Response<WasiBody>> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            error::tell(&lease.target, "it wants to speak something else than HTTP");
            return Err(Error::HttpUpgradeFailed);
        }
        let patience = Patience { until: self.until, between: self.options.between_bytes_timeout };
        let (parts, body) = response.into_parts();
        let body = Read::new(body, patience, Held { lease, _place: self.place }, self.net.pool.clone())?;
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }

    /// When a step ends that the guest gives so much time.
    fn end(&self, wished: Option<Duration>) -> Instant {
        let wished = wished.and_then(|wished| Instant::now().checked_add(wished));
        wished.map_or(self.until, |wished| wished.min(self.until))
    }
}

/// Whether asking twice is asking once (RFC 9110, 9.2.1), and the request can be made again: without a body.
///
/// A guest's body has an end only when the guest has said so, later. But hyper sends none with these two methods unless a
/// length is declared.
fn repeatable(parts: &Parts, body: &WasiBody) -> bool {
    match parts.method {
        Method::GET | Method::HEAD => parts.headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0"),
        Method::OPTIONS => body.is_end_stream(),
        _ => false,
    }
}

fn empty() -> WasiBody {
    Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync()
}
