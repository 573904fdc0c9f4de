//! The sealed segment: immutable rows in files, sorted by key, with tombstones and indexes beside them.

pub(crate) mod arrow;
pub(crate) mod blocks;
pub(crate) mod bloom;
pub(crate) mod checked;
pub(crate) mod scalars;
pub(crate) mod statistics;
pub(crate) mod vectors;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use elanus_rows::batch_codec::repeated;
use elanus_rows::column::{Bits, Column};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::{Field, Schema};

use crate::accounting::{Account, Kind};
use crate::attached::Attached;
use crate::chunk::inserted;
use crate::deaths::Deaths;
use crate::file::SegmentFile;
use crate::keys::key_at;
use crate::moment::Moment;
use blocks::Place;
use checked::guarded;
use scalars::ScalarFile;
use statistics::{FieldStatistics, Statistics};
use vectors::VectorFile;

/// Columns above this are not kept in memory: filters read them block by block.
const KEPT_BYTES: usize = if cfg!(test) { 1 << 10 } else { 16 << 20 };

static OPENED: AtomicU64 = AtomicU64::new(0);

/// A value that is made at the first use and counted.
type Lazy<T> = OnceLock<(T, Account)>;

#[derive(Debug)]
pub(crate) struct Sealed {
    /// Of all sealed segments that this process has opened.
    number: u64,
    schema: Arc<Schema>,
    rows: usize,
    statistics: Statistics,
    scalars: ScalarFile,
    /// By position in the schema; empty for vectors.
    columns: Vec<Lazy<Column>>,
    stamps: Lazy<Vec<u64>>,
    /// By position in the schema.
    vectors: Vec<Option<VectorFile>>,
    /// Held while a column is decoded, so that it is decoded once.
    decoding: Mutex<()>,
    deaths: RwLock<Deaths>,
    /// Bytes of the tombstones.
    death_account: Mutex<Account>,
    pub(crate) attached: RwLock<Vec<Arc<Attached>>>,
    _account: Account,
}

impl Sealed {
    /// Verifies every file against its size and checksum, then opens what must be open; columns are decoded later.
    pub(crate) fn open(schema: Arc<Schema>, files: Vec<SegmentFile>) -> Result<Self> {
        let (mut scalars, mut statistics, mut vectors, mut deletes) = (None, None, Vec::new(), Vec::new());
        let (mut attached, mut held) = (Vec::new(), 0);
        for file in files {
            let role = file.role.clone();
            if let Some(id) = role.strip_prefix("index:") {
                let id = id.parse().map_err(|_| file.corrupt("its role names no index"))?;
                attached.push(Arc::new(Attached::open(&schema, id, &file)?));
                continue;
            }
            let bytes = file.load()?;
            held += file.heap_bytes();
            match role.as_str() {
                "scalars" => scalars = Some(bytes),
                "statistics" => statistics = Some(bytes),
                "deletes" => deletes.push(bytes),
                other => match other.strip_prefix("vector:").and_then(|id| id.parse::<u32>().ok()) {
                    Some(id) => vectors.push((id, bytes)),
                    None => return Err(file.corrupt("its role is unknown")),
                },
            }
        }
        let missing = |role: &str| NativeError::FileCorrupt { file: role.into(), message: "it is missing".into() };
        let statistics = Statistics::decode(&statistics.ok_or_else(|| missing("statistics"))?)?;
        let scalars = scalars.ok_or_else(|| missing("scalars"))?;
        let scalars = guarded("scalars", || ScalarFile::open(scalars))?;
        let rows = scalars.rows();
        if rows != statistics.rows {
            return Err(NativeError::FileCorrupt {
                file: "statistics".into(),
                message: "the row count is not that of the scalars".into(),
            });
        }
        let vectors = open_vectors(&schema, vectors, &statistics)?;
        let heap = held
            + statistics.bloom.words().len() * 8
            + vectors.iter().flatten().map(VectorFile::memory_bytes).sum::<usize>();
        let sealed = Self {
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            columns: schema.fields.iter().map(|_| OnceLock::new()).collect(),
            schema,
            rows,
            statistics,
            scalars,
            stamps: OnceLock::new(),
            vectors,
            decoding: Mutex::new(()),
            deaths: RwLock::default(),
            death_account: Mutex::new(Account::new(Kind::Sealed, 0)),
            attached: RwLock::new(Vec::new()),
            _account: Account::new(Kind::Sealed, heap),
        };
        for bytes in deletes {
            sealed.kill(&crate::delete_file::decode(rows, &bytes)?);
        }
        for index in attached {
            sealed.attach(index)?;
        }
        // Deletes look keys up on the caller's thread, so the key column must be there before.
        sealed.column(sealed.schema.primary_position())?;
        Ok(sealed)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Fields of the schema that the segment was opened with; later ones are behind them.
    pub(crate) fn width(&self) -> usize {
        self.schema.fields.len()
    }

    pub(crate) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// All rows of a scalar field.
    pub(crate) fn column(&self, position: usize) -> Result<&Column> {
        self.lazy(&self.columns[position], Column::byte_size, || {
            guarded("scalars", || self.scalars.column(&self.schema.fields[position]))
        })
    }

    /// Some rows of a scalar field. Of a large column only the pages they lie in are decoded.
    pub(crate) fn gather(&self, position: usize, rows: &[u32]) -> Result<Column> {
        let field = &self.schema.fields[position];
        if self.is_kept(position) {
            return Ok(self.column(position)?.gather(rows));
        }
        guarded("scalars", || self.scalars.rows_of(field, rows))
    }

    /// A scalar column that is in memory already, or small enough to stay there.
    fn is_kept(&self, position: usize) -> bool {
        let field = &self.schema.fields[position];
        self.columns[position].get().is_some() || self.scalars.column_bytes(field) <= KEPT_BYTES
    }

    /// A block of a scalar column that is too large to be kept whole; `None` when it is not.
    pub(crate) fn block(&self, schema: &Schema, position: usize, block: usize) -> Result<Option<Arc<Column>>> {
        if position >= self.width() || schema.fields[position].data_type.is_vector() {
            return Ok(None);
        }
        if self.is_kept(position) {
            return Ok(None);
        }
        let field = &self.schema.fields[position];
        let place = Place { segment: self.number, position, block };
        blocks::get(place, || guarded("scalars", || self.scalars.block(field, block))).map(Some)
    }

    pub(crate) fn vectors(&self, position: usize) -> Option<&VectorFile> {
        self.vectors[position].as_ref()
    }

    pub(crate) fn stamps(&self) -> Result<&[u64]> {
        self.lazy(&self.stamps, |stamps| stamps.len() * 8, || guarded("scalars", || self.scalars.stamps()))
            .map(Vec::as_slice)
    }

    /// Which rows `moment` sees; `None`: all.
    pub(crate) fn visible(&self, moment: Moment) -> Result<Option<Bits>> {
        let mut bits = if self.sees_all(moment) { None } else { Some(inserted(self.stamps()?, moment)) };
        let deaths = self.deaths();
        if !deaths.is_empty() {
            deaths.hide(0, bits.get_or_insert_with(|| Bits::with_value(self.rows, true)), moment.snapshot);
        }
        Ok(bits)
    }

    /// Whether `moment` sees every row by its insert.
    fn sees_all(&self, moment: Moment) -> bool {
        moment.sees(self.statistics.stamp_min) && moment.sees(self.statistics.stamp_max)
    }

    /// Rows of `keys` that `moment` sees.
    pub(crate) fn find(&self, keys: &Keys, moment: Moment) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let deaths = self.deaths();
        for key in keys.iter() {
            for row in self.rows_of(key)? {
                let alive = deaths.of(row).is_none_or(|at| at > moment.snapshot);
                let seen = self.sees_all(moment) || moment.sees(self.stamps()?[row as usize]);
                if alive && seen {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }

    /// The row of `key` that was inserted at `stamp`. Of a key that stood twice in one batch, the row that counts.
    pub(crate) fn find_inserted(&self, key: Key<'_>, stamp: u64) -> Result<Option<u32>> {
        let (rows, stamps, deaths) = (self.rows_of(key)?, self.stamps()?, self.deaths());
        let found = rows.filter(|&row| stamps[row as usize] == stamp);
        Ok(found.max_by_key(|&row| deaths.of(row).unwrap_or(u64::MAX)))
    }

    pub(crate) fn delete(&self, keys: &Keys, at: u64) -> Result<usize> {
        let mut doomed = Vec::new();
        if self.statistics.stamp_min < at {
            for key in keys.iter() {
                let rows = self.rows_of(key)?;
                if self.statistics.stamp_max < at {
                    doomed.extend(rows.map(|row| (row, at)));
                } else {
                    let stamps = self.stamps()?;
                    doomed.extend(rows.filter(|&row| stamps[row as usize] < at).map(|row| (row, at)));
                }
            }
        }
        Ok(self.kill(&doomed))
    }

    /// Kills rows by number; gives how many were alive.
    pub(crate) fn kill(&self, deaths: &[(u32, u64)]) -> usize {
        if deaths.is_empty() {
            return 0;
        }
        let mut known = self.deaths.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.bytes();
        let killed = deaths.iter().filter(|&&(row, at)| known.kill(row, at)).count();
        let grown = known.bytes().saturating_sub(before);
        self.death_account.lock().unwrap_or_else(PoisonError::into_inner).grow(grown);
        killed
    }

    pub(crate) fn deaths(&self) -> RwLockReadGuard<'_, Deaths> {
        self.deaths.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an index in the place of the old one of its field, or of its path in a JSON field.
    pub(crate) fn attach(&self, index: Arc<Attached>) -> Result<()> {
        if index.row_count().is_some_and(|rows| rows != self.rows) {
            return Err(NativeError::FileCorrupt {
                file: format!("index:{}", index.id),
                message: "it does not belong to this segment".into(),
            });
        }
        let mut attached = self.attached_mut();
        attached.retain(|old| !old.same_place(&index) && old.id != index.id);
        attached.push(index);
        Ok(())
    }

    pub(crate) fn attached_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<Attached>>> {
        self.attached.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn attached(&self) -> Vec<Arc<Attached>> {
        self.attached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Heap bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().filter_map(OnceLock::get).map(|(_, account)| account.bytes()).sum();
        let stamps = self.stamps.get().map_or(0, |(_, account)| account.bytes());
        self._account.bytes() + columns + stamps + self.deaths().bytes()
    }

    /// Rows of a key, whatever became of them.
    fn rows_of(&self, key: Key<'_>) -> Result<std::ops::Range<u32>> {
        let primary = self.schema.primary();
        if !self.statistics.may_contain(primary.id, key) {
            return Ok(0..0);
        }
        let column = self.column(self.schema.primary_position())?;
        let first = lower_bound(self.rows, |row| key_at(column, row).map(|found| found < key))?;
        let mut end = first;
        while end < self.rows && key_at(column, end)? == key {
            end += 1;
        }
        Ok(first as u32..end as u32)
    }

    fn lazy<'a, T>(
        &'a self,
        cell: &'a Lazy<T>,
        bytes: impl Fn(&T) -> usize,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<&'a T> {
        if let Some((value, _)) = cell.get() {
            return Ok(value);
        }
        let _decoding = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        if cell.get().is_none() {
            let value = make()?;
            let account = Account::new(Kind::Sealed, bytes(&value));
            let _ = cell.set((value, account));
        }
        cell.get().map(|(value, _)| value).ok_or_else(|| NativeError::Internal("a decoded column is lost".into()))
    }
}

fn lower_bound(count: usize, mut before: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// A vector field without a file came after this segment: all its rows are null.
fn open_vectors(schema: &Schema, files: Vec<(u32, Bytes)>, statistics: &Statistics) -> Result<Vec<Option<VectorFile>>> {
    let mut vectors: Vec<Option<VectorFile>> = schema.fields.iter().map(|_| None).collect();
    for (id, bytes) in files {
        let Some(position) = schema.position(id) else { continue };
        let validity = statistics.field(id).and_then(|field: &FieldStatistics| field.validity.clone());
        let (field, rows) = (&schema.fields[position], statistics.rows);
        let open = || VectorFile::open(field, bytes, rows, validity);
        vectors[position] = Some(guarded(&format!("vector:{id}"), open)?);
    }
    let lost =
        schema.fields.iter().zip(&vectors).find(|(field, file)| {
            file.is_none() && field.data_type.is_vector() && statistics.field(field.id).is_some()
        });
    match lost {
        Some((field, _)) => {
            Err(NativeError::FileCorrupt { file: format!("vector:{}", field.id), message: "it is missing".into() })
        }
        None => Ok(vectors),
    }
}

/// What rows written before a field was added hold in it.
pub(crate) fn absent(field: &Field, rows: usize) -> Column {
    match &field.default_value {
        Some(value) => Column { values: repeated(field, value, rows), validity: None },
        None => Column::nulls(field, rows),
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        blocks::forget(self.number);
    }
}
