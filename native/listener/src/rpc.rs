//! One gRPC call on one HTTP/2 stream: frame in, answer, frame and trailers out.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::answer::{self, Answer, AnswerBody};
use crate::door::Door;
use crate::frame::{Assembler, HEADER_BYTES, Message, Problem};
use crate::mailbox::{Kind, Request};
use crate::receive::{BUDGETED_BYTES_MIN, Broken, Inflow};
use crate::text::parse_timeout;

const DEADLINE_EXCEEDED: u32 = 4;
const RESOURCE_EXHAUSTED: u32 = 8;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

pub(crate) async fn call(door: &Arc<Door>, head: Parts, body: Incoming) -> Response<AnswerBody> {
    let Some(patience) = timeout_of(&head.headers) else { return run(door, head, body, None).await };
    match timeout(patience, run(door, head, body, Some(patience))).await {
        Ok(response) => response,
        Err(_) => answer::failure(DEADLINE_EXCEEDED, "context deadline exceeded"),
    }
}

fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    parse_timeout(headers.get("grpc-timeout")?.to_str().ok()?)
}

async fn run(door: &Arc<Door>, head: Parts, body: Incoming, patience: Option<Duration>) -> Response<AnswerBody> {
    let (message, room) = match receive(door, body).await {
        Ok(received) => received,
        Err(refused) => return refused,
    };
    let (given, presence) = door
        .ask(|id| Request {
            id,
            kind: Kind::Rpc { compressed: message.compressed, timeout: patience },
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers,
            body: message.bytes,
        })
        .await;
    let mut response = match given {
        Some(Answer::Message { frame, .. }) if frame.len() - HEADER_BYTES > door.response_bytes_max => {
            let (bytes, max) = (frame.len() - HEADER_BYTES, door.response_bytes_max);
            let text = format!("grpc: trying to send message larger than max ({bytes} vs. {max})");
            answer::failure(RESOURCE_EXHAUSTED, &text)
        }
        Some(Answer::Message { frame, keep_open: true }) => return answer::message(frame, Some(presence)),
        Some(Answer::Message { frame, keep_open: false }) => answer::message(frame, None),
        Some(Answer::Failure { status, message }) => answer::failure(status, &message),
        Some(Answer::Http { .. }) => answer::failure(INTERNAL, "a gRPC call was answered as a plain request"),
        None => answer::failure(UNAVAILABLE, "the server is stopping"),
    };
    presence.settle();
    response.body_mut().hold(room);
    response
}

async fn receive(
    door: &Arc<Door>,
    body: Incoming,
) -> Result<(Message, Option<OwnedSemaphorePermit>), Response<AnswerBody>> {
    let mut inflow = Inflow::new(door, body);
    let mut assembler = Assembler::new(door.request_bytes_max);
    while let Some(chunk) = inflow.next().await.map_err(|broken| refuse_broken(&broken))? {
        assembler.push(chunk).map_err(|problem| refuse(door, &problem))?;
        if let Some(bytes) = assembler.awaited().filter(|&bytes| bytes < BUDGETED_BYTES_MIN || !inflow.has_room()) {
            inflow.make_room(bytes).await;
            assembler.reserve();
        }
    }
    let message = assembler.finish().map_err(|problem| refuse(door, &problem))?;
    Ok((message, inflow.into_room()))
}

fn refuse(door: &Door, problem: &Problem) -> Response<AnswerBody> {
    match problem {
        Problem::Malformed(why) => answer::failure(INTERNAL, why),
        Problem::TooLarge { bytes } => {
            let text = format!("grpc: received message larger than max ({bytes} vs. {})", door.request_bytes_max);
            answer::failure(RESOURCE_EXHAUSTED, &text)
        }
    }
}

fn refuse_broken(broken: &Broken) -> Response<AnswerBody> {
    match broken {
        Broken::Lost => answer::failure(INTERNAL, "the request was cut off"),
        Broken::Stalled => answer::failure(DEADLINE_EXCEEDED, "the request stopped coming in"),
    }
}
