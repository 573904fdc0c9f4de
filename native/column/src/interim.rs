//! Lists over the rows of a growing segment (docs/decisions/0019-growing-lists.md).
//!
//! Nothing is made for a segment that nobody searches: a search that finds many rows without lists asks for them and
//! compares the rows meanwhile. One thread of the process makes all lists, so that they take one processor at most,
//! and neither writers nor readers wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use elanus_index::IndexError;
use elanus_index::catalog::exact_row_nanos;
use elanus_index::growing::GrowingLists;
use elanus_index::progress::Progress;
use elanus_index::vector::{Metric, VectorRows};
use elanus_rows::schema::Schema;

use crate::accounting::{Account, Kind};
use crate::chunk::{self, Chunk};
use crate::part::{Joined, Source, Vectors};

/// Rows get lists once comparing them all takes longer.
const EXACT_NANOS_MAX: usize = if cfg!(test) { 40_000 } else { 400_000 };
/// Later rows are given to the lists once comparing them all takes longer.
const TAIL_NANOS_MAX: usize = if cfg!(test) { 10_000 } else { 30_000 };
/// The centroids are learnt anew when there are so many times the rows that they were learnt from.
const GROWTH: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

/// The lists of a segment, by vector field and metric.
#[derive(Debug, Default)]
pub(crate) struct Interim {
    slots: Mutex<Vec<(usize, Metric, Arc<Slot>)>>,
}

/// Lists that are there or will be.
#[derive(Debug)]
struct Slot {
    lists: Mutex<Option<Arc<GrowingLists>>>,
    account: Mutex<Account>,
    /// Being worked on, or waiting for it.
    busy: AtomicBool,
    /// Cancelled with the segment.
    progress: Progress,
}

impl Interim {
    /// The lists of a vector field for a metric, as far as they have come. Asks for what is missing.
    pub(crate) fn lists(
        &self,
        schema: &Arc<Schema>,
        position: usize,
        metric: Metric,
        chunks: &Arc<Vec<Arc<Chunk>>>,
    ) -> Option<Arc<GrowingLists>> {
        let settled = chunk::settled(chunks);
        let last = chunks[..settled].last()?;
        let rows = last.base as usize + last.rows();
        let source = Source::Memory(Arc::clone(last));
        let vectors = Vectors::new(schema, &source, position).ok()?;
        if !GrowingLists::fits(vectors.element(), metric) {
            return None;
        }
        let nanos = exact_row_nanos(vectors.element(), VectorRows::dim(&vectors));
        let slot = self.slot(position, metric, rows * nanos > EXACT_NANOS_MAX)?;
        let lists = locked(&slot.lists).clone();
        let covered = lists.as_ref().map_or(0, |lists| lists.covered());
        if rows.saturating_sub(covered) * nanos > TAIL_NANOS_MAX && !slot.busy.swap(true, Ordering::AcqRel) {
            let (schema, chunks, slot) = (Arc::clone(schema), Arc::clone(chunks), Arc::clone(&slot));
            put(Box::new(move || slot.work(&schema, position, metric, &chunks[..settled])));
        }
        lists
    }

    fn slot(&self, position: usize, metric: Metric, enough: bool) -> Option<Arc<Slot>> {
        let mut slots = locked(&self.slots);
        let known = slots.iter().find(|(field, of, _)| (*field, *of) == (position, metric));
        if let Some((_, _, slot)) = known {
            return Some(Arc::clone(slot));
        }
        enough.then(|| {
            let slot = Arc::new(Slot::new());
            slots.push((position, metric, Arc::clone(&slot)));
            slot
        })
    }

    /// Heap bytes of all lists.
    pub(crate) fn bytes(&self) -> usize {
        locked(&self.slots).iter().map(|(_, _, slot)| locked(&slot.account).bytes()).sum()
    }

    #[cfg(test)]
    pub(crate) fn settle(&self) {
        while locked(&self.slots).iter().any(|(_, _, slot)| slot.busy.load(Ordering::Acquire)) {
            thread::yield_now();
        }
    }
}

impl Drop for Interim {
    fn drop(&mut self) {
        locked(&self.slots).iter().for_each(|(_, _, slot)| slot.progress.cancel());
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            lists: Mutex::default(),
            account: Mutex::new(Account::new(Kind::Growing, 0)),
            busy: AtomicBool::new(false),
            progress: Progress::default(),
        }
    }

    fn work(&self, schema: &Schema, position: usize, metric: Metric, chunks: &[Arc<Chunk>]) {
        let sources: Vec<Source> = chunks.iter().cloned().map(Source::Memory).collect();
        let parts = sources.iter().map(|source| Ok((source.base(), Vectors::new(schema, source, position)?)));
        let rows = parts.collect::<elanus_rows::error::Result<_>>().ok().and_then(Joined::of);
        if let Some(rows) = rows {
            // Only a cancelled build fails: the segment is gone then.
            let _ = self.cover(&rows, metric);
        }
        self.busy.store(false, Ordering::Release);
    }

    fn cover(&self, rows: &Joined<'_>, metric: Metric) -> Result<(), IndexError> {
        let current = locked(&self.lists).clone();
        let lists = match current {
            Some(lists) if rows.len() < lists.trained().saturating_mul(GROWTH) => {
                lists.absorb(rows, &self.progress)?;
                Some(lists)
            }
            _ => GrowingLists::learn(rows, metric, &self.progress)?.map(Arc::new),
        };
        locked(&self.account).set(lists.as_ref().map_or(0, |lists| lists.memory_bytes()));
        *locked(&self.lists) = lists;
        Ok(())
    }
}

/// Gives work to the thread that makes lists. When the system grants no thread, there are no lists.
fn put(work: Work) {
    static THREAD: OnceLock<Sender<Work>> = OnceLock::new();
    let sender = THREAD.get_or_init(|| {
        let (sender, works) = channel::<Work>();
        let run = move || works.into_iter().for_each(|work| work());
        let _ = thread::Builder::new().name("elanus-lists".to_owned()).spawn(run);
        sender
    });
    let _ = sender.send(work);
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
