//! One test over one chunk.

use std::sync::OnceLock;

use elanus_kernels::Isa;
use elanus_kernels::compare::{CompareKernel, FloatRange};

use crate::evaluate::{Chunk, Truth, rows_where, zip};
use crate::json::{self, Json};
use crate::like::{LikePattern, find_in_rows};
use crate::node::{ColumnsKind, Elements, Leaf, Path, Quantifier, Relation, Source, Test};
use crate::numbers::{CHUNK_ROWS, CHUNK_WORDS, FloatTest, IntTest, Operation, Words, pack};
use crate::source::{ScalarSlice, ViewValues};
use crate::text::TextTest;

/// A column of another kind than the program was checked for reads as null; the schema rules that out.
const UNREADABLE: Truth = Truth { yes: [0; CHUNK_WORDS], unknown: [u64::MAX; CHUNK_WORDS] };

pub(crate) fn test_leaf(leaf: &Leaf, chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
    match &leaf.source {
        Source::Column { slot } => {
            let nulls = chunk.nulls(*slot);
            let rows = zip(wanted, &nulls, |wanted, null| wanted & !null);
            let yes = match chunk.values(*slot) {
                Some(ViewValues::Scalar(values)) => test_scalars(values, &leaf.test, &rows),
                Some(ViewValues::Array { offsets, elements }) => test_arrays(offsets, elements, &leaf.test, &rows),
                _ => return UNREADABLE,
            };
            Truth { yes: zip(&yes, &nulls, |yes, null| yes & !null), unknown: nulls }
        }
        Source::Element { slot, index } => test_elements(chunk, *slot, *index, &leaf.test, wanted),
        Source::Length { slot } => test_lengths(chunk, *slot, &leaf.test, wanted),
        Source::JsonLength(path) => test_documents(chunk, path, wanted, |value| match value {
            Json::Array(bytes) => test_int(json::elements(bytes).count() as i64, &leaf.test),
            _ => false,
        }),
        Source::Json(path) => match &leaf.test {
            Test::Json { arithmetic, test } => {
                test_documents(chunk, path, wanted, |value| test.matches(value, *arithmetic))
            }
            _ => UNREADABLE,
        },
    }
}

/// Two-valued inside a document; UNKNOWN where the document itself is null.
fn test_documents(chunk: &Chunk<'_, '_>, path: &Path, wanted: &Words, test: impl Fn(Json<'_>) -> bool) -> Truth {
    let nulls = chunk.nulls(path.slot);
    let rows = zip(wanted, &nulls, |wanted, null| wanted & !null);
    let yes = match chunk.documents(path.slot) {
        Some(documents) => rows_where(&rows, |row| json::find(documents.get(row), &path.steps).is_some_and(&test)),
        None => [0; CHUNK_WORDS],
    };
    Truth { yes, unknown: if path.dynamic { [0; CHUNK_WORDS] } else { nulls } }
}

/// Numbers are tested all at once; `rows` says where the answer counts, which only text needs to know.
fn test_scalars(values: ScalarSlice<'_>, test: &Test, rows: &Words) -> Words {
    match (values, test) {
        (_, Test::Int { arithmetic: None, test: IntTest::Range { low, high } }) => int_range(values, *low, *high),
        (_, Test::Float { arithmetic: None, test: FloatTest::Range(range) }) => float_range(values, range),
        (ScalarSlice::Int64(v), Test::Int { arithmetic, test }) => test_ints(v, |x| x, *arithmetic, test),
        (ScalarSlice::Int32(v), Test::Int { arithmetic, test }) => test_ints(v, i64::from, *arithmetic, test),
        (ScalarSlice::Double(v), Test::Float { arithmetic, test }) => test_floats(v, |x| x, *arithmetic, test),
        (ScalarSlice::Float(v), Test::Float { arithmetic, test }) => test_floats(v, f64::from, *arithmetic, test),
        (ScalarSlice::Bool(v), Test::Bool(answers)) => pack(v, |x| answers[usize::from(x)]),
        (ScalarSlice::Bytes(v), Test::Text(TextTest::Equals(text))) => {
            let length = text.len() as u64;
            rows_where(rows, |row| v.offsets[row + 1] - v.offsets[row] == length && *v.get(row) == **text)
        }
        (ScalarSlice::Bytes(v), Test::Text(TextTest::Like(LikePattern::Infix(finder)))) if dense(rows) => {
            let mut found = [0; CHUNK_WORDS];
            find_in_rows(finder, v.offsets, v.data, |row| found[row / 64] |= 1 << (row % 64));
            zip(&found, rows, |found, wanted| found & wanted)
        }
        (ScalarSlice::Bytes(v), Test::Text(test)) => rows_where(rows, |row| test.matches(v.get(row))),
        (ScalarSlice::Bytes(v), Test::Spatial(test)) => rows_where(rows, |row| test.matches(v.get(row))),
        _ => [0; CHUNK_WORDS],
    }
}

/// Whether reading all rows costs less than going from one wanted row to the next.
fn dense(rows: &Words) -> bool {
    rows.iter().map(|word| word.count_ones() as usize).sum::<usize>() * 2 > CHUNK_ROWS
}

fn compare() -> CompareKernel {
    static KERNEL: OnceLock<CompareKernel> = OnceLock::new();
    *KERNEL.get_or_init(|| CompareKernel::choose(Isa::detect()))
}

/// Every comparison is a range, and a range is one unsigned comparison.
fn int_range(values: ScalarSlice<'_>, low: i64, high: i64) -> Words {
    let mut words = [0; CHUNK_WORDS];
    match values {
        ScalarSlice::Int64(v) if low <= high => (compare().int64)(v, low, high.abs_diff(low), &mut words),
        ScalarSlice::Int32(v) => {
            let (low, high) = (low.max(i64::from(i32::MIN)), high.min(i64::from(i32::MAX)));
            if low <= high {
                (compare().int32)(v, low as i32, (high - low) as u32, &mut words);
            }
        }
        _ => {}
    }
    words
}

fn float_range(values: ScalarSlice<'_>, range: &FloatRange) -> Words {
    let mut words = [0; CHUNK_WORDS];
    match values {
        ScalarSlice::Double(v) => (compare().double)(v, range, &mut words),
        ScalarSlice::Float(v) => (compare().float)(v, range, &mut words),
        _ => {}
    }
    words
}

fn test_ints<T: Copy>(
    values: &[T],
    widen: impl Fn(T) -> i64,
    arithmetic: Option<(Operation, i64)>,
    test: &IntTest,
) -> Words {
    match (arithmetic, test) {
        (None, IntTest::In(set)) => pack(values, |value| set.contains(widen(value))),
        (None, test) => pack(values, |value| test.matches(widen(value))),
        (Some((operation, constant)), test) => {
            pack(values, |value| test.matches(operation.on_ints(widen(value), constant)))
        }
    }
}

fn test_floats<T: Copy>(
    values: &[T],
    widen: impl Fn(T) -> f64,
    arithmetic: Option<(Operation, f64)>,
    test: &FloatTest,
) -> Words {
    match (arithmetic, test) {
        (None, test) => pack(values, |v| test.matches(widen(v))),
        (Some((operation, constant)), test) => {
            pack(values, |v| operation.on_floats(widen(v), constant).is_some_and(|result| test.matches(result)))
        }
    }
}

fn test_int(value: i64, test: &Test) -> bool {
    match test {
        Test::Int { arithmetic: None, test } => test.matches(value),
        Test::Int { arithmetic: Some((operation, constant)), test } => {
            test.matches(operation.on_ints(value, *constant))
        }
        _ => false,
    }
}

fn test_float(value: f64, test: &Test) -> bool {
    match test {
        Test::Float { arithmetic: None, test } => test.matches(value),
        Test::Float { arithmetic: Some((operation, constant)), test } => {
            operation.on_floats(value, *constant).is_some_and(|result| test.matches(result))
        }
        _ => false,
    }
}

/// One value of a slice.
fn test_at(values: ScalarSlice<'_>, at: usize, test: &Test) -> bool {
    match (values, test) {
        (ScalarSlice::Bool(v), Test::Bool(answers)) => answers[usize::from(v[at])],
        (ScalarSlice::Int32(v), test) => test_int(i64::from(v[at]), test),
        (ScalarSlice::Int64(v), test) => test_int(v[at], test),
        (ScalarSlice::Float(v), test) => test_float(f64::from(v[at]), test),
        (ScalarSlice::Double(v), test) => test_float(v[at], test),
        (ScalarSlice::Bytes(v), Test::Text(test)) => test.matches(v.get(at)),
        _ => false,
    }
}

/// UNKNOWN where the array is null or has no such element.
fn test_elements(chunk: &Chunk<'_, '_>, slot: usize, index: usize, test: &Test, wanted: &Words) -> Truth {
    let Some(ViewValues::Array { offsets, elements }) = chunk.values(slot) else { return UNREADABLE };
    let nulls = chunk.nulls(slot);
    let rows = zip(wanted, &nulls, |wanted, null| wanted & !null);
    let present = rows_where(&rows, |row| offsets[row + 1] - offsets[row] > index as u64);
    let yes = rows_where(&present, |row| test_at(elements, offsets[row] as usize + index, test));
    Truth { yes, unknown: zip(&present, wanted, |present, wanted| wanted & !present) }
}

fn test_lengths(chunk: &Chunk<'_, '_>, slot: usize, test: &Test, wanted: &Words) -> Truth {
    let Some(ViewValues::Array { offsets, .. }) = chunk.values(slot) else { return UNREADABLE };
    let nulls = chunk.nulls(slot);
    let rows = zip(wanted, &nulls, |wanted, null| wanted & !null);
    let yes = rows_where(&rows, |row| test_int((offsets[row + 1] - offsets[row]) as i64, test));
    Truth { yes, unknown: nulls }
}

fn test_arrays(offsets: &[u64], elements: ScalarSlice<'_>, test: &Test, rows: &Words) -> Words {
    rows_where(rows, |row| {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        match test {
            Test::Contains(items, quantifier) => array_contains(elements, range, items, *quantifier),
            Test::ArrayEquals(items) => {
                range.len() == items.len() && range.enumerate().all(|(i, at)| items.equals(i, elements, at))
            }
            _ => false,
        }
    })
}

fn array_contains(
    elements: ScalarSlice<'_>,
    range: std::ops::Range<usize>,
    items: &Elements,
    quantifier: Quantifier,
) -> bool {
    let found = |item| range.clone().any(|at| items.equals(item, elements, at));
    match quantifier {
        Quantifier::Any => (0..items.len()).any(found),
        Quantifier::All => (0..items.len()).all(found),
    }
}

impl Elements {
    pub fn len(&self) -> usize {
        match self {
            Self::Bools(v) => v.len(),
            Self::Ints(v) => v.len(),
            Self::Floats(v) => v.len(),
            Self::Texts(v) => v.len(),
        }
    }

    fn equals(&self, item: usize, values: ScalarSlice<'_>, at: usize) -> bool {
        match (self, values) {
            (Self::Bools(items), ScalarSlice::Bool(v)) => items[item] == v[at],
            (Self::Ints(items), ScalarSlice::Int32(v)) => items[item] == i64::from(v[at]),
            (Self::Ints(items), ScalarSlice::Int64(v)) => items[item] == v[at],
            (Self::Floats(items), ScalarSlice::Float(v)) => items[item] == f64::from(v[at]),
            (Self::Floats(items), ScalarSlice::Double(v)) => items[item] == v[at],
            (Self::Texts(items), ScalarSlice::Bytes(v)) => *items[item] == *v.get(at),
            _ => false,
        }
    }
}

/// UNKNOWN where either side is null.
#[inline(never)]
pub(crate) fn test_columns(
    chunk: &Chunk<'_, '_>,
    relation: Relation,
    left: usize,
    right: usize,
    kind: ColumnsKind,
    wanted: &Words,
) -> Truth {
    let (Some(ViewValues::Scalar(a)), Some(ViewValues::Scalar(b))) = (chunk.values(left), chunk.values(right)) else {
        return UNREADABLE;
    };
    let unknown = zip(&chunk.nulls(left), &chunk.nulls(right), |a, b| a | b);
    let rows = zip(wanted, &unknown, |wanted, unknown| wanted & !unknown);
    let yes = match kind {
        ColumnsKind::Ints => rows_where(&rows, |row| relation.holds(Some(int_at(a, row).cmp(&int_at(b, row))))),
        ColumnsKind::Floats => rows_where(&rows, |row| relation.holds(float_at(a, row).partial_cmp(&float_at(b, row)))),
        ColumnsKind::Texts => match (a, b) {
            (ScalarSlice::Bytes(a), ScalarSlice::Bytes(b)) => {
                rows_where(&rows, |row| relation.holds(Some(a.get(row).cmp(b.get(row)))))
            }
            _ => return UNREADABLE,
        },
        ColumnsKind::Bools => match (a, b) {
            (ScalarSlice::Bool(a), ScalarSlice::Bool(b)) => {
                rows_where(&rows, |row| relation.holds(Some(a[row].cmp(&b[row]))))
            }
            _ => return UNREADABLE,
        },
    };
    Truth { yes, unknown }
}

#[inline]
fn int_at(values: ScalarSlice<'_>, row: usize) -> i64 {
    match values {
        ScalarSlice::Int32(v) => i64::from(v[row]),
        ScalarSlice::Int64(v) => v[row],
        _ => 0,
    }
}

#[inline]
fn float_at(values: ScalarSlice<'_>, row: usize) -> f64 {
    match values {
        ScalarSlice::Float(v) => f64::from(v[row]),
        ScalarSlice::Double(v) => v[row],
        other => int_at(other, row) as f64,
    }
}
