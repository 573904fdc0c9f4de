//! Sparse vectors: pairs of dimension and value, scored by inner product.

mod exact;
mod pairs;

pub use exact::search as exact;
pub(crate) use pairs::Pairs;
