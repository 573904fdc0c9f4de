//! The rows of each entry: ascending lists, or a bitmap where an entry holds more than one row in 32, so that no
//! entry takes more than a bit a row.

use std::ops::Range;

use super::{Meta, U32, U64, corrupt, u32_at};
use crate::IndexError;
use crate::format::File;

/// A list of 32-bit numbers is longer than a bitmap above one row in so many.
const LIST_SHARE: usize = 32;

fn is_dense(count: usize, rows: usize) -> bool {
    count > rows / LIST_SHARE
}

/// Collects the rows of one entry after the other.
pub(super) struct Writer {
    row_count: usize,
    bitmaps: bool,
    total: u32,
    distinct: usize,
    pub(super) starts: Vec<u8>,
    pub(super) rows: Vec<u8>,
    pub(super) places: Vec<u8>,
    pub(super) words: Vec<u8>,
}

impl Writer {
    pub(super) fn new(row_count: usize, bitmaps: bool) -> Self {
        let starts = 0_u32.to_le_bytes().to_vec();
        let (rows, places, words) = (Vec::new(), Vec::new(), Vec::new());
        Self { row_count, bitmaps, total: 0, distinct: 0, starts, rows, places, words }
    }

    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }

    /// The rows of the next entry, ascending and distinct.
    pub(super) fn push(&mut self, rows: &[u32]) -> Result<(), IndexError> {
        let total = u32::try_from(rows.len()).ok().and_then(|count| self.total.checked_add(count));
        self.total = total.ok_or_else(|| IndexError::Parameter("too many values for one index".to_owned()))?;
        self.distinct += 1;
        self.starts.extend(self.total.to_le_bytes());
        let dense = self.bitmaps && is_dense(rows.len(), self.row_count);
        if self.bitmaps {
            let bitmap_bytes = self.row_count.div_ceil(64) * U64;
            let place = if dense { self.words.len() / bitmap_bytes } else { self.rows.len() / U32 };
            self.places.extend((place as u32).to_le_bytes());
        }
        if dense {
            let mut words = vec![0_u64; self.row_count.div_ceil(64)];
            rows.iter().for_each(|&row| words[row as usize / 64] |= 1 << (row % 64));
            self.words.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        } else {
            self.rows.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
        }
        Ok(())
    }
}

/// Where the rows of an entry lie.
enum Place {
    /// Numbers in the section `rows`.
    List(Range<usize>),
    /// The bitmap of that number.
    Bitmap(usize),
}

#[derive(Debug)]
pub(super) struct Postings {
    row_count: usize,
    distinct: usize,
    bitmaps: bool,
    /// How many rows the entries before each have together, and the total.
    starts: Range<usize>,
    rows: Range<usize>,
    /// With bitmaps only: where the list of an entry begins in `rows`, or the number of its bitmap.
    places: Range<usize>,
    words: Range<usize>,
}

impl Postings {
    /// Finds the sections and checks all that later look-ups rely on.
    pub(super) fn open(file: &File, meta: &Meta) -> Result<Self, IndexError> {
        let optional = |name| if meta.bitmaps { file.range(name) } else { Ok(0..0) };
        let postings = Self {
            row_count: meta.rows,
            distinct: meta.distinct,
            bitmaps: meta.bitmaps,
            starts: file.range("starts")?,
            rows: file.range("rows")?,
            places: optional("places")?,
            words: optional("bitmaps")?,
        };
        postings.verify(file)?;
        Ok(postings)
    }

    fn verify(&self, file: &File) -> Result<(), IndexError> {
        let fits = |range: &Range<usize>, count: usize| count.checked_mul(U32) == Some(range.len());
        let sized = fits(&self.starts, self.distinct.saturating_add(1))
            && self.rows.len().is_multiple_of(U32)
            && (!self.bitmaps || fits(&self.places, self.distinct));
        if !sized {
            return Err(corrupt("sections do not fit together"));
        }
        if self.start(file, 0) != 0 || (0..self.distinct).any(|i| self.start(file, i) > self.start(file, i + 1)) {
            return Err(corrupt("section starts"));
        }
        if !self.bitmaps && self.start(file, self.distinct) != self.rows.len() / U32 {
            return Err(corrupt("section starts"));
        }
        for entry in 0..self.distinct {
            let whole = match self.place(file, entry) {
                Place::List(list) => {
                    list.end <= self.rows.len() / U32
                        && self.list(file, list).all(|row| (row as usize) < self.row_count)
                }
                Place::Bitmap(number) => self.is_bitmap(file, number, self.count(file, entry..entry + 1)),
            };
            if !whole {
                return Err(corrupt("section rows: no such row"));
            }
        }
        Ok(())
    }

    /// A bitmap with that many rows, all of which exist.
    fn is_bitmap(&self, file: &File, number: usize, count: usize) -> bool {
        let words = self.row_count.div_ceil(64);
        if number.saturating_add(1).saturating_mul(words * U64) > self.words.len() {
            return false;
        }
        let ones: usize = self.bitmap(file, number).map(|word| word.count_ones() as usize).sum();
        let tail = self.row_count % 64;
        let last = self.bitmap(file, number).last().unwrap_or(0);
        ones == count && (tail == 0 || last >> tail == 0)
    }

    fn start(&self, file: &File, entry: usize) -> usize {
        u32_at(file, &self.starts, entry) as usize
    }

    pub(super) fn count(&self, file: &File, entries: Range<usize>) -> usize {
        self.start(file, entries.end) - self.start(file, entries.start)
    }

    fn place(&self, file: &File, entry: usize) -> Place {
        let (from, to) = (self.start(file, entry), self.start(file, entry + 1));
        if !self.bitmaps {
            return Place::List(from..to);
        }
        let place = u32_at(file, &self.places, entry) as usize;
        if is_dense(to - from, self.row_count) { Place::Bitmap(place) } else { Place::List(place..place + to - from) }
    }

    fn list<'a>(&self, file: &'a File, list: Range<usize>) -> impl Iterator<Item = u32> + use<'a> {
        let bytes = &file.bytes()[self.rows.start + list.start * U32..self.rows.start + list.end * U32];
        bytes.as_chunks::<U32>().0.iter().map(|&bytes| u32::from_le_bytes(bytes))
    }

    fn bitmap<'a>(&self, file: &'a File, number: usize) -> impl Iterator<Item = u64> + use<'a> {
        let bytes = self.row_count.div_ceil(64) * U64;
        let from = self.words.start + number * bytes;
        file.bytes()[from..from + bytes].as_chunks::<U64>().0.iter().map(|&word| u64::from_le_bytes(word))
    }

    /// Sets the bits of the rows of these entries.
    pub(super) fn mark(&self, file: &File, entries: Range<usize>, words: &mut [u64]) {
        let mut set = |list| {
            for row in self.list(file, list) {
                words[row as usize / 64] |= 1 << (row % 64);
            }
        };
        if !self.bitmaps {
            // The lists of neighbours are neighbours.
            return set(self.start(file, entries.start)..self.start(file, entries.end));
        }
        for entry in entries {
            match self.place(file, entry) {
                Place::List(list) => {
                    for row in self.list(file, list) {
                        words[row as usize / 64] |= 1 << (row % 64);
                    }
                }
                Place::Bitmap(number) => {
                    words.iter_mut().zip(self.bitmap(file, number)).for_each(|(word, own)| *word |= own);
                }
            }
        }
    }

    /// What [`Self::mark`] costs, in rows of a list: a bitmap costs one for every word.
    pub(super) fn mark_cost(&self, file: &File, entries: Range<usize>) -> usize {
        if !self.bitmaps {
            return self.count(file, entries);
        }
        let words = self.row_count.div_ceil(64);
        entries.map(|entry| self.count(file, entry..entry + 1).min(words).max(1)).sum()
    }
}
