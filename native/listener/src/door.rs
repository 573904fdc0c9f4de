//! What all connections of a listener share: its limits, its mailbox, and who waits for which answer.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::answer::Answer;
use crate::mailbox::{CallId, Event, Mailbox, Request};

pub(crate) struct Door {
    pub(crate) request_bytes_max: usize,
    pub(crate) response_bytes_max: usize,
    /// Room for large requests, in units of [`ROOM_UNIT`] bytes, first come, first served.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) room_units: u32,
    /// Who holds a share of the room and sends nothing for so long loses it.
    pub(crate) stall_max: Duration,
    pub(crate) mailbox: Arc<Mailbox>,
    next: AtomicU64,
    waiting: Mutex<HashMap<CallId, oneshot::Sender<Answer>>>,
    /// Answers that are not sent yet.
    answered: Mutex<Vec<(CallId, Answer)>>,
}

/// Bytes of the budget are counted in these.
pub(crate) const ROOM_UNIT: usize = 1_024;

/// A caller that waits for its answer or holds its stream open. Dropped while it does, it has left, and that is told.
#[derive(Debug)]
pub(crate) struct Presence {
    door: Arc<Door>,
    id: CallId,
}

impl Door {
    pub(crate) fn new(limits: Limits, mailbox: Arc<Mailbox>) -> Arc<Self> {
        let room_units = limits.in_flight_bytes_max.div_ceil(ROOM_UNIT).clamp(1, Semaphore::MAX_PERMITS);
        let room_units = u32::try_from(room_units).unwrap_or(u32::MAX);
        Arc::new(Self {
            request_bytes_max: limits.request_bytes_max,
            response_bytes_max: limits.response_bytes_max,
            room: Arc::new(Semaphore::new(room_units as usize)),
            room_units,
            stall_max: limits.stall_max,
            mailbox,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// Hands a request over and waits for its answer. Dropped before that, it tells that the caller has left.
    pub(crate) async fn ask(self: &Arc<Self>, make: impl FnOnce(CallId) -> Request) -> (Option<Answer>, Presence) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let presence = Presence { door: Arc::clone(self), id };
        self.mailbox.put(Event::Request(make(id)));
        (receiver.await.ok(), presence)
    }

    /// Keeps an answer for [`send`](Self::send).
    pub(crate) fn answer(&self, id: CallId, answer: Answer) {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).push((id, answer));
    }

    /// Gives the answers to whoever still waits for them.
    pub(crate) fn send(&self) {
        let answered = mem::take(&mut *self.answered.lock().unwrap_or_else(PoisonError::into_inner));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let senders: Vec<_> =
            answered.into_iter().filter_map(|(id, answer)| Some((waiting.remove(&id)?, answer))).collect();
        drop(waiting);
        for (sender, answer) in senders {
            // A caller that left this very moment needs none.
            let _ = sender.send(answer);
        }
    }
}

pub(crate) struct Limits {
    pub request_bytes_max: usize,
    pub response_bytes_max: usize,
    pub in_flight_bytes_max: usize,
    pub stall_max: Duration,
}

impl Presence {
    /// The answer is complete: leaving is no news any more.
    pub(crate) fn settle(mut self) {
        self.id = 0;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.id != 0 {
            self.door.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
            self.door.mailbox.put(Event::Left(self.id));
        }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}
