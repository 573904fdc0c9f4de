//! An immutable stretch of rows in memory.

use std::sync::Arc;

use elanus_rows::column::{Batch, Bits, Column};
use elanus_rows::error::{NativeError, Result};

use crate::accounting::{Account, Kind};
use crate::moment::Moment;

/// Chunks below this many rows and bytes are merged with their neighbours, so that many tiny writes do not leave
/// many tiny chunks to search.
const ROWS_TARGET: usize = 4096;
const BYTES_TARGET: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Chunk {
    /// Row number of the first row in its segment.
    pub(crate) base: u32,
    pub(crate) columns: Vec<Column>,
    /// Insert timestamp of each row.
    pub(crate) stamps: Vec<u64>,
    pub(crate) stamp_min: u64,
    pub(crate) stamp_max: u64,
    account: Account,
}

impl Chunk {
    pub(crate) fn of_batch(base: u32, batch: Batch, at: u64) -> Self {
        Self::new(base, batch.columns, vec![at; batch.row_count])
    }

    fn new(base: u32, columns: Vec<Column>, stamps: Vec<u64>) -> Self {
        let bytes = columns.iter().map(Column::byte_size).sum::<usize>() + stamps.len() * 8;
        Self {
            base,
            stamp_min: stamps.iter().copied().min().unwrap_or(u64::MAX),
            stamp_max: stamps.iter().copied().max().unwrap_or(0),
            columns,
            stamps,
            account: Account::new(Kind::Growing, bytes),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.stamps.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.account.bytes()
    }

    /// Bits of the rows that `moment` sees by their insert; `None` when it sees all.
    pub(crate) fn inserted(&self, moment: Moment) -> Option<Bits> {
        let all = moment.sees(self.stamp_min) && moment.sees(self.stamp_max);
        (!all).then(|| inserted(&self.stamps, moment))
    }

    /// Whether `moment` may see a row by its insert.
    pub(crate) fn reaches(&self, moment: Moment) -> bool {
        self.stamp_min <= moment.snapshot && moment.expired < self.stamp_max
    }

    fn is_small(&self) -> bool {
        self.rows() < ROWS_TARGET && self.bytes() < BYTES_TARGET
    }

    fn concat(chunks: &[Arc<Self>]) -> Result<Self> {
        let stamps = chunks.iter().flat_map(|chunk| chunk.stamps.iter().copied()).collect();
        let columns = (0..chunks[0].columns.len())
            .map(|i| concat(&chunks.iter().map(|chunk| &chunk.columns[i]).collect::<Vec<_>>()))
            .collect::<Result<_>>()?;
        Ok(Self::new(chunks[0].base, columns, stamps))
    }
}

/// Columns of one field behind each other; there must be one at least.
pub(crate) fn concat(columns: &[&Column]) -> Result<Column> {
    Column::concat(columns)?.ok_or_else(|| NativeError::Internal("no columns to put together".into()))
}

/// Bits of the stamps that `moment` sees.
pub(crate) fn inserted(stamps: &[u64], moment: Moment) -> Bits {
    let mut bits = Bits::with_value(stamps.len(), false);
    for (word, stamps) in bits.words_mut().iter_mut().zip(stamps.chunks(64)) {
        *word = stamps.iter().enumerate().fold(0, |word, (i, &stamp)| word | u64::from(moment.sees(stamp)) << i);
    }
    bits
}

/// Appends `chunk` to `chunks`, merging the small ones at the end: each merge at least doubles what it copies, so a
/// row is copied O(log(target)) times.
pub(crate) fn push(chunks: &mut Vec<Arc<Chunk>>, chunk: Chunk) -> Result<()> {
    let mut total = chunk.rows();
    let mut keep = chunks.len();
    while keep > 0 && chunk.is_small() && chunks[keep - 1].is_small() && chunks[keep - 1].rows() <= 2 * total {
        keep -= 1;
        total += chunks[keep].rows();
    }
    let chunk = Arc::new(chunk);
    if keep == chunks.len() {
        chunks.push(chunk);
    } else {
        let mut tail = chunks.split_off(keep);
        tail.push(chunk);
        chunks.push(Arc::new(Chunk::concat(&tail)?));
    }
    Ok(())
}

/// How many of the chunks no later one will be merged with.
pub(crate) fn settled(chunks: &[Arc<Chunk>]) -> usize {
    chunks.iter().rposition(|chunk| !chunk.is_small()).map_or(0, |last| last + 1)
}

/// The chunk that holds `row`.
pub(crate) fn find(chunks: &[Arc<Chunk>], row: u32) -> &Arc<Chunk> {
    &chunks[chunks.partition_point(|chunk| chunk.base <= row) - 1]
}
