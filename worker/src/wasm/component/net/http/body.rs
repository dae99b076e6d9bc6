//! Bodies, counted.

use super::super::places::Place;
use super::pool::{Lease, Pool};
use super::{MAX_BODY, error};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, Result, WasiBody};

type Polled = Poll<Option<Result<Frame<Bytes>>>>;

/// Takes the bytes of a frame off what is left; false when there are more.
fn count(left: &mut u64, frame: &Frame<Bytes>) -> bool {
    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
    let enough = left.checked_sub(bytes);
    *left = enough.unwrap_or(0);
    enough.is_some()
}

/// A request's body on its way.
#[derive(Debug)]
pub struct Counted {
    body: WasiBody,
    left: u64,
    /// For whoever sees the exchange fail: this is why.
    too_large: Arc<AtomicBool>,
}

impl Counted {
    /// Counting from the start.
    pub fn new(body: WasiBody, too_large: Arc<AtomicBool>) -> Self {
        Self { body, left: MAX_BODY, too_large }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Ready(Some(Ok(frame))) if !count(&mut self.left, &frame) => {
                self.too_large.store(true, Ordering::Release);
                Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(MAX_BODY)))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Until when the next piece of a response must be there.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The end of the exchange.
    pub until: Instant,
    /// Between two pieces.
    pub between: Option<Duration>,
}

impl Patience {
    fn next(&self, now: Instant) -> Instant {
        self.between.and_then(|between| now.checked_add(between)).map_or(self.until, |next| next.min(self.until))
    }
}

/// A response's body as the guest reads it. Dropped before its end, its connection is closed.
#[derive(Debug)]
pub struct Read {
    body: Incoming,
    left: u64,
    patience: Patience,
    alarm: Pin<Box<Sleep>>,
    /// None after the end, good or bad.
    held: Option<Held>,
    pool: Arc<Pool>,
}

/// What a response holds until it is read.
#[derive(Debug)]
pub struct Held {
    pub lease: Lease,
    pub _place: Arc<Place>,
}

impl Read {
    /// From the first byte on. Within the reactor.
    ///
    /// # Errors
    /// It says itself that it is too large.
    pub fn new(body: Incoming, patience: Patience, held: Held, pool: Arc<Pool>) -> Result<Self> {
        let least = body.size_hint().lower();
        if least > MAX_BODY {
            error::tell(&held.lease.target, format!("the answer has {least} bytes; {MAX_BODY} are the most"));
            return Err(Error::HttpResponseBodySize(Some(least)));
        }
        let alarm = Box::pin(tokio::time::sleep_until(patience.next(Instant::now()).into()));
        let mut read = Self { body, left: MAX_BODY, patience, alarm, held: Some(held), pool };
        read.keep_if_ended();
        Ok(read)
    }

    /// Keeps the connection once nothing more can come of this body.
    fn keep_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.keep();
        }
    }

    fn keep(&mut self) {
        if let Some(Held { lease, .. }) = self.held.take() {
            self.pool.give(lease);
        }
    }

    /// Closes the connection.
    fn fail(&mut self, error: Error) -> Polled {
        if let Some(held) = self.held.take() {
            error::tell(&held.lease.target, &error);
        }
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Read {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if self.held.is_none() {
            return Poll::Ready(None);
        }
        let now = Instant::now();
        // asked first: bytes that never cease to come are no excuse
        if now >= self.patience.until {
            return self.fail(Error::HttpResponseTimeout);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if !count(&mut self.left, &frame) {
                    return self.fail(Error::HttpResponseBodySize(Some(MAX_BODY)));
                }
                let next = self.patience.next(now);
                self.alarm.as_mut().reset(next.into());
                self.keep_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = error::of_hyper(&error);
                self.fail(error)
            }
            Poll::Ready(None) => {
                self.keep();
                Poll::Ready(None)
            }
            Poll::Pending if self.alarm.as_mut().poll(context).is_pending() => Poll::Pending,
            Poll::Pending if Instant::now() >= self.patience.until => self.fail(Error::HttpResponseTimeout),
            Poll::Pending => self.fail(Error::ConnectionReadTimeout),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
