//! What every vector index offers, and what it needs of the rows.

pub use elanus_kernels::{Element, Metric};

use crate::IndexError;
pub use crate::binary::MinHashParams;
pub use crate::params::SearchParams;
pub use crate::sparse::SparseParams;
use crate::trace::{SearchStats, Trace};

/// The rows of one vector field of one segment, by row number. Rows are little-endian bytes without alignment.
/// Null rows have no vector: `row` gives an empty slice and no search returns them.
pub trait VectorRows: Send + Sync {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn element(&self) -> Element;
    /// Dimensions (bits for binary).
    fn dim(&self) -> usize;
    fn row(&self, row: u32) -> &[u8];
    /// A stretch of rows that lie one after the other, starting at `row`: its bytes and how many rows (at least 1)
    /// it has. For a stretch of null rows the bytes are empty. Longer stretches make a scan faster.
    fn run(&self, row: u32) -> (&[u8], usize) {
        (self.row(row), 1)
    }
}

/// Rows of a sparse field: pairs (u32 index, f32 value), little-endian, ascending by index.
pub trait SparseRows: Send + Sync {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn row(&self, row: u32) -> &[u8];
}

/// One query against one segment.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub vector: &'a [u8],
    pub top_k: usize,
    /// Allowed rows, one bit a row, least significant first; `None`: all rows.
    pub allowed: Option<&'a [u64]>,
    /// How many bits of `allowed` are set.
    pub allowed_count: usize,
    /// Range search and iterator: a hit must be strictly better than `radius` …
    pub radius: Option<f32>,
    /// … and not better than `range_filter`.
    pub range_filter: Option<f32>,
    pub params: &'a SearchParams,
    /// Set when the search is to be explained.
    pub trace: Option<&'a Trace>,
}

impl Query<'_> {
    /// Notes work of this search, if anybody wants to know.
    #[inline]
    pub fn note(&self, write: impl FnOnce(&mut SearchStats)) {
        if let Some(trace) = self.trace {
            trace.note(write);
        }
    }
}

/// A hit: score in the metric's own direction and meaning (L2 is squared), row number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub score: f32,
    pub row: u32,
}

/// An opened, immutable index over the dense or binary rows of one field of one segment.
pub trait VectorIndex: Send + Sync {
    /// Appends at most `query.top_k` hits to `out`, best first; equal scores by ascending row.
    ///
    /// # Errors
    /// Parameters out of range, with Milvus's text (contract/indexes.md).
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError>;

    /// [`Self::search`] for several queries with the same allowed rows and parameters; `out` has a list for each.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn search_many(
        &self,
        rows: &dyn VectorRows,
        queries: &[Query<'_>],
        out: &mut [Vec<Hit>],
    ) -> Result<(), IndexError> {
        queries.iter().zip(out).try_for_each(|(query, out)| self.search(rows, query, out))
    }

    /// Milvus's name of the type, for [`SearchParams::from_json`].
    fn type_name(&self) -> &'static str;

    fn metric(&self) -> Metric;

    /// Rows of the segment it was built for, null ones among them.
    fn row_count(&self) -> usize;

    /// Bytes of heap memory, without mapped files.
    fn memory_bytes(&self) -> usize;
}

/// An opened, immutable index over the sparse rows of one field of one segment; keeps what it needs of the rows.
pub trait SparseIndex: Send + Sync {
    /// As [`VectorIndex::search`]. Rows that share no dimension with the query never appear.
    ///
    /// # Errors
    /// A malformed query vector; parameters of BM25 that are missing or not those of the build.
    fn search(&self, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError>;

    fn type_name(&self) -> &'static str;

    fn metric(&self) -> Metric;

    /// Rows of the segment it was built for, null ones among them.
    fn row_count(&self) -> usize;

    /// Bytes of heap memory, without mapped files.
    fn memory_bytes(&self) -> usize;
}

/// Whether an index over `covered` rows of this kind belongs to these rows.
pub(crate) fn check_fit(rows: &dyn VectorRows, covered: usize, element: Element, dim: usize) -> Result<(), IndexError> {
    if rows.len() == covered && rows.element() == element && rows.dim() == dim {
        return Ok(());
    }
    let (found, found_dim) = (rows.len(), rows.dim());
    Err(IndexError::Corrupt(format!(
        "index covers {covered} rows of {dim} dimensions, the segment has {found} of {found_dim}"
    )))
}
