//! IVF_FLAT: rows grouped by their nearest centroid; a search compares the rows of the nearest groups.
//!
//! Jégou, Douze & Schmid, "Product quantization for nearest neighbor search" (TPAMI 2011), without the quantisation.
//! The lists name rows; the vectors stay where they are.

mod centroids;
mod file;
mod search;

pub(crate) use file::{Ivf, build_file};

#[cfg(test)]
mod tests;
