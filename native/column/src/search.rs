//! Vector search over segments: visible rows that pass the filter, by index where one fits, otherwise exact.

use std::cmp::Ordering;
use std::sync::Arc;

use elanus_filter::Program;
use elanus_index::catalog::Index;
use elanus_index::vector::{Hit, Metric, Query, SearchParams};
use elanus_index::{flat, sparse};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::hits::{Hits, compare_scores};
use elanus_rows::schema::{DataType, Schema};
use elanus_rows::{metric, placeholders};

use crate::attached::{Attached, index_error};
use crate::part::{Part, Vectors};
use crate::query::narrow;
use crate::segment::Segment;

/// One search; `filter` is an encoded program.
#[derive(Clone, Debug)]
pub struct SearchRequest<'a> {
    pub segments: &'a [Arc<Segment>],
    pub field: u32,
    pub metric: &'a str,
    /// Milvus `PlaceholderGroup` message.
    pub placeholders: &'a [u8],
    pub top_k: usize,
    pub snapshot: u64,
    pub filter: Option<&'a [u8]>,
    /// Checked search parameters as JSON.
    pub params: &'a str,
    /// Outer bound, exclusive.
    pub radius: Option<f32>,
    /// Inner bound, inclusive.
    pub range_filter: Option<f32>,
    /// Only hits strictly worse than this.
    pub after_score: Option<f32>,
}

/// Bytes of vectors that an exact search of several queries reads at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// Some rows of one part of one segment, ready to be searched.
struct Target<'a> {
    segment: u64,
    part: &'a Part,
    /// First row, a multiple of 64.
    from: u32,
    allowed: Option<&'a [u64]>,
    allowed_count: usize,
    vectors: Vectors<'a>,
    index: Option<&'a Attached>,
    params: SearchParams,
}

/// A hit and the target it was found in; the row is that of the source.
#[derive(Clone, Copy)]
struct Found {
    score: f32,
    target: u32,
    row: u32,
}

/// The best `top_k` rows of all segments, for each query vector.
///
/// # Errors
/// The field, the metric, the query vectors or the parameters are wrong; or a file turns out damaged.
pub fn search(request: &SearchRequest<'_>) -> Result<Hits> {
    let Some(first) = request.segments.first() else {
        return Err(NativeError::Internal("a search needs a segment".into()));
    };
    let schema = Arc::clone(first.schema());
    let position = schema.position(request.field).filter(|&i| schema.fields[i].data_type.is_vector());
    let position =
        position.ok_or_else(|| NativeError::InvalidParameter(format!("field {} is no vector field", request.field)))?;
    let field = &schema.fields[position];
    let queries = placeholders::decode(&schema, field, request.placeholders)?;
    let program = request.filter.map(|bytes| Program::decode(&schema, bytes)).transpose()?;

    let mut parts: Vec<(u64, Part, Option<Arc<Attached>>)> = Vec::new();
    for segment in request.segments {
        let index = index_for(segment, request);
        for part in narrow(segment, request.snapshot, program.as_ref())? {
            parts.push((segment.id(), part, index.clone()));
        }
    }
    let targets = targets(&schema, position, request, queries.len(), &parts)?;
    let sparse = field.data_type == DataType::SparseFloatVector;
    let larger = metric::larger_is_better(request.metric)?;
    let best =
        |_| Best { found: Vec::new(), sorted: false, top_k: request.top_k, larger, schema: &schema, targets: &targets };
    let mut best: Vec<Best<'_>> = (0..queries.len()).map(best).collect();
    // Target by target, so that a target's rows are read once into the cache and serve all queries.
    for (number, target) in targets.iter().enumerate() {
        for (best, vector) in best.iter_mut().zip(queries.iter()) {
            let hits = search_target(target, request, vector, sparse, best.bound())?;
            best.add(number as u32, &hits)?;
        }
    }
    let mut hits = Hits::empty(queries.len(), schema.primary().data_type == DataType::VarChar);
    for (count, best) in hits.counts.iter_mut().zip(&mut best) {
        best.cut()?;
        *count = best.found.len() as u32;
    }
    for best in &best {
        push(&mut hits, &schema, &targets, &best.found)?;
    }
    Ok(hits)
}

fn targets<'a>(
    schema: &Schema,
    position: usize,
    request: &SearchRequest<'_>,
    queries: usize,
    parts: &'a [(u64, Part, Option<Arc<Attached>>)],
) -> Result<Vec<Target<'a>>> {
    let mut targets = Vec::with_capacity(parts.len());
    for (segment, part, index) in parts {
        let type_name = index.as_ref().and_then(|index| index.vector()).map_or("FLAT", Index::type_name);
        let params = SearchParams::from_json(type_name, request.params, request.top_k)
            .map_err(|e| index_error(&format!("segment {segment}"), e))?;
        let rows = part.source.rows();
        let width = schema.fields[position].data_type.vector_width(schema.fields[position].dim);
        let step = match (width, index) {
            (Some(width), None) if queries > 1 => window(width, request.top_k),
            _ => rows.max(1),
        };
        for from in (0..rows).step_by(step) {
            let to = rows.min(from + step);
            let allowed = part.allowed.as_ref().map(|bits| &bits.words()[from / 64..to.div_ceil(64)]);
            targets.push(Target {
                segment: *segment,
                part,
                from: from as u32,
                allowed,
                allowed_count: allowed.map_or(to - from, ones),
                vectors: Vectors::new(schema, &part.source, position, from, to)?,
                index: index.as_deref(),
                params: params.clone(),
            });
        }
    }
    targets.retain(|target| target.allowed_count > 0);
    Ok(targets)
}

/// Rows of an exact search that are read for all queries before the next ones: few enough to stay in the cache, and
/// many enough that collecting `top_k` of them is worth it.
fn window(width: usize, top_k: usize) -> usize {
    (WINDOW_BYTES / width.max(1)).max(8 * top_k).next_multiple_of(64)
}

fn ones(words: &[u64]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}

/// The attached index of the field, if it was built for this metric.
fn index_for(segment: &Segment, request: &SearchRequest<'_>) -> Option<Arc<Attached>> {
    let attached = segment.as_sealed().ok()?.attached();
    attached.into_iter().find(|attached| {
        attached.field == request.field
            && match attached.vector() {
                Some(Index::Dense(index)) => Metric::from_name(request.metric) == Some(index.metric()),
                Some(Index::Sparse(index)) => Metric::from_name(request.metric) == Some(index.metric()),
                None => false,
            }
    })
}

/// `bound`: worse hits than this are of no use.
fn search_target(
    target: &Target<'_>,
    request: &SearchRequest<'_>,
    vector: &[u8],
    sparse: bool,
    bound: Option<f32>,
) -> Result<Vec<Hit>> {
    let mut out = Vec::new();
    let metric = Metric::from_name(request.metric)
        .ok_or_else(|| NativeError::InvalidParameter(format!("metric type {} is not known", request.metric)))?;
    let larger = metric.larger_is_better();
    let query = Query {
        vector,
        top_k: request.top_k,
        allowed: target.allowed,
        allowed_count: target.allowed_count,
        // For an index a radius means another kind of search.
        radius: if target.index.is_none() { outer_bound(request, larger, bound) } else { request.radius },
        range_filter: inner_bound(request, larger),
        params: &target.params,
        trace: None,
    };
    let done = match target.index.and_then(Attached::vector) {
        Some(Index::Dense(index)) => index.search(&target.vectors, &query, &mut out),
        Some(Index::Sparse(index)) => index.search(&query, &mut out),
        None if sparse => sparse::exact(&target.vectors, metric, &query, &mut out),
        None => flat::search(&target.vectors, metric, &query, &mut out),
    };
    let file = || format!("index of segment {}", target.segment);
    done.map_err(|e| index_error(&file(), e))?;
    let rows = target.part.source.rows();
    if out.iter().any(|hit| (target.from + hit.row) as usize >= rows) {
        return Err(NativeError::FileCorrupt { file: file(), message: "it names rows that are not there".into() });
    }
    Ok(out)
}

/// `radius` and the worst hit that still counts, as one exclusive bound.
fn outer_bound(request: &SearchRequest<'_>, larger: bool, bound: Option<f32>) -> Option<f32> {
    let bound = bound.map(|score| if larger { score.next_down() } else { score.next_up() });
    match (request.radius, bound) {
        (Some(a), Some(b)) => Some(if larger { a.max(b) } else { a.min(b) }),
        (a, b) => a.or(b),
    }
}

/// `range_filter` and `after_score` as one inclusive bound.
fn inner_bound(request: &SearchRequest<'_>, larger: bool) -> Option<f32> {
    let after = request.after_score.map(|score| if larger { score.next_down() } else { score.next_up() });
    match (request.range_filter, after) {
        (Some(a), Some(b)) => Some(if larger { a.min(b) } else { a.max(b) }),
        (a, b) => a.or(b),
    }
}

/// Collects the hits of one query, keeping not many more than it needs.
struct Best<'a> {
    found: Vec<Found>,
    /// `found` is in order.
    sorted: bool,
    top_k: usize,
    larger: bool,
    schema: &'a Schema,
    targets: &'a [Target<'a>],
}

impl Best<'_> {
    fn add(&mut self, target: u32, hits: &[Hit]) -> Result<()> {
        let from = self.targets[target as usize].from;
        self.found.extend(hits.iter().map(|hit| Found { score: hit.score, target, row: from + hit.row }));
        self.sorted = false;
        if self.found.len() > self.top_k { self.cut() } else { Ok(()) }
    }

    /// The worst score that a further hit may have; equal ones may still win by their key.
    fn bound(&self) -> Option<f32> {
        let full = self.found.len() >= self.top_k;
        self.found.get(self.top_k.wrapping_sub(1)).filter(|_| full && self.sorted).map(|found| found.score)
    }

    /// Best first; equal scores by ascending key.
    fn cut(&mut self) -> Result<()> {
        let (larger, schema, targets) = (self.larger, self.schema, self.targets);
        let mut failure = None;
        let mut key = |found: &Found| {
            let key = targets[found.target as usize].part.source.key(schema, found.row);
            key.map_err(|error| failure = Some(error)).ok()
        };
        self.found.sort_by(|a, b| match compare_scores(a.score, b.score, larger) {
            Ordering::Equal => key(a).cmp(&key(b)),
            different => different,
        });
        self.found.truncate(self.top_k);
        self.sorted = true;
        failure.map_or(Ok(()), Err)
    }
}

fn push(hits: &mut Hits, schema: &Schema, targets: &[Target<'_>], found: &[Found]) -> Result<()> {
    for found in found {
        let target = &targets[found.target as usize];
        hits.keys.push(target.part.source.key(schema, found.row)?)?;
        hits.scores.push(found.score);
        hits.segments.push(target.segment);
        hits.rows.push(target.part.source.base() + found.row);
    }
    Ok(())
}
