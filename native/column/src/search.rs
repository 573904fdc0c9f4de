//! Vector search over segments: visible rows that pass the filter, by index where one fits, otherwise exact.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use elanus_filter::Program;
use elanus_index::catalog::Index;
use elanus_index::trace::Trace;
use elanus_index::vector::{Hit, Metric, Query, SearchParams, VectorRows};
use elanus_index::{flat, sparse};
use elanus_rows::column::{Bits, VarBytes};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::hits::{Hits, compare_scores};
use elanus_rows::schema::{DataType, Schema};
use elanus_rows::{metric, placeholders};

use crate::attached::{Attached, index_error};
use crate::explain::{Explanation, Filtering, SegmentReport, micros};
use crate::grouping::{self, GroupBy};
use crate::late_filter::{Demand, LateFilter};
use crate::moment::Moment;
use crate::part::{Part, Vectors};
use crate::query::narrow;
use crate::segment::Segment;
use crate::span::{self, Span};

/// One search; `filter` is an encoded program.
#[derive(Clone, Debug)]
pub struct SearchRequest<'a> {
    pub segments: &'a [Arc<Segment>],
    pub field: u32,
    pub metric: &'a str,
    /// Milvus `PlaceholderGroup` message.
    pub placeholders: &'a [u8],
    pub top_k: usize,
    pub moment: Moment,
    pub filter: Option<&'a [u8]>,
    /// Checked search parameters as JSON.
    pub params: &'a str,
    /// Outer bound, exclusive.
    pub radius: Option<f32>,
    /// Inner bound, inclusive.
    pub range_filter: Option<f32>,
    /// Only hits strictly worse than this.
    pub after_score: Option<f32>,
    /// `top_k` counts groups then.
    pub group_by: Option<GroupBy>,
    /// Try the filter on what an index finds, instead of on every row before.
    pub filter_late: bool,
    /// Compare every row of growing segments, however many there are.
    pub exact: bool,
}

/// A part of one segment with its filter applied, or waiting.
struct Narrowed<'a> {
    /// Position of the segment in the request.
    segment: usize,
    part: Part,
    index: Option<Arc<Attached>>,
    late: Option<LateFilter<'a>>,
}

/// A part of one segment, ready to be searched.
pub(crate) struct Target<'a> {
    /// Position of the segment in the request.
    pub(crate) segment: usize,
    pub(crate) part: &'a Part,
    pub(crate) allowed: Option<&'a [u64]>,
    pub(crate) allowed_count: usize,
    pub(crate) vectors: Vectors<'a>,
    index: Option<&'a Attached>,
    late: Option<&'a LateFilter<'a>>,
    pub(crate) params: SearchParams,
}

/// A hit and the target it was found in; the row is that of the source.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) score: f32,
    pub(crate) target: u32,
    pub(crate) row: u32,
}

/// What is asked of one target for one query vector.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) vector: &'a [u8],
    pub(crate) top_k: usize,
    /// Rows that may be hits, and how many; the target's own unless a grouping search has ruled some out.
    pub(crate) allowed: Option<&'a [u64]>,
    pub(crate) allowed_count: usize,
    /// Worse hits than this are of no use.
    pub(crate) bound: Option<f32>,
}

/// The best `top_k` rows of all segments, for each query vector.
///
/// # Errors
/// The field, the metric, the query vectors or the parameters are wrong; or a file turns out damaged.
pub fn search(request: &SearchRequest<'_>) -> Result<Hits> {
    run(request, &mut None)
}

/// The same, with an account of every segment in the order of the request.
///
/// # Errors
/// As [`search`].
pub fn explain(request: &SearchRequest<'_>) -> Result<(Hits, Vec<SegmentReport>)> {
    let mut explanation = Some(Explanation::default());
    let hits = run(request, &mut explanation)?;
    Ok((hits, explanation.unwrap_or_default().segments))
}

fn run(request: &SearchRequest<'_>, explanation: &mut Option<Explanation>) -> Result<Hits> {
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
    let mut parts = Vec::new();
    for number in 0..request.segments.len() {
        let begun = Instant::now();
        let narrowed = narrow_segment(request, number, program.as_ref(), queries.len())?;
        if let Some(explanation) = explanation {
            let filter_micros = micros(begun);
            let report = report(request, number, program.as_ref(), &narrowed)?;
            explanation.segments.push(SegmentReport { filter_micros, ..report });
        }
        parts.extend(narrowed);
    }
    let metric = Metric::from_name(request.metric);
    let targets = targets(&schema, position, request, &parts)?;
    let ground = Ground {
        schema: &schema,
        request,
        spans: span::of(request, position, metric, &targets),
        targets: &targets,
        metric,
        larger: metric::larger_is_better(request.metric)?,
        sparse: field.data_type == DataType::SparseFloatVector,
    };
    let found = match request.group_by {
        Some(by) => grouping::search(&ground, by, &queries, explanation)?,
        None => ground.best(&queries, explanation)?,
    };
    ground.hits(&found)
}

/// The parts of a segment as the snapshot sees them, each with the filter applied or put off.
fn narrow_segment<'a>(
    request: &SearchRequest<'_>,
    number: usize,
    program: Option<&'a Program>,
    queries: usize,
) -> Result<Vec<Narrowed<'a>>> {
    let segment = &request.segments[number];
    let index = index_for(segment, request);
    let narrowed = |part, late| Narrowed { segment: number, part, index: index.clone(), late };
    let limited = request.radius.is_some() || request.range_filter.is_some() || request.after_score.is_some();
    let dense = matches!(index.as_ref().and_then(|index| index.vector()), Some(Index::Dense(_)));
    let free = dense && !limited && request.group_by.is_none();
    let put_off = |program: &&Program| free && program.primary_keys().is_none() && !segment.rules_out(program);
    let Some(program) = program.filter(put_off) else {
        return Ok(narrow(segment, request.moment, program)?.into_iter().map(|part| narrowed(part, None)).collect());
    };
    let ef = search_params(index.as_deref(), segment.id(), request)?.ef.unwrap_or(0).max(request.top_k);
    let demand = Demand { queries, top_k: request.top_k, ef, forced: request.filter_late };
    let mut parts = Vec::new();
    for mut part in segment.view(request.moment)? {
        let late = LateFilter::of(&part, segment.schema(), program, demand)?;
        if late.is_none() {
            part.filter(segment.schema(), program)?;
        }
        parts.push(narrowed(part, late));
    }
    Ok(parts)
}

/// What narrowing a segment came to; for EXPLAIN, so that work done twice does not matter.
fn report(
    request: &SearchRequest<'_>,
    number: usize,
    program: Option<&Program>,
    narrowed: &[Narrowed<'_>],
) -> Result<SegmentReport> {
    let segment = &request.segments[number];
    let mut report = SegmentReport::of(segment, request.moment, program)?;
    report.index = index_for(segment, request).and_then(|index| index.vector().map(Index::type_name));
    if narrowed.iter().any(|narrowed| narrowed.late.is_some()) {
        report.filtering = Filtering::Candidates;
    } else if program.is_some() {
        report.let_through(narrowed.iter().map(|narrowed| narrowed.part.count()).sum());
    }
    Ok(report)
}

/// Everything that the searches of one request share.
pub(crate) struct Ground<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) request: &'a SearchRequest<'a>,
    pub(crate) targets: &'a [Target<'a>],
    /// Targets that are searched together.
    spans: Vec<Span<'a>>,
    metric: Option<Metric>,
    larger: bool,
    sparse: bool,
}

impl Ground<'_> {
    /// The best of all targets, for each query.
    fn best(&self, queries: &VarBytes, explanation: &mut Option<Explanation>) -> Result<Vec<Vec<Found>>> {
        let top_k = self.request.top_k;
        let mut best: Vec<Best<'_>> = queries.iter().map(|_| Best::new(self, top_k)).collect();
        for span in &self.spans {
            for (best, vector) in best.iter_mut().zip(queries.iter()) {
                let begun = Instant::now();
                let trace = explanation.as_ref().map(|explanation| &explanation.trace);
                best.add(span.search(vector, top_k, trace)?)?;
                if let Some(explanation) = explanation {
                    explanation.book(span.segment(), begun);
                }
            }
        }
        for (number, target) in self.targets.iter().enumerate() {
            if self.spans.iter().any(|span| span.covers(number)) {
                continue;
            }
            let asks = best.iter().zip(queries.iter());
            let ask = |(best, vector): (&Best<'_>, _)| Ask { bound: best.bound(), ..target.ask(vector, top_k) };
            let asks: Vec<Ask<'_>> = asks.map(ask).collect();
            for (best, hits) in best.iter_mut().zip(&self.search(target, &asks, explanation)?) {
                best.add(found_in(number as u32, hits))?;
            }
        }
        best.into_iter().map(Best::finish).collect()
    }

    /// The hits of one target, best first, for each question. The questions have the same allowed rows and `top_k`.
    pub(crate) fn search(
        &self,
        target: &Target<'_>,
        asks: &[Ask<'_>],
        explanation: &mut Option<Explanation>,
    ) -> Result<Vec<Vec<Hit>>> {
        let begun = Instant::now();
        let trace = explanation.as_ref().map(|explanation| &explanation.trace);
        let hits = match target.late {
            Some(late) => {
                let hits = asks.iter().map(|ask| self.search_late(target, late, ask, trace));
                hits.collect::<Result<_>>()?
            }
            None => self.search_plainly(target, asks, target.params.clone(), trace)?,
        };
        if let Some(explanation) = explanation {
            explanation.book(target.segment, begun);
        }
        Ok(hits)
    }

    /// Asks the index for more than is wanted and tries the filter on what it finds. When too few pass, the filter is
    /// evaluated on all rows after all.
    fn search_late(
        &self,
        target: &Target<'_>,
        late: &LateFilter<'_>,
        ask: &Ask<'_>,
        trace: Option<&Trace>,
    ) -> Result<Vec<Hit>> {
        let asked = late.asked(ask.top_k);
        let ef = target.params.ef.map(|ef| ((ef as f64 / late.share()) as usize).max(asked));
        let wide = Ask { top_k: asked, ..*ask };
        let params = SearchParams { ef, ..target.params.clone() };
        let mut hits = self.search_plainly(target, &[wide], params, trace)?.swap_remove(0);
        let exhausted = hits.len() < asked;
        let passed = late.try_rows(target.part, self.schema, hits.iter().map(|hit| hit.row))?;
        hits.retain(|hit| passed.get(hit.row as usize));
        if hits.len() >= ask.top_k || exhausted {
            hits.truncate(ask.top_k);
            return Ok(hits);
        }
        let all = late.all(target.part, self.schema)?;
        let narrow = Ask { allowed: Some(all.words()), allowed_count: all.count_ones(), ..*ask };
        Ok(self.search_plainly(target, &[narrow], target.params.clone(), trace)?.swap_remove(0))
    }

    fn query<'q>(
        &self,
        target: &Target<'_>,
        ask: &Ask<'q>,
        params: &'q SearchParams,
        trace: Option<&'q Trace>,
    ) -> Query<'q> {
        let request = self.request;
        Query {
            vector: ask.vector,
            top_k: ask.top_k,
            allowed: ask.allowed,
            allowed_count: ask.allowed_count,
            // For an index a radius means another kind of search.
            radius: if target.index.is_none() { outer_bound(request, self.larger, ask.bound) } else { request.radius },
            range_filter: inner_bound(request, self.larger),
            params,
            trace,
        }
    }

    fn search_plainly(
        &self,
        target: &Target<'_>,
        asks: &[Ask<'_>],
        mut params: SearchParams,
        trace: Option<&Trace>,
    ) -> Result<Vec<Vec<Hit>>> {
        let unknown = || NativeError::InvalidParameter(format!("metric type {} is not known", self.request.metric));
        let metric = self.metric.ok_or_else(unknown)?;
        // The client's `ef` was checked against its own `top_k`.
        let most = asks.iter().map(|ask| ask.top_k).max().unwrap_or(0);
        params.ef = params.ef.map(|ef| ef.max(most));
        let queries: Vec<Query<'_>> = asks.iter().map(|ask| self.query(target, ask, &params, trace)).collect();
        let mut out = vec![vec![]; asks.len()];
        let vectors = &target.vectors;
        let mut each = queries.iter().zip(&mut out);
        let done = match target.index.and_then(Attached::vector) {
            Some(Index::Dense(index)) => index.search_many(vectors, &queries, &mut out),
            Some(Index::Sparse(index)) => each.try_for_each(|(query, out)| index.search(query, out)),
            None if self.sparse => each.try_for_each(|(query, out)| sparse::exact(vectors, metric, query, out)),
            None => flat::search_many(vectors, metric, &queries, &mut out),
        };
        let file = || format!("index of segment {}", self.request.segments[target.segment].id());
        done.map_err(|e| index_error(&file(), e))?;
        let rows = target.part.source.rows();
        if out.iter().flatten().any(|hit| hit.row as usize >= rows) {
            return Err(NativeError::FileCorrupt { file: file(), message: "it names rows that are not there".into() });
        }
        Ok(out)
    }

    /// What was found, as it crosses roles.
    fn hits(&self, found: &[Vec<Found>]) -> Result<Hits> {
        let mut hits = Hits::empty(found.len(), self.schema.primary().data_type == DataType::VarChar);
        for (count, found) in hits.counts.iter_mut().zip(found) {
            *count = found.len() as u32;
        }
        hits.reserve(found.iter().map(Vec::len).sum());
        for found in found.iter().flatten() {
            let target = &self.targets[found.target as usize];
            hits.keys.push(target.part.source.key(self.schema, found.row)?)?;
            hits.scores.push(found.score);
            hits.segments.push(self.request.segments[target.segment].id());
            hits.rows.push(target.part.source.base() + found.row);
        }
        if let Some(by) = self.request.group_by {
            hits.groups = Some(grouping::groups_of(self, by, found)?);
        }
        Ok(hits)
    }
}

impl Target<'_> {
    /// A question for all of the target's rows.
    pub(crate) fn ask<'a>(&'a self, vector: &'a [u8], top_k: usize) -> Ask<'a> {
        Ask { vector, top_k, allowed: self.allowed, allowed_count: self.allowed_count, bound: None }
    }

    /// Rows of the target.
    pub(crate) fn rows(&self) -> usize {
        VectorRows::len(&self.vectors)
    }
}

fn targets<'a>(
    schema: &Schema,
    position: usize,
    request: &SearchRequest<'_>,
    parts: &'a [Narrowed<'a>],
) -> Result<Vec<Target<'a>>> {
    let mut targets = Vec::with_capacity(parts.len());
    for Narrowed { segment, part, index, late } in parts {
        let params = search_params(index.as_deref(), request.segments[*segment].id(), request)?;
        let allowed = part.allowed.as_ref().map(Bits::words);
        targets.push(Target {
            segment: *segment,
            part,
            allowed,
            allowed_count: part.count(),
            vectors: Vectors::new(schema, &part.source, position)?,
            index: index.as_deref(),
            late: late.as_ref(),
            params,
        });
    }
    targets.retain(|target| target.allowed_count > 0);
    Ok(targets)
}

/// The request's parameters as the index of a segment reads them.
fn search_params(index: Option<&Attached>, segment: u64, request: &SearchRequest<'_>) -> Result<SearchParams> {
    let type_name = index.and_then(Attached::vector).map_or("FLAT", Index::type_name);
    SearchParams::from_json(type_name, request.params, request.top_k)
        .map_err(|e| index_error(&format!("segment {segment}"), e))
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

/// The hits of one target.
pub(crate) fn found_in(target: u32, hits: &[Hit]) -> impl Iterator<Item = Found> {
    hits.iter().map(move |hit| Found { score: hit.score, target, row: hit.row })
}

/// Collects the hits of one query, keeping not many more than it needs.
pub(crate) struct Best<'a> {
    found: Vec<Found>,
    /// `found` is in order.
    sorted: bool,
    top_k: usize,
    ground: &'a Ground<'a>,
}

impl<'a> Best<'a> {
    pub(crate) fn new(ground: &'a Ground<'a>, top_k: usize) -> Self {
        Self { found: Vec::new(), sorted: false, top_k, ground }
    }

    pub(crate) fn add(&mut self, found: impl Iterator<Item = Found>) -> Result<()> {
        self.take_over(found);
        if self.found.len() > self.top_k { self.cut() } else { Ok(()) }
    }

    pub(crate) fn take_over(&mut self, found: impl Iterator<Item = Found>) {
        self.found.extend(found);
        self.sorted = false;
    }

    /// The worst score that a further hit may have; equal ones may still win by their key.
    pub(crate) fn bound(&self) -> Option<f32> {
        let full = self.found.len() >= self.top_k;
        self.found.get(self.top_k.wrapping_sub(1)).filter(|_| full && self.sorted).map(|found| found.score)
    }

    /// Best first; equal scores by ascending key.
    pub(crate) fn finish(mut self) -> Result<Vec<Found>> {
        self.cut()?;
        Ok(self.found)
    }

    fn cut(&mut self) -> Result<()> {
        let Ground { schema, targets, larger, .. } = *self.ground;
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
