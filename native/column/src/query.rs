//! Reads without a vector: by filter, by key, by hit.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use elanus_filter::{KeyList, Program};
use elanus_rows::batch_codec::FieldRows;
use elanus_rows::column::{Bits, Column, VarBytes};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::hits::Hits;
use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::Schema;

use crate::explain::{SegmentReport, micros};
use crate::moment::Moment;
use crate::part::{Part, Source};
use crate::segment::Segment;

/// Rows of a sealed segment that a filter with a limit is tried on first; a multiple of 64.
const FIRST_ROWS: usize = if cfg!(test) { 64 } else { 1 << 13 };

/// One query; `filter` is an encoded program.
#[derive(Clone, Debug)]
pub struct QueryRequest<'a> {
    pub segments: &'a [Arc<Segment>],
    pub moment: Moment,
    pub filter: Option<&'a [u8]>,
    pub limit: Option<usize>,
    /// Field ids; the primary key is always answered.
    pub fields: &'a [u32],
    /// Refuse answers above this.
    pub bytes_max: usize,
}

/// Rows picked from sources: (source, row within it).
#[derive(Default)]
struct Picked {
    sources: Vec<Source>,
    rows: Vec<(u32, u32)>,
}

impl Picked {
    /// Adds the first allowed rows of a part.
    fn add(&mut self, part: Part, limit: usize) {
        let number = self.sources.len() as u32;
        match &part.allowed {
            Some(bits) => self.rows.extend(bits.iter_ones().take(limit).map(|row| (number, row as u32))),
            None => self.rows.extend((0..part.source.rows().min(limit)).map(|row| (number, row as u32))),
        }
        self.sources.push(part.source);
    }
}

/// The rows that pass the filter, by ascending key.
///
/// # Errors
/// `ParameterTooLarge` above `bytes_max`; a wrong filter or field; a file that turns out damaged.
pub fn query(request: &QueryRequest<'_>) -> Result<FieldRows> {
    run(request, &mut None)
}

/// The same, with an account of every segment in the order of the request.
///
/// # Errors
/// As [`query`].
pub fn explain(request: &QueryRequest<'_>) -> Result<(FieldRows, Vec<SegmentReport>)> {
    let mut reports = Some(Vec::new());
    let rows = run(request, &mut reports)?;
    Ok((rows, reports.unwrap_or_default()))
}

fn run(request: &QueryRequest<'_>, reports: &mut Option<Vec<SegmentReport>>) -> Result<FieldRows> {
    let schema = schema_of(request.segments)?;
    let program = request.filter.map(|bytes| Program::decode(&schema, bytes)).transpose()?;
    let mut picked = Picked::default();
    for segment in request.segments {
        let (begun, before) = (Instant::now(), picked.rows.len());
        let way = pick(segment, request, program.as_ref(), &mut picked)?;
        if let Some(reports) = reports {
            let found = Found { way, micros: micros(begun), rows: picked.rows.len() - before };
            reports.push(report(segment, request.moment, program.as_ref(), found)?);
        }
    }
    sort_by_key(&schema, &mut picked, request.limit)?;
    let mut fields = vec![schema.primary().id];
    fields.extend(request.fields.iter().filter(|&&id| id != schema.primary().id));
    let columns = gather(&schema, &picked, &fields, request.bytes_max)?;
    Ok(FieldRows { row_count: picked.rows.len(), positions: Vec::new(), columns })
}

/// How many rows pass the filter.
///
/// # Errors
/// As `query`.
pub fn count(segments: &[Arc<Segment>], moment: Moment, filter: Option<&[u8]>) -> Result<u64> {
    run_count(segments, moment, filter, &mut None)
}

/// The same, with an account of every segment in the order of the request.
///
/// # Errors
/// As `query`.
pub fn explain_count(
    segments: &[Arc<Segment>],
    moment: Moment,
    filter: Option<&[u8]>,
) -> Result<(u64, Vec<SegmentReport>)> {
    let mut reports = Some(Vec::new());
    let total = run_count(segments, moment, filter, &mut reports)?;
    Ok((total, reports.unwrap_or_default()))
}

fn run_count(
    segments: &[Arc<Segment>],
    moment: Moment,
    filter: Option<&[u8]>,
    reports: &mut Option<Vec<SegmentReport>>,
) -> Result<u64> {
    let Some(first) = segments.first() else { return Ok(0) };
    let program = filter.map(|bytes| Program::decode(first.schema(), bytes)).transpose()?;
    let mut total = 0;
    for segment in segments {
        let begun = Instant::now();
        let rows = narrow(segment, moment, program.as_ref())?.iter().map(Part::count).sum::<usize>();
        total += rows;
        if let Some(reports) = reports {
            let pruned = program.as_ref().is_some_and(|program| segment.rules_out(program));
            let way = if pruned { Way::Statistics } else { Way::AllRows };
            let found = Found { way, micros: micros(begun), rows };
            reports.push(report(segment, moment, program.as_ref(), found)?);
        }
    }
    Ok(total as u64)
}

/// How a segment's matches were found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// No row was looked at.
    Statistics,
    Keys,
    AllRows,
    /// Only as many as the limit asks for; how many more there are is not known.
    FirstRows,
}

struct Found {
    way: Way,
    micros: u64,
    rows: usize,
}

fn report(segment: &Segment, moment: Moment, program: Option<&Program>, found: Found) -> Result<SegmentReport> {
    let mut report = SegmentReport::of(segment, moment, program)?;
    report.filter_micros = found.micros;
    if program.is_some() && found.way != Way::FirstRows {
        report.let_through(found.rows);
    }
    report.search.visited = found.rows as u64;
    report.search.plans.push(match found.way {
        Way::Statistics => "statistics",
        Way::Keys => "primary keys",
        Way::AllRows => "all rows",
        Way::FirstRows => "rows by key until there are enough",
    });
    Ok(report)
}

/// `fields` of those hits that lie in `segments`.
///
/// # Errors
/// A row number beyond its segment; a wrong field; a file that turns out damaged.
pub fn retrieve(segments: &[Arc<Segment>], hits: &Hits, fields: &[u32]) -> Result<FieldRows> {
    let schema = schema_of(segments)?;
    let mut picked = Picked::default();
    let mut positions = Vec::new();
    for segment in segments {
        let first = picked.sources.len();
        let sources = segment.sources()?;
        for (position, &row) in hits.rows.iter().enumerate().filter(|&(i, _)| hits.segments[i] == segment.id()) {
            let source = sources.partition_point(|source| source.base() <= row).checked_sub(1);
            let source = source.filter(|&i| ((row - sources[i].base()) as usize) < sources[i].rows());
            let source =
                source.ok_or_else(|| NativeError::Internal(format!("segment {} has no row {row}", segment.id())))?;
            picked.rows.push(((first + source) as u32, row - sources[source].base()));
            positions.push(position as u32);
        }
        picked.sources.extend(sources);
    }
    let columns = gather(&schema, &picked, fields, usize::MAX)?;
    Ok(FieldRows { row_count: positions.len(), positions, columns })
}

/// The parts of a segment with the rows that `moment` sees and the filter accepts.
pub(crate) fn narrow(segment: &Segment, moment: Moment, program: Option<&Program>) -> Result<Vec<Part>> {
    let Some(program) = program else { return segment.view(moment) };
    if segment.rules_out(program) {
        return Ok(vec![]);
    }
    if let Some(restriction) = program.primary_keys() {
        let mut parts = parts_of(segment.find(&keys_of(restriction.keys), moment)?);
        if !restriction.exact {
            parts.iter_mut().try_for_each(|part| part.filter(segment.schema(), program))?;
        }
        return Ok(parts);
    }
    let mut parts = segment.view(moment)?;
    parts.iter_mut().try_for_each(|part| part.filter(segment.schema(), program))?;
    Ok(parts)
}

fn schema_of(segments: &[Arc<Segment>]) -> Result<Arc<Schema>> {
    let first = segments.first().ok_or_else(|| NativeError::Internal("a read needs a segment".into()))?;
    Ok(Arc::clone(first.schema()))
}

fn keys_of(list: KeyList) -> Keys {
    match list {
        KeyList::Ints(keys) => Keys::Int(keys),
        KeyList::Texts(keys) => Keys::Text(keys.iter().map(String::as_bytes).collect::<VarBytes>()),
    }
}

/// Found rows as parts, one for each source.
fn parts_of(found: Vec<(Source, u32)>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (source, row) in found {
        let known = parts.iter_mut().find(|part| part.source.base() == source.base());
        let bits = match known {
            Some(part) => &mut part.allowed,
            None => {
                let bits = Bits::with_value(source.rows(), false);
                parts.push(Part { source, allowed: Some(bits) });
                let last = parts.len() - 1;
                &mut parts[last].allowed
            }
        };
        if let Some(bits) = bits {
            bits.set(row as usize, true);
        }
    }
    parts
}

/// Adds the matching rows of one segment.
fn pick(segment: &Segment, request: &QueryRequest<'_>, program: Option<&Program>, picked: &mut Picked) -> Result<Way> {
    if program.is_some_and(|program| segment.rules_out(program)) {
        return Ok(Way::Statistics);
    }
    let exact = program.and_then(Program::primary_keys).filter(|restriction| restriction.exact);
    if let Some(restriction) = exact {
        let first = picked.sources.len();
        for (source, row) in segment.find(&keys_of(restriction.keys), request.moment)? {
            let known = picked.sources[first..].iter().rposition(|known| known.base() == source.base());
            let number = first + known.unwrap_or(picked.sources.len() - first);
            if known.is_none() {
                picked.sources.push(source);
            }
            picked.rows.push((number as u32, row));
        }
        return Ok(Way::Keys);
    }
    if let (Some(program), Some(limit), Ok(_), None) =
        (program, request.limit, segment.as_sealed(), program.and_then(Program::primary_keys))
    {
        pick_first(segment, request.moment, program, limit, picked)?;
        return Ok(Way::FirstRows);
    }
    for part in narrow(segment, request.moment, program)? {
        // Sealed rows lie in key order, so the first ones are the ones.
        let limit = match part.source {
            Source::Sealed(_) => request.limit.unwrap_or(usize::MAX),
            Source::Memory(_) => usize::MAX,
        };
        picked.add(part, limit);
    }
    let cut = request.limit.is_some() && segment.as_sealed().is_ok();
    Ok(if cut { Way::FirstRows } else { Way::AllRows })
}

/// The first matches of a sealed segment: evaluates the filter over longer and longer stretches until there are
/// enough.
fn pick_first(segment: &Segment, moment: Moment, program: &Program, limit: usize, picked: &mut Picked) -> Result<()> {
    for mut part in segment.view(moment)? {
        let rows = part.source.rows();
        let visible = part.allowed.take().unwrap_or_else(|| Bits::with_value(rows, true));
        let (mut from, mut found) = (0, 0);
        while from < rows && found < limit {
            let to = rows.min(from + FIRST_ROWS.max(4 * from));
            let mut stretch = Bits::with_value(rows, false);
            let words = from / 64..to.div_ceil(64);
            stretch.words_mut()[words.clone()].copy_from_slice(&visible.words()[words]);
            let mut tried = Part { source: part.source.clone(), allowed: Some(stretch) };
            tried.filter(segment.schema(), program)?;
            found += tried.count();
            picked.add(tried, limit);
            from = to;
        }
    }
    Ok(())
}

fn sort_by_key(schema: &Schema, picked: &mut Picked, limit: Option<usize>) -> Result<()> {
    let keyed =
        picked.rows.iter().map(|&(source, row)| Ok((picked.sources[source as usize].key(schema, row)?, (source, row))));
    let keyed: Vec<(Key<'_>, (u32, u32))> = match limit.filter(|&limit| limit < picked.rows.len() / 4) {
        Some(limit) => smallest(keyed, limit)?,
        None => {
            let mut keyed = keyed.collect::<Result<Vec<_>>>()?;
            keyed.sort_unstable();
            keyed.truncate(limit.unwrap_or(usize::MAX));
            keyed
        }
    };
    picked.rows = keyed.into_iter().map(|(_, place)| place).collect();
    Ok(())
}

/// The `count` smallest, ascending; meant for few of many.
fn smallest<T: Ord>(all: impl Iterator<Item = Result<T>>, count: usize) -> Result<Vec<T>> {
    let mut kept = BinaryHeap::with_capacity(count + 1);
    for item in all {
        let item = item?;
        if kept.len() < count {
            kept.push(item);
        } else if let Some(mut largest) = kept.peek_mut().filter(|largest| item < **largest) {
            *largest = item;
        }
    }
    Ok(kept.into_sorted_vec())
}

/// The columns `fields` of the picked rows, in their order.
fn gather(schema: &Schema, picked: &Picked, fields: &[u32], bytes_max: usize) -> Result<Vec<(u32, Column)>> {
    let mut by_source: Vec<Vec<u32>> = vec![Vec::new(); picked.sources.len()];
    for &(source, row) in &picked.rows {
        by_source[source as usize].push(row);
    }
    // Where each picked row lands when the sources' rows stand one behind the other.
    let mut next = Vec::with_capacity(by_source.len());
    let mut total = 0_u32;
    for rows in &by_source {
        next.push(total);
        total += rows.len() as u32;
    }
    let places: Vec<u32> = picked
        .rows
        .iter()
        .map(|&(source, _)| {
            let place = next[source as usize];
            next[source as usize] += 1;
            place
        })
        .collect();
    let in_order = places.iter().enumerate().all(|(i, &place)| place == i as u32);
    let mut columns = Vec::with_capacity(fields.len());
    let mut bytes = 0;
    for &id in fields {
        let position = schema
            .position(id)
            .ok_or_else(|| NativeError::SchemaMismatch(format!("field {id} is not in the schema")))?;
        let field = &schema.fields[position];
        let width = field.data_type.vector_width(field.dim).unwrap_or(0);
        check_size(bytes + width.saturating_mul(picked.rows.len()), bytes_max)?;
        let mut column = Column::empty(field);
        for (source, rows) in picked.sources.iter().zip(&by_source).filter(|(_, rows)| !rows.is_empty()) {
            column.append(&source.gather(schema, position, rows)?)?;
        }
        bytes += column.byte_size();
        check_size(bytes, bytes_max)?;
        columns.push((id, if in_order { column } else { column.gather(&places) }));
    }
    Ok(columns)
}

fn check_size(bytes: usize, bytes_max: usize) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(NativeError::ParameterTooLarge(format!("the answer has more than {bytes_max} bytes, ask for fewer rows")))
}
