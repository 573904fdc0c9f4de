//! Makes the lists and their codes.

use std::sync::Mutex;

use elanus_kernels::memory::u32s_as_bytes;
use elanus_kernels::scan::BLOCK;
use elanus_kernels::{AlignedBuf, DistanceKernel, Isa};

use super::recipe::Recipe;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format;
use crate::parallel;
use crate::params::Params;
use crate::progress::Progress;
use crate::quantize::kmeans::{self, Centroids};
use crate::quantize::{Decoder, Form, Kind, Quantizer, Vectors, block_bytes, fill_block};
use crate::top_k::Direction;
use crate::vector::{Metric, VectorRows};

/// Training rows for each centroid.
const SAMPLE_PER_LIST: usize = 64;
/// Rows that codebooks are trained with.
const SAMPLE_OF_CODES: usize = 1 << 14;
/// Bound of a training sample's memory.
const SAMPLE_BYTES_MAX: usize = 256 << 20;
const ROUNDS: usize = 10;
/// Below this many dimensions the rows are as small as their codes.
const CODES_DIM_MIN: usize = 16;
/// Blocks or stretches of rows that one thread takes at a time.
const SHARE: usize = 8;

/// The section of centroids in eight bits that lists are ranked by.
const COARSE: Kind = Kind::Scalar { bits: 8 };

/// Builds the file of an index over all rows that are not null.
pub(crate) fn build_file(
    meta: &Meta,
    metric: Metric,
    params: &Params,
    rows: &dyn VectorRows,
    progress: &Progress,
    threads: usize,
) -> Result<Vec<u8>, IndexError> {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let row_of: Vec<u32> = (0..count).filter(|&row| !rows.row(row).is_empty()).collect();
    let mut recipe = Recipe::of(&meta.index_type, params, metric, rows.dim(), row_of.len())?;
    let work = Work { rows, decoder: Decoder::centred(rows, &row_of, metric), threads, progress };
    let centroids = work.train(&row_of, recipe.lists)?;
    let lists = Lists::of(&work, &row_of, centroids)?;
    progress.advance(0.5);
    let mut codes = None;
    if let Some(kind) = recipe.codes.filter(|_| !row_of.is_empty()) {
        let exact = meta.index_type == "IVF_FLAT";
        if !exact || rows.dim() >= CODES_DIM_MIN {
            let quantizer = work.quantizer(kind, recipe.form, &lists)?;
            let trusted = !exact || work.codes_suffice(&quantizer, &lists);
            codes = trusted.then_some(quantizer);
        }
    }
    recipe.codes = recipe.codes.filter(|_| codes.is_some());
    let (blocks, books) = match &codes {
        Some(quantizer) => (work.blocks(quantizer, &lists)?, quantizer.state()),
        None => (AlignedBuf::zeroed(0), vec![]),
    };
    progress.advance(0.9);
    let refine = match recipe.refine.filter(|_| !row_of.is_empty()) {
        Some(kind) => work.records(&Quantizer::open(kind, recipe.form, rows.dim(), &[])?, &lists)?,
        None => AlignedBuf::zeroed(0),
    };
    let coarse = coarse_blocks(&lists.centroids, metric)?;
    let recipe = serde_json::to_vec(&Recipe { lists: lists.centroids.count(), ..recipe }).unwrap_or_default();
    let file = format::write(&[
        ("meta", &meta.encode()),
        ("recipe", &recipe),
        ("origin", &floats_as_bytes(&work.decoder.origin)),
        ("centroids", &floats_as_bytes(&lists.centroids.values)),
        ("coarse", &coarse),
        ("starts", u32s_as_bytes(&lists.starts)),
        ("rows", u32s_as_bytes(&lists.rows)),
        ("books", &books),
        ("blocks", &blocks),
        ("refine", &refine),
    ])?;
    progress.advance(1.0);
    Ok(file)
}

fn floats_as_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// What codes the centroids.
pub(crate) fn coarse_quantizer(metric: Metric, dim: usize) -> Result<Quantizer, IndexError> {
    Quantizer::open(COARSE, Form::of(metric), dim, &[])
}

/// Codes of the centroids around the origin.
pub(crate) fn coarse_blocks(centroids: &Centroids, metric: Metric) -> Result<AlignedBuf, IndexError> {
    let quantizer = coarse_quantizer(metric, centroids.dim)?;
    let bytes = block_bytes(&quantizer);
    let mut blocks = AlignedBuf::zeroed(centroids.count().div_ceil(BLOCK) * bytes);
    let mut records = vec![0; BLOCK * quantizer.record_bytes()];
    for (values, block) in centroids.values.chunks(BLOCK * centroids.dim).zip(blocks.chunks_exact_mut(bytes)) {
        let count = values.len() / centroids.dim;
        let records = &mut records[..count * quantizer.record_bytes()];
        quantizer.encode(values, values, &vec![&[][..]; count], records);
        fill_block(&quantizer, records, block);
    }
    Ok(blocks)
}

/// Rows by list.
struct Lists {
    centroids: Centroids,
    /// Where each list starts in `rows`, and the end of the last.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Lists {
    fn of(work: &Work<'_>, row_of: &[u32], centroids: Centroids) -> Result<Self, IndexError> {
        let load = |index: usize, out: &mut [f32]| work.decoder.decode(work.rows.row(row_of[index]), out);
        let nearest = match centroids.count() {
            0 => vec![],
            _ => kmeans::assign(&centroids, row_of.len(), load, work.threads, work.progress)?,
        };
        let mut starts = vec![0u32; centroids.count() + 1];
        for &list in &nearest {
            starts[list as usize + 1] += 1;
        }
        for list in 0..centroids.count() {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; row_of.len()];
        for (&row, &list) in row_of.iter().zip(&nearest) {
            rows[next[list as usize] as usize] = row;
            next[list as usize] += 1;
        }
        Ok(Self { centroids, starts, rows })
    }

    fn list(&self, list: usize) -> std::ops::Range<usize> {
        self.starts[list] as usize..self.starts[list + 1] as usize
    }

    /// The list that a place in `rows` belongs to.
    fn list_of(&self, place: usize) -> usize {
        self.starts.partition_point(|&start| start as usize <= place) - 1
    }
}

/// What a build works with.
struct Work<'a> {
    rows: &'a dyn VectorRows,
    decoder: Decoder,
    threads: usize,
    progress: &'a Progress,
}

impl Work<'_> {
    fn train(&self, row_of: &[u32], lists: usize) -> Result<Centroids, IndexError> {
        let dim = self.rows.dim();
        let most = (SAMPLE_BYTES_MAX / (dim * 4)).max(lists).min(lists * SAMPLE_PER_LIST);
        let step = row_of.len().div_ceil(most.max(1)).max(1);
        let sample: Vec<u32> = row_of.iter().copied().step_by(step).collect();
        let sample = if sample.len() < lists { row_of.to_vec() } else { sample };
        let mut values = vec![0f32; sample.len() * dim];
        for (out, &row) in values.chunks_exact_mut(dim).zip(&sample) {
            self.decoder.decode(self.rows.row(row), out);
        }
        let sample = Vectors { values: &values, dim };
        let report = |share: f32| self.progress.advance(0.4 * share);
        kmeans::train(sample, lists, ROUNDS, self.threads, self.progress, report)
    }

    /// What the vector at a place differs by from its centroid; `vector` is filled with the vector itself.
    fn residual(&self, lists: &Lists, place: usize, list: usize, vector: &mut [f32], out: &mut [f32]) {
        self.decoder.decode(self.rows.row(lists.rows[place]), vector);
        let centre = lists.centroids.row(list);
        out.iter_mut().zip(vector.iter().zip(centre)).for_each(|(out, (value, centre))| *out = value - centre);
    }

    fn quantizer(&self, kind: Kind, form: Form, lists: &Lists) -> Result<Quantizer, IndexError> {
        let dim = self.rows.dim();
        let mut values = vec![];
        if matches!(kind, Kind::Product { .. }) {
            let most = SAMPLE_OF_CODES.min(SAMPLE_BYTES_MAX / (dim * 4)).max(1);
            let step = lists.rows.len().div_ceil(most).max(1);
            let mut vector = vec![0f32; dim];
            for place in (0..lists.rows.len()).step_by(step) {
                let from = values.len();
                values.resize(from + dim, 0.0);
                self.residual(lists, place, lists.list_of(place), &mut vector, &mut values[from..]);
            }
        }
        Quantizer::train(kind, form, Vectors { values: &values, dim }, self.threads, self.progress)
    }

    /// The codes of all lists, each list in blocks of its own.
    fn blocks(&self, quantizer: &Quantizer, lists: &Lists) -> Result<AlignedBuf, IndexError> {
        let dim = self.rows.dim();
        let mut places = vec![];
        for list in 0..lists.centroids.count() {
            let range = lists.list(list);
            places.extend(range.clone().step_by(BLOCK).map(|from| (list, from..(from + BLOCK).min(range.end))));
        }
        let bytes = block_bytes(quantizer);
        let mut blocks = AlignedBuf::zeroed(places.len() * bytes);
        let shares = Mutex::new(places.chunks(SHARE).zip(blocks.chunks_mut(SHARE * bytes)));
        parallel::run(self.threads, || {
            let (mut residuals, mut vectors) = (vec![0f32; BLOCK * dim], vec![0f32; BLOCK * dim]);
            let mut records = vec![0; BLOCK * quantizer.record_bytes()];
            loop {
                self.progress.check()?;
                let taken = shares.lock().map_or_else(|broken| broken.into_inner().next(), |mut own| own.next());
                let Some((places, blocks)) = taken else { return Ok(()) };
                for ((list, places), block) in places.iter().zip(blocks.chunks_exact_mut(bytes)) {
                    let count = places.len();
                    let lanes = vectors.chunks_exact_mut(dim).zip(residuals.chunks_exact_mut(dim));
                    for (place, (vector, residual)) in places.clone().zip(lanes) {
                        self.residual(lists, place, *list, vector, residual);
                    }
                    let centres = vec![lists.centroids.row(*list); count];
                    let records = &mut records[..count * quantizer.record_bytes()];
                    let values = ..count * dim;
                    quantizer.encode(&residuals[values], &vectors[values], &centres, records);
                    fill_block(quantizer, records, block);
                }
            }
        })?;
        Ok(blocks)
    }

    /// Records of all places, around the origin.
    fn records(&self, quantizer: &Quantizer, lists: &Lists) -> Result<AlignedBuf, IndexError> {
        let (dim, bytes) = (self.rows.dim(), quantizer.record_bytes());
        let mut records = AlignedBuf::zeroed(lists.rows.len() * bytes);
        let shares = Mutex::new(lists.rows.chunks(BLOCK).zip(records.chunks_mut(BLOCK * bytes)));
        parallel::run(self.threads, || {
            let mut vectors = vec![0f32; BLOCK * dim];
            loop {
                self.progress.check()?;
                let taken = shares.lock().map_or_else(|broken| broken.into_inner().next(), |mut own| own.next());
                let Some((rows, records)) = taken else { return Ok(()) };
                for (&row, vector) in rows.iter().zip(vectors.chunks_exact_mut(dim)) {
                    self.decoder.decode(self.rows.row(row), vector);
                }
                let vectors = &vectors[..rows.len() * dim];
                quantizer.encode(vectors, vectors, &vec![&[][..]; rows.len()], records);
            }
        })?;
        Ok(records)
    }

    /// Whether codes keep neighbourhoods apart: for sampled rows, nearly all of the exact ten nearest of a sample must
    /// be among the thirty-two nearest by code.
    fn codes_suffice(&self, quantizer: &Quantizer, lists: &Lists) -> bool {
        const QUERIES: usize = 24;
        const ROWS: usize = 2_000;
        const NEAREST: usize = 10;
        const CANDIDATES: usize = 32;
        let Some(kernel) = DistanceKernel::choose(self.decoder.metric, self.decoder.element, Isa::detect()) else {
            return false;
        };
        let (dim, direction) = (self.rows.dim(), Direction::of(self.decoder.metric));
        let places: Vec<usize> = (0..lists.rows.len()).step_by(lists.rows.len().div_ceil(ROWS).max(1)).collect();
        let (mut vector, mut residual) = (vec![0f32; dim], vec![0f32; dim]);
        let bytes = quantizer.record_bytes();
        let mut records = vec![0; places.len() * bytes];
        for (&place, record) in places.iter().zip(records.chunks_exact_mut(bytes)) {
            let list = lists.list_of(place);
            self.residual(lists, place, list, &mut vector, &mut residual);
            quantizer.encode(&residual, &vector, &[lists.centroids.row(list)], record);
        }
        let (mut found, mut wanted) = (0, 0);
        for &own in places.iter().step_by(places.len().div_ceil(QUERIES).max(1)) {
            let row = self.rows.row(lists.rows[own]);
            self.decoder.decode(row, &mut vector);
            let by_code = quantizer.record_query(&vector, 0.0);
            let scorer = kernel.scorer(row);
            let mut keys: Vec<(f32, f32)> = places
                .iter()
                .zip(records.chunks_exact(bytes))
                .map(|(&place, record)| {
                    let base = quantizer.base(&vector, lists.centroids.row(lists.list_of(place)));
                    (by_code.key(record) + base, direction.key(scorer.score(self.rows.row(lists.rows[place]))))
                })
                .collect();
            let nearest = NEAREST.min(keys.len());
            keys.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
            let limit = keys[nearest - 1].1;
            keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let hits = keys.iter().take(CANDIDATES).filter(|(_, exact)| *exact <= limit).count();
            found += hits.min(nearest);
            wanted += nearest;
        }
        found * 1000 >= wanted * 995
    }
}
