//! Indexes over binary vectors: lists around majority centroids, and MinHash signatures by equal bands.

mod ivf;
mod majority;
mod minhash;

pub(crate) use ivf::BinaryIvf;
pub(crate) use minhash::MinHashLsh;
pub use minhash::MinHashParams;
pub(crate) use minhash::scan as scan_bands;

use crate::IndexError;
use crate::vector::VectorRows;

/// The rows that are not null.
fn present(rows: &dyn VectorRows) -> Vec<u32> {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    (0..count).filter(|&row| !rows.row(row).is_empty()).collect()
}

/// An index serves the rows that it was built for.
fn check_rows(rows: &dyn VectorRows, own_rows: usize, own_dim: usize) -> Result<(), IndexError> {
    if rows.len() != own_rows || rows.dim() != own_dim {
        let text = format!("index covers {own_rows} rows, the segment has {} or another shape", rows.len());
        return Err(IndexError::Corrupt(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
