//! Vector search over segments: visible rows that pass the filter, by index where one fits, otherwise exact.

use std::cmp::Ordering;
use std::sync::Arc;

use elanus_filter::Program;
use elanus_index::catalog::Index;
use elanus_index::vector::{Hit, Metric, Query, SearchParams};
use elanus_index::{flat, sparse};
use elanus_rows::column::Bits;
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

/// One part of one segment, ready to be searched.
struct Target<'a> {
    segment: u64,
    part: &'a Part,
    allowed_count: usize,
    vectors: Vectors<'a>,
    index: Option<&'a Attached>,
    params: SearchParams,
}

/// A hit and the target it was found in.
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
    let targets = targets(&schema, position, request, &parts)?;
    let sparse = field.data_type == DataType::SparseFloatVector;
    let larger = metric::larger_is_better(request.metric)?;
    let mut hits = Hits::empty(queries.len(), schema.primary().data_type == DataType::VarChar);
    for (i, vector) in queries.iter().enumerate() {
        let mut best = Best { found: Vec::new(), top_k: request.top_k, larger, schema: &schema, targets: &targets };
        for (number, target) in targets.iter().enumerate() {
            best.add(number as u32, &search_target(target, request, vector, sparse)?)?;
        }
        let found = best.finish()?;
        hits.counts[i] = found.len() as u32;
        push(&mut hits, &schema, &targets, &found)?;
    }
    Ok(hits)
}

fn targets<'a>(
    schema: &Schema,
    position: usize,
    request: &SearchRequest<'_>,
    parts: &'a [(u64, Part, Option<Arc<Attached>>)],
) -> Result<Vec<Target<'a>>> {
    let mut targets = Vec::with_capacity(parts.len());
    for (segment, part, index) in parts {
        let type_name = index.as_ref().map_or("FLAT", |index| index.type_name());
        let params = SearchParams::from_json(type_name, request.params, request.top_k)
            .map_err(|e| index_error(&format!("segment {segment}"), e))?;
        targets.push(Target {
            segment: *segment,
            part,
            allowed_count: part.count(),
            vectors: Vectors::new(schema, &part.source, position)?,
            index: index.as_deref(),
            params,
        });
    }
    Ok(targets)
}

/// The attached index of the field, if it was built for this metric.
fn index_for(segment: &Segment, request: &SearchRequest<'_>) -> Option<Arc<Attached>> {
    let attached = segment.as_sealed().ok()?.attached();
    attached.into_iter().find(|attached| {
        attached.field == request.field
            && match attached.index() {
                Some(Index::Dense(index)) => Metric::from_name(request.metric) == Some(index.metric()),
                Some(Index::Sparse(_)) => true,
                None => false,
            }
    })
}

fn search_target(target: &Target<'_>, request: &SearchRequest<'_>, vector: &[u8], sparse: bool) -> Result<Vec<Hit>> {
    let mut out = Vec::new();
    if target.allowed_count == 0 {
        return Ok(out);
    }
    let metric = Metric::from_name(request.metric)
        .ok_or_else(|| NativeError::InvalidParameter(format!("metric type {} is not known", request.metric)))?;
    let query = Query {
        vector,
        top_k: request.top_k,
        allowed: target.part.allowed.as_ref().map(Bits::words),
        allowed_count: target.allowed_count,
        radius: request.radius,
        range_filter: inner_bound(request, metric.larger_is_better()),
        params: &target.params,
    };
    let done = match target.index.and_then(Attached::index) {
        Some(Index::Dense(index)) => index.search(&target.vectors, &query, &mut out),
        Some(Index::Sparse(index)) => index.search(&query, &mut out),
        None if sparse => sparse::exact(&target.vectors, &query, &mut out),
        None => flat::search(&target.vectors, metric, &query, &mut out),
    };
    done.map_err(|e| index_error(&format!("index of segment {}", target.segment), e))?;
    Ok(out)
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
    top_k: usize,
    larger: bool,
    schema: &'a Schema,
    targets: &'a [Target<'a>],
}

impl Best<'_> {
    fn add(&mut self, target: u32, hits: &[Hit]) -> Result<()> {
        self.found.extend(hits.iter().map(|hit| Found { score: hit.score, target, row: hit.row }));
        if self.found.len() > (4 * self.top_k).max(1024) {
            self.cut()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Found>> {
        self.cut()?;
        Ok(self.found)
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
