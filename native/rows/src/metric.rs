//! The direction of metrics; their arithmetic is `kernels`.

use crate::error::{NativeError, Result};

/// How a metric's scores are turned into 0..1 when searches of several metrics are fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Cosine,
    Similarity,
    Relevance,
    Distance,
}

/// The scale of a metric by its Milvus name, in any case.
///
/// # Errors
/// `InvalidParameter` for an unknown name.
pub fn scale(metric: &str) -> Result<Scale> {
    Ok(match metric.to_ascii_uppercase().as_str() {
        "COSINE" => Scale::Cosine,
        "IP" | "MHJACCARD" => Scale::Similarity,
        "BM25" => Scale::Relevance,
        "L2" | "HAMMING" | "JACCARD" | "SUBSTRUCTURE" | "SUPERSTRUCTURE" => Scale::Distance,
        _ => return Err(NativeError::InvalidParameter(format!("metric type {metric} is unknown"))),
    })
}

/// Whether a larger score is a better hit.
///
/// # Errors
/// `InvalidParameter` for an unknown name.
pub fn larger_is_better(metric: &str) -> Result<bool> {
    Ok(scale(metric)? != Scale::Distance)
}
