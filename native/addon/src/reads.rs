//! Reads over segments, and index builds.

use std::sync::Arc;

use elanus_column::build::{self, BuildRequest};
use elanus_column::query::{self, CountRequest, QueryRequest};
use elanus_column::search::{self, SearchRequest};
use elanus_column::segment::Segment;
use elanus_index::progress::Progress;
use elanus_rows::error::NativeError;
use napi::Env;
use napi::bindgen_prelude::{BigInt, ClassInstance, FromNapiValue, Object, Uint8Array, ValidateNapiValue};
use napi_derive::napi;

use crate::failure::{Thrown, now, wrong_argument};
use crate::numbers;
use crate::pool::{Answer, Pool};
use crate::segment::{SegmentHandle, segments_of};

#[napi]
pub fn search<'env>(env: &'env Env, pool: &Pool, request: Object) -> Answer<'env, Uint8Array> {
    let request = now(|| {
        let fields = Fields(&request);
        Ok(SearchRequest {
            segments: fields.segments()?,
            field: fields.required("field")?,
            metric: fields.required("metric")?,
            placeholders: fields.required::<Uint8Array>("placeholders")?.to_vec(),
            top_k: fields.required::<u32>("topK")? as usize,
            snapshot: fields.snapshot()?,
            filter: fields.bytes("filter")?,
            params: fields.required("params")?,
            radius: fields.float("radius")?,
            range_filter: fields.float("rangeFilter")?,
            after_score: fields.float("afterScore")?,
        })
    })?;
    pool.run(env, move || Ok(search::search(&request)?.into()))
}

#[napi]
pub fn query<'env>(env: &'env Env, pool: &Pool, request: Object) -> Answer<'env, Uint8Array> {
    let request = now(|| {
        let fields = Fields(&request);
        let limit = fields.optional::<f64>("limit")?.map(|limit| numbers::count(limit, "limit")).transpose()?;
        Ok(QueryRequest {
            segments: fields.segments()?,
            snapshot: fields.snapshot()?,
            filter: fields.bytes("filter")?,
            limit,
            fields: fields.required("fields")?,
            bytes_max: numbers::count(fields.required("bytesMax")?, "bytesMax")?,
        })
    })?;
    pool.run(env, move || Ok(query::query(&request)?.into()))
}

#[napi]
pub fn count<'env>(env: &'env Env, pool: &Pool, request: Object) -> Answer<'env, u64> {
    let request = now(|| {
        let fields = Fields(&request);
        Ok(CountRequest {
            segments: fields.segments()?,
            snapshot: fields.snapshot()?,
            filter: fields.bytes("filter")?,
        })
    })?;
    pool.run(env, move || query::count(&request))
}

#[napi]
pub fn retrieve<'env>(
    env: &'env Env,
    pool: &Pool,
    segments: Vec<ClassInstance<SegmentHandle>>,
    hits: &[u8],
    fields: Vec<u32>,
) -> Answer<'env, Uint8Array> {
    let segments = now(|| segments_of(&segments))?;
    let hits = hits.to_vec();
    pool.run(env, move || Ok(query::retrieve(&segments, &hits, &fields)?.into()))
}

#[napi(object, js_name = "NativeBuild")]
pub struct BuildObject {
    pub field: u32,
    #[napi(js_name = "type")]
    pub index_type: String,
    pub metric: Option<String>,
    pub params: String,
    pub threads: u32,
}

#[napi(js_name = "Progress")]
pub struct ProgressHandle {
    progress: Arc<Progress>,
}

#[napi]
impl ProgressHandle {
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript constructs it")]
    pub fn new() -> Self {
        Self { progress: Arc::new(Progress::default()) }
    }

    #[napi(getter)]
    pub fn fraction(&self) -> f64 {
        f64::from(self.progress.fraction())
    }

    #[napi]
    pub fn cancel(&self) {
        self.progress.cancel();
    }
}

#[napi]
pub fn build_index<'env>(
    env: &'env Env,
    pool: &Pool,
    segment: &SegmentHandle,
    build: BuildObject,
    progress: &ProgressHandle,
) -> Answer<'env, Uint8Array> {
    let segment = now(|| segment.segment())?;
    let progress = Arc::clone(&progress.progress);
    let request = BuildRequest {
        field: build.field,
        index_type: build.index_type,
        metric: build.metric.unwrap_or_default(),
        params: build.params,
        threads: build.threads as usize,
    };
    pool.run(env, move || Ok(build::build_index(&segment, &request, &progress)?.into()))
}

/// Properties of a request object, which holds handles that a plain struct cannot carry.
struct Fields<'a, 'env>(&'a Object<'env>);

impl Fields<'_, '_> {
    fn optional<T: FromNapiValue + ValidateNapiValue>(&self, name: &str) -> Result<Option<T>, NativeError> {
        self.0.get::<T>(name).map_err(|cause| wrong_argument(&format!("{name}: {cause}")))
    }

    fn required<T: FromNapiValue + ValidateNapiValue>(&self, name: &str) -> Result<T, NativeError> {
        self.optional(name)?.ok_or_else(|| wrong_argument(&format!("{name} is missing")))
    }

    fn segments(&self) -> Result<Vec<Arc<Segment>>, NativeError> {
        segments_of(&self.required::<Vec<ClassInstance<SegmentHandle>>>("segments")?)
    }

    fn snapshot(&self) -> Result<u64, NativeError> {
        numbers::unsigned(&self.required::<BigInt>("snapshot")?, "snapshot")
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, NativeError> {
        Ok(self.optional::<Uint8Array>(name)?.map(|bytes| bytes.to_vec()))
    }

    fn float(&self, name: &str) -> Result<Option<f32>, NativeError> {
        Ok(self.optional::<f64>(name)?.map(|value| value as f32))
    }
}
