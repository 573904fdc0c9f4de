//! Answers on their way to a socket.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::door::Presence;
use crate::frame::HEADER_BYTES;
use crate::text::encode_status_message;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What a request comes to.
#[derive(Debug)]
pub enum Answer {
    /// A gRPC message that [`framed`] has framed, then status 0. With `keep_open` the stream stays until the caller
    /// leaves.
    Message { frame: Bytes, keep_open: bool },
    /// A gRPC status other than 0, with any text.
    Failure { status: u32, message: String },
    /// An answer to a plain request; the parts of the body are sent one after the other.
    Http { status: u16, headers: Vec<(String, String)>, body: Vec<Bytes> },
}

/// A gRPC frame around `message`: the one copy of an answer.
#[must_use]
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER_BYTES + message.len());
    frame.push(0);
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    Bytes::from(frame)
}

/// A response's body: data, then how it ends.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    parts: vec::IntoIter<Bytes>,
    end: End,
    /// Given back when the answer is sent, or the caller has left.
    room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum End {
    Plain,
    Trailers(HeaderMap),
    /// Never, until the caller leaves; that is told.
    Open(#[expect(dead_code, reason = "tells of the caller's leaving when it is dropped")] Presence),
}

impl AnswerBody {
    /// Holds the request's share of the budget until the answer is sent.
    pub(crate) fn hold(&mut self, room: Option<OwnedSemaphorePermit>) {
        self.room = room;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(part) = self.parts.next() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match std::mem::replace(&mut self.end, End::Plain) {
            End::Plain => Poll::Ready(None),
            End::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            open @ End::Open(_) => {
                self.end = open;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.len() == 0 && matches!(self.end, End::Plain)
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Plain => SizeHint::with_exact(self.parts.as_slice().iter().map(|part| part.len() as u64).sum()),
            _ => SizeHint::default(),
        }
    }
}

/// A gRPC message and status 0; or, with a caller to watch over, a stream that stays open.
pub(crate) fn message(frame: Bytes, stays: Option<Presence>) -> Response<AnswerBody> {
    let end = stays.map_or_else(
        || {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
            End::Trailers(trailers)
        },
        End::Open,
    );
    let mut response = Response::new(AnswerBody { parts: vec![frame].into_iter(), end, room: None });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A gRPC status in the headers of a response without a body.
pub(crate) fn failure(status: u32, text: &str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody { parts: Vec::new().into_iter(), end: End::Plain, room: None });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(status));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip"));
    if let Ok(text) = HeaderValue::from_str(&encode_status_message(text)) {
        headers.insert(GRPC_MESSAGE, text);
    }
    response
}

/// A plain answer; a header that HTTP does not allow is left out.
pub(crate) fn http(status: u16, headers: Vec<(String, String)>, body: Vec<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody { parts: body.into_iter(), end: End::Plain, room: None });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A plain refusal after which an HTTP/1.1 connection is not used again: the rest of the request is not read.
pub(crate) fn refusal(status: StatusCode) -> Response<AnswerBody> {
    let mut response = http(status.as_u16(), Vec::new(), Vec::new());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
