//! The levels above 0 of a finished graph: how a file has them, and the way down through them.

use std::ops::Range;

use super::build::Graph;
use super::order::Blocks;
use super::space::Space;
use super::walk::{Links, NONE, descend};
use crate::IndexError;
use crate::format::corrupt;

/// How many nodes each level from 1 up has, and the words of all of them: for each level its nodes ascending, then a
/// block of `m` words a node, whose entries are positions in this very level.
pub(crate) fn lay_out(m: usize, graph: &Graph, order: &[u32], number: &[u32]) -> (Vec<usize>, Vec<u32>) {
    let top = graph.levels.get(graph.entry as usize).copied().unwrap_or(0);
    let (mut counts, mut words) = (vec![], vec![]);
    for level in 1..=top {
        let members: Vec<u32> = order.iter().copied().filter(|&old| graph.levels[old as usize] >= level).collect();
        counts.push(members.len());
        let nodes: Vec<u32> = members.iter().map(|&old| number[old as usize]).collect();
        words.extend_from_slice(&nodes);
        for &old in &members {
            let list = graph.upper_at[old as usize] as usize + usize::from(level) - 1;
            let block = &graph.upper[list * m..(list + 1) * m];
            let position = |word: u32| nodes.binary_search(&number[word as usize]).map_or(NONE, |at| at as u32);
            words.extend(block.iter().map(|&word| if word == NONE { NONE } else { position(word) }));
        }
    }
    (counts, words)
}

/// Where each level's nodes and blocks lie among the words.
pub(crate) struct Upper {
    ranges: Vec<(Range<usize>, Range<usize>)>,
    m: usize,
}

impl Upper {
    /// `counts` as [`lay_out`] gives them, for a section of `words` words.
    pub(crate) fn new(counts: &[usize], m: usize, words: usize) -> Result<Self, IndexError> {
        let mut at = 0usize;
        let mut ranges = vec![];
        for &count in counts {
            let nodes = at.checked_add(count);
            let end = count.checked_mul(m).zip(nodes).and_then(|(blocks, nodes)| nodes.checked_add(blocks));
            match (nodes, end) {
                (Some(nodes), Some(end)) if end <= words => {
                    ranges.push((at..nodes, nodes..end));
                    at = end;
                }
                _ => return Err(corrupt("section upper does not fit the graph")),
            }
        }
        Ok(Self { ranges, m })
    }

    pub(crate) fn over<'a>(&'a self, words: &'a [u32]) -> Levels<'a> {
        Levels { upper: self, words }
    }
}

/// Levels above 0 with their words.
#[derive(Clone, Copy)]
pub(crate) struct Levels<'a> {
    upper: &'a Upper,
    words: &'a [u32],
}

impl<'a> Levels<'a> {
    /// The highest first.
    fn downwards(self) -> impl Iterator<Item = Level<'a>> {
        self.upper.ranges.iter().rev().map(move |(nodes, blocks)| Level {
            nodes: self.words.get(nodes.clone()).unwrap_or(&[]),
            blocks: Blocks { words: self.words.get(blocks.clone()).unwrap_or(&[]), slots: self.upper.m },
        })
    }

    /// From `entry` on the top level down to a node of level 0 near the query.
    pub(crate) fn descend<S: Space>(self, space: &S, vector: &S::Query, entry: u32, near: &mut Vec<u32>) -> u32 {
        let mut node = entry;
        for level in self.downwards() {
            let Ok(start) = level.nodes.binary_search(&node) else { continue };
            let node_of = |position: u32| level.nodes.get(position as usize).copied().unwrap_or(0);
            let position = descend(space, &level, vector, start as u32, node_of, near);
            node = node_of(position);
        }
        node
    }

    /// Whether all numbers stay inside a graph of `nodes` nodes.
    pub(crate) fn fit(self, nodes: usize) -> bool {
        self.downwards().all(|level| {
            let ascending = level.nodes.is_sorted_by(|a, b| a < b);
            let inside = |word: &u32| *word == NONE || (*word as usize) < level.nodes.len();
            let last = level.nodes.last().is_none_or(|&last| (last as usize) < nodes);
            ascending && last && level.blocks.words.iter().all(inside)
        })
    }
}

/// One level, numbered by position.
struct Level<'a> {
    nodes: &'a [u32],
    blocks: Blocks<'a>,
}

impl Links for Level<'_> {
    fn collect(&self, node: u32, out: &mut Vec<u32>) {
        self.blocks.collect(node, out);
    }

    fn prefetch(&self, _: u32) {}
}
