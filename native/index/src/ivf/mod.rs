//! The inverted-file family: rows grouped by their nearest centroid; a search looks at the nearest groups.
//!
//! Jégou, Douze & Schmid, "Product quantization for nearest neighbor search" (TPAMI 2011). The types differ in the
//! codes of their lists: 8 bits a dimension for IVF_FLAT (whose answers are those of the rows all the same), some
//! bits for IVF_SQ8, codebooks for IVF_PQ, bits of a rotation for IVF_RABITQ, and for SCANN codebooks of 16 entries
//! assigned for dot products. The rows stay where they are.

mod build;
mod file;
mod recipe;
mod search;

pub(crate) use build::{build_file, coarse_blocks, coarse_quantizer};
pub(crate) use file::Ivf;
pub(crate) use recipe::type_of;
pub(crate) use search::{CODES_PER_ROW, RowScan, each_bit};

#[cfg(test)]
mod tests;
