//! Parameters of sparse indexes: Milvus's names, defaults, ranges and error texts (contract/indexes.md 14).

use crate::IndexError;
use crate::params::Params;
use crate::vector::Metric;

use super::scoring::{Bm25, Scoring};

const ALGORITHMS: [&str; 6] =
    ["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"];
const CODECS: [&str; 3] = ["block_streamvbyte", "block_maskedvbyte", "block_adaptive"];

/// Checked search parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseParams {
    /// Share of the query's smallest weights that is left out; 0..1.
    pub drop_ratio: f32,
    /// With a drop ratio: so many times k candidates are scored again with the whole query.
    pub refine_factor: Option<usize>,
    /// The most that a list can add is multiplied by this; below 1 hits may be missed.
    pub bound_ratio: Option<f32>,
    /// Read every posting: no pruning.
    pub exhaustive: bool,
    pub k1: Option<f32>,
    pub b: Option<f32>,
    pub average_length: Option<f32>,
}

impl SparseParams {
    pub(crate) fn read(params: &Params) -> Result<Self, IndexError> {
        let drop_ratio = params.number("drop_ratio_search", 0.0, 1.0)?.unwrap_or(0.0);
        if drop_ratio >= 1.0 {
            let text = "Out of range in json: param 'drop_ratio_search' (1) should be in range [0, 1)";
            return Err(IndexError::Parameter(text.to_owned()));
        }
        let algorithm = params.text("search_algo").filter(|name| !name.eq_ignore_ascii_case("INHERIT"));
        let algorithm = algorithm.map(|name| known_algorithm("search_algo", name)).transpose()?;
        let ratio = params.number("dim_max_score_ratio", 0.5, 1.3)?;
        Ok(Self {
            drop_ratio,
            refine_factor: params.integer("refine_factor", 1, i32::MAX)?,
            // Bounds here are safe for every average length, so only a wish for fewer candidates changes them.
            bound_ratio: ratio.filter(|&ratio| ratio < 1.0),
            exhaustive: algorithm == Some("TAAT_NAIVE"),
            k1: params.number("bm25_k1", 0.0, 3.0)?,
            b: params.number("bm25_b", 0.0, 1.0)?,
            average_length: params.number("bm25_avgdl", 0.0, f32::MAX)?,
        })
    }

    /// Scoring without an index, where nothing but the request tells the parameters of BM25.
    pub(crate) fn scoring(&self, metric: Metric) -> Result<Scoring, IndexError> {
        if metric != Metric::Bm25 {
            return Ok(Scoring::InnerProduct);
        }
        let average_length = self.average_length.ok_or_else(no_average_length)?;
        let (k1, b) = (self.k1.unwrap_or(Bm25::K1), self.b.unwrap_or(Bm25::B));
        Ok(Scoring::Bm25(Bm25 { k1, b, average_length }))
    }
}

pub(crate) fn no_average_length() -> IndexError {
    IndexError::Parameter("avgdl must be supplied during searching".to_owned())
}

/// Checked build parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildParams {
    pub k1: f32,
    pub b: f32,
    /// Every search reads every posting.
    pub exhaustive: bool,
}

impl BuildParams {
    /// Names and ranges of codecs, blocks and windows are checked and then mean nothing: the file has one layout.
    pub(crate) fn read(index_type: &str, metric: Metric, params: &Params) -> Result<Self, IndexError> {
        if params.number("drop_ratio_build", 0.0, 1.0)? == Some(1.0) {
            let text = "Out of range in json: param 'drop_ratio_build' (1) should be in range [0, 1)";
            return Err(IndexError::Parameter(text.to_owned()));
        }
        let preset = if index_type == "SPARSE_WAND" { "DAAT_WAND" } else { "DAAT_MAXSCORE" };
        let name = params.text("inverted_index_algo").unwrap_or(preset);
        let algorithm = known_algorithm("inverted_index_algo", name)?;
        if let Some(codec) = params.text("inverted_index_codec").filter(|name| !CODECS.contains(name)) {
            let known = CODECS.join(" ");
            let text = format!("inverted_index_codec {codec} not found or not supported, supported: [{known}]");
            return Err(IndexError::Parameter(text));
        }
        params.integer("block_max_block_size", 1, i32::MAX)?;
        params.integer("sindi_window_size", 1024, 65_535)?;
        let (metric_name, widths) =
            if metric == Metric::Bm25 { ("BM25", ["u16", "u32"]) } else { ("IP", ["fp16", "fp32"]) };
        if let Some(other) = params.text("quant_type").filter(|name| !widths.contains(name)) {
            let [narrow, wide] = widths;
            let text = format!("quant_type for {metric_name} metric must be '{narrow}' or '{wide}', got '{other}'");
            return Err(IndexError::Parameter(text));
        }
        Ok(Self {
            k1: params.number("bm25_k1", 0.0, 3.0)?.unwrap_or(Bm25::K1),
            b: params.number("bm25_b", 0.0, 1.0)?.unwrap_or(Bm25::B),
            exhaustive: algorithm == "TAAT_NAIVE",
        })
    }
}

/// The algorithm of a name in any case.
fn known_algorithm(key: &str, name: &str) -> Result<&'static str, IndexError> {
    let found = ALGORITHMS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let known = ALGORITHMS.join(" ");
        IndexError::Parameter(format!("{key} {name} not found or not supported, supported: [{known}]"))
    })
}
