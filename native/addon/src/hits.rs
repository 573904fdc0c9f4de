//! Hits of searches: reduce, fuse, cut, and write as answers.

use elanus_rows::batch_codec::FieldRows;
use elanus_rows::error::NativeError;
use elanus_rows::groups::{GroupScorer, Grouping};
use elanus_rows::hits::{self, Hits};
use elanus_rows::query_answer::{self, QueryEncoding};
use elanus_rows::rank::{self, Fusion};
use elanus_rows::search_answer::{self, SearchEncoding};
use elanus_rows::{answer, metric, schema::Schema};
use napi::bindgen_prelude::{BigInt, Either, Uint8Array};
use napi_derive::napi;

use crate::bytes::Bytes;
use crate::failure::{Thrown, now, wrong_argument};
use crate::numbers::{self, or_undefined};
use crate::schema::SchemaHandle;

#[napi(object, js_name = "NativeRank")]
pub struct RankObject {
    pub kind: String,
    pub k: Option<f64>,
    pub weights: Option<Vec<f64>>,
    pub normalise: Option<bool>,
    pub metrics: Vec<String>,
    pub top_k: u32,
    /// Groups the fused hits; `top_k` does not apply then.
    pub grouping: Option<GroupingObject>,
}

#[napi(object, js_name = "NativeGrouping")]
pub struct GroupingObject {
    pub offset: u32,
    pub limit: u32,
    pub size: u32,
    /// `max`, `sum` or `avg`.
    pub scorer: String,
}

#[napi(object)]
pub struct IteratorPage {
    pub token: String,
    pub last_bound: f64,
}

#[napi(object)]
pub struct EncodeOptions {
    pub fields: Vec<u32>,
    pub output_fields: Vec<String>,
    pub dynamic_keys: Vec<String>,
    pub metric: String,
    pub round_decimal: i32,
    pub top_k: f64,
    pub int64_as_text: bool,
    pub iterator: Option<IteratorPage>,
    pub group_field: Option<u32>,
}

#[napi(object)]
pub struct QueryEncodeOptions {
    pub fields: Vec<u32>,
    pub dynamic_keys: Vec<String>,
    pub offset: f64,
    pub limit: Option<f64>,
    pub int64_as_text: bool,
}

#[napi(object)]
pub struct KeysOfRows {
    pub keys: Uint8Array,
    pub count: u32,
}

#[napi]
pub fn reduce_hits(parts: Vec<Uint8Array>, top_k: u32, metric: String) -> Result<Bytes, Thrown> {
    now(|| Ok(hits::reduce(&decode_all(&parts)?, top_k as usize, &metric)?.encode().into()))
}

#[napi]
pub fn rank_hits(parts: Vec<Uint8Array>, rank: RankObject) -> Result<Bytes, Thrown> {
    now(|| {
        let fusion = match rank.kind.as_str() {
            "rrf" => Fusion::Rrf { k: rank.k.unwrap_or(60.0) as f32 },
            "weighted" => Fusion::Weighted {
                weights: rank.weights.unwrap_or_default().iter().map(|&weight| weight as f32).collect(),
                normalise: rank.normalise.unwrap_or(false),
            },
            other => return Err(wrong_argument(&format!("rank kind {other}"))),
        };
        let parts = decode_all(&parts)?;
        let Some(grouping) = rank.grouping else {
            return Ok(rank::fuse(&parts, &fusion, &rank.metrics, rank.top_k as usize)?.encode().into());
        };
        let larger = rank::larger_is_better(&fusion, &rank.metrics)?;
        let fused = rank::fuse(&parts, &fusion, &rank.metrics, usize::MAX)?;
        Ok(fused.grouped(&grouping.read(larger)?).encode().into())
    })
}

#[napi]
pub fn slice_hits(hits: &[u8], offset: u32, limit: u32) -> Result<Bytes, Thrown> {
    now(|| Ok(Hits::decode(hits)?.slice(offset as usize, limit as usize).encode().into()))
}

/// Of each query the groups that `grouping` names, the members of a group side by side.
#[napi]
pub fn group_hits(hits: &[u8], grouping: GroupingObject, metric: String) -> Result<Bytes, Thrown> {
    now(|| {
        let grouping = grouping.read(metric::larger_is_better(&metric)?)?;
        Ok(Hits::decode(hits)?.grouped(&grouping).encode().into())
    })
}

#[napi]
pub fn hit_count(hits: &[u8]) -> Result<u32, Thrown> {
    now(|| Ok(Hits::decode(hits)?.len() as u32))
}

#[napi]
pub fn last_score(hits: &[u8]) -> Result<Either<f64, ()>, Thrown> {
    now(|| Ok(or_undefined(Hits::decode(hits)?.last_score().map(f64::from))))
}

#[napi]
pub fn encode_search_result(
    schema: &SchemaHandle,
    hits: &[u8],
    rows: Vec<Uint8Array>,
    options: EncodeOptions,
) -> Result<Bytes, Thrown> {
    now(|| {
        let parts = decode_rows(&schema.schema, &rows)?;
        let message = search_answer::encode_message(&schema.schema, &Hits::decode(hits)?, &parts, &options.read()?)?;
        Ok(message.into())
    })
}

#[napi]
pub fn encode_search_json(
    schema: &SchemaHandle,
    hits: &[u8],
    rows: Vec<Uint8Array>,
    options: EncodeOptions,
) -> Result<Bytes, Thrown> {
    now(|| {
        let parts = decode_rows(&schema.schema, &rows)?;
        let text = search_answer::encode_json(&schema.schema, &Hits::decode(hits)?, &parts, &options.read()?)?;
        Ok(text.into())
    })
}

#[napi]
pub fn encode_query_result(
    schema: &SchemaHandle,
    rows: Vec<Uint8Array>,
    options: QueryEncodeOptions,
) -> Result<Vec<Bytes>, Thrown> {
    now(|| {
        let parts = decode_rows(&schema.schema, &rows)?;
        let messages = query_answer::encode_messages(&schema.schema, &parts, &options.read()?)?;
        Ok(messages.into_iter().map(Into::into).collect())
    })
}

#[napi]
pub fn encode_query_json(
    schema: &SchemaHandle,
    rows: Vec<Uint8Array>,
    options: QueryEncodeOptions,
) -> Result<Bytes, Thrown> {
    now(|| {
        let parts = decode_rows(&schema.schema, &rows)?;
        Ok(query_answer::encode_json(&schema.schema, &parts, &options.read()?)?.into())
    })
}

#[napi]
pub fn encode_count(name: String, count: BigInt) -> Result<Bytes, Thrown> {
    now(|| Ok(query_answer::encode_count(&name, numbers::signed(&count, "count")?).into()))
}

#[napi]
pub fn keys_of_rows(schema: &SchemaHandle, rows: Vec<Uint8Array>) -> Result<KeysOfRows, Thrown> {
    now(|| {
        let keys = answer::keys_of(&schema.schema, &decode_rows(&schema.schema, &rows)?)?;
        Ok(KeysOfRows { count: keys.len() as u32, keys: keys.encode().into() })
    })
}

impl GroupingObject {
    fn read(&self, larger_is_better: bool) -> Result<Grouping, NativeError> {
        let scorer = match self.scorer.as_str() {
            "max" => GroupScorer::Max,
            "sum" => GroupScorer::Sum,
            "avg" => GroupScorer::Average,
            other => return Err(wrong_argument(&format!("group scorer {other}"))),
        };
        let [offset, limit, size] = [self.offset, self.limit, self.size].map(|count| count as usize);
        Ok(Grouping { offset, limit, size, scorer, larger_is_better })
    }
}

impl EncodeOptions {
    pub(crate) fn read(self) -> Result<SearchEncoding, NativeError> {
        Ok(SearchEncoding {
            fields: self.fields,
            output_fields: self.output_fields,
            dynamic_keys: self.dynamic_keys,
            round_decimal: self.round_decimal,
            top_k: numbers::count(self.top_k, "topK")? as u64,
            int64_as_text: self.int64_as_text,
            group_field: self.group_field,
            iterator: self.iterator.map(|page| (page.token, page.last_bound as f32)),
        })
    }
}

impl QueryEncodeOptions {
    fn read(self) -> Result<QueryEncoding, NativeError> {
        Ok(QueryEncoding {
            fields: self.fields,
            dynamic_keys: self.dynamic_keys,
            offset: numbers::count(self.offset, "offset")?,
            limit: self.limit.map(|limit| numbers::count(limit, "limit")).transpose()?,
            int64_as_text: self.int64_as_text,
        })
    }
}

fn decode_all(parts: &[Uint8Array]) -> Result<Vec<Hits>, NativeError> {
    parts.iter().map(|part| Hits::decode(part)).collect()
}

fn decode_rows(schema: &Schema, parts: &[Uint8Array]) -> Result<Vec<FieldRows>, NativeError> {
    parts.iter().map(|part| FieldRows::decode(schema, part)).collect()
}
