//! The parts of an IVF index in its file, and their check on opening.

use std::ops::Range;

use elanus_kernels::memory::{as_f32s, as_u32s};
use elanus_kernels::scan::BLOCK;

use super::build::coarse_quantizer;
use super::recipe::{Recipe, type_of};
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{File, corrupt, damaged};
use crate::quantize::{Decoder, Quantizer, block_bytes};
use crate::vector::{Element, Metric};

/// An opened index.
pub(crate) struct Ivf {
    file: File,
    pub type_name: &'static str,
    pub metric: Metric,
    pub decoder: Decoder,
    pub dim: usize,
    pub rows: usize,
    /// Codes of the centroids.
    pub coarse: Quantizer,
    /// Codes of the lists.
    pub codes: Option<Quantizer>,
    /// Codes that candidates are compared with before the rows.
    pub refine: Option<Quantizer>,
    /// Where each list's blocks start, in blocks; empty without codes.
    first_blocks: Vec<usize>,
    parts: Parts,
}

/// Where the sections lie.
struct Parts {
    centroids: Range<usize>,
    coarse: Range<usize>,
    starts: Range<usize>,
    listed: Range<usize>,
    blocks: Range<usize>,
    refine: Range<usize>,
}

impl Ivf {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let (metric, element) = (meta.metric()?, meta.element()?);
        let recipe: Recipe = serde_json::from_slice(file.section("recipe")?)
            .map_err(|error| corrupt(&format!("section recipe: {error}")))?;
        if meta.dim == 0 || element == Element::Bit {
            return Err(damaged("meta"));
        }
        let origin = as_f32s(file.section("origin")?).unwrap_or(&[]).to_vec();
        if !origin.is_empty() && (origin.len() != meta.dim || metric == Metric::Ip) {
            return Err(damaged("origin"));
        }
        let open = |kind, state: &[u8]| Quantizer::open(kind, recipe.form, meta.dim, state);
        let codes = recipe.codes.filter(|_| !file.range("blocks").is_ok_and(|range| range.is_empty()));
        let refine = recipe.refine.filter(|_| !file.range("refine").is_ok_and(|range| range.is_empty()));
        let mut index = Self {
            type_name: type_of(&meta.index_type).ok_or_else(|| damaged("meta"))?,
            metric,
            decoder: Decoder { element, metric, origin },
            dim: meta.dim,
            rows: meta.rows,
            coarse: coarse_quantizer(metric, meta.dim)?,
            codes: codes.map(|kind| open(kind, file.section("books")?)).transpose()?,
            refine: refine.map(|kind| open(kind, &[])).transpose()?,
            first_blocks: vec![],
            parts: Parts {
                centroids: file.range("centroids")?,
                coarse: file.range("coarse")?,
                starts: file.range("starts")?,
                listed: file.range("rows")?,
                blocks: file.range("blocks")?,
                refine: file.range("refine")?,
            },
            file,
        };
        index.check(recipe.lists)?;
        Ok(index)
    }

    /// What checksums cannot tell.
    fn check(&mut self, lists: usize) -> Result<(), IndexError> {
        let (starts, listed) = (self.words(&self.parts.starts), self.words(&self.parts.listed));
        let whole = starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(listed.len());
        if !whole || !starts.is_sorted() || starts.len() - 1 != lists {
            return Err(damaged("starts"));
        }
        let bytes = self.dim.checked_mul(4).and_then(|bytes| bytes.checked_mul(lists));
        if bytes != Some(self.parts.centroids.len()) {
            return Err(damaged("centroids"));
        }
        if lists.div_ceil(BLOCK) * block_bytes(&self.coarse) != self.parts.coarse.len() {
            return Err(damaged("coarse"));
        }
        if listed.iter().any(|&row| row as usize >= self.rows) {
            return Err(damaged("rows"));
        }
        let mut first_blocks = vec![0];
        if let Some(codes) = &self.codes {
            let mut blocks = 0;
            for pair in starts.windows(2) {
                blocks += ((pair[1] - pair[0]) as usize).div_ceil(BLOCK);
                first_blocks.push(blocks);
            }
            if Some(self.parts.blocks.len()) != blocks.checked_mul(block_bytes(codes)) {
                return Err(damaged("blocks"));
            }
        }
        let refined = self.refine.as_ref().map_or(0, |refine| listed.len() * refine.record_bytes());
        if refined != self.parts.refine.len() {
            return Err(damaged("refine"));
        }
        self.first_blocks = first_blocks;
        Ok(())
    }

    fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.file.bytes()[range.clone()]
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(self.bytes(range)).unwrap_or(&[])
    }

    /// The centroid of a list, as little-endian floats.
    pub(crate) fn centroid(&self, list: usize) -> &[u8] {
        let bytes = self.dim * 4;
        self.bytes(&self.parts.centroids).get(list * bytes..(list + 1) * bytes).unwrap_or(&[])
    }

    /// Blocks of the centroids' codes.
    pub(crate) fn coarse_blocks(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes(&self.parts.coarse).chunks_exact(block_bytes(&self.coarse))
    }

    pub(crate) fn lists(&self) -> usize {
        self.words(&self.parts.starts).len().saturating_sub(1)
    }

    /// Rows of all lists, one list after the other.
    pub(crate) fn listed(&self) -> &[u32] {
        self.words(&self.parts.listed)
    }

    /// Where a list's rows lie in [`Self::listed`].
    pub(crate) fn places(&self, list: usize) -> Range<usize> {
        let starts = self.words(&self.parts.starts);
        match (starts.get(list), starts.get(list + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }

    /// The codes of a list, in blocks.
    pub(crate) fn blocks<'a>(&'a self, codes: &Quantizer, list: usize) -> impl Iterator<Item = &'a [u8]> {
        let bytes = block_bytes(codes);
        let range = match (self.first_blocks.get(list), self.first_blocks.get(list + 1)) {
            (Some(start), Some(end)) => start * bytes..end * bytes,
            _ => 0..0,
        };
        self.bytes(&self.parts.blocks).get(range).unwrap_or(&[]).chunks_exact(bytes)
    }

    /// The record of a place in the refining codes.
    pub(crate) fn refine_record(&self, refine: &Quantizer, place: usize) -> &[u8] {
        let bytes = refine.record_bytes();
        self.bytes(&self.parts.refine).get(place * bytes..(place + 1) * bytes).unwrap_or(&[])
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.file.heap_bytes() + self.first_blocks.len() * size_of::<usize>()
    }
}
