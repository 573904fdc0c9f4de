//! What waits to be handed over. Whoever takes it is rung once per batch, not once per message, and only when
//! everything else that has just come in is there too: waking costs more than most requests do.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::task::yield_now;

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

enum News {
    Work,
    Leaving,
    Last,
}

pub(crate) struct Mailbox {
    events: Mutex<Vec<Event>>,
    ring: Mutex<Option<Ring>>,
}

impl Mailbox {
    pub(crate) fn new(ring: Ring) -> Arc<Self> {
        Arc::new(Self { events: Mutex::new(Vec::new()), ring: Mutex::new(Some(ring)) })
    }

    pub(crate) fn put(self: &Arc<Self>, event: Event) {
        let news = match event {
            Event::Request(_) => News::Work,
            Event::Left(_) => News::Leaving,
            Event::Closed => News::Last,
        };
        let was_empty = {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event);
            events.len() == 1
        };
        match news {
            News::Work if was_empty => self.ring_soon(),
            News::Work => {}
            // Whoever works for somebody who has left shall hear it before anybody else notices.
            News::Leaving => self.ring(),
            News::Last => {
                self.ring();
                self.ring.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
    }

    /// After the tasks that are ready now, which may have more to put.
    fn ring_soon(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.ring() };
        let mailbox = Arc::clone(self);
        runtime.spawn(async move {
            yield_now().await;
            mailbox.ring();
        });
    }

    fn ring(&self) {
        if let Some(ring) = &*self.ring.lock().unwrap_or_else(PoisonError::into_inner) {
            ring();
        }
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
