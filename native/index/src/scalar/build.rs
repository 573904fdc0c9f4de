//! Builds the file of a scalar index.

use super::{KeyKind, Meta, U32, U64};
use crate::IndexError;
use crate::format;
use crate::progress::Progress;

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
    fn each(&self, mut take: impl FnMut(usize, u32)) {
        for row in (0..self.row_count).filter(|&row| self.is_valid(row)) {
            match self.offsets {
                None => take(row, row as u32),
                Some(offsets) => (offsets[row]..offsets[row + 1]).for_each(|value| take(value as usize, row as u32)),
            }
        }
    }
}

struct Sections {
    kind: KeyKind,
    distinct: usize,
    values: Vec<u8>,
    offsets: Vec<u8>,
    starts: Vec<u8>,
    rows: Vec<u8>,
}

/// The bytes of the index file.
///
/// # Errors
/// Cancelled, or more rows than a row number can say.
pub fn build(rows: &ScalarRows<'_>, progress: &Progress) -> Result<Vec<u8>, IndexError> {
    if u32::try_from(rows.row_count).is_err() {
        return Err(IndexError::Parameter(format!("{} rows are too many for one index", rows.row_count)));
    }
    progress.check()?;
    let sections = match rows.values {
        Scalars::Bool(v) => numbers(rows, KeyKind::Ints, |i| Some(i64::from(v[i])), i64::to_le_bytes),
        Scalars::Int32(v) => numbers(rows, KeyKind::Ints, |i| Some(i64::from(v[i])), i64::to_le_bytes),
        Scalars::Int64(v) => numbers(rows, KeyKind::Ints, |i| Some(v[i]), i64::to_le_bytes),
        Scalars::Float(v) => floats(rows, |i| f64::from(v[i])),
        Scalars::Double(v) => floats(rows, |i| v[i]),
        Scalars::Bytes { offsets, data } => texts(rows, |i| &data[offsets[i] as usize..offsets[i + 1] as usize]),
    }?;
    progress.check()?;
    let meta = Meta {
        index_type: "INVERTED".to_owned(),
        kind: sections.kind,
        array: rows.offsets.is_some(),
        rows: rows.row_count,
        distinct: sections.distinct,
    };
    let meta = serde_json::to_vec(&meta).map_err(|e| IndexError::Parameter(e.to_string()))?;
    let file = format::write(&[
        ("meta", &meta),
        ("values", &sections.values),
        ("offsets", &sections.offsets),
        ("starts", &sections.starts),
        ("rows", &sections.rows),
        ("nulls", &nulls(rows)),
    ]);
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

fn floats(rows: &ScalarRows<'_>, value: impl Fn(usize) -> f64) -> Result<Sections, IndexError> {
    let key = |i| Some(value(i)).filter(|v: &f64| !v.is_nan()).map(ordered);
    numbers(rows, KeyKind::Floats, key, |key| {
        let bits = key ^ (((key >> 63) as u64) >> 1) as i64;
        bits.to_le_bytes()
    })
}

fn numbers(
    rows: &ScalarRows<'_>,
    kind: KeyKind,
    key: impl Fn(usize) -> Option<i64>,
    encode: impl Fn(i64) -> [u8; U64],
) -> Result<Sections, IndexError> {
    let mut pairs: Vec<(i64, u32)> = Vec::with_capacity(rows.row_count);
    rows.each(|value, row| pairs.extend(key(value).map(|key| (key, row))));
    pairs.sort_unstable();
    pairs.dedup();
    let mut values = Vec::new();
    let (distinct, starts, listed) = lists(&pairs, |pair| pair.0, |pair| pair.1, |pair| values.extend(encode(pair.0)))?;
    Ok(Sections { kind, distinct, values, offsets: Vec::new(), starts, rows: listed })
}

fn texts<'a>(rows: &ScalarRows<'_>, text: impl Fn(usize) -> &'a [u8]) -> Result<Sections, IndexError> {
    let mut pairs: Vec<(&[u8], u32)> = Vec::with_capacity(rows.row_count);
    rows.each(|value, row| pairs.push((text(value), row)));
    pairs.sort_unstable();
    pairs.dedup();
    let mut values: Vec<u8> = Vec::new();
    let mut offsets = Vec::new();
    let (distinct, starts, listed) = lists(
        &pairs,
        |pair| pair.0,
        |pair| pair.1,
        |pair| {
            offsets.extend((values.len() as u64).to_le_bytes());
            values.extend(pair.0);
        },
    )?;
    offsets.extend((values.len() as u64).to_le_bytes());
    Ok(Sections { kind: KeyKind::Texts, distinct, values, offsets, starts, rows: listed })
}

type Lists = (usize, Vec<u8>, Vec<u8>);

/// Cuts sorted pairs into one list of rows for each value; `open` sees the first pair of each.
fn lists<P, K: PartialEq>(
    pairs: &[P],
    key: impl Fn(&P) -> K,
    row: impl Fn(&P) -> u32,
    mut open: impl FnMut(&P),
) -> Result<Lists, IndexError> {
    let total = u32::try_from(pairs.len())
        .map_err(|_| IndexError::Parameter(format!("{} values are too many for one index", pairs.len())))?;
    let (mut distinct, mut starts) = (0, Vec::new());
    let mut listed = Vec::with_capacity(pairs.len() * U32);
    for (i, pair) in pairs.iter().enumerate() {
        if i == 0 || key(&pairs[i - 1]) != key(pair) {
            distinct += 1;
            starts.extend((i as u32).to_le_bytes());
            open(pair);
        }
        listed.extend(row(pair).to_le_bytes());
    }
    starts.extend(total.to_le_bytes());
    Ok((distinct, starts, listed))
}
