//! What the graph knows of the vectors: distances between a query and a node, smaller is nearer.

use elanus_kernels::memory::prefetch;
use elanus_kernels::{DistanceKernel, Isa};

use super::codes::{CodeQuery, Codes};
use crate::top_k::Direction;
use crate::vector::{Metric, VectorRows};

/// Distances over one kind of stored vector. Nodes are numbered 0..n.
pub(crate) trait Space: Sync {
    /// A vector in the form that comparisons want.
    type Query: Default + Send;

    fn distance(&self, query: &Self::Query, node: u32) -> f32;

    /// Makes a node's own vector the query.
    fn load(&self, node: u32, query: &mut Self::Query);

    /// Asks for a node's vector to be in the cache soon.
    fn prefetch(&self, node: u32);

    /// False when a first look tells that the node is hardly nearer than `limit`.
    fn may_beat(&self, _query: &Self::Query, _node: u32, _limit: f32) -> bool {
        true
    }

    /// Leaves those nodes in the list that may beat `limit`, be it by `doubt` standard deviations of a first look.
    fn sift(&self, _query: &Self::Query, _nodes: &mut Vec<u32>, _limit: f32, _doubt: f32) {}

    /// Asks for what [`Self::may_beat`] reads to be in the cache soon.
    fn prefetch_first_look(&self, _node: u32) {}
}

impl Space for Codes<'_> {
    type Query = CodeQuery;

    #[inline]
    fn distance(&self, query: &CodeQuery, node: u32) -> f32 {
        self.compare(query, node)
    }

    fn load(&self, node: u32, query: &mut CodeQuery) {
        self.query_of_node(node, query);
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        prefetch(self.bytes, node as usize * self.stride, self.stride);
    }

    #[inline]
    fn may_beat(&self, query: &CodeQuery, node: u32, limit: f32) -> bool {
        Codes::may_beat(self, query, node, limit)
    }

    #[inline]
    fn sift(&self, query: &CodeQuery, nodes: &mut Vec<u32>, limit: f32, doubt: f32) {
        Codes::sift(self, query, nodes, limit, doubt);
    }

    #[inline]
    fn prefetch_first_look(&self, node: u32) {
        self.prefetch_head(node);
    }
}

/// The rows themselves: for bits, and for vectors that 8-bit codes tell apart too poorly.
pub(crate) struct RowSpace<'a> {
    pub rows: &'a dyn VectorRows,
    /// Row number of each node.
    pub row_of: &'a [u32],
    pub kernel: DistanceKernel,
    pub direction: Direction,
}

impl<'a> RowSpace<'a> {
    pub(crate) fn new(rows: &'a dyn VectorRows, row_of: &'a [u32], metric: Metric) -> Option<Self> {
        let kernel = DistanceKernel::choose(metric, rows.element(), Isa::detect())?;
        Some(Self { rows, row_of, kernel, direction: Direction::of(metric) })
    }

    pub(crate) fn query(&self, vector: &[u8]) -> RowQuery {
        RowQuery { vector: vector.to_vec(), scale: self.kernel.scale_of(vector) }
    }

    fn row(&self, node: u32) -> &[u8] {
        self.row_of.get(node as usize).map_or(&[], |&row| self.rows.row(row))
    }
}

#[derive(Debug, Default)]
pub(crate) struct RowQuery {
    vector: Vec<u8>,
    scale: f32,
}

impl Space for RowSpace<'_> {
    type Query = RowQuery;

    #[inline]
    fn distance(&self, query: &RowQuery, node: u32) -> f32 {
        let scorer = self.kernel.scorer_scaled(&query.vector, query.scale);
        self.direction.key(scorer.score(self.row(node)))
    }

    fn load(&self, node: u32, query: &mut RowQuery) {
        query.vector.clear();
        query.vector.extend_from_slice(self.row(node));
        query.scale = self.kernel.scale_of(&query.vector);
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        let row = self.row(node);
        prefetch(row, 0, row.len());
    }
}
