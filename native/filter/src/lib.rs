//! Typed filter programs evaluated over columns with three-valued logic.
#![forbid(unsafe_code)]

mod bounds;
mod cost;
mod decode;
mod estimate;
mod evaluate;
mod index_answers;
mod json;
mod json_answers;
pub mod json_keys;
mod json_test;
mod leaf;
mod like;
mod node;
mod numbers;
mod program;
mod reader;
pub mod source;
mod spatial;
mod text;

#[cfg(test)]
mod tests;

pub use bounds::{ColumnBounds, ValueRange};
pub use estimate::Estimate;
pub use program::{KeyList, KeyRestriction, Program};
pub use source::{BytesSlice, ColumnSource, ColumnView, RunColumn, ScalarIndexes, ScalarSlice, ViewValues};
