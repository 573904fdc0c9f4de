//! Events as bytes, so that a batch of them crosses to JavaScript in one piece. Read by
//! `packages/platform/src/drivers/transport/native-batch.ts`; both ends ship together, so the form has no version.
//!
//! Little-endian. Event: kind u8, flags u8, zero u16, length of target u32, of headers u32, of body u32, id f64, time
//! allowed in milliseconds f64 (-1: any); then target, headers and body. Headers are lines `name:value`, each after a
//! line feed. A large body does not stand here (flag 2): it is fetched by the id, without a copy.

use std::collections::HashMap;

use bytes::Bytes;

use crate::mailbox::{CallId, Event, Kind, Request};

const KIND_RPC: u8 = 0;
const KIND_HTTP: u8 = 1;
const KIND_LEFT: u8 = 2;
const KIND_CLOSED: u8 = 3;
const FLAG_COMPRESSED: u8 = 1;
const FLAG_APART: u8 = 2;

/// From here on handing a body over costs less than copying it.
const APART_BYTES_MIN: usize = 32 * 1_024;
const HEAD_BYTES: usize = 32;
/// Where the length of the headers stands in the head.
const HEADERS_LENGTH_AT: usize = 8;
/// Of the longest common method.
const METHOD_LINE_BYTES: usize = 16;

/// Encodes the events; bodies that do not stand in the batch go to `apart`.
pub(crate) fn encode(events: Vec<Event>, apart: &mut HashMap<CallId, Bytes>) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.iter().map(bytes_of).sum());
    for event in events {
        match event {
            Event::Request(request) => put_request(&mut out, request, apart),
            Event::Left(id) => {
                apart.remove(&id);
                put_head(&mut out, &Head { kind: KIND_LEFT, id, ..Head::default() });
            }
            Event::Closed => put_head(&mut out, &Head { kind: KIND_CLOSED, ..Head::default() }),
        }
    }
    out
}

/// About as many as `encode` writes for the event, and seldom less.
fn bytes_of(event: &Event) -> usize {
    let Event::Request(Request { target, headers, body, .. }) = event else { return HEAD_BYTES };
    let inside = if body.len() < APART_BYTES_MIN { body.len() } else { 0 };
    let lines: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
    HEAD_BYTES + target.len() + METHOD_LINE_BYTES + lines + inside
}

#[derive(Default)]
struct Head {
    kind: u8,
    flags: u8,
    target: usize,
    body: usize,
    id: CallId,
    timeout_ms: Option<f64>,
}

fn put_request(out: &mut Vec<u8>, request: Request, apart: &mut HashMap<CallId, Bytes>) {
    let mut head = Head { id: request.id, target: request.target.len(), body: request.body.len(), ..Head::default() };
    let mut method = None;
    match request.kind {
        Kind::Rpc { compressed, timeout } => {
            head.kind = KIND_RPC;
            head.flags = if compressed { FLAG_COMPRESSED } else { 0 };
            head.timeout_ms = timeout.map(|time| time.as_secs_f64() * 1_000.0);
        }
        Kind::Http { method: name } => {
            head.kind = KIND_HTTP;
            method = Some(name);
        }
    }
    if head.body >= APART_BYTES_MIN {
        head.flags |= FLAG_APART;
    }
    let head_at = out.len();
    put_head(out, &head);
    out.extend_from_slice(request.target.as_bytes());
    let lines_at = out.len();
    if let Some(name) = method {
        put_line(out, ":method", name.as_bytes());
    }
    for (name, value) in &request.headers {
        put_line(out, name.as_str(), value.as_bytes());
    }
    let lines = (out.len() - lines_at) as u32;
    out[head_at + HEADERS_LENGTH_AT..][..4].copy_from_slice(&lines.to_le_bytes());
    if head.body >= APART_BYTES_MIN {
        apart.insert(request.id, request.body);
    } else {
        out.extend_from_slice(&request.body);
    }
}

fn put_head(out: &mut Vec<u8>, head: &Head) {
    out.extend_from_slice(&[head.kind, head.flags, 0, 0]);
    // Every length is bounded far below 4 GiB by the listener's limits; that of the headers is known when they stand.
    for length in [head.target, 0, head.body] {
        out.extend_from_slice(&(length as u32).to_le_bytes());
    }
    out.extend_from_slice(&(head.id as f64).to_le_bytes());
    out.extend_from_slice(&head.timeout_ms.unwrap_or(-1.0).to_le_bytes());
}

fn put_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b'\n');
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}
