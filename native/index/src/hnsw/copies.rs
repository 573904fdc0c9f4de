//! Rows with equal vectors share one node: a heap of copies would otherwise fill every beam and every neighbour list
//! around it, and cut the graph in pieces.

use std::ops::Range;

use elanus_kernels::{BitsetView, crc32c};

use crate::vector::VectorRows;

/// A row that stands for itself or for others like it, and the others as (index of the first one, row).
pub(crate) struct Separated {
    pub first: Vec<u32>,
    pub copies: Vec<(u32, u32)>,
}

/// Finds the copies among the given rows (ascending). Equal means byte for byte.
pub(crate) fn separate(rows: &dyn VectorRows, given: &[u32]) -> Separated {
    let mut by_sum: Vec<(u32, u32)> = given.iter().map(|&row| (crc32c(rows.row(row)), row)).collect();
    by_sum.sort_unstable();
    let mut pairs: Vec<(u32, u32)> = vec![];
    for group in by_sum.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let mut firsts: Vec<u32> = vec![];
        for &(_, row) in group {
            match firsts.iter().find(|&&first| rows.row(first) == rows.row(row)) {
                Some(&first) => pairs.push((first, row)),
                None => firsts.push(row),
            }
        }
    }
    let mut is_copy: Vec<u32> = pairs.iter().map(|&(_, row)| row).collect();
    is_copy.sort_unstable();
    let first: Vec<u32> = given.iter().copied().filter(|row| is_copy.binary_search(row).is_err()).collect();
    let index_of = |row: u32| first.binary_search(&row).ok().map(|index| index as u32);
    let copies = pairs.into_iter().filter_map(|(of, row)| index_of(of).map(|index| (index, row))).collect();
    Separated { first, copies }
}

/// Copies as the file has them: nodes with copies, where each one's rows start, the rows.
#[derive(Debug, Default)]
pub(crate) struct CopyLists {
    pub nodes: Vec<u32>,
    pub starts: Vec<u32>,
    pub rows: Vec<u32>,
}

impl CopyLists {
    /// From pairs (node, row).
    pub(crate) fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        let mut lists = Self::default();
        for (node, row) in pairs {
            if lists.nodes.last() != Some(&node) {
                lists.nodes.push(node);
                lists.starts.push(lists.rows.len() as u32);
            }
            lists.rows.push(row);
        }
        lists.starts.push(lists.rows.len() as u32);
        lists
    }
}

/// Which rows stand behind the nodes of an opened index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeRows<'a> {
    pub first: &'a [u32],
    pub nodes: &'a [u32],
    pub starts: &'a [u32],
    pub copies: &'a [u32],
    /// One bit for each node that has copies.
    pub copied: BitsetView<'a>,
}

impl<'a> NodeRows<'a> {
    #[inline]
    pub(crate) fn first(self, node: u32) -> Option<u32> {
        self.first.get(node as usize).copied()
    }

    /// The other rows of a node.
    #[inline]
    pub(crate) fn copies(self, node: u32) -> &'a [u32] {
        if !self.copied.contains(node) {
            return &[];
        }
        match self.nodes.binary_search(&node) {
            Ok(index) => self.range(index).and_then(|range| self.copies.get(range)).unwrap_or(&[]),
            Err(_) => &[],
        }
    }

    fn range(self, index: usize) -> Option<Range<usize>> {
        Some(*self.starts.get(index)? as usize..*self.starts.get(index + 1)? as usize)
    }

    /// What `copied` is to be, once the numbers are known to fit.
    pub(crate) fn mark_copied(self) -> Vec<u64> {
        let mut copied = vec![0u64; self.first.len().div_ceil(64)];
        self.nodes.iter().for_each(|&node| copied[node as usize / 64] |= 1 << (node % 64));
        copied
    }

    pub(crate) fn count(self) -> usize {
        self.first.len() + self.copies.len()
    }

    /// Whether all numbers lie within `nodes` nodes and `rows` rows.
    pub(crate) fn fit(self, nodes: usize, rows: usize) -> bool {
        let inside = |list: &[u32]| list.iter().all(|&row| (row as usize) < rows);
        let lists =
            self.nodes.is_sorted_by(|a, b| a < b) && self.nodes.last().is_none_or(|&last| (last as usize) < nodes);
        let starts = self.starts.len() == self.nodes.len() + 1 && self.starts.is_sorted();
        let whole = self.starts.last().map(|&end| end as usize) == Some(self.copies.len());
        self.first.len() == nodes && lists && starts && whole && inside(self.first) && inside(self.copies)
    }
}
