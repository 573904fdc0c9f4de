//! A static R-tree over the bounding boxes of one geometry column (docs/formats/rtree.md).
//!
//! Leutenegger, Lopez & Edgington, "STR: a simple and efficient algorithm for R-tree packing" (ICDE 1997), section 2:
//! boxes sorted into vertical slices, each slice sorted upwards, and runs of neighbours packed into nodes. Nodes are
//! full, so no pointer is kept: the children of node i of a level are nodes 16 i to 16 i + 15 of the level below.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::IndexError;
use crate::format::{self, File, corrupt};
use crate::progress::Progress;
use crate::storage::Storage;

/// Children of a node.
const FANOUT: usize = 16;
const BOX_BYTES: usize = 32;
const ROW_BYTES: usize = 4;

/// Least x, least y, greatest x, greatest y.
pub type Rectangle = [f64; 4];

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    index_type: String,
    rows: usize,
    /// Rows that have a box.
    entries: usize,
}

/// An opened, immutable index.
#[derive(Debug)]
pub struct RTree {
    file: File,
    meta: Meta,
    boxes: Range<usize>,
    listed: Range<usize>,
    nulls: Range<usize>,
    /// Where each level begins among the boxes, leaves first; and the end of the last.
    levels: Vec<usize>,
}

/// The file of an index. `boxes` has one item a row: `None` where there is nothing to find. `nulls` has a bit for each
/// null row, or no word at all.
///
/// # Errors
/// Cancelled.
pub fn build(boxes: &[Option<Rectangle>], nulls: &[u64], progress: &Progress) -> Result<Vec<u8>, IndexError> {
    progress.check()?;
    let entries = boxes.iter().enumerate().filter_map(|(row, bounds)| Some((row as u32, (*bounds)?)));
    let mut entries: Vec<(u32, Rectangle)> = entries.collect();
    sort_tiles(&mut entries);
    progress.check()?;
    let mut all: Vec<Rectangle> = entries.iter().map(|(_, bounds)| *bounds).collect();
    let mut level = 0..all.len();
    while level.len() > 1 {
        let parents: Vec<Rectangle> = all[level.clone()].chunks(FANOUT).map(union).collect();
        level = level.end..level.end + parents.len();
        all.extend(parents);
    }
    let meta = Meta { index_type: "RTREE".to_owned(), rows: boxes.len(), entries: entries.len() };
    let bytes: Vec<u8> = all.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let listed: Vec<u8> = entries.iter().flat_map(|(row, _)| row.to_le_bytes()).collect();
    let nulls: Vec<u8> = nulls.iter().flat_map(|word| word.to_le_bytes()).collect();
    let file = format::write(&[
        ("meta", &serde_json::to_vec(&meta).unwrap_or_default()),
        ("boxes", &bytes),
        ("rows", &listed),
        ("nulls", &nulls),
    ])?;
    progress.advance(1.0);
    Ok(file)
}

/// Sort-tile-recursive order: √(nodes) slices by x, each sorted by y.
fn sort_tiles(entries: &mut [(u32, Rectangle)]) {
    let middle = |bounds: &Rectangle, axis: usize| bounds[axis] / 2.0 + bounds[axis + 2] / 2.0;
    let by = |axis: usize| {
        move |a: &(u32, Rectangle), b: &(u32, Rectangle)| middle(&a.1, axis).total_cmp(&middle(&b.1, axis))
    };
    entries.sort_unstable_by(by(0));
    let nodes = entries.len().div_ceil(FANOUT);
    let slices = (nodes as f64).sqrt().ceil().max(1.0) as usize;
    let slice = (nodes.div_ceil(slices) * FANOUT).max(1);
    entries.chunks_mut(slice).for_each(|slice| slice.sort_unstable_by(by(1)));
}

fn union(boxes: &[Rectangle]) -> Rectangle {
    let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    boxes.iter().fold(start, |whole, part| {
        [whole[0].min(part[0]), whole[1].min(part[1]), whole[2].max(part[2]), whole[3].max(part[3])]
    })
}

/// Where each level of a tree over so many entries begins, and the end of the last.
fn levels_of(entries: usize) -> Vec<usize> {
    let mut levels = vec![0];
    let (mut start, mut count) = (0, entries);
    while count > 0 {
        start += count;
        levels.push(start);
        count = if count == 1 { 0 } else { count.div_ceil(FANOUT) };
    }
    levels
}

fn meets(a: &Rectangle, b: &Rectangle) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

impl RTree {
    /// Opens and verifies an index file.
    ///
    /// # Errors
    /// `Corrupt`, naming the damaged block or part.
    pub fn open(storage: Storage) -> Result<Self, IndexError> {
        let file = File::open(storage)?;
        let meta: Meta = serde_json::from_slice(file.section("meta")?)
            .map_err(|error| corrupt(&format!("section meta: {error}")))?;
        if u32::try_from(meta.rows).is_err() || meta.entries > meta.rows {
            return Err(corrupt("section meta: size out of range"));
        }
        let levels = levels_of(meta.entries);
        let (boxes, listed, nulls) = (file.range("boxes")?, file.range("rows")?, file.range("nulls")?);
        let nodes = levels.last().copied().unwrap_or(0);
        if boxes.len() != nodes * BOX_BYTES || listed.len() != meta.entries * ROW_BYTES {
            return Err(corrupt("section boxes"));
        }
        if !nulls.is_empty() && nulls.len() != meta.rows.div_ceil(64) * size_of::<u64>() {
            return Err(corrupt("section nulls"));
        }
        let tree = Self { file, meta, boxes, listed, nulls, levels };
        if (0..tree.meta.entries).any(|entry| tree.row(entry) as usize >= tree.meta.rows) {
            return Err(corrupt("section rows"));
        }
        Ok(tree)
    }

    /// Rows that the index covers, nulls included.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.meta.rows
    }

    /// Bytes of heap memory; a mapped index has only its list of levels.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.file.heap_bytes()
    }

    /// One bit for each null row.
    #[must_use]
    pub fn nulls(&self) -> Vec<u64> {
        if self.nulls.is_empty() {
            return vec![0; self.meta.rows.div_ceil(64)];
        }
        self.file.bytes()[self.nulls.clone()].as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }

    /// One bit for each row whose box shares a point with `wanted`.
    #[must_use]
    pub fn meeting(&self, wanted: &Rectangle) -> Vec<u64> {
        let mut words = vec![0_u64; self.meta.rows.div_ceil(64)];
        let Some(top) = self.levels.len().checked_sub(2) else { return words };
        let mut open = vec![(top, 0)];
        while let Some((level, node)) = open.pop() {
            if !meets(&self.rectangle(self.levels[level] + node), wanted) {
                continue;
            }
            if level == 0 {
                let row = self.row(node) as usize;
                words[row / 64] |= 1 << (row % 64);
                continue;
            }
            let below = self.levels[level] - self.levels[level - 1];
            open.extend((node * FANOUT..below.min((node + 1) * FANOUT)).map(|child| (level - 1, child)));
        }
        words
    }

    fn rectangle(&self, number: usize) -> Rectangle {
        let start = self.boxes.start + number * BOX_BYTES;
        let numbers = self.file.bytes()[start..start + BOX_BYTES].as_chunks().0;
        std::array::from_fn(|i| f64::from_le_bytes(numbers[i]))
    }

    fn row(&self, entry: usize) -> u32 {
        let start = self.listed.start + entry * ROW_BYTES;
        self.file.bytes()[start..start + ROW_BYTES].try_into().map_or(0, u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rectangle() -> impl Strategy<Value = Rectangle> {
        (-50i32..50, -50i32..50, 0i32..20, 0i32..20)
            .prop_map(|(x, y, w, h)| [x, y, x + w, y + h].map(|number| f64::from(number) / 2.0))
    }

    fn opened(boxes: &[Option<Rectangle>], nulls: &[u64]) -> RTree {
        let file = build(boxes, nulls, &Progress::default()).expect("built");
        RTree::open(Storage::copy_of(&file)).expect("whole")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_tree_finds_what_comparing_every_box_finds(
            boxes in prop::collection::vec(prop::option::weighted(0.9, rectangle()), 0..700),
            wanted in rectangle(),
        ) {
            let tree = opened(&boxes, &[]);
            let mut expected = vec![0_u64; boxes.len().div_ceil(64)];
            for (row, bounds) in boxes.iter().enumerate() {
                if bounds.is_some_and(|bounds| meets(&bounds, &wanted)) {
                    expected[row / 64] |= 1 << (row % 64);
                }
            }
            prop_assert_eq!(tree.meeting(&wanted), expected);
            prop_assert_eq!(tree.row_count(), boxes.len());
        }

        #[test]
        fn damage_is_refused_or_harmless(at: prop::sample::Index, to: u8, cut: bool) {
            let boxes: Vec<Option<Rectangle>> =
                (0..100).map(|i| Some([f64::from(i), 0.0, f64::from(i) + 1.0, 1.0])).collect();
            let mut file = build(&boxes, &[], &Progress::default()).expect("built");
            let at = at.index(file.len());
            if cut { file.truncate(at) } else { file[at] = to }
            if let Ok(tree) = RTree::open(Storage::copy_of(&file)) {
                let _ = tree.meeting(&[0.0, 0.0, 5.0, 5.0]);
            }
        }
    }

    #[test]
    fn null_rows_are_kept_apart() {
        let tree = opened(&[None, Some([0.0; 4]), None], &[0b101]);
        assert_eq!((tree.nulls(), tree.meeting(&[-1.0, -1.0, 1.0, 1.0])), (vec![0b101], vec![0b10]));
    }

    #[test]
    fn a_cancelled_build_stops() {
        let progress = Progress::default();
        progress.cancel();
        assert!(matches!(build(&[], &[], &progress), Err(IndexError::Cancelled)));
    }
}
