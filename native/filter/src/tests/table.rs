//! Rows as columns, in runs, and the scalar indexes over them.

use super::meaning::{DOCUMENT, DOUBLE, DYNAMIC, FIELDS, FLAG, FLOAT, ID, INTS, Row, SMALL, TEXTS, position};
use crate::{ColumnSource, ColumnView, ScalarIndexes, ScalarSlice, ViewValues};
use elanus_index::progress::Progress;
use elanus_index::scalar::{ScalarIndex, ScalarRows, Scalars, build};
use elanus_index::storage::Storage;
use elanus_rows::column::{Bits, Column, Values, VarBytes};
use elanus_rows::error::NativeError;
use serde_json::Value;

fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> VarBytes {
    let mut bytes = VarBytes::default();
    values.for_each(|value| bytes.push(value.as_str().unwrap_or("").as_bytes()));
    bytes
}

fn scalars<'a>(field: u32, values: impl Iterator<Item = &'a Value>) -> Values {
    match field {
        ID | INTS => Values::Int64(values.map(|v| v.as_i64().unwrap_or(0)).collect()),
        SMALL => Values::Int32(values.map(|v| v.as_i64().unwrap_or(0) as i32).collect()),
        FLOAT => Values::Float(values.map(|v| v.as_f64().unwrap_or(0.0) as f32).collect()),
        DOUBLE => Values::Double(values.map(|v| v.as_f64().unwrap_or(0.0)).collect()),
        FLAG => Values::Bool(values.map(|v| v.as_bool().unwrap_or(false)).collect()),
        _ => Values::Bytes(texts(values)),
    }
}

fn column(field: u32, rows: &[Row]) -> Column {
    let cells = || rows.iter().map(|row| &row[position(field)]);
    let values = match field {
        INTS | TEXTS => {
            let empty = Vec::new();
            let arrays: Vec<&Vec<Value>> = cells().map(|v| v.as_array().unwrap_or(&empty)).collect();
            let mut offsets = vec![0u64];
            arrays.iter().for_each(|items| offsets.push(offsets[offsets.len() - 1] + items.len() as u64));
            Values::Array { offsets, elements: Box::new(scalars(field, arrays.into_iter().flatten())) }
        }
        DOCUMENT | DYNAMIC => {
            let mut bytes = VarBytes::default();
            cells().for_each(|v| bytes.push(if v.is_null() { String::new() } else { v.to_string() }.as_bytes()));
            Values::Bytes(bytes)
        }
        _ => scalars(field, cells()),
    };
    let mut validity = Bits::default();
    cells().for_each(|v| validity.push(!v.is_null()));
    Column { values, validity: Some(validity) }
}

pub(super) struct Runs {
    runs: Vec<Vec<Column>>,
    lengths: Vec<usize>,
}

impl Runs {
    pub(super) fn new(rows: &[Row], cuts: &[usize]) -> Self {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[Row]> = cuts.windows(2).map(|pair| &rows[pair[0]..pair[1]]).collect();
        Self {
            runs: parts.iter().map(|part| FIELDS.map(|field| column(field, part)).into()).collect(),
            lengths: parts.iter().map(|part| part.len()).collect(),
        }
    }
}

impl ColumnSource for Runs {
    fn row_count(&self) -> usize {
        self.lengths.iter().sum()
    }

    fn run_count(&self) -> usize {
        self.runs.len()
    }

    fn run_rows(&self, run: usize) -> usize {
        self.lengths[run]
    }

    fn column(&self, run: usize, field: u32) -> Result<Option<ColumnView<'_>>, NativeError> {
        Ok(Some((&self.runs[run][position(field)]).into()))
    }
}

pub(super) struct Indexes(Vec<Option<ScalarIndex>>);

impl Indexes {
    pub(super) fn new(source: &Runs) -> Self {
        Self(FIELDS.map(|field| (!matches!(field, DOCUMENT | DYNAMIC)).then(|| index(source, field))).into())
    }
}

impl ScalarIndexes for Indexes {
    fn of(&self, field: u32) -> Option<&ScalarIndex> {
        self.0[position(field)].as_ref()
    }
}

fn index(source: &Runs, field: u32) -> ScalarIndex {
    let view = source.column(0, field).unwrap().unwrap();
    let (slice, offsets) = match view.values {
        ViewValues::Scalar(slice) => (slice, None),
        ViewValues::Array { offsets, elements } => (elements, Some(offsets)),
        ViewValues::Opaque => panic!("no index on vectors"),
    };
    let values = match slice {
        ScalarSlice::Bool(v) => Scalars::Bool(v),
        ScalarSlice::Int32(v) => Scalars::Int32(v),
        ScalarSlice::Int64(v) => Scalars::Int64(v),
        ScalarSlice::Float(v) => Scalars::Float(v),
        ScalarSlice::Double(v) => Scalars::Double(v),
        ScalarSlice::Bytes(v) => Scalars::Bytes { offsets: v.offsets, data: v.data },
    };
    let validity = view.validity.map(Bits::words);
    let rows = ScalarRows { row_count: source.row_count(), values, offsets, validity };
    ScalarIndex::open(Storage::copy_of(&build(&rows, &Progress::default()).unwrap())).unwrap()
}
