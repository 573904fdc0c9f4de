//! What trying a filter costs.

use crate::node::{Leaf, Node, Source};
use crate::program::Program;

impl Program {
    /// Rough cost of trying one row, where comparing a row's integer costs 1. `answered` says of a field that an index
    /// answers for it, so that its values need not be read.
    #[must_use]
    pub fn row_cost(&self, answered: &dyn Fn(u32) -> bool) -> u32 {
        cost(&self.root, &|slot| self.fields.get(slot).is_some_and(|&field| answered(field)))
    }
}

fn cost(node: &Node, answered: &dyn Fn(usize) -> bool) -> u32 {
    match node {
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().map(|node| cost(node, answered)).fold(0, u32::saturating_add)
        }
        Node::Not(node) => cost(node, answered),
        Node::Leaf(Leaf { source: Source::Column { slot }, .. }) if answered(*slot) => 0,
        other => other.cost(),
    }
}
