//! Scalar indexes: a sorted dictionary of the values of one field, with the rows of each
//! (docs/formats/scalar-index.md). They answer equality, membership, ranges, prefixes, patterns and containment.

mod build;
mod dictionary;
mod grams;
mod kind;
mod postings;

pub use build::{ScalarRows, Scalars, build};
pub use grams::grams_of;
pub use kind::{ScalarType, text_param};

use crate::IndexError;
use crate::format::{File, corrupt};
use crate::storage::Storage;
use dictionary::Dictionary;
use postings::Postings;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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

/// Of an index over a JSON field: where its values come from. The entries are keys that the reader of filters makes of
/// paths and values; to the index they are texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonSource {
    /// Steps from the document to the values.
    pub path: String,
    /// What the values were cast to (contract/indexes.md 23).
    pub cast: String,
    /// Every number in it is its own double.
    pub exact: bool,
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
    #[serde(default)]
    bitmaps: bool,
    #[serde(default)]
    front_coded: bool,
    /// The entries are runs of characters of the texts, at least and at most so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grams: Option<[usize; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<JsonSource>,
}

/// An opened, immutable index over one scalar field of one segment. Entries are numbered in the order of their
/// values, so a condition on the value is a range of entries.
#[derive(Debug)]
pub struct ScalarIndex {
    file: File,
    meta: Meta,
    dictionary: Dictionary,
    postings: Postings,
    grams: Option<(usize, usize)>,
    /// One bit a row; empty when no row is null.
    nulls: Range<usize>,
}

fn u64_at(file: &File, range: &Range<usize>, i: usize) -> u64 {
    let at = range.start + i * U64;
    file.bytes()[at..at + U64].try_into().map_or(0, u64::from_le_bytes)
}

fn u32_at(file: &File, range: &Range<usize>, i: usize) -> u32 {
    let at = range.start + i * U32;
    file.bytes()[at..at + U32].try_into().map_or(0, u32::from_le_bytes)
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
        if u32::try_from(meta.rows).is_err() || u32::try_from(meta.distinct).is_err() {
            return Err(corrupt("section meta: size out of range"));
        }
        let nulls = file.range("nulls")?;
        if !nulls.is_empty() && meta.rows.div_ceil(64).checked_mul(U64) != Some(nulls.len()) {
            return Err(corrupt("section nulls"));
        }
        Ok(Self {
            dictionary: Dictionary::open(&file, &meta)?,
            postings: Postings::open(&file, &meta)?,
            grams: meta.grams.map(grams::checked).transpose()?,
            nulls,
            file,
            meta,
        })
    }

    /// Milvus's name of the type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.meta.index_type
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

    /// The field is JSON and the entries are keys of paths and values.
    #[must_use]
    pub fn json(&self) -> Option<&JsonSource> {
        self.meta.json.as_ref()
    }

    /// The entries are runs of characters, at least and at most so long.
    #[must_use]
    pub fn grams(&self) -> Option<(usize, usize)> {
        self.grams
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

    /// The text of an entry; empty for numbers.
    #[must_use]
    pub fn text(&self, entry: usize) -> Cow<'_, [u8]> {
        self.dictionary.text(&self.file, entry)
    }

    /// Calls `take` with the texts of these entries, in order.
    pub fn each_text(&self, entries: Range<usize>, take: impl FnMut(usize, &[u8])) {
        self.dictionary.each_text(&self.file, entries, take);
    }

    /// The entry with that value: one or none.
    #[must_use]
    pub fn equal(&self, key: Key<'_>) -> Range<usize> {
        self.between(Bound::Included(key), Bound::Included(key))
    }

    /// Entries with values between the bounds.
    #[must_use]
    pub fn between(&self, low: Bound<Key<'_>>, high: Bound<Key<'_>>) -> Range<usize> {
        let position = |key, after| self.dictionary.position(&self.file, key, after);
        let from = match low {
            Bound::Unbounded => Some(0),
            Bound::Included(key) => position(key, false),
            Bound::Excluded(key) => position(key, true),
        };
        let to = match high {
            Bound::Unbounded => Some(self.meta.distinct),
            Bound::Included(key) => position(key, true),
            Bound::Excluded(key) => position(key, false),
        };
        match (from, to) {
            (Some(from), Some(to)) if from < to => from..to,
            _ => 0..0,
        }
    }

    /// Entries whose text begins with `prefix`.
    #[must_use]
    pub fn with_prefix(&self, prefix: &[u8]) -> Range<usize> {
        // The first text after all with the prefix: the last byte that can grow does.
        let after = prefix.iter().rposition(|&byte| byte < u8::MAX).map(|at| {
            let mut next = prefix[..=at].to_vec();
            next[at] += 1;
            next
        });
        let high = after.as_deref().map_or(Bound::Unbounded, |text| Bound::Excluded(Key::Text(text)));
        if self.meta.kind == KeyKind::Texts { self.between(Bound::Included(Key::Text(prefix)), high) } else { 0..0 }
    }

    /// Rows listed under these entries; for arrays a row counts once for each.
    #[must_use]
    pub fn count(&self, entries: Range<usize>) -> usize {
        self.postings.count(&self.file, entries)
    }

    /// What [`Self::mark`] costs, in bits set one by one.
    #[must_use]
    pub fn mark_cost(&self, entries: Range<usize>) -> usize {
        self.postings.mark_cost(&self.file, entries)
    }

    /// Sets the bits of the rows under these entries.
    pub fn mark(&self, entries: Range<usize>, words: &mut [u64]) {
        self.postings.mark(&self.file, entries, words);
    }

    /// One bit for each null row.
    #[must_use]
    pub fn nulls(&self) -> Vec<u64> {
        let words = self.meta.rows.div_ceil(64);
        if self.nulls.is_empty() {
            return vec![0; words];
        }
        (0..words).map(|i| u64_at(&self.file, &self.nulls, i)).collect()
    }
}

#[cfg(test)]
mod tests;
