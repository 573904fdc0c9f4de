//! DISKANN and AISAQ: a graph whose nodes stay in the mapped file, each with its neighbours and its exact vector in one
//! page, steered by codes (Subramanya et al., "DiskANN", NeurIPS 2019).
//!
//! Built like HNSW, with Vamana's rule for neighbours; `layout` says where nodes lie, `build` writes them, `file` opens
//! them, `search` walks. DISKANN holds the codes in memory; AISAQ leaves them in the file too (Tatsuno et al.,
//! "AiSAQ", 2024).

mod build;
mod file;
mod layout;
mod search;

pub(crate) use build::build_to;
pub(crate) use file::DiskGraph;

/// Names of the family.
pub(crate) const TYPES: [&str; 2] = ["DISKANN", "AISAQ"];

#[cfg(test)]
mod tests;
