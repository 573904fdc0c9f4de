//! The scalar INVERTED index: a sorted dictionary of the values of one field, with the rows of each
//! (docs/formats/scalar-index.md). It answers equality, membership, ranges, prefixes and array containment.

mod build;

pub use build::{ScalarRows, Scalars, build};

use crate::IndexError;
use crate::format::File;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::ops::{Bound, Range};

const U32: usize = size_of::<u32>();
const U64: usize = size_of::<u64>();

/// How the values of the dictionary are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// Booleans (0 and 1) and integers.
    Ints,
    /// 32-bit floats are widened. NaN is in no entry, `-0` is `0`.
    Floats,
    Texts,
}

/// A value to look up; of the index's own kind, otherwise nothing is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key<'a> {
    Int(i64),
    Float(f64),
    Text(&'a [u8]),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    index_type: String,
    kind: KeyKind,
    /// The values are elements of arrays: a row may stand under several.
    array: bool,
    rows: usize,
    distinct: usize,
}

/// An opened, immutable index over one scalar field of one segment. Entries are numbered in the order of their
/// values, so a condition on the value is a range of entries.
#[derive(Debug)]
pub struct ScalarIndex {
    file: File,
    meta: Meta,
    /// Values, or for texts the bytes back to back.
    values: Range<usize>,
    /// Texts only: where each begins, and the end.
    offsets: Range<usize>,
    /// Where the rows of each entry begin, and the end; counted in rows.
    starts: Range<usize>,
    /// Ascending within an entry.
    rows: Range<usize>,
    /// One bit a row; empty when no row is null.
    nulls: Range<usize>,
}

fn corrupt(what: &str) -> IndexError {
    IndexError::Corrupt(format!("index file is damaged: {what}"))
}

impl ScalarIndex {
    /// Opens and verifies an index file.
    ///
    /// # Errors
    /// `Corrupt`, naming the damaged block or part.
    pub fn open(storage: Storage) -> Result<Self, IndexError> {
        let file = File::open(storage)?;
        let meta: Meta = serde_json::from_slice(file.section("meta")?)
            .map_err(|error| corrupt(&format!("section meta: {error}")))?;
        let index = Self {
            values: file.range("values")?,
            offsets: file.range("offsets")?,
            starts: file.range("starts")?,
            rows: file.range("rows")?,
            nulls: file.range("nulls")?,
            file,
            meta,
        };
        index.verify()?;
        Ok(index)
    }

    /// Everything that later look-ups rely on.
    fn verify(&self) -> Result<(), IndexError> {
        let distinct = self.meta.distinct;
        let fits = |range: &Range<usize>, width: usize, count: usize| count.checked_mul(width) == Some(range.len());
        let texts = self.meta.kind == KeyKind::Texts;
        let sized = fits(&self.starts, U32, distinct.saturating_add(1))
            && self.rows.len().is_multiple_of(U32)
            && (self.nulls.is_empty() || fits(&self.nulls, U64, self.meta.rows.div_ceil(64)))
            && if texts { fits(&self.offsets, U64, distinct + 1) } else { fits(&self.values, U64, distinct) };
        if !sized {
            return Err(corrupt("sections do not fit together"));
        }
        let ascending = |count: usize, last: usize, at: &dyn Fn(usize) -> usize| {
            at(0) == 0 && at(count) == last && (0..count).all(|i| at(i) <= at(i + 1))
        };
        if !ascending(distinct, self.rows.len() / U32, &|i| self.start(i)) {
            return Err(corrupt("section starts"));
        }
        if texts && !ascending(distinct, self.values.len(), &|i| self.u64_at(&self.offsets, i) as usize) {
            return Err(corrupt("section offsets"));
        }
        if self.postings(0..distinct).any(|row| row as usize >= self.meta.rows) {
            return Err(corrupt("section rows: no such row"));
        }
        Ok(())
    }

    /// Rows that the index covers, nulls included.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.meta.rows
    }

    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.meta.kind
    }

    /// The field is an array and the entries are its elements.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.meta.array
    }

    /// Number of entries.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.meta.distinct
    }

    /// Bytes of heap memory; a mapped index has none.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.file.heap_bytes()
    }

    fn u64_at(&self, range: &Range<usize>, i: usize) -> u64 {
        let at = range.start + i * U64;
        self.file.bytes()[at..at + U64].try_into().map_or(0, u64::from_le_bytes)
    }

    fn start(&self, entry: usize) -> usize {
        let at = self.starts.start + entry * U32;
        self.file.bytes()[at..at + U32].try_into().map_or(0, u32::from_le_bytes) as usize
    }

    fn postings(&self, entries: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let from = self.rows.start + self.start(entries.start) * U32;
        let to = self.rows.start + self.start(entries.end) * U32;
        self.file.bytes()[from..to].as_chunks::<U32>().0.iter().map(|&bytes| u32::from_le_bytes(bytes))
    }

    /// The text of an entry; empty for numbers.
    #[must_use]
    pub fn text(&self, entry: usize) -> &[u8] {
        if self.meta.kind != KeyKind::Texts {
            return &[];
        }
        let from = self.values.start + self.u64_at(&self.offsets, entry) as usize;
        let to = self.values.start + self.u64_at(&self.offsets, entry + 1) as usize;
        &self.file.bytes()[from..to]
    }

    /// First entry for which `before` is false, where it is true up to some entry and false from then on.
    fn partition(&self, before: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.meta.distinct);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// First entry with a value >= `key`, or > it when `after`. A key of another kind has no place.
    fn position(&self, key: Key<'_>, after: bool) -> Option<usize> {
        let before = |less: bool, equal: bool| less || (after && equal);
        match (key, self.meta.kind) {
            (Key::Int(key), KeyKind::Ints) => Some(self.partition(|entry| {
                let value = self.u64_at(&self.values, entry) as i64;
                before(value < key, value == key)
            })),
            (Key::Float(key), KeyKind::Floats) if !key.is_nan() => Some(self.partition(|entry| {
                let value = f64::from_bits(self.u64_at(&self.values, entry));
                before(value < key, value == key)
            })),
            (Key::Text(key), KeyKind::Texts) => Some(self.partition(|entry| {
                let value = self.text(entry);
                before(value < key, value == key)
            })),
            _ => None,
        }
    }

    /// The entry with that value: one or none.
    #[must_use]
    pub fn equal(&self, key: Key<'_>) -> Range<usize> {
        self.between(Bound::Included(key), Bound::Included(key))
    }

    /// Entries with values between the bounds.
    #[must_use]
    pub fn between(&self, low: Bound<Key<'_>>, high: Bound<Key<'_>>) -> Range<usize> {
        let from = match low {
            Bound::Unbounded => Some(0),
            Bound::Included(key) => self.position(key, false),
            Bound::Excluded(key) => self.position(key, true),
        };
        let to = match high {
            Bound::Unbounded => Some(self.meta.distinct),
            Bound::Included(key) => self.position(key, true),
            Bound::Excluded(key) => self.position(key, false),
        };
        match (from, to) {
            (Some(from), Some(to)) if from < to => from..to,
            _ => 0..0,
        }
    }

    /// Entries whose text begins with `prefix`.
    #[must_use]
    pub fn with_prefix(&self, prefix: &[u8]) -> Range<usize> {
        let Some(from) = self.position(Key::Text(prefix), false) else { return 0..0 };
        let to = self.partition(|entry| self.text(entry) < prefix || self.text(entry).starts_with(prefix));
        from..to.max(from)
    }

    /// Rows listed under these entries; for arrays a row counts once for each.
    #[must_use]
    pub fn count(&self, entries: Range<usize>) -> usize {
        self.start(entries.end) - self.start(entries.start)
    }

    /// Sets the bits of the rows under these entries.
    pub fn mark(&self, entries: Range<usize>, words: &mut [u64]) {
        for row in self.postings(entries) {
            words[row as usize / 64] |= 1 << (row % 64);
        }
    }

    /// One bit for each null row.
    #[must_use]
    pub fn nulls(&self) -> Vec<u64> {
        if self.nulls.is_empty() {
            return vec![0; self.meta.rows.div_ceil(64)];
        }
        (0..self.meta.rows.div_ceil(64)).map(|i| self.u64_at(&self.nulls, i)).collect()
    }
}

#[cfg(test)]
mod tests;
