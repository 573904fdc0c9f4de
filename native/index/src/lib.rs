//! Vector, sparse and scalar indexes; safe Rust.
#![forbid(unsafe_code)]

mod binary;
pub mod catalog;
mod disk;
pub mod flat;
mod format;
pub mod growing;
mod hnsw;
mod ivf;
mod parallel;
pub mod params;
pub mod progress;
mod quantize;
pub mod rtree;
pub mod scalar;
pub mod sparse;
pub mod storage;
#[cfg(test)]
mod testing;
mod top_k;
pub mod trace;
pub mod vector;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum IndexError {
    /// The caller's parameter is wrong; the text is Milvus's.
    #[error("{0}")]
    Parameter(String),
    /// A stored index is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// The storage refuses what is written.
    #[error("{0}")]
    Unwritten(String),
    #[error("index build was cancelled")]
    Cancelled,
}
