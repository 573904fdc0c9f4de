//! What each type of the family is made of: its parameters, with Milvus's ranges, defaults and error texts.

use serde::{Deserialize, Serialize};

use crate::IndexError;
use crate::params::Params;
use crate::quantize::{Form, Kind};
use crate::vector::Metric;

/// Bits of SCANN's symbols: a table of so many entries lies in a register.
const SCANN_BITS: u32 = 4;
/// Share of the length from which on a dot product counts for SCANN's loss (Guo et al. 2020, section 3.2).
const SCANN_THRESHOLD: f32 = 0.2;
/// Every list must be able to have so many training rows; otherwise there are fewer lists.
const ROWS_PER_LIST_MIN: usize = 39;

/// How an index of the family is made; a section of its file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub lists: usize,
    /// The lists' codes; without, a search compares the rows.
    pub codes: Option<Kind>,
    pub form: Form,
    /// Codes that candidates are compared with before the rows.
    pub refine: Option<Kind>,
}

/// The name under which an index of the family is built and opened.
pub(crate) fn type_of(name: &str) -> Option<&'static str> {
    ["IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN"].into_iter().find(|own| *own == name)
}

impl Recipe {
    /// Reads the parameters of an index type over `rows` vectors of `dim` dimensions.
    ///
    /// # Errors
    /// Milvus's text for a parameter of a wrong type, out of its range, missing, or not fitting the dimension.
    pub(crate) fn of(
        index_type: &str,
        params: &Params,
        metric: Metric,
        dim: usize,
        rows: usize,
    ) -> Result<Self, IndexError> {
        let lists = params.integer("nlist", 1, 65_536)?.unwrap_or(128);
        let codes = match index_type {
            "IVF_SQ8" => Kind::Scalar { bits: scalar_bits(params)? },
            "IVF_PQ" => {
                let splits = params.integer("m", 1, 65_536)?;
                let splits = splits.ok_or_else(|| IndexError::Parameter("param 'm' not exist in json".to_owned()))?;
                let bits = params.integer("nbits", 1, 24)?.unwrap_or(8);
                check_divides(dim, splits, "number of subquantizers (m)", "m")?;
                Kind::product(splits, 1, bits, rows)
            }
            "IVF_RABITQ" => Kind::RaBitQ { bits: params.integer("rbq_bits", 1, 9)?.unwrap_or(1) as u32 },
            "SCANN" => {
                let part = params.integer("sub_dim", 1, 65_536)?.unwrap_or(2);
                check_divides(dim, part, "sub_dim", "sub_dim")?;
                // Squared distances take account of the error along the vector with the code's bias.
                let parallel_weight = if metric == Metric::Ip { parallel_weight(dim) } else { 1.0 };
                Kind::Product { splits: dim / part, steps: 1, bits: SCANN_BITS, parallel_weight }
            }
            _ => Kind::Scalar { bits: 8 },
        };
        let form = Form::of(metric);
        let refined = !matches!(index_type, "IVF_FLAT" | "SCANN") && params.flag("refine")? == Some(true);
        let refine = if refined { refine_kind(params)? } else { None };
        let lists = lists.min((rows / ROWS_PER_LIST_MIN).max(1)).min(rows);
        Ok(Self { lists, codes: Some(codes), form, refine })
    }
}

fn scalar_bits(params: &Params) -> Result<u32, IndexError> {
    match params.text("sq_type").unwrap_or("sq8").to_ascii_lowercase().as_str() {
        "sq4" => Ok(4),
        "sq6" => Ok(6),
        "sq8" => Ok(8),
        _ => Err(IndexError::Parameter("invalid scalar quantizer type".to_owned())),
    }
}

fn check_divides(dim: usize, divisor: usize, what: &str, name: &str) -> Result<(), IndexError> {
    if dim.is_multiple_of(divisor) {
        return Ok(());
    }
    Err(IndexError::Parameter(format!(
        "The dimension of the vector (dim) should be a multiple of the {what}. Dimension: {dim}, {name}: {divisor}"
    )))
}

/// The weight η of the error along the vector (Guo et al. 2020, theorem 3.4).
fn parallel_weight(dim: usize) -> f32 {
    let square = SCANN_THRESHOLD * SCANN_THRESHOLD;
    ((dim as f32 - 1.0) * square / (1.0 - square)).max(1.0)
}

/// `None`: the rows themselves refine.
fn refine_kind(params: &Params) -> Result<Option<Kind>, IndexError> {
    let name = params.text("refine_type").unwrap_or("flat");
    match name.to_ascii_lowercase().as_str() {
        "sq6" => Ok(Some(Kind::Scalar { bits: 6 })),
        "sq8" => Ok(Some(Kind::Scalar { bits: 8 })),
        "fp16" => Ok(Some(Kind::Half { brain: false })),
        "bf16" => Ok(Some(Kind::Half { brain: true })),
        "fp32" | "flat" => Ok(None),
        _ => Err(IndexError::Parameter(format!(
            "invalid refine type : {name}, optional types are [sq6, sq8, fp16, bf16, fp32, flat]"
        ))),
    }
}
