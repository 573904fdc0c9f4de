//! Posting lists of a sparse field: for each dimension the rows that have it, ascending, with their values.

use std::collections::HashMap;
use std::ops::Range;

use elanus_kernels::memory::{as_f32s, as_u32s, u32s_as_bytes};

use super::Pairs;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{self, File};
use crate::params::Params;
use crate::progress::Progress;
use crate::vector::SparseRows;

const ALGORITHMS: [&str; 6] =
    ["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"];

/// The algorithm names are accepted and mean the same here: one search serves them all.
fn check(params: &Params) -> Result<(), IndexError> {
    params.number("drop_ratio_build", 0.0, 1.0)?;
    let unknown = |name: &&str| !ALGORITHMS.iter().any(|known| known.eq_ignore_ascii_case(name));
    match params.text("inverted_index_algo").filter(unknown) {
        None => Ok(()),
        Some(name) => {
            let known = ALGORITHMS.join(" ");
            let text = format!("inverted_index_algo {name} not found or not supported, supported: [{known}]");
            Err(IndexError::Parameter(text))
        }
    }
}

fn too_large() -> IndexError {
    IndexError::Parameter("a sparse index holds at most 4294967295 values".to_owned())
}

/// Builds the file of an index over all rows.
pub(crate) fn build_file(
    meta: &Meta,
    params: &Params,
    rows: &dyn SparseRows,
    progress: &Progress,
) -> Result<Vec<u8>, IndexError> {
    check(params)?;
    let count = u32::try_from(rows.len()).map_err(|_| too_large())?;
    let mut places: HashMap<u32, u32> = HashMap::new();
    for row in 0..count {
        progress.check()?;
        for (dimension, _) in Pairs::of_row(rows.row(row)).iter() {
            *places.entry(dimension).or_default() += 1;
        }
    }
    progress.advance(0.3);
    let mut dimensions: Vec<u32> = places.keys().copied().collect();
    dimensions.sort_unstable();
    let mut starts = Vec::with_capacity(dimensions.len() + 1);
    let mut total = 0u32;
    for dimension in &dimensions {
        starts.push(total);
        let length = places.insert(*dimension, total).unwrap_or(0);
        total = total.checked_add(length).ok_or_else(too_large)?;
    }
    starts.push(total);
    let (mut posted, mut values) = (vec![0u32; total as usize], vec![0f32; total as usize]);
    for row in 0..count {
        progress.check()?;
        for (dimension, value) in Pairs::of_row(rows.row(row)).iter() {
            if let Some(place) = places.get_mut(&dimension) {
                (posted[*place as usize], values[*place as usize]) = (row, value);
                *place += 1;
            }
        }
    }
    progress.advance(0.9);
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = format::write(&[
        ("meta", &meta.encode()),
        ("dimensions", u32s_as_bytes(&dimensions)),
        ("starts", u32s_as_bytes(&starts)),
        ("rows", u32s_as_bytes(&posted)),
        ("values", &values),
    ]);
    progress.advance(1.0);
    Ok(file)
}

/// An opened index.
pub(crate) struct Inverted {
    file: File,
    pub rows: usize,
    dimensions: Range<usize>,
    starts: Range<usize>,
    posted: Range<usize>,
    values: Range<usize>,
    /// Least and largest value of each list.
    extremes: Vec<(f32, f32)>,
}

/// The rows of one dimension and their values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postings<'a> {
    pub rows: &'a [u32],
    pub values: &'a [f32],
    pub least: f32,
    pub largest: f32,
}

fn damaged(section: &str) -> IndexError {
    IndexError::Corrupt(format!("index file is damaged: section {section} does not fit the lists"))
}

impl Inverted {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let (dimensions, starts) = (file.range("dimensions")?, file.range("starts")?);
        let (posted, values) = (file.range("rows")?, file.range("values")?);
        let mut index = Self { file, rows: meta.rows, dimensions, starts, posted, values, extremes: vec![] };
        index.check()?;
        let lists = index.words(&index.dimensions).len();
        index.extremes = (0..lists).map(|list| extremes(index.list(list).map_or(&[], |list| list.values))).collect();
        Ok(index)
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(&self.file.bytes()[range.clone()]).unwrap_or(&[])
    }

    /// What checksums cannot tell: that lists lie one after the other and name rows in order.
    fn check(&self) -> Result<(), IndexError> {
        let (dimensions, starts) = (self.words(&self.dimensions), self.words(&self.starts));
        let posted = self.words(&self.posted);
        if !dimensions.is_sorted_by(|a, b| a < b) {
            return Err(damaged("dimensions"));
        }
        let whole = starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(posted.len());
        if starts.len() != dimensions.len() + 1 || !starts.is_sorted() || !whole {
            return Err(damaged("starts"));
        }
        if self.values.len() != posted.len() * 4 {
            return Err(damaged("values"));
        }
        for bounds in starts.windows(2) {
            let list = &posted[bounds[0] as usize..bounds[1] as usize];
            let inside = list.last().is_none_or(|&last| (last as usize) < self.rows);
            if !inside || !list.is_sorted_by(|a, b| a < b) {
                return Err(damaged("rows"));
            }
        }
        Ok(())
    }

    fn list(&self, list: usize) -> Option<Postings<'_>> {
        let starts = self.words(&self.starts);
        let range = *starts.get(list)? as usize..*starts.get(list + 1)? as usize;
        let values = as_f32s(&self.file.bytes()[self.values.clone()])?;
        let (least, largest) = self.extremes.get(list).copied().unwrap_or((0.0, 0.0));
        Some(Postings {
            rows: self.words(&self.posted).get(range.clone())?,
            values: values.get(range)?,
            least,
            largest,
        })
    }

    /// The list of a dimension, if any row has it.
    pub(crate) fn postings(&self, dimension: u32) -> Option<Postings<'_>> {
        let list = self.words(&self.dimensions).binary_search(&dimension).ok()?;
        self.list(list)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.file.heap_bytes() + self.extremes.len() * size_of::<(f32, f32)>()
    }
}

fn extremes(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, largest), &value| (least.min(value), largest.max(value)))
}
