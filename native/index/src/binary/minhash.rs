//! MINHASH_LSH: signatures that agree in all elements of some band are candidates.
//!
//! Broder, "On the resemblance and containment of documents" (1997); banding: Leskovec, Rajaraman & Ullman, "Mining of
//! Massive Datasets", chapter 3. With b bands of r elements, texts of similarity s meet with probability
//! 1 − (1 − s^r)^b. A band's hash only finds candidates: its bytes are compared, so chance never makes a hit.

use std::ops::Range;

use elanus_kernels::memory::{as_u32s, u32s_as_bytes};
use elanus_kernels::{BitsetView, DistanceKernel, Isa, crc32c};
use serde::{Deserialize, Serialize};

use super::{check_rows, present};
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{self, File, damaged};
use crate::params::Params;
use crate::progress::Progress;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows};

/// Checked search parameters of MHJACCARD, with and without an index.
#[derive(Clone, Debug, PartialEq)]
pub struct MinHashParams {
    /// Bytes of an element of a signature.
    pub element_bytes: usize,
    /// Candidates are scored by their similarity; otherwise each scores 1.
    pub with_similarity: bool,
    /// Rows that no index covers: as many bands as the index has that the others are under, so that all rows are found
    /// and scored alike. `None`: every row is scored by its similarity.
    pub bands: Option<usize>,
}

impl Default for MinHashParams {
    fn default() -> Self {
        Self { element_bytes: 1, with_similarity: false, bands: None }
    }
}

impl MinHashParams {
    pub(crate) fn read(params: &Params) -> Result<Self, IndexError> {
        // All candidates are scored, so that neither more of them nor batches would change an answer.
        params.integer("refine_k", 1, i32::MAX)?;
        params.flag("mh_lsh_batch_search")?;
        Ok(Self {
            element_bytes: element_bytes(params)?,
            with_similarity: params.flag("mh_search_with_jaccard")?.unwrap_or(false),
            bands: params.integer("mh_lsh_band", 1, i32::MAX)?,
        })
    }
}

fn element_bytes(params: &Params) -> Result<usize, IndexError> {
    let bits = params.integer("mh_element_bit_width", 8, 256)?.unwrap_or(8);
    if bits % 8 != 0 {
        let range = "[8, 256] and a multiple of 8";
        let text = format!("Out of range in json: param 'mh_element_bit_width' ({bits}) should be in range {range}");
        return Err(IndexError::Parameter(text));
    }
    Ok(bits / 8)
}

/// Section `minhash`, as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bands {
    element_bytes: usize,
    bands: usize,
    /// Bytes of a band; what is left of a signature after the last band does not count.
    band_bytes: usize,
}

impl Bands {
    fn of(dim: usize, params: &Params) -> Result<Self, IndexError> {
        let element_bytes = element_bytes(params)?;
        let bands = params.integer("mh_lsh_band", 1, i32::MAX)?.unwrap_or(1);
        Self::new(dim, element_bytes, bands)
    }

    /// At most one band an element.
    fn new(dim: usize, element_bytes: usize, bands: usize) -> Result<Self, IndexError> {
        let elements = dim / 8 / element_bytes;
        if elements == 0 {
            let text = format!("mh_element_bit_width ({}) should not be larger than dim ({dim})", element_bytes * 8);
            return Err(IndexError::Parameter(text));
        }
        let bands = bands.min(elements);
        Ok(Self { element_bytes, bands, band_bytes: elements / bands * element_bytes })
    }

    /// Whether two signatures meet in some band.
    fn meet(self, left: &[u8], right: &[u8]) -> bool {
        (0..self.bands).any(|band| self.band(left, band) == self.band(right, band))
    }

    fn band(self, signature: &[u8], band: usize) -> &[u8] {
        signature.get(band * self.band_bytes..(band + 1) * self.band_bytes).unwrap_or(&[])
    }
}

/// What an index of `bands` bands would answer, from the rows alone.
///
/// # Errors
/// The query or an element's width does not fit the rows.
pub(crate) fn scan(
    rows: &dyn VectorRows,
    bands: usize,
    query: &Query<'_>,
    out: &mut Vec<Hit>,
) -> Result<(), IndexError> {
    crate::flat::kernel_for(rows, Metric::MhJaccard, query.vector)?;
    let bands = Bands::new(rows.dim(), query.params.min_hash.element_bytes, bands)?;
    let allowed = query.allowed.map(BitsetView::new);
    let open = |row: &u32| allowed.is_none_or(|allowed| allowed.contains(*row));
    let met = |row: &u32| bands.meet(rows.row(*row), query.vector);
    let candidates: Vec<u32> = present(rows).into_iter().filter(open).filter(met).collect();
    score(rows, bands, &candidates, query, out)?;
    query.note(|stats| stats.plans.push("bands of every row"));
    Ok(())
}

/// Appends the best of the candidates, which ascend.
fn score(
    rows: &dyn VectorRows,
    bands: Bands,
    candidates: &[u32],
    query: &Query<'_>,
    out: &mut Vec<Hit>,
) -> Result<(), IndexError> {
    let kernel = DistanceKernel::min_hash(bands.element_bytes, Isa::detect()).ok_or_else(|| damaged("minhash"))?;
    let scorer = kernel.scorer(query.vector);
    let direction = Direction::of(Metric::MhJaccard);
    let bounds = Bounds::of(query, direction);
    let mut top = TopK::new(query.top_k);
    let with_similarity = query.params.min_hash.with_similarity;
    for &row in candidates {
        let score = if with_similarity { scorer.score(rows.row(row)) } else { 1.0 };
        let key = direction.key(score);
        if bounds.admit(key) {
            top.offer(key, row);
        }
    }
    query.note(|stats| {
        stats.visited += candidates.len() as u64;
        stats.compared_rows(if with_similarity { candidates.len() } else { 0 }, query.vector.len());
    });
    top.finish(direction, out);
    Ok(())
}

/// An opened index.
pub(crate) struct MinHashLsh {
    file: File,
    bands: Bands,
    rows: usize,
    dim: usize,
    /// Rows that are not null.
    present: usize,
    hashes: Range<usize>,
    listed: Range<usize>,
}

impl MinHashLsh {
    /// Builds the file of an index over all rows that are not null.
    pub(crate) fn build_file(
        meta: &Meta,
        params: &Params,
        rows: &dyn VectorRows,
        progress: &Progress,
    ) -> Result<Vec<u8>, IndexError> {
        let bands = Bands::of(rows.dim(), params)?;
        let of = present(rows);
        let (mut hashes, mut listed) = (vec![], vec![]);
        for band in 0..bands.bands {
            progress.check()?;
            let mut pairs: Vec<(u32, u32)> =
                of.iter().map(|&row| (crc32c(bands.band(rows.row(row), band)), row)).collect();
            pairs.sort_unstable();
            hashes.extend(pairs.iter().map(|(hash, _)| *hash));
            listed.extend(pairs.iter().map(|(_, row)| *row));
            progress.advance(0.95 * (band + 1) as f32 / bands.bands as f32);
        }
        let file = format::write(&[
            ("meta", &meta.encode()),
            ("minhash", &serde_json::to_vec(&bands).unwrap_or_default()),
            ("hashes", u32s_as_bytes(&hashes)),
            ("rows", u32s_as_bytes(&listed)),
        ])?;
        progress.advance(1.0);
        Ok(file)
    }

    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let bands: Bands = serde_json::from_slice(file.section("minhash")?).map_err(|_| damaged("minhash"))?;
        let (hashes, listed) = (file.range("hashes")?, file.range("rows")?);
        let present = (listed.len() / 4).checked_div(bands.bands).ok_or_else(|| damaged("minhash"))?;
        let index = Self { file, bands, rows: meta.rows, dim: meta.dim, present, hashes, listed };
        index.check()?;
        Ok(index)
    }

    /// What checksums cannot tell.
    fn check(&self) -> Result<(), IndexError> {
        let Bands { element_bytes, bands, band_bytes } = self.bands;
        let fits = bands.checked_mul(band_bytes).is_some_and(|bytes| bytes <= self.dim / 8) && band_bytes > 0;
        if !fits || !(1..=32).contains(&element_bytes) {
            return Err(damaged("minhash"));
        }
        let entries = self.present.checked_mul(bands);
        let (hashes, listed) = (self.words(&self.hashes), self.words(&self.listed));
        if entries != Some(hashes.len()) || entries != Some(listed.len()) {
            return Err(damaged("hashes"));
        }
        let sorted = self.present == 0 || hashes.chunks(self.present).all(<[u32]>::is_sorted);
        if !sorted || listed.iter().any(|&row| row as usize >= self.rows) {
            return Err(damaged("rows"));
        }
        Ok(())
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(&self.file.bytes()[range.clone()]).unwrap_or(&[])
    }

    /// Allowed rows with a band equal to the query's, ascending.
    fn candidates(&self, rows: &dyn VectorRows, query: &Query<'_>) -> Vec<u32> {
        let allowed = query.allowed.map(BitsetView::new);
        let mut found = vec![];
        for band in 0..self.bands.bands {
            let entries = band * self.present..(band + 1) * self.present;
            let (hashes, listed) = (&self.words(&self.hashes)[entries.clone()], &self.words(&self.listed)[entries]);
            let wanted = self.bands.band(query.vector, band);
            let hash = crc32c(wanted);
            let first = hashes.partition_point(|&own| own < hash);
            let equal = hashes[first..].iter().take_while(|&&own| own == hash).count();
            let same = |&row: &u32| self.bands.band(rows.row(row), band) == wanted;
            let open = |row: &u32| allowed.is_none_or(|allowed| allowed.contains(*row));
            found.extend(listed[first..first + equal].iter().copied().filter(open).filter(same));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl VectorIndex for MinHashLsh {
    /// May find fewer than k. Without `mh_search_with_jaccard` every candidate scores 1.
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        check_rows(rows, self.rows, self.dim)?;
        crate::flat::kernel_for(rows, Metric::MhJaccard, query.vector)?;
        score(rows, self.bands, &self.candidates(rows, query), query, out)?;
        query.note(|stats| stats.plans.push("equal bands"));
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "MINHASH_LSH"
    }

    fn metric(&self) -> Metric {
        Metric::MhJaccard
    }

    fn row_count(&self) -> usize {
        self.rows
    }

    fn memory_bytes(&self) -> usize {
        self.file.heap_bytes()
    }
}
