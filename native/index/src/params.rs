//! Build and search parameters: Milvus's names, defaults, ranges and error texts. Unknown keys and parameters of
//! other index types are ignored; numbers may come as numeric text.

use serde_json::{Map, Value};

use crate::IndexError;
use crate::binary::MinHashParams;
use crate::sparse::SparseParams;

/// Checked search parameters; each index reads its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchParams {
    /// HNSW's `ef`, and `search_list` of the graphs on disk.
    pub ef: Option<usize>,
    /// Graphs on disk: reads under way at a time.
    pub beam_width: Option<usize>,
    pub nprobe: Option<usize>,
    pub sparse: SparseParams,
    pub min_hash: MinHashParams,
    /// Codes that refine others compare this many times k candidates.
    pub refine_k: Option<f32>,
    /// SCANN: candidates whose rows are compared.
    pub reorder_k: Option<usize>,
    /// IVF: go on beyond `nprobe` lists while fewer than k were found.
    pub ensure_topk_full: Option<bool>,
    /// IVF, range search: how many lists in a row without a hit end it.
    pub max_empty_result_buckets: Option<usize>,
    /// HNSW: return what the graph found even when that is fewer than k.
    pub disable_fallback_brute_force: bool,
}

impl SearchParams {
    /// Reads the parameters that an index of type `index_type` knows. `top_k` is what one search asks for.
    ///
    /// # Errors
    /// Milvus's text for a wrong type or a value out of range.
    pub fn from_json(index_type: &str, json: &str, top_k: usize) -> Result<Self, IndexError> {
        let params = Params::parse(json)?;
        let mut search = Self::default();
        match index_type {
            "HNSW" | "HNSW_SQ" | "HNSW_PQ" | "HNSW_PRQ" => {
                search.ef = params.integer("ef", 1, i32::MAX)?;
                if index_type != "HNSW" {
                    search.refine_k = params.number("refine_k", 1.0, f32::MAX)?;
                }
                search.disable_fallback_brute_force = params.flag("disable_fallback_brute_force")?.unwrap_or(false);
                if let Some(ef) = search.ef.filter(|&ef| ef < top_k) {
                    return Err(IndexError::Parameter(format!("ef({ef}) should be larger than k({top_k})")));
                }
            }
            "DISKANN" | "AISAQ" => {
                let list = |key| params.integer(key, 1, i32::MAX);
                search.ef = list("search_list")?.or(list("search_list_size")?);
                search.beam_width = params.integer("beamwidth", 1, if index_type == "AISAQ" { 16 } else { 128 })?;
                if let Some(list) = search.ef.filter(|&list| list < top_k) {
                    let text = format!("search_list_size({list}) should be larger than k({top_k})");
                    return Err(IndexError::Parameter(text));
                }
            }
            "IVF_FLAT" | "IVF_SQ8" | "IVF_PQ" | "IVF_RABITQ" | "SCANN" | "BIN_IVF_FLAT" => {
                search.nprobe = params.integer("nprobe", 1, 65_536)?;
                search.ensure_topk_full = params.flag("ensure_topk_full")?;
                search.max_empty_result_buckets = params.integer("max_empty_result_buckets", 0, 65_536)?;
                search.refine_k = params.number("refine_k", 1.0, f32::MAX)?;
                if index_type == "SCANN" {
                    search.reorder_k = params.integer("reorder_k", 1, i32::MAX)?;
                    if let Some(own) = search.reorder_k.filter(|&own| own < top_k) {
                        let text = format!("reorder_k({own}) should be larger than k({top_k})");
                        return Err(IndexError::Parameter(text));
                    }
                }
            }
            "SPARSE_INVERTED_INDEX" | "SPARSE_WAND" => {
                search.sparse = SparseParams::read(&params)?;
            }
            "BIN_FLAT" | "MINHASH_LSH" => search.min_hash = MinHashParams::read(&params)?,
            // Rows without an index, of whatever kind.
            "FLAT" => {
                search.sparse = SparseParams::read(&params)?;
                search.min_hash = MinHashParams::read(&params)?;
            }
            _ => {}
        }
        Ok(search)
    }
}

fn out_of_range(key: &str, value: &str, low: &str, high: &str) -> IndexError {
    let close = if high.ends_with(')') { "" } else { "]" };
    IndexError::Parameter(format!(
        "Out of range in json: param '{key}' ({value}) should be in range [{low}, {high}{close}"
    ))
}

fn conflict(key: &str, value: &Value, wanted: &str) -> IndexError {
    IndexError::Parameter(format!("Type conflict in json: param '{key}' ({value}) should be {wanted}"))
}

/// A flat JSON object of parameters.
pub(crate) struct Params {
    values: Map<String, Value>,
}

impl Params {
    pub(crate) fn parse(json: &str) -> Result<Self, IndexError> {
        if json.trim().is_empty() {
            return Ok(Self { values: Map::new() });
        }
        match serde_json::from_str(json) {
            Ok(Value::Object(values)) => Ok(Self { values }),
            Ok(Value::Null) => Ok(Self { values: Map::new() }),
            _ => Err(IndexError::Parameter("parameters are not a JSON object".to_owned())),
        }
    }

    pub(crate) fn integer(&self, key: &str, low: i32, high: i32) -> Result<Option<usize>, IndexError> {
        let value = match self.values.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => integer_of_text(key, text)?,
            Some(value @ Value::Number(number)) => match number.as_i64() {
                Some(value) => value,
                None if number.is_u64() => {
                    return Err(out_of_range(key, &value.to_string(), &low.to_string(), &high.to_string()));
                }
                None => return Err(conflict(key, value, "integer")),
            },
            Some(value) => return Err(conflict(key, value, "integer")),
        };
        if value < i64::from(low) || value > i64::from(high) {
            return Err(out_of_range(key, &value.to_string(), &low.to_string(), &high.to_string()));
        }
        usize::try_from(value).map(Some).map_err(|_| conflict(key, &value.into(), "integer"))
    }

    pub(crate) fn number(&self, key: &str, low: f32, high: f32) -> Result<Option<f32>, IndexError> {
        let value = match self.values.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => {
                text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
                    IndexError::Parameter(format!("invalid float value, key: '{key}', value: '{text}'"))
                })?
            }
            Some(value) => value.as_f64().ok_or_else(|| conflict(key, value, "a number"))?,
        };
        if value < f64::from(low) || value > f64::from(high) {
            return Err(out_of_range(key, &value.to_string(), &low.to_string(), &high.to_string()));
        }
        Ok(Some(value as f32))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(Value::as_str)
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, IndexError> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if ["true", "True", "TRUE"].contains(&text.as_str()) => Ok(Some(true)),
            Some(Value::String(text)) if ["false", "False", "FALSE"].contains(&text.as_str()) => Ok(Some(false)),
            Some(value) => Err(conflict(key, value, "a boolean")),
        }
    }
}

fn integer_of_text(key: &str, text: &str) -> Result<i64, IndexError> {
    let digits = text.trim();
    digits.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let what = match error.kind() {
            PosOverflow | NegOverflow => "integer value out of range",
            _ => "invalid integer value",
        };
        IndexError::Parameter(format!("{what}, key: '{key}', value: '{text}'"))
    })
}

#[cfg(test)]
mod tests {
    use super::SearchParams;

    fn refusal(index_type: &str, json: &str, top_k: usize) -> String {
        SearchParams::from_json(index_type, json, top_k).expect_err("refused").to_string()
    }

    #[test]
    fn texts_are_those_of_milvus() {
        assert_eq!(refusal("HNSW", r#"{"ef": 5}"#, 10), "ef(5) should be larger than k(10)");
        assert_eq!(
            refusal("HNSW", r#"{"ef": 0}"#, 10),
            "Out of range in json: param 'ef' (0) should be in range [1, 2147483647]"
        );
        let short = "search_list_size(5) should be larger than k(10)";
        assert_eq!(refusal("DISKANN", r#"{"search_list": 5}"#, 10), short);
        assert_eq!(
            refusal("DISKANN", r#"{"beamwidth": 129}"#, 10),
            "Out of range in json: param 'beamwidth' (129) should be in range [1, 128]"
        );
        assert_eq!(
            refusal("IVF_FLAT", r#"{"nprobe": 4.0}"#, 10),
            "Type conflict in json: param 'nprobe' (4.0) should be integer"
        );
        assert_eq!(refusal("IVF_FLAT", r#"{"nprobe": "x"}"#, 10), "invalid integer value, key: 'nprobe', value: 'x'");
        assert!(refusal("IVF_FLAT", r#"{"nprobe": 65537}"#, 1).starts_with("Out of range in json: param 'nprobe'"));
        assert!(refusal("SPARSE_WAND", r#"{"drop_ratio_search": 1}"#, 1).starts_with("Out of range"));
    }

    #[test]
    fn numeric_text_unknown_keys_and_other_types_pass() {
        let params = SearchParams::from_json("HNSW", r#"{"ef": "64", "nprobe": "x", "bogus": []}"#, 10).expect("fine");
        assert_eq!(params, SearchParams { ef: Some(64), ..SearchParams::default() });
        assert_eq!(SearchParams::from_json("HNSW", r#"{"ef": 10}"#, 10).expect("equal is allowed").ef, Some(10));
        assert_eq!(SearchParams::from_json("FLAT", "", 10).expect("empty"), SearchParams::default());
    }
}
