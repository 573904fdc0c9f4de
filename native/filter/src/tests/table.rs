//! Rows as columns, in runs, and the scalar indexes over them.

use super::meaning::{DOCUMENT, DOUBLE, DYNAMIC, FIELDS, FLAG, FLOAT, ID, INTS, Row, SMALL, TEXT, TEXTS, position};
use crate::json_keys::{Cast, JsonKeys, JsonPath};
use crate::{BytesSlice, ColumnSource, RunColumn, ScalarIndexes, ScalarSlice, ViewValues};
use elanus_index::progress::Progress;
use elanus_index::scalar::{JsonSource, ScalarIndex, ScalarRows, ScalarType, Scalars, build};
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

    fn column(&self, run: usize, field: u32) -> Result<Option<RunColumn<'_>>, NativeError> {
        Ok(Some(RunColumn::Kept((&self.runs[run][position(field)]).into())))
    }
}

/// By field.
pub(super) struct Indexes(Vec<Vec<ScalarIndex>>);

/// What the JSON fields are indexed by; NGRAM keeps the texts at its path.
#[derive(Clone, Debug)]
pub(super) struct JsonDefinition {
    pub of: ScalarType,
    pub path: Vec<Value>,
    pub cast: &'static str,
}

impl Indexes {
    /// Over all fields of one run of rows. `of` must take texts.
    pub(super) fn new(source: &Runs, of: ScalarType, json: &[JsonDefinition]) -> Self {
        let all = FIELDS.map(|field| match (field, of) {
            (DOCUMENT | DYNAMIC, _) => json.iter().map(|definition| json_index(source, field, definition)).collect(),
            (TEXT, _) | (_, ScalarType::Inverted | ScalarType::Bitmap | ScalarType::StlSort) => {
                vec![index(source, field, of)]
            }
            _ => Vec::new(),
        });
        Self(all.into())
    }
}

impl ScalarIndexes for Indexes {
    fn of(&self, field: u32) -> Vec<&ScalarIndex> {
        self.0[position(field)].iter().collect()
    }
}

fn open(rows: &ScalarRows<'_>, of: ScalarType, json: Option<JsonSource>) -> ScalarIndex {
    ScalarIndex::open(Storage::copy_of(&build(rows, of, json, &Progress::default()).unwrap())).unwrap()
}

fn json_index(source: &Runs, field: u32, definition: &JsonDefinition) -> ScalarIndex {
    let RunColumn::Kept(view) = source.column(0, field).unwrap().unwrap() else { panic!("kept") };
    let ViewValues::Scalar(ScalarSlice::Bytes(documents)) = view.values else { panic!("documents") };
    let path = Value::from(definition.path.clone()).to_string();
    let parsed = JsonPath::parse(&path).unwrap();
    let is_valid = |row: usize| view.validity.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1);
    let keys = match definition.of {
        ScalarType::Ngram { .. } => JsonKeys::texts(documents, is_valid, &parsed),
        _ => JsonKeys::of(documents, is_valid, &parsed, Cast::from_name(definition.cast).unwrap()),
    };
    let rows = ScalarRows {
        row_count: source.row_count(),
        values: Scalars::Bytes { offsets: &keys.offsets, data: &keys.data },
        offsets: Some(&keys.rows),
        validity: view.validity,
    };
    open(&rows, definition.of, Some(JsonSource { path, cast: definition.cast.to_owned(), exact: keys.exact }))
}

fn index(source: &Runs, field: u32, of: ScalarType) -> ScalarIndex {
    let RunColumn::Kept(view) = source.column(0, field).unwrap().unwrap() else { panic!("kept") };
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
        ScalarSlice::Bytes(BytesSlice { offsets, data }) => Scalars::Bytes { offsets, data },
    };
    open(&ScalarRows { row_count: source.row_count(), values, offsets, validity: view.validity }, of, None)
}
