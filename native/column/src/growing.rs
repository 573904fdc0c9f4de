//! The memory segment: rows arrive, rows die, and searches run beside that on immutable chunks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use elanus_index::growing::GrowingLists;
use elanus_index::vector::Metric;
use elanus_rows::column::{Batch, Bits};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::Schema;

use crate::accounting::{Account, Kind};
use crate::chunk::{self, Chunk};
use crate::deaths::Deaths;
use crate::interim::Interim;
use crate::keys::{KeyIndex, key_at};
use crate::moment::Moment;

/// What readers look at. Everything here changes together, under one short lock.
#[derive(Debug, Default)]
struct State {
    chunks: Arc<Vec<Arc<Chunk>>>,
    rows: usize,
    keys: KeyIndex,
    deaths: Deaths,
    stamp_min: u64,
    stamp_max: u64,
}

#[derive(Debug)]
pub(crate) struct Growing {
    primary: usize,
    width: usize,
    state: RwLock<State>,
    /// Held by a writer while it prepares; readers never wait for it.
    writer: Mutex<Account>,
    interim: Interim,
}

/// A chunk and which of its rows a snapshot sees (`None`: all).
pub(crate) type VisibleChunk = (Arc<Chunk>, Option<Bits>);

impl Growing {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            primary: schema.primary_position(),
            width: schema.fields.len(),
            state: RwLock::new(State { stamp_min: u64::MAX, ..State::default() }),
            writer: Mutex::new(Account::new(Kind::Growing, 0)),
            interim: Interim::default(),
        }
    }

    pub(crate) fn append(&self, batch: Batch, at: u64) -> Result<()> {
        if batch.columns.len() != self.width || batch.columns.iter().any(|column| column.len() != batch.row_count) {
            return Err(NativeError::SchemaMismatch("rows do not match the segment's schema".into()));
        }
        if batch.row_count == 0 {
            return Ok(());
        }
        let mut account = self.writer();
        let (mut chunks, base) = {
            let state = self.read();
            (Vec::clone(&state.chunks), state.rows)
        };
        let rows = batch.row_count;
        let end = u32::try_from(base + rows)
            .map_err(|_| NativeError::MemoryLimit("a segment holds at most 2^32 rows".into()))?;
        let first = base as u32;
        chunk::push(&mut chunks, Chunk::of_batch(first, batch, at))?;
        let last = Arc::clone(&chunks[chunks.len() - 1]);
        let entered: Vec<Key<'_>> = (first..end)
            .map(|row| key_at(&last.columns[self.primary], (row - last.base) as usize))
            .collect::<Result<_>>()?;

        let mut state = self.write();
        let before = state.keys.bytes();
        let stamps = Stamps { chunks: &chunks, first, at };
        for (row, key) in (first..end).zip(entered) {
            state.insert(key, row, &stamps);
        }
        account.grow(state.keys.bytes().saturating_sub(before));
        state.chunks = Arc::new(chunks);
        state.rows = end as usize;
        state.stamp_min = state.stamp_min.min(at);
        state.stamp_max = state.stamp_max.max(at);
        Ok(())
    }

    /// Rows of `keys` inserted before `at` die at `at`; gives how many were alive.
    pub(crate) fn delete(&self, keys: &Keys, at: u64) -> usize {
        let mut account = self.writer();
        let mut state = self.write();
        let state = &mut *state;
        let before = state.deaths.bytes();
        let mut killed = 0;
        for key in keys.iter() {
            // Older rows of the key died when this one came.
            let chunks = &state.chunks;
            let row = state.keys.rows(key).find(|&row| stamp_of(chunks, row) < at);
            killed += usize::from(row.is_some_and(|row| state.deaths.kill(row, at)));
        }
        account.grow(state.deaths.bytes().saturating_sub(before));
        killed
    }

    /// Kills rows by number; for delete files and carried deletes.
    pub(crate) fn kill(&self, deaths: &[(u32, u64)]) -> usize {
        let mut account = self.writer();
        let mut state = self.write();
        let before = state.deaths.bytes();
        let killed = deaths.iter().filter(|&&(row, at)| state.deaths.kill(row, at)).count();
        account.grow(state.deaths.bytes().saturating_sub(before));
        killed
    }

    /// The chunks as `moment` sees them.
    pub(crate) fn view(&self, moment: Moment) -> Vec<VisibleChunk> {
        let state = self.read();
        let chunks = state.chunks.iter().filter(|chunk| chunk.reaches(moment));
        chunks
            .map(|chunk| {
                let mut bits = chunk.inserted(moment);
                if state.deaths.touches(chunk.base, chunk.rows()) {
                    let bits = bits.get_or_insert_with(|| Bits::with_value(chunk.rows(), true));
                    state.deaths.hide(chunk.base, bits, moment.snapshot);
                }
                (Arc::clone(chunk), bits)
            })
            .collect()
    }

    /// Rows of `keys` that `moment` sees, as (chunk, row number in the segment).
    pub(crate) fn find(&self, keys: &Keys, moment: Moment) -> Vec<(Arc<Chunk>, u32)> {
        let state = self.read();
        keys.iter()
            .filter_map(|key| {
                let row = state.keys.rows(key).find(|&row| stamp_of(&state.chunks, row) <= moment.snapshot)?;
                let there = moment.sees(stamp_of(&state.chunks, row));
                (there && state.deaths.of(row).is_none_or(|at| at > moment.snapshot)).then_some(row)
            })
            .map(|row| (Arc::clone(chunk::find(&state.chunks, row)), row))
            .collect()
    }

    /// The row of `key` that was inserted at `stamp`.
    pub(crate) fn find_inserted(&self, key: Key<'_>, stamp: u64) -> Option<u32> {
        let state = self.read();
        state.keys.rows(key).find(|&row| stamp_of(&state.chunks, row) == stamp)
    }

    pub(crate) fn chunks(&self) -> Arc<Vec<Arc<Chunk>>> {
        Arc::clone(&self.read().chunks)
    }

    /// Lists over many of the rows, when there are so many that lists make a search faster.
    pub(crate) fn lists(&self, schema: &Arc<Schema>, position: usize, metric: Metric) -> Option<Arc<GrowingLists>> {
        self.interim.lists(schema, position, metric, &self.chunks())
    }

    /// Waits until no lists are being made.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        self.interim.settle();
    }

    pub(crate) fn deaths(&self) -> Deaths {
        self.read().deaths.clone()
    }

    pub(crate) fn dead_count(&self) -> usize {
        self.read().deaths.len()
    }

    pub(crate) fn rows(&self) -> usize {
        self.read().rows
    }

    pub(crate) fn stamps(&self) -> (u64, u64) {
        let state = self.read();
        (if state.rows == 0 { 0 } else { state.stamp_min }, state.stamp_max)
    }

    pub(crate) fn bytes(&self) -> usize {
        let state = self.read();
        state.chunks.iter().map(|chunk| chunk.bytes()).sum::<usize>()
            + state.keys.bytes()
            + state.deaths.bytes()
            + self.interim.bytes()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Account> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Insert timestamps while a batch is being entered: the rows from `first` came at `at`.
struct Stamps<'a> {
    chunks: &'a [Arc<Chunk>],
    first: u32,
    at: u64,
}

impl State {
    /// Enters a row. The next older row of its key dies at its timestamp; a row that comes late dies when the next
    /// younger one came.
    fn insert(&mut self, key: Key<'_>, row: u32, stamps: &Stamps<'_>) {
        let stamp = |row: u32| if row >= stamps.first { stamps.at } else { stamp_of(stamps.chunks, row) };
        let neighbours = self.keys.insert(key, row, |other| stamp(other) > stamps.at);
        if let Some(older) = neighbours.older {
            self.deaths.kill(older, stamps.at);
        }
        if let Some(younger) = neighbours.younger {
            self.deaths.kill(row, stamp(younger));
        }
    }
}

fn stamp_of(chunks: &[Arc<Chunk>], row: u32) -> u64 {
    let chunk = chunk::find(chunks, row);
    chunk.stamps[(row - chunk.base) as usize]
}
