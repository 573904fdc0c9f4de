//! The parts of an IVF index in its file, and their check on opening.

use std::ops::Range;

use elanus_kernels::memory::{as_u32s, u32s_as_bytes};

use super::centroids::{Decoder, Work};
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{self, File};
use crate::params::Params;
use crate::progress::Progress;
use crate::vector::{Element, Metric, VectorRows};

/// Every list must be able to have so many training rows; otherwise there are fewer lists.
const ROWS_PER_LIST_MIN: usize = 39;

/// Builds the file of an index over all rows that are not null.
pub(crate) fn build_file(
    meta: &Meta,
    metric: Metric,
    params: &Params,
    rows: &dyn VectorRows,
    progress: &Progress,
    threads: usize,
) -> Result<Vec<u8>, IndexError> {
    let nlist = params.integer("nlist", 1, 65_536)?.unwrap_or(128);
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let row_of: Vec<u32> = (0..count).filter(|&row| !rows.row(row).is_empty()).collect();
    let nlist = nlist.min((row_of.len() / ROWS_PER_LIST_MIN).max(1)).min(row_of.len());
    let work = Work { rows, decoder: Decoder { element: rows.element(), metric }, threads, progress };
    let points = work.train(&row_of, nlist)?;
    let lists = if nlist == 0 { vec![] } else { work.assign(&row_of, &points)? };
    progress.advance(0.95);
    let mut starts = vec![0u32; nlist + 1];
    for &list in &lists {
        starts[list as usize + 1] += 1;
    }
    for list in 0..nlist {
        starts[list + 1] += starts[list];
    }
    let mut next = starts.clone();
    let mut listed = vec![0u32; row_of.len()];
    for (&row, &list) in row_of.iter().zip(&lists) {
        listed[next[list as usize] as usize] = row;
        next[list as usize] += 1;
    }
    let file = format::write(&[
        ("meta", &meta.encode()),
        ("centroids", &points.bytes),
        ("starts", u32s_as_bytes(&starts)),
        ("rows", u32s_as_bytes(&listed)),
    ]);
    progress.advance(1.0);
    Ok(file)
}

/// An opened index.
pub(crate) struct Ivf {
    file: File,
    pub metric: Metric,
    pub decoder: Decoder,
    pub dim: usize,
    pub rows: usize,
    centroids: Range<usize>,
    starts: Range<usize>,
    listed: Range<usize>,
}

fn damaged(section: &str) -> IndexError {
    IndexError::Corrupt(format!("index file is damaged: section {section} does not fit the lists"))
}

impl Ivf {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let (metric, element) = (meta.metric()?, meta.element()?);
        let index = Self {
            metric,
            decoder: Decoder { element, metric },
            dim: meta.dim,
            rows: meta.rows,
            centroids: file.range("centroids")?,
            starts: file.range("starts")?,
            listed: file.range("rows")?,
            file,
        };
        index.check()?;
        Ok(index)
    }

    /// What checksums cannot tell.
    fn check(&self) -> Result<(), IndexError> {
        let (starts, listed) = (self.words(&self.starts), self.words(&self.listed));
        let whole = starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(listed.len());
        if !whole || !starts.is_sorted() {
            return Err(damaged("starts"));
        }
        let bytes = self.dim.checked_mul(4).and_then(|bytes| bytes.checked_mul(starts.len() - 1));
        if bytes != Some(self.centroids.len()) || self.dim == 0 || self.decoder.element == Element::Bit {
            return Err(damaged("centroids"));
        }
        if listed.iter().any(|&row| row as usize >= self.rows) {
            return Err(damaged("rows"));
        }
        Ok(())
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(&self.file.bytes()[range.clone()]).unwrap_or(&[])
    }

    pub(crate) fn centroids(&self) -> &[u8] {
        &self.file.bytes()[self.centroids.clone()]
    }

    pub(crate) fn lists(&self) -> usize {
        self.words(&self.starts).len().saturating_sub(1)
    }

    /// Rows of a list, ascending.
    pub(crate) fn list(&self, list: usize) -> &[u32] {
        let starts = self.words(&self.starts);
        match (starts.get(list), starts.get(list + 1)) {
            (Some(&start), Some(&end)) => self.words(&self.listed).get(start as usize..end as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.file.heap_bytes()
    }
}
