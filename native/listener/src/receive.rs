//! Bodies that come in, slowly or never, and how much of them may be held at once.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::door::{Door, ROOM_UNIT};

/// Smaller requests are not counted against the budget.
pub(crate) const BUDGETED_BYTES_MIN: usize = 64 * 1_024;

/// Why a body did not come in whole.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The caller or its connection is gone.
    Lost,
    Stalled,
}

/// A request's body, chunk by chunk, and its share of the budget.
pub(crate) struct Inflow {
    door: Arc<Door>,
    body: Incoming,
    room: Option<OwnedSemaphorePermit>,
}

impl Inflow {
    pub(crate) fn new(door: &Arc<Door>, body: Incoming) -> Self {
        Self { door: Arc::clone(door), body, room: None }
    }

    /// The next chunk; `None` at the end. While nobody calls this, flow control slows the sender down.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let frame = if self.room.is_some() {
                timeout(self.door.stall_max, frame_of(&mut self.body)).await.map_err(|_| Broken::Stalled)?
            } else {
                frame_of(&mut self.body).await
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(Broken::Lost),
                // Trailers of a request mean nothing.
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
    }

    /// Waits until there is room for `bytes`; what is larger than the whole budget waits until it is alone.
    pub(crate) async fn make_room(&mut self, bytes: usize) {
        if bytes < BUDGETED_BYTES_MIN || self.room.is_some() {
            return;
        }
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX).min(self.door.room_units);
        // The semaphore is never closed.
        self.room = Arc::clone(&self.door.room).acquire_many_owned(units).await.ok();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.room.is_some()
    }

    pub(crate) fn into_room(self) -> Option<OwnedSemaphorePermit> {
        self.room
    }
}

async fn frame_of(body: &mut Incoming) -> Option<Result<http_body::Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}
