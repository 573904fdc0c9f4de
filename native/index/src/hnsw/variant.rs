//! The types of the HNSW family: which codes each asks for (contract/indexes.md 9).

use super::codes::Width;
use crate::IndexError;
use crate::params::Params;
use crate::quantize::Kind;
use crate::vector::VectorRows;

/// Codes that an index was asked to have.
pub(crate) struct Wish {
    /// Fewest bits of the codes that the graph is built over.
    pub narrowest: Width,
    /// A quantiser whose records searches see instead of those codes.
    pub records: Option<Kind>,
}

/// Names of the family.
pub(crate) const TYPES: [&str; 4] = ["HNSW", "HNSW_SQ", "HNSW_PQ", "HNSW_PRQ"];

impl Wish {
    /// Reads the parameters of `index_type`. What refines is always the rows, which lie in the segment's files at full
    /// precision, so `refine` and `refine_type` of the variants are checked where the index is defined and change
    /// nothing here.
    pub(crate) fn read(index_type: &str, params: &Params, rows: &dyn VectorRows) -> Result<Self, IndexError> {
        let mut wish = Self { narrowest: Width::Four, records: None };
        match index_type {
            "HNSW_SQ" => {
                let name = params.text("sq_type").unwrap_or("SQ8").to_ascii_uppercase();
                match name.as_str() {
                    "SQ4U" => {}
                    "SQ6" | "SQ8" => wish.narrowest = Width::Eight,
                    "FP16" | "BF16" => wish.records = Some(Kind::Half { brain: name == "BF16" }),
                    _ => return Err(IndexError::Parameter("invalid scalar quantizer type".to_owned())),
                }
            }
            "HNSW_PQ" | "HNSW_PRQ" => {
                let residual = index_type == "HNSW_PRQ";
                let splits = params.integer("m", 1, 65_536)?.unwrap_or(if residual { 2 } else { 32 });
                let steps = if residual { params.integer("nrq", 1, 16)?.unwrap_or(2) } else { 1 };
                let bits = params.integer("nbits", 1, 24)?.unwrap_or(8);
                let dim = rows.dim();
                if !dim.is_multiple_of(splits) {
                    return Err(IndexError::Parameter(format!(
                        "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). \
                         Dimension: {dim}, m: {splits}"
                    )));
                }
                wish.records = Some(Kind::product(splits, steps, bits, rows.len()));
            }
            _ if params.flag("refine")? == Some(true) => {
                return Err(IndexError::Parameter("refine is not supported for this index".to_owned()));
            }
            _ => {}
        }
        Ok(wish)
    }
}
