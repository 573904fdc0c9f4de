//! Typed filter programs evaluated over columns with three-valued logic.
#![forbid(unsafe_code)]

pub mod program;
pub mod source;

pub use program::{KeyList, KeyRestriction, Program};
pub use source::{BytesSlice, ColumnSource, ColumnView, ScalarIndexes, ScalarSlice, ViewValues};
