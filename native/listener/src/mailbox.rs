//! What waits to be handed over. Whoever takes it is rung once per batch, not once per message.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

/// Names a request until it is answered; never used twice.
pub(crate) type CallId = u64;

#[derive(Debug)]
pub(crate) enum Event {
    Request(Request),
    /// The caller of this request has left, or its deadline has passed.
    Left(CallId),
    /// The last event: every connection is closed.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub id: CallId,
    pub kind: Kind,
    /// Path and query as sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Rpc { compressed: bool, timeout: Option<Duration> },
    Http { method: String },
}

/// Called from the listener's threads when the mailbox is no longer empty.
pub(crate) type Ring = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Mailbox {
    events: Mutex<Vec<Event>>,
    ring: Mutex<Option<Ring>>,
}

impl Mailbox {
    pub(crate) fn new(ring: Ring) -> Self {
        Self { events: Mutex::new(Vec::new()), ring: Mutex::new(Some(ring)) }
    }

    pub(crate) fn put(&self, event: Event) {
        let is_last = matches!(event, Event::Closed);
        let was_empty = {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event);
            events.len() == 1
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(ring)) = (was_empty, ring.as_ref()) {
            ring();
        }
        if is_last {
            ring.take();
        }
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
