//! The scalar INVERTED index: a sorted dictionary of values with the rows of each.

/// An opened, immutable index over one scalar field of one segment.
#[derive(Debug)]
pub struct ScalarIndex {
    row_count: usize,
}

impl ScalarIndex {
    /// Rows that the index covers, nulls included.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.row_count
    }
}
