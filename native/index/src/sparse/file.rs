//! An opened index: its lists, and the check of what checksums cannot tell.

use std::ops::Range;

use elanus_kernels::memory::{as_f32s, as_u16s, as_u32s};
use serde::{Deserialize, Serialize};

use super::encode::{CELL_ROWS, WINDOW_CELLS, is_long};
use super::scoring::Bm25;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{File, corrupt, damaged};
use crate::vector::Metric;

/// Section `sparse`, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// For BM25: what the bounds were made with; the average is that of this segment.
    pub bm25: Option<Bm25>,
    /// Values are bytes, not floats.
    pub bytes: bool,
    /// Searches read every posting.
    pub exhaustive: bool,
}

/// Where the sections lie that hold one thing for each list, posting, cell or row.
struct Sections {
    dimensions: Range<usize>,
    starts: Range<usize>,
    places: Range<usize>,
    scales: Range<usize>,
    leasts: Range<usize>,
    lows: Range<usize>,
    highs: Range<usize>,
    short_codes: Range<usize>,
    cell_codes: Range<usize>,
    cell_starts: Range<usize>,
    window_starts: Range<usize>,
    values: Range<usize>,
    lengths: Range<usize>,
}

impl Sections {
    fn of(file: &File) -> Result<Self, IndexError> {
        Ok(Self {
            dimensions: file.range("dimensions")?,
            starts: file.range("starts")?,
            places: file.range("places")?,
            scales: file.range("scales")?,
            leasts: file.range("leasts")?,
            lows: file.range("lows")?,
            highs: file.range("highs")?,
            short_codes: file.range("short_codes")?,
            cell_codes: file.range("cell_codes")?,
            cell_starts: file.range("cell_starts")?,
            window_starts: file.range("window_starts")?,
            values: file.range("values")?,
            lengths: file.range("lengths")?,
        })
    }
}

/// An opened index.
pub(crate) struct Inverted {
    file: File,
    pub rows: usize,
    pub metric: Metric,
    pub header: Header,
    sections: Sections,
}

/// Values of some postings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    Floats(&'a [f32]),
    Bytes(&'a [u8]),
}

/// How a list's postings are found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    /// Upper half of each row, and a code for each posting.
    Short { highs: &'a [u16], codes: &'a [u8] },
    /// A code for each cell, where each cell starts in its window and each window in the list.
    Long { codes: &'a [u8], cell_starts: &'a [u16], window_starts: &'a [u32] },
}

/// The postings of one dimension, ascending by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    /// Lower half of each row.
    pub lows: &'a [u16],
    pub values: Values<'a>,
    pub shape: Shape<'a>,
    /// What a code of 1 stands for.
    pub scale: f32,
    /// Smallest value.
    pub least: f32,
}

impl Inverted {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let header: Header = serde_json::from_slice(file.section("sparse")?)
            .map_err(|error| corrupt(&format!("section sparse: {error}")))?;
        let (metric, sections) = (meta.metric()?, Sections::of(&file)?);
        let index = Self { file, rows: meta.rows, metric, header, sections };
        index.check()?;
        Ok(index)
    }

    fn bytes(&self, section: &Range<usize>) -> &[u8] {
        &self.file.bytes()[section.clone()]
    }

    fn words(&self, section: &Range<usize>) -> &[u32] {
        as_u32s(self.bytes(section)).unwrap_or(&[])
    }

    fn halves(&self, section: &Range<usize>) -> &[u16] {
        as_u16s(self.bytes(section)).unwrap_or(&[])
    }

    fn floats(&self, section: &Range<usize>) -> &[f32] {
        as_f32s(self.bytes(section)).unwrap_or(&[])
    }

    pub(crate) fn cells(&self) -> usize {
        self.rows.div_ceil(CELL_ROWS)
    }

    fn windows(&self) -> usize {
        self.cells().div_ceil(WINDOW_CELLS)
    }

    /// Words of each row's text; empty for IP.
    pub(crate) fn lengths(&self) -> &[f32] {
        self.floats(&self.sections.lengths)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.file.heap_bytes()
    }

    /// The list of a dimension, if any row has it.
    pub(crate) fn list_of(&self, dimension: u32) -> Option<List<'_>> {
        let number = self.words(&self.sections.dimensions).binary_search(&dimension).ok()?;
        self.list(number)
    }

    fn list(&self, number: usize) -> Option<List<'_>> {
        let starts = self.words(&self.sections.starts);
        let postings = *starts.get(number)? as usize..*starts.get(number + 1)? as usize;
        let place = *self.words(&self.sections.places).get(number)? as usize;
        let values = if self.header.bytes {
            Values::Bytes(self.bytes(&self.sections.values).get(postings.clone())?)
        } else {
            Values::Floats(self.floats(&self.sections.values).get(postings.clone())?)
        };
        let count = postings.len();
        let lows = self.halves(&self.sections.lows).get(postings)?;
        let shape = if is_long(count, self.cells()) { self.long(place)? } else { self.short(place, count)? };
        let (scale, least) =
            (*self.floats(&self.sections.scales).get(number)?, *self.floats(&self.sections.leasts).get(number)?);
        Some(List { lows, values, shape, scale, least })
    }

    /// `place` counts postings of short lists.
    fn short(&self, place: usize, count: usize) -> Option<Shape<'_>> {
        let range = place..place.checked_add(count)?;
        Some(Shape::Short {
            highs: self.halves(&self.sections.highs).get(range.clone())?,
            codes: self.bytes(&self.sections.short_codes).get(range)?,
        })
    }

    /// `place` counts long lists.
    fn long(&self, place: usize) -> Option<Shape<'_>> {
        let (cells, windows) = (self.cells(), self.windows() + 1);
        Some(Shape::Long {
            codes: self.bytes(&self.sections.cell_codes).get(place * cells..(place + 1) * cells)?,
            cell_starts: self.halves(&self.sections.cell_starts).get(place * cells..(place + 1) * cells)?,
            window_starts: self.words(&self.sections.window_starts).get(place * windows..(place + 1) * windows)?,
        })
    }

    /// That lists lie one after the other, name rows in order, and find them again through their cells.
    fn check(&self) -> Result<(), IndexError> {
        let (dimensions, starts) = (self.words(&self.sections.dimensions), self.words(&self.sections.starts));
        if !dimensions.is_sorted_by(|a, b| a < b) {
            return Err(damaged("dimensions"));
        }
        let postings = self.halves(&self.sections.lows).len();
        let whole = starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(postings);
        if starts.len() != dimensions.len() + 1 || !starts.is_sorted() || !whole {
            return Err(damaged("starts"));
        }
        let bm25 = self.header.bm25.is_some();
        if bm25 != (self.metric == Metric::Bm25) || self.lengths().len() != if bm25 { self.rows } else { 0 } {
            return Err(damaged("lengths"));
        }
        for number in 0..dimensions.len() {
            let list = self.list(number).ok_or_else(|| damaged("places"))?;
            if !list.in_order(self.rows) {
                return Err(damaged("lows"));
            }
        }
        Ok(())
    }
}

impl List<'_> {
    pub(crate) fn len(&self) -> usize {
        self.lows.len()
    }

    /// The row of a posting of a short list.
    pub(crate) fn short_row(highs: &[u16], lows: &[u16], posting: usize) -> u32 {
        u32::from(highs[posting]) << 16 | u32::from(lows[posting])
    }

    /// Where the postings of the cells `first..end`, all of one window, lie in a long list.
    #[inline]
    pub(crate) fn range_in_window(
        cell_starts: &[u16],
        window_starts: &[u32],
        first: usize,
        end: usize,
    ) -> Range<usize> {
        let window = first / WINDOW_CELLS;
        let start = window_starts[window] as usize;
        let whole = end.is_multiple_of(WINDOW_CELLS) || end == cell_starts.len();
        let end = if whole { window_starts[window + 1] as usize } else { start + usize::from(cell_starts[end]) };
        start + usize::from(cell_starts[first])..end
    }

    /// Rows ascend, lie inside, and cells hold what they say.
    fn in_order(&self, rows: usize) -> bool {
        match self.shape {
            Shape::Short { highs, .. } => {
                let row = |posting| Self::short_row(highs, self.lows, posting);
                let ascending = (1..self.len()).all(|posting| row(posting - 1) < row(posting));
                ascending && (self.len() == 0 || (row(self.len() - 1) as usize) < rows)
            }
            Shape::Long { cell_starts, window_starts, .. } => {
                let mut next = 0;
                let cells = (0..cell_starts.len()).all(|cell| {
                    let range = Self::range_in_window(cell_starts, window_starts, cell, cell + 1);
                    let fits =
                        range.start == next && self.lows.get(range.clone()).is_some_and(|lows| in_cell(lows, cell));
                    next = range.end;
                    fits
                });
                let last = rows.saturating_sub(1) as u16;
                cells && next == self.len() && (self.in_last_window(window_starts)).is_none_or(|low| low <= last)
            }
        }
    }

    /// The largest lower half in the last window, if that has postings.
    fn in_last_window(&self, window_starts: &[u32]) -> Option<u16> {
        let start = *window_starts.get(window_starts.len().checked_sub(2)?)? as usize;
        self.lows.get(start..)?.last().copied()
    }
}

fn in_cell(lows: &[u16], cell: usize) -> bool {
    let own = |low: &u16| usize::from(*low) / CELL_ROWS == cell % WINDOW_CELLS;
    lows.is_sorted_by(|a, b| a < b) && lows.iter().all(own)
}
