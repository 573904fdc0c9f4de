//! Builds the file of a scalar index.

use super::dictionary::TextWriter;
use super::grams::each_gram;
use super::postings::Writer;
use super::{JsonSource, KeyKind, Meta, ScalarType, U64};
use crate::IndexError;
use crate::format;
use crate::progress::Progress;
use std::collections::HashMap;

/// Longer runs of characters would take memory for little: a long literal is looked up by several runs.
const GRAM_CHARS_MAX: usize = 6;
/// Values taken between two looks at a wish to stop.
const STEP: usize = 1 << 16;

/// Values of one field, back to back.
#[derive(Clone, Copy, Debug)]
pub enum Scalars<'a> {
    Bool(&'a [bool]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    /// Value i is `data[offsets[i]..offsets[i + 1]]`.
    Bytes {
        offsets: &'a [u64],
        data: &'a [u8],
    },
}

/// The rows of one scalar field of one segment.
#[derive(Clone, Copy, Debug)]
pub struct ScalarRows<'a> {
    pub row_count: usize,
    pub values: Scalars<'a>,
    /// An array field: row i holds the values `offsets[i]..offsets[i + 1]`. Otherwise row i holds value i.
    pub offsets: Option<&'a [u64]>,
    /// One bit a row, set where it is not null; absent: none is null.
    pub validity: Option<&'a [u64]>,
}

impl ScalarRows<'_> {
    fn is_valid(&self, row: usize) -> bool {
        self.validity.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1)
    }

    /// Calls `take(value, row)` for each value of each row that is not null.
    fn each(&self, progress: &Progress, mut take: impl FnMut(usize, u32)) -> Result<(), IndexError> {
        for from in (0..self.row_count).step_by(STEP) {
            progress.check()?;
            let to = self.row_count.min(from + STEP);
            for row in (from..to).filter(|&row| self.is_valid(row)) {
                match self.offsets {
                    None => take(row, row as u32),
                    Some(offsets) => {
                        (offsets[row]..offsets[row + 1]).for_each(|value| take(value as usize, row as u32));
                    }
                }
            }
            progress.advance(0.4 * to as f32 / self.row_count as f32);
        }
        Ok(())
    }
}

/// What the builder of each kind of values needs to know.
#[derive(Clone, Copy)]
struct Task<'a> {
    rows: &'a ScalarRows<'a>,
    of: ScalarType,
    progress: &'a Progress,
}

struct Sections {
    kind: KeyKind,
    bitmaps: bool,
    front_coded: bool,
    values: Vec<u8>,
    offsets: Vec<u8>,
    postings: Writer,
}

/// The bytes of the index file. `json` says where the values come from when the field is JSON; then they are `Bytes`.
///
/// # Errors
/// A type that does not take these values, cancelled, or more rows than a row number can say.
pub fn build(
    rows: &ScalarRows<'_>,
    of: ScalarType,
    json: Option<JsonSource>,
    progress: &Progress,
) -> Result<Vec<u8>, IndexError> {
    if u32::try_from(rows.row_count).is_err() {
        return Err(IndexError::Parameter(format!("{} rows are too many for one index", rows.row_count)));
    }
    let task = Task { rows, of, progress };
    let sections = match (rows.values, of) {
        (Scalars::Bytes { offsets, data }, ScalarType::Ngram { min, max }) => {
            task.grams(min, max.min(min.max(GRAM_CHARS_MAX)), |i| &data[offsets[i] as usize..offsets[i + 1] as usize])
        }
        (Scalars::Bytes { offsets, data }, _) => task.texts(|i| &data[offsets[i] as usize..offsets[i + 1] as usize]),
        (_, ScalarType::Trie | ScalarType::Ngram { .. }) => {
            Err(IndexError::Parameter(format!("{} are only supported on varchar field", of.name())))
        }
        (Scalars::Bool(v), _) => task.numbers(KeyKind::Ints, |i| Some(i64::from(v[i])), i64::to_le_bytes),
        (Scalars::Int32(v), _) => task.numbers(KeyKind::Ints, |i| Some(i64::from(v[i])), i64::to_le_bytes),
        (Scalars::Int64(v), _) => task.numbers(KeyKind::Ints, |i| Some(v[i]), i64::to_le_bytes),
        (Scalars::Float(v), _) => task.floats(|i| f64::from(v[i])),
        (Scalars::Double(v), _) => task.floats(|i| v[i]),
    }?;
    progress.check()?;
    let grams = match of {
        ScalarType::Ngram { min, max } => Some([min, max.min(min.max(GRAM_CHARS_MAX))]),
        _ => None,
    };
    let meta = Meta {
        index_type: of.name().to_owned(),
        kind: sections.kind,
        array: rows.offsets.is_some() || grams.is_some(),
        rows: rows.row_count,
        distinct: sections.postings.distinct(),
        bitmaps: sections.bitmaps,
        front_coded: sections.front_coded,
        grams,
        json,
    };
    let meta = serde_json::to_vec(&meta).map_err(|e| IndexError::Parameter(e.to_string()))?;
    let file = format::write(&[
        ("meta", &meta),
        ("values", &sections.values),
        ("offsets", &sections.offsets),
        ("starts", &sections.postings.starts),
        ("rows", &sections.postings.rows),
        ("places", &sections.postings.places),
        ("bitmaps", &sections.postings.words),
        ("nulls", &nulls(rows)),
    ])?;
    progress.advance(1.0);
    Ok(file)
}

fn nulls(rows: &ScalarRows<'_>) -> Vec<u8> {
    let Some(validity) = rows.validity else { return Vec::new() };
    let mut words: Vec<u64> = validity.iter().take(rows.row_count.div_ceil(64)).map(|word| !word).collect();
    if let (Some(last), tail @ 1..) = (words.last_mut(), rows.row_count % 64) {
        *last &= (1 << tail) - 1;
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Order-preserving bits of a float that is not NaN.
fn ordered(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl Task<'_> {
    fn floats(self, value: impl Fn(usize) -> f64) -> Result<Sections, IndexError> {
        let key = |i| Some(value(i)).filter(|v: &f64| !v.is_nan()).map(ordered);
        self.numbers(KeyKind::Floats, key, |key| {
            let bits = key ^ (((key >> 63) as u64) >> 1) as i64;
            bits.to_le_bytes()
        })
    }

    fn numbers(
        self,
        kind: KeyKind,
        key: impl Fn(usize) -> Option<i64>,
        encode: impl Fn(i64) -> [u8; U64],
    ) -> Result<Sections, IndexError> {
        let mut pairs: Vec<(i64, u32)> = Vec::with_capacity(self.rows.row_count);
        self.rows.each(self.progress, |value, row| pairs.extend(key(value).map(|key| (key, row))))?;
        let mut values = Vec::new();
        let (bitmaps, postings) = self.entries(pairs, |key| values.extend(encode(key)))?;
        Ok(Sections { kind, bitmaps, front_coded: false, values, offsets: Vec::new(), postings })
    }

    fn texts<'a>(self, text: impl Fn(usize) -> &'a [u8]) -> Result<Sections, IndexError> {
        let mut pairs: Vec<(&[u8], u32)> = Vec::with_capacity(self.rows.row_count);
        self.rows.each(self.progress, |value, row| pairs.push((text(value), row)))?;
        let front_coded = self.of == ScalarType::Trie;
        let mut texts = TextWriter::new(front_coded);
        let (bitmaps, postings) = self.entries(pairs, |key| texts.push(key))?;
        texts.finish();
        let (values, offsets) = (texts.values, texts.offsets);
        Ok(Sections { kind: KeyKind::Texts, bitmaps, front_coded, values, offsets, postings })
    }

    /// Sorts the pairs of value and row, and cuts them into one entry for each value; `open` sees each value once.
    fn entries<K: Ord + Copy>(
        self,
        mut pairs: Vec<(K, u32)>,
        mut open: impl FnMut(K),
    ) -> Result<(bool, Writer), IndexError> {
        pairs.sort_unstable();
        pairs.dedup();
        self.progress.check()?;
        self.progress.advance(0.8);
        let entries = || pairs.chunk_by(|a, b| a.0 == b.0);
        let bitmaps = self.of.has_bitmaps(entries().count());
        let mut postings = Writer::new(self.rows.row_count, bitmaps);
        let mut rows = Vec::new();
        for entry in entries() {
            open(entry[0].0);
            rows.clear();
            rows.extend(entry.iter().map(|pair| pair.1));
            postings.push(&rows)?;
        }
        Ok((bitmaps, postings))
    }

    /// Runs of characters repeat so often that their rows are gathered under them before anything is sorted.
    fn grams<'a>(self, min: usize, max: usize, text: impl Fn(usize) -> &'a [u8]) -> Result<Sections, IndexError> {
        let mut rows_of: HashMap<&[u8], Vec<u32>> = HashMap::new();
        self.rows.each(self.progress, |value, row| {
            each_gram(text(value), min, max, |gram| {
                let rows = rows_of.entry(gram).or_default();
                if rows.last() != Some(&row) {
                    rows.push(row);
                }
            });
        })?;
        let mut entries: Vec<(&[u8], Vec<u32>)> = rows_of.into_iter().collect();
        entries.sort_unstable();
        self.progress.check()?;
        let mut texts = TextWriter::new(true);
        let mut postings = Writer::new(self.rows.row_count, true);
        for (gram, rows) in &entries {
            texts.push(gram);
            postings.push(rows)?;
        }
        texts.finish();
        let (values, offsets) = (texts.values, texts.offsets);
        Ok(Sections { kind: KeyKind::Texts, bitmaps: true, front_coded: true, values, offsets, postings })
    }
}
