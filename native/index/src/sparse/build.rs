//! Builds the file: counts, numbers the lists, and encodes groups of them side by side.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Mutex;

use elanus_kernels::memory::{f32s_as_bytes, u16s_as_bytes, u32s_as_bytes};

use super::Pairs;
use super::encode::{CELL_ROWS, Encoded, Values, is_long};
use super::file::Header;
use super::params::BuildParams;
use super::scoring::Bm25;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format;
use crate::parallel;
use crate::params::Params;
use crate::progress::Progress;
use crate::vector::{Metric, SparseRows};

/// Rows that one thread takes at a time.
const STRETCH: usize = 4096;

/// Dimensions are hashes or small numbers: one multiplication spreads both.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        let mixed = (self.0 ^ u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}

type PerDimension = HashMap<u32, u32, BuildHasherDefault<Spread>>;

fn too_large() -> IndexError {
    IndexError::Parameter("a sparse index holds at most 4294967295 values".to_owned())
}

struct Build<'a> {
    rows: &'a dyn SparseRows,
    metric: Metric,
    progress: &'a Progress,
    threads: usize,
}

/// What the first pass over the rows finds.
struct Census {
    counts: PerDimension,
    /// For BM25: the length of each row.
    lengths: Vec<f32>,
    /// All values are counts that fit a byte.
    bytes: bool,
}

/// The lists by ascending dimension.
struct Lists {
    dimensions: Vec<u32>,
    starts: Vec<u32>,
    /// The list of each kept pair, row by row.
    of_pair: Vec<u32>,
}

/// Builds the file of an index over all rows.
pub(crate) fn build_file(
    meta: &Meta,
    metric: Metric,
    params: &Params,
    rows: &dyn SparseRows,
    progress: &Progress,
    threads: usize,
) -> Result<Vec<u8>, IndexError> {
    let checked = BuildParams::read(&meta.index_type, metric, params)?;
    u32::try_from(rows.len()).map_err(|_| too_large())?;
    let build = Build { rows, metric, progress, threads: threads.max(1) };
    let census = build.census()?;
    progress.advance(0.3);
    let lists = build.number(&census)?;
    progress.advance(0.5);
    let words: f64 = census.lengths.iter().map(|&length| f64::from(length)).sum();
    let average_length = (words / (rows.len().max(1) as f64)) as f32;
    let bm25 = (metric == Metric::Bm25).then_some(Bm25 { k1: checked.k1, b: checked.b, average_length });
    let encoded = build.encode(&census, &lists, bm25)?;
    progress.advance(0.95);
    let header = Header { bm25, bytes: census.bytes, exhaustive: checked.exhaustive };
    let file = write(meta, &header, &census, &lists, &encoded)?;
    progress.advance(1.0);
    Ok(file)
}

fn write(
    meta: &Meta,
    header: &Header,
    census: &Census,
    lists: &Lists,
    encoded: &Encoded,
) -> Result<Vec<u8>, IndexError> {
    let header = serde_json::to_vec(header).unwrap_or_default();
    let places = places(&lists.starts, meta.rows.div_ceil(CELL_ROWS));
    let values = match &encoded.values {
        Values::Floats(values) => f32s_as_bytes(values),
        Values::Bytes(values) => values,
    };
    format::write(&[
        ("meta", &meta.encode()),
        ("sparse", &header),
        ("dimensions", u32s_as_bytes(&lists.dimensions)),
        ("starts", u32s_as_bytes(&lists.starts)),
        ("places", u32s_as_bytes(&places)),
        ("scales", f32s_as_bytes(&encoded.scales)),
        ("leasts", f32s_as_bytes(&encoded.leasts)),
        ("lows", u16s_as_bytes(&encoded.lows)),
        ("highs", u16s_as_bytes(&encoded.highs)),
        ("short_codes", &encoded.short_codes),
        ("cell_codes", &encoded.cell_codes),
        ("cell_starts", u16s_as_bytes(&encoded.cell_starts)),
        ("window_starts", u32s_as_bytes(&encoded.window_starts)),
        ("values", values),
        ("lengths", f32s_as_bytes(&census.lengths)),
    ])
}

/// For a long list its number among the long ones; for a short one where its postings start among those.
fn places(starts: &[u32], cells: usize) -> Vec<u32> {
    let (mut long, mut short) = (0, 0);
    let place = |bounds: &[u32]| {
        let count = bounds[1] - bounds[0];
        let (place, step) = if is_long(count as usize, cells) { (&mut long, 1) } else { (&mut short, count) };
        *place += step;
        *place - step
    };
    starts.windows(2).map(place).collect()
}

impl Build<'_> {
    /// BM25 keeps counts alone: nothing that is not above 0.
    fn pairs(&self, row: u32) -> impl Iterator<Item = (u32, f32)> {
        let counted = self.metric == Metric::Bm25;
        Pairs::of_row(self.rows.row(row)).iter().filter(move |&(_, value)| !counted || value > 0.0)
    }

    fn stretches(&self) -> impl Iterator<Item = Range<u32>> + Send {
        let count = self.rows.len();
        (0..count).step_by(STRETCH).map(move |from| from as u32..(from + STRETCH).min(count) as u32)
    }

    fn census(&self) -> Result<Census, IndexError> {
        let counted = self.metric == Metric::Bm25;
        let mut lengths = vec![0f32; if counted { self.rows.len() } else { 0 }];
        let merged = Mutex::new((PerDimension::default(), counted));
        let work = Mutex::new(
            self.stretches().zip(lengths.chunks_mut(STRETCH).map(Some).chain(std::iter::repeat_with(|| None))),
        );
        parallel::run(self.threads, || {
            let (mut counts, mut bytes) = (PerDimension::default(), counted);
            while let Some((rows, lengths)) = next(&work) {
                self.progress.check()?;
                for row in rows.clone() {
                    for (dimension, value) in self.pairs(row) {
                        *counts.entry(dimension).or_default() += 1;
                        bytes &= value <= 255.0 && value.fract() == 0.0;
                    }
                }
                for (row, length) in rows.zip(lengths.into_iter().flatten()) {
                    *length = Pairs::of_row(self.rows.row(row)).length();
                }
            }
            let mut merged = merged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            merged.1 &= bytes;
            for (dimension, count) in counts {
                let sum = merged.0.entry(dimension).or_default();
                *sum = sum.checked_add(count).ok_or_else(too_large)?;
            }
            Ok(())
        })?;
        let (counts, bytes) = merged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Census { counts, lengths, bytes })
    }

    fn number(&self, census: &Census) -> Result<Lists, IndexError> {
        let mut dimensions: Vec<u32> = census.counts.keys().copied().collect();
        dimensions.sort_unstable();
        let mut starts = vec![0u32];
        let mut total = 0u32;
        let mut numbers = PerDimension::default();
        for (number, dimension) in dimensions.iter().enumerate() {
            total = total.checked_add(census.counts[dimension]).ok_or_else(too_large)?;
            starts.push(total);
            numbers.insert(*dimension, number as u32);
        }
        let mut of_pair = Vec::with_capacity(total as usize);
        for rows in self.stretches() {
            self.progress.check()?;
            for row in rows {
                of_pair.extend(self.pairs(row).map(|(dimension, _)| numbers[&dimension]));
            }
        }
        Ok(Lists { dimensions, starts, of_pair })
    }

    fn encode(&self, census: &Census, lists: &Lists, bm25: Option<Bm25>) -> Result<Encoded, IndexError> {
        let groups = groups(&lists.starts, self.threads);
        let work = Mutex::new(groups.iter().cloned().enumerate());
        let done: Mutex<Vec<(usize, Encoded)>> = Mutex::new(vec![]);
        parallel::run(self.threads, || {
            while let Some((number, group)) = next(&work) {
                let encoded = self.encode_group(census, lists, bm25, group)?;
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, encoded));
            }
            Ok(())
        })?;
        let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        let mut all = Encoded::new(census.bytes);
        done.into_iter().for_each(|(_, encoded)| all.append(encoded));
        Ok(all)
    }

    fn encode_group(
        &self,
        census: &Census,
        lists: &Lists,
        bm25: Option<Bm25>,
        group: Range<usize>,
    ) -> Result<Encoded, IndexError> {
        let base = lists.starts[group.start];
        let total = (lists.starts[group.end] - base) as usize;
        let (mut posted, mut values) = (vec![0u32; total], vec![0f32; total]);
        let mut next: Vec<u32> = lists.starts[group.clone()].iter().map(|start| start - base).collect();
        let mut of_pair = lists.of_pair.iter();
        for rows in self.stretches() {
            self.progress.check()?;
            for row in rows {
                for ((_, value), &list) in self.pairs(row).zip(&mut of_pair) {
                    if group.contains(&(list as usize)) {
                        let place = &mut next[list as usize - group.start];
                        (posted[*place as usize], values[*place as usize]) = (row, value);
                        *place += 1;
                    }
                }
            }
        }
        let impact = |row: u32, value: f32| match bm25 {
            None => value,
            Some(bm25) => bm25.score(1.0, value, bm25.norm(census.lengths[row as usize])),
        };
        let mut encoded = Encoded::new(census.bytes);
        let cells = self.rows.len().div_ceil(CELL_ROWS);
        for list in group {
            self.progress.check()?;
            let range = (lists.starts[list] - base) as usize..(lists.starts[list + 1] - base) as usize;
            encoded.push(&posted[range.clone()], &values[range], cells, impact);
        }
        Ok(encoded)
    }
}

fn next<T>(work: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next()
}

/// Stretches of lists with about equally many postings, at most `wanted`.
fn groups(starts: &[u32], wanted: usize) -> Vec<Range<usize>> {
    let lists = starts.len() - 1;
    let total = u64::from(starts[lists]);
    let cut = |part: usize| starts.partition_point(|&start| u64::from(start) < total * part as u64 / wanted as u64);
    let cuts: Vec<usize> = (0..=wanted).map(|part| if part == wanted { lists } else { cut(part).min(lists) }).collect();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).filter(|group| !group.is_empty()).collect()
}
