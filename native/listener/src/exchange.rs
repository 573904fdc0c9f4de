//! One plain HTTP request, over HTTP/1.1 or over an HTTP/2 stream that is not gRPC.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::{Body, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::{self, Answer, AnswerBody};
use crate::door::Door;
use crate::mailbox::{Kind, Request};
use crate::receive::{BUDGETED_BYTES_MIN, Broken, Inflow};

pub(crate) async fn exchange(door: &Arc<Door>, head: Parts, body: Incoming) -> Response<AnswerBody> {
    let (body, room) = match receive(door, body).await {
        Ok(received) => received,
        Err(status) => return answer::refusal(status),
    };
    let (given, presence) = door
        .ask(|id| Request {
            id,
            kind: Kind::Http { method: head.method.to_string() },
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers,
            body,
        })
        .await;
    presence.settle();
    let mut response = match given {
        Some(Answer::Http { status, headers, body }) => answer::http(status, headers, body),
        Some(_) => answer::refusal(StatusCode::INTERNAL_SERVER_ERROR),
        None => answer::refusal(StatusCode::SERVICE_UNAVAILABLE),
    };
    response.body_mut().hold(room);
    response
}

async fn receive(door: &Arc<Door>, body: Incoming) -> Result<(Bytes, Option<OwnedSemaphorePermit>), StatusCode> {
    let max = door.request_bytes_max;
    // A body that does not say its length may become as long as any.
    let announced = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(max);
    if body.size_hint().lower() > max as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut inflow = Inflow::new(door, body);
    let mut bytes = Vec::new();
    while let Some(chunk) = inflow.next().await.map_err(|broken| status_of(&broken))? {
        if bytes.len() + chunk.len() > max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if bytes.len() + chunk.len() >= BUDGETED_BYTES_MIN {
            inflow.make_room(announced.min(max)).await;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((Bytes::from(bytes), inflow.into_room()))
}

fn status_of(broken: &Broken) -> StatusCode {
    match broken {
        Broken::Lost => StatusCode::BAD_REQUEST,
        Broken::Stalled => StatusCode::REQUEST_TIMEOUT,
    }
}
