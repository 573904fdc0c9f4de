//! Where a filter finds its columns. Rows lie in runs (the chunks of a growing segment, one run when sealed); all
//! fields have the same runs. Views borrow, so that mapped pages and memory columns look alike.

use elanus_index::rtree::RTree;
use elanus_index::scalar::ScalarIndex;
use elanus_rows::column::{Bits, Column, Values, VarBytes};
use elanus_rows::error::NativeError;
use std::sync::Arc;

/// The rows of one segment.
pub trait ColumnSource {
    fn row_count(&self) -> usize;

    fn run_count(&self) -> usize {
        1
    }

    /// Rows of one run; the sum over all runs is `row_count`.
    fn run_rows(&self, _run: usize) -> usize {
        self.row_count()
    }

    /// The values of `field` in one run; `None` when the segment has no such column, which reads as all null. Asked for
    /// only when a row of the run still depends on it.
    ///
    /// # Errors
    /// The column cannot be read.
    fn column(&self, run: usize, field: u32) -> Result<Option<RunColumn<'_>>, NativeError>;
}

/// The scalar indexes of one segment. An index covers every row of the segment.
pub trait ScalarIndexes {
    /// All indexes of a field: a JSON field may have one for each path.
    fn of(&self, field: u32) -> Vec<&ScalarIndex>;

    /// The index of a geometry field.
    fn tree(&self, _field: u32) -> Option<&RTree> {
        None
    }
}

/// A column of one run: kept by the source, or decoded for this reader.
#[derive(Clone, Debug)]
pub enum RunColumn<'a> {
    Kept(ColumnView<'a>),
    Decoded(Arc<Column>),
}

impl RunColumn<'_> {
    pub(crate) fn view(&self) -> ColumnView<'_> {
        match self {
            Self::Kept(view) => *view,
            Self::Decoded(column) => (&**column).into(),
        }
    }
}

/// Values of one field in one run.
#[derive(Clone, Copy, Debug)]
pub struct ColumnView<'a> {
    pub values: ViewValues<'a>,
    /// One bit a row, set where it is not null. `None`: no row is null.
    pub validity: Option<&'a [u64]>,
}

impl<'a> ColumnView<'a> {
    /// Rows `start..start + rows`; `start` is a multiple of 64.
    #[must_use]
    pub fn slice(self, start: usize, rows: usize) -> Self {
        let values = match self.values {
            ViewValues::Scalar(values) => ViewValues::Scalar(values.slice(start, rows)),
            ViewValues::Array { offsets, elements } => {
                ViewValues::Array { offsets: &offsets[start..=start + rows], elements }
            }
            ViewValues::Opaque => ViewValues::Opaque,
        };
        Self { values, validity: self.validity.map(|words| &words[start / 64..]) }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum ViewValues<'a> {
    Scalar(ScalarSlice<'a>),
    /// Row i is `elements[offsets[i]..offsets[i + 1]]`.
    Array {
        offsets: &'a [u64],
        elements: ScalarSlice<'a>,
    },
    /// Vectors: only null checks read them.
    Opaque,
}

#[derive(Clone, Copy, Debug)]
pub enum ScalarSlice<'a> {
    Bool(&'a [bool]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Bytes(BytesSlice<'a>),
}

/// Byte strings back to back, as in `VarBytes`.
#[derive(Clone, Copy, Debug)]
pub struct BytesSlice<'a> {
    pub offsets: &'a [u64],
    pub data: &'a [u8],
}

impl<'a> BytesSlice<'a> {
    #[must_use]
    pub fn get(self, i: usize) -> &'a [u8] {
        &self.data[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
}

impl<'a> From<&'a VarBytes> for BytesSlice<'a> {
    fn from(bytes: &'a VarBytes) -> Self {
        Self { offsets: &bytes.offsets, data: &bytes.data }
    }
}

impl<'a> ScalarSlice<'a> {
    #[must_use]
    pub(crate) fn slice(self, start: usize, rows: usize) -> Self {
        let range = start..start + rows;
        match self {
            Self::Bool(v) => Self::Bool(&v[range]),
            Self::Int32(v) => Self::Int32(&v[range]),
            Self::Int64(v) => Self::Int64(&v[range]),
            Self::Float(v) => Self::Float(&v[range]),
            Self::Double(v) => Self::Double(&v[range]),
            Self::Bytes(v) => Self::Bytes(BytesSlice { offsets: &v.offsets[start..=start + rows], data: v.data }),
        }
    }

    /// `None` for arrays and vectors.
    #[must_use]
    pub fn of(values: &'a Values) -> Option<Self> {
        Some(match values {
            Values::Bool(v) => Self::Bool(v),
            Values::Int32(v) => Self::Int32(v),
            Values::Int64(v) => Self::Int64(v),
            Values::Float(v) => Self::Float(v),
            Values::Double(v) => Self::Double(v),
            Values::Bytes(v) => Self::Bytes(v.into()),
            Values::Array { .. } | Values::Fixed { .. } => return None,
        })
    }
}

impl<'a> From<&'a Column> for ColumnView<'a> {
    fn from(column: &'a Column) -> Self {
        let values = match &column.values {
            Values::Array { offsets, elements } => {
                ScalarSlice::of(elements).map_or(ViewValues::Opaque, |elements| ViewValues::Array { offsets, elements })
            }
            other => ScalarSlice::of(other).map_or(ViewValues::Opaque, ViewValues::Scalar),
        };
        Self { values, validity: column.validity.as_ref().map(Bits::words) }
    }
}
