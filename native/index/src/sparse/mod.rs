//! Sparse vectors: pairs of dimension and value, scored by inner product. A row whose score is 0, above all one that
//! shares no dimension with the query, never appears.

mod exact;
mod inverted;
mod pairs;
mod search;

pub use exact::search as exact;
pub(crate) use inverted::{Inverted, build_file};
pub(crate) use pairs::Pairs;

#[cfg(test)]
mod tests;
