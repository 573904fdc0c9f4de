//! Sparse vectors: pairs of dimension and value, scored by inner product or, when the values count words, by BM25.
//! A row whose score is 0, above all one that shares no dimension with the query, never appears.

mod build;
mod encode;
mod exact;
mod file;
mod pairs;
mod params;
mod scoring;
mod search;
mod sweep;

pub(crate) use build::build_file;
pub use exact::search as exact;
pub(crate) use file::Inverted;
pub(crate) use pairs::Pairs;
pub use params::SparseParams;
pub use scoring::{Bm25, idf};

#[cfg(test)]
mod tests;
