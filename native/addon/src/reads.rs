//! Reads over segments, and index builds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use elanus_column::build::{self, BuildRequest};
use elanus_column::explain::SegmentReport;
use elanus_column::query::{self, QueryRequest};
use elanus_column::search::{self, SearchRequest};
use elanus_column::{GroupBy, Moment, Segment};
use elanus_index::progress::Progress;
use elanus_kernels::give_back_freed_memory;
use elanus_rows::error::NativeError;
use elanus_rows::hits::Hits;
use elanus_rows::schema::Schema;
use elanus_rows::search_answer::{self, SearchEncoding};
use napi::Env;
use napi::bindgen_prelude::{BigInt, ClassInstance, FromNapiValue, Object, Uint8Array, ValidateNapiValue};
use napi_derive::napi;

use crate::bytes::Bytes;
use crate::callers;
use crate::failure::{Thrown, now, wrong_argument};
use crate::hits::EncodeOptions;
use crate::numbers;
use crate::pool::{Answer, Pool, Urgency};
use crate::schema::SchemaHandle;
use crate::segment::{SegmentHandle, segments_of};

#[napi]
pub fn search<'env>(env: &'env Env, pool: &Pool, request: Object) -> Result<Answer<'env, Bytes>, Thrown> {
    let (asked, placeholders) = now(|| search_of(&Fields(&request)))?;
    pool.run(env, move || Ok(search::search(&asked.request(&placeholders))?.encode().into()))
}

/// How the hits of a search become its answer, compiled once for all searches that ask the same.
#[napi(js_name = "AnswerShape")]
pub struct AnswerShape {
    shape: Arc<Shape>,
}

/// A search below this is done before two threads have woken each other.
const QUICK_NANOS: u64 = 150_000;

struct Shape {
    schema: Arc<Schema>,
    offset: usize,
    limit: usize,
    json: bool,
    encoding: SearchEncoding,
    /// What searches of this shape took of late: the longest, of which each later one takes an eighth off.
    nanos: AtomicU64,
}

#[napi]
impl AnswerShape {
    #[napi(constructor)]
    pub fn new(
        schema: &SchemaHandle,
        offset: u32,
        limit: u32,
        json: bool,
        options: EncodeOptions,
    ) -> Result<Self, Thrown> {
        now(|| {
            let schema = Arc::clone(&schema.schema);
            let [offset, limit] = [offset, limit].map(|count| count as usize);
            // Of the first nothing is known.
            let nanos = AtomicU64::new(QUICK_NANOS);
            Ok(Self { shape: Arc::new(Shape { schema, offset, limit, json, encoding: options.read()?, nanos }) })
        })
    }

    #[napi(getter)]
    pub fn limit(&self) -> u32 {
        self.shape.limit as u32
    }
}

impl Shape {
    fn search(&self, asked: &SearchArguments, placeholders: &[u8]) -> Result<Bytes, NativeError> {
        let start = Instant::now();
        let answer = self.answer(&asked.segments, &search::search(&asked.request(placeholders))?)?;
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let before = self.nanos.load(Ordering::Relaxed);
        self.nanos.store(nanos.max(before - before / 8), Ordering::Relaxed);
        Ok(answer.into())
    }

    fn is_quick(&self) -> bool {
        self.nanos.load(Ordering::Relaxed) < QUICK_NANOS
    }

    fn answer(&self, segments: &[Arc<Segment>], hits: &Hits) -> Result<Vec<u8>, NativeError> {
        let Self { schema, encoding, .. } = self;
        let page = hits.slice(self.offset, self.limit);
        let rows = match encoding.fields.as_slice() {
            [] => Vec::new(),
            fields => vec![query::retrieve(segments, &page, fields)?],
        };
        if self.json {
            search_answer::encode_json(schema, &page, &rows, encoding)
        } else {
            search_answer::encode_message(schema, &page, &rows, encoding)
        }
    }
}

/// A search, its page, the page's fields and the encoded answer in one job: no hit crosses to JavaScript. One that is
/// `alone` runs on the calling thread where the like of it has been quick: waking another and being woken takes longer.
#[napi]
pub fn answer_search<'env>(
    env: &'env Env,
    pool: &Pool,
    request: Object,
    shape: &AnswerShape,
    alone: bool,
) -> Result<Answer<'env, Bytes>, Thrown> {
    let (asked, placeholders) = now(|| search_of(&Fields(&request)))?;
    let shape = Arc::clone(&shape.shape);
    if alone && shape.is_quick() {
        return now(|| shape.search(&asked, &placeholders)).map(Answer::A);
    }
    pool.run(env, move || shape.search(&asked, &placeholders))
}

/// The same for the caller of that number (`callers.rs`) in another environment; nothing when it waits no more.
#[napi]
pub fn deliver_search(pool: &Pool, request: Object, shape: &AnswerShape, caller: f64) -> Result<(), Thrown> {
    let (asked, placeholders) = now(|| search_of(&Fields(&request)))?;
    let shape = Arc::clone(&shape.shape);
    if let Some(promised) = callers::take(caller)? {
        pool.run_for(promised, move || shape.search(&asked, &placeholders));
    }
    Ok(())
}

#[napi(object)]
pub struct ExplainedSearch {
    pub hits: Uint8Array,
    pub report: String,
}

#[napi]
pub fn explain_search<'env>(
    env: &'env Env,
    pool: &Pool,
    request: Object,
) -> Result<Answer<'env, ExplainedSearch>, Thrown> {
    let (asked, placeholders) = now(|| search_of(&Fields(&request)))?;
    pool.run(env, move || {
        let (hits, segments) = search::explain(&asked.request(&placeholders))?;
        Ok(ExplainedSearch { hits: hits.encode().into(), report: report_text(&segments)? })
    })
}

fn report_text(segments: &[SegmentReport]) -> Result<String, NativeError> {
    serde_json::to_string(segments)
        .map_err(|cause| NativeError::Internal(format!("a report cannot be written: {cause}")))
}

/// A search and its vectors.
fn search_of(fields: &Fields<'_, '_>) -> Result<(SearchArguments, Vec<u8>), NativeError> {
    Ok((SearchArguments::read(fields)?, fields.required::<Uint8Array>("placeholders")?.to_vec()))
}

/// What a search asks besides its vectors, owned.
pub(crate) struct SearchArguments {
    segments: Vec<Arc<Segment>>,
    field: u32,
    metric: String,
    top_k: usize,
    moment: Moment,
    filter: Option<Vec<u8>>,
    params: String,
    radius: Option<f32>,
    range_filter: Option<f32>,
    after_score: Option<f32>,
    group_by: Option<GroupBy>,
    filter_late: bool,
    exact: bool,
}

#[napi(object)]
pub struct NativeGroupBy {
    pub field: u32,
    pub size: u32,
    pub strict: bool,
}

impl SearchArguments {
    pub(crate) fn request<'a>(&'a self, placeholders: &'a [u8]) -> SearchRequest<'a> {
        SearchRequest {
            segments: &self.segments,
            field: self.field,
            metric: &self.metric,
            placeholders,
            top_k: self.top_k,
            moment: self.moment,
            filter: self.filter.as_deref(),
            params: &self.params,
            radius: self.radius,
            range_filter: self.range_filter,
            after_score: self.after_score,
            group_by: self.group_by,
            filter_late: self.filter_late,
            exact: self.exact,
        }
    }

    pub(crate) fn read(fields: &Fields<'_, '_>) -> Result<Self, NativeError> {
        Ok(Self {
            segments: fields.segments()?,
            field: fields.required("field")?,
            metric: fields.required("metric")?,
            top_k: fields.required::<u32>("topK")? as usize,
            moment: fields.moment()?,
            filter: fields.bytes("filter")?,
            params: fields.required("params")?,
            radius: fields.float("radius")?,
            range_filter: fields.float("rangeFilter")?,
            after_score: fields.float("afterScore")?,
            group_by: fields.optional::<NativeGroupBy>("groupBy")?.map(|by| GroupBy {
                field: by.field,
                size: by.size as usize,
                strict: by.strict,
            }),
            filter_late: fields.optional("filterLate")?.unwrap_or(false),
            exact: fields.optional("exact")?.unwrap_or(false),
        })
    }
}

#[napi]
pub fn query<'env>(env: &'env Env, pool: &Pool, request: Object) -> Result<Answer<'env, Bytes>, Thrown> {
    let asked = now(|| QueryArguments::read(&Fields(&request)))?;
    pool.run(env, move || Ok(query::query(&asked.request())?.encode().into()))
}

#[napi(object)]
pub struct ExplainedQuery {
    pub rows: Uint8Array,
    pub report: String,
}

#[napi]
pub fn explain_query<'env>(
    env: &'env Env,
    pool: &Pool,
    request: Object,
) -> Result<Answer<'env, ExplainedQuery>, Thrown> {
    let asked = now(|| QueryArguments::read(&Fields(&request)))?;
    pool.run(env, move || {
        let (rows, segments) = query::explain(&asked.request())?;
        Ok(ExplainedQuery { rows: rows.encode().into(), report: report_text(&segments)? })
    })
}

/// A query's arguments, owned, on their way to a thread.
struct QueryArguments {
    scope: Scope,
    limit: Option<usize>,
    fields: Vec<u32>,
    bytes_max: usize,
}

impl QueryArguments {
    fn request(&self) -> QueryRequest<'_> {
        QueryRequest {
            segments: &self.scope.segments,
            moment: self.scope.moment,
            filter: self.scope.filter.as_deref(),
            limit: self.limit,
            fields: &self.fields,
            bytes_max: self.bytes_max,
        }
    }

    fn read(fields: &Fields<'_, '_>) -> Result<Self, NativeError> {
        Ok(Self {
            scope: fields.scope()?,
            limit: fields.optional::<f64>("limit")?.map(|limit| numbers::count(limit, "limit")).transpose()?,
            fields: fields.required("fields")?,
            bytes_max: numbers::count(fields.required("bytesMax")?, "bytesMax")?,
        })
    }
}

#[napi]
pub fn count<'env>(env: &'env Env, pool: &Pool, request: Object) -> Result<Answer<'env, u64>, Thrown> {
    let scope = now(|| Fields(&request).scope())?;
    pool.run(env, move || query::count(&scope.segments, scope.moment, scope.filter.as_deref()))
}

#[napi(object)]
pub struct ExplainedCount {
    pub count: BigInt,
    pub report: String,
}

#[napi]
pub fn explain_count<'env>(
    env: &'env Env,
    pool: &Pool,
    request: Object,
) -> Result<Answer<'env, ExplainedCount>, Thrown> {
    let scope = now(|| Fields(&request).scope())?;
    pool.run(env, move || {
        let (count, segments) = query::explain_count(&scope.segments, scope.moment, scope.filter.as_deref())?;
        Ok(ExplainedCount { count: count.into(), report: report_text(&segments)? })
    })
}

#[napi]
pub fn retrieve<'env>(
    env: &'env Env,
    pool: &Pool,
    segments: Vec<ClassInstance<SegmentHandle>>,
    hits: &[u8],
    fields: Vec<u32>,
) -> Result<Answer<'env, Bytes>, Thrown> {
    let (segments, hits) = now(|| Ok((segments_of(&segments)?, Hits::decode(hits)?)))?;
    pool.run(env, move || Ok(query::retrieve(&segments, &hits, &fields)?.encode().into()))
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

impl BuildObject {
    fn request(&self) -> BuildRequest<'_> {
        BuildRequest {
            field: self.field,
            index_type: &self.index_type,
            metric: self.metric.as_deref().unwrap_or_default(),
            params: &self.params,
            threads: self.threads as usize,
        }
    }
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
) -> Result<Answer<'env, Bytes>, Thrown> {
    let segment = now(|| segment.segment())?;
    let progress = Arc::clone(&progress.progress);
    pool.run_as(env, Urgency::Background, move || {
        let file = build::build_index(&segment, &build.request(), &progress)?;
        give_back_freed_memory();
        Ok(file.into())
    })
}

#[napi(object, js_name = "NativeWritten")]
pub struct WrittenFile {
    pub bytes: f64,
    #[napi(js_name = "crc32c")]
    pub crc32c: u32,
}

#[napi]
pub fn build_index_file<'env>(
    env: &'env Env,
    pool: &Pool,
    segment: &SegmentHandle,
    build: BuildObject,
    progress: &ProgressHandle,
    path: String,
) -> Result<Answer<'env, WrittenFile>, Thrown> {
    let segment = now(|| segment.segment())?;
    let progress = Arc::clone(&progress.progress);
    pool.run_as(env, Urgency::Background, move || {
        let written = build::build_index_file(&segment, &build.request(), &progress, Path::new(&path))?;
        // What a build works with is many times its file.
        give_back_freed_memory();
        Ok(WrittenFile { bytes: written.bytes as f64, crc32c: written.crc32c })
    })
}

/// Where and when a read looks.
struct Scope {
    segments: Vec<Arc<Segment>>,
    moment: Moment,
    filter: Option<Vec<u8>>,
}

/// Properties of a request object, which holds handles that a plain struct cannot carry.
pub(crate) struct Fields<'a, 'env>(pub(crate) &'a Object<'env>);

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

    fn scope(&self) -> Result<Scope, NativeError> {
        Ok(Scope { segments: self.segments()?, moment: self.moment()?, filter: self.bytes("filter")? })
    }

    fn moment(&self) -> Result<Moment, NativeError> {
        let snapshot = numbers::unsigned(&self.required::<BigInt>("snapshot")?, "snapshot")?;
        let expired = self.optional::<BigInt>("expired")?.map(|at| numbers::unsigned(&at, "expired")).transpose()?;
        Ok(Moment { snapshot, expired: expired.unwrap_or(0) })
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, NativeError> {
        Ok(self.optional::<Uint8Array>(name)?.map(|bytes| bytes.to_vec()))
    }

    fn float(&self, name: &str) -> Result<Option<f32>, NativeError> {
        Ok(self.optional::<f64>(name)?.map(|value| value as f32))
    }
}
