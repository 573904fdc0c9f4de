//! A filter, decoded and checked against the schema.

use crate::source::{ColumnSource, ScalarIndexes};
use elanus_rows::column::Bits;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::Schema;

/// Primary keys that a filter names; sorted and distinct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyList {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

/// What a filter says about the primary key: no row with another key can be TRUE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRestriction {
    pub keys: KeyList,
    /// The filter is nothing but this list.
    pub exact: bool,
}

/// A filter, ready to run.
#[derive(Debug)]
pub struct Program {
    fields: Vec<u32>,
}

impl Program {
    /// Reads the encoding of docs/formats/filter-program.md; everything in it is checked.
    ///
    /// # Errors
    /// `SchemaMismatch` when a field is gone or has another type; `Internal` for a malformed program.
    pub fn decode(_schema: &Schema, _bytes: &[u8]) -> Result<Self> {
        Err(NativeError::Internal("filter program: not built yet".into()))
    }

    /// Fields that the program reads.
    #[must_use]
    pub fn fields(&self) -> &[u32] {
        &self.fields
    }

    #[must_use]
    pub fn primary_keys(&self) -> Option<KeyRestriction> {
        None
    }

    /// The rows for which the filter is TRUE; of `candidates` only, when given.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn evaluate(
        &self,
        source: &dyn ColumnSource,
        _indexes: Option<&dyn ScalarIndexes>,
        candidates: Option<&Bits>,
    ) -> Result<Bits> {
        Ok(candidates.cloned().unwrap_or_else(|| Bits::with_value(source.row_count(), true)))
    }
}
