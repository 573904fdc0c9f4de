//! Builds the graph over codes and writes node after node, each row straight from the segment to the file.

use std::cell::Cell;

use elanus_kernels::Metric;
use elanus_kernels::memory::u32s_as_bytes;

use super::file::DiskMeta;
use super::layout::{Layout, packed};
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{Part, Sink, write_to};
use crate::hnsw::beam::NODES_MAX;
use crate::hnsw::build::{Graph, Shape, grow};
use crate::hnsw::codes::{Encoded, Encoder, FACTOR_BYTES, Width};
use crate::hnsw::copies::{CopyLists, separate};
use crate::hnsw::levels::lay_out;
use crate::hnsw::order::breadth_first;
use crate::hnsw::walk::NONE;
use crate::params::Params;
use crate::progress::Progress;
use crate::vector::VectorRows;

/// How much longer a way round has to be for a link to be left out (Vamana).
const ALPHA: f32 = 1.2;
/// Share of the rows' bytes that codes may have when nothing else is asked for.
const CODE_SHARE: f32 = 0.125;

/// Writes the file of an index over all rows that are not null.
pub(crate) fn build_to(
    sink: &mut dyn Sink,
    meta: &Meta,
    metric: Metric,
    params: &Params,
    rows: &dyn VectorRows,
    progress: &Progress,
    threads: usize,
) -> Result<(), IndexError> {
    let max_degree = params.integer("max_degree", 1, 2048)?.unwrap_or(56);
    let search_list_size = params.integer("search_list_size", 1, i32::MAX)?.unwrap_or(100);
    let code_share_max = if meta.index_type == "AISAQ" { 1.0 } else { 0.25 };
    let code_share = params.number("pq_code_budget_gb_ratio", 0.0, code_share_max)?.filter(|&share| share > 0.0);
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let present: Vec<u32> = (0..count).filter(|&row| !rows.row(row).is_empty()).collect();
    let separated = separate(rows, &present);
    let row_of = separated.first;
    if row_of.len() > NODES_MAX {
        return Err(IndexError::Parameter(format!("{} holds at most {NODES_MAX} rows", meta.index_type)));
    }
    let mut encoder = Encoder::train(rows, &row_of, metric);
    let row_bytes = rows.element().row_bytes(rows.dim());
    encoder.width = width(row_bytes as f32 * code_share.unwrap_or(CODE_SHARE), rows.dim());
    let encoded = encoder.encode_all(rows, &row_of, threads, progress)?;
    progress.advance(0.05);
    let shape = Shape {
        nodes: row_of.len(),
        m: max_degree.div_ceil(2),
        ef_construction: search_list_size.min(row_of.len()).max(1),
        // Negative keys would turn the rule round.
        alpha: if metric == Metric::Ip { 1.0 } else { ALPHA },
    };
    let graph = grow(&encoded.view(&encoder), shape, threads, progress)?;
    let layout = Layout::new(shape.slots(), row_bytes);
    let order = packed(&breadth_first(shape, &graph), &graph.links, layout.slots, layout.nodes_per_piece);
    let nodes = Nodes { rows, row_of: &row_of, graph: &graph, layout, number: inverse(&order), order };
    let plan = Writing { meta, shape, encoder: &encoder, encoded: &encoded, copies: &separated.copies, progress };
    plan.write(sink, &nodes)?;
    progress.advance(1.0);
    Ok(())
}

/// Eight bits a dimension where the budget allows them, or where they take no more cache lines than four.
fn width(budget_bytes: f32, dim: usize) -> Width {
    let free = Width::Eight.stride(dim) == Width::Four.stride(dim);
    if free || Width::Eight.stride(dim) as f32 <= budget_bytes { Width::Eight } else { Width::Four }
}

/// Positions in `order` by what stands there.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut number = vec![0u32; order.len()];
    for (new, &old) in order.iter().enumerate() {
        number[old as usize] = new as u32;
    }
    number
}

/// The nodes in the order of the file.
struct Nodes<'a> {
    rows: &'a dyn VectorRows,
    row_of: &'a [u32],
    graph: &'a Graph,
    layout: Layout,
    order: Vec<u32>,
    number: Vec<u32>,
}

impl Nodes<'_> {
    /// Fills a piece of pages that is all zeros.
    fn fill(&self, piece: usize, out: &mut [u8]) {
        let Layout { slots, node_bytes, nodes_per_piece, .. } = self.layout;
        let first = piece * nodes_per_piece;
        for (&old, out) in self.order.iter().skip(first).take(nodes_per_piece).zip(out.chunks_exact_mut(node_bytes)) {
            let (list, vector) = out.split_at_mut(slots * 4);
            let links = &self.graph.links[old as usize * slots..(old as usize + 1) * slots];
            for (&word, to) in links.iter().zip(list.as_chunks_mut::<4>().0) {
                let renumbered = self.number.get(word as usize).copied().unwrap_or(NONE);
                *to = renumbered.to_le_bytes();
            }
            let row = self.rows.row(self.row_of[old as usize]);
            vector[..row.len()].copy_from_slice(row);
        }
    }
}

/// Everything else that goes into the file.
struct Writing<'a> {
    meta: &'a Meta,
    shape: Shape,
    encoder: &'a Encoder,
    encoded: &'a Encoded,
    copies: &'a [(u32, u32)],
    progress: &'a Progress,
}

impl Writing<'_> {
    fn write(&self, sink: &mut dyn Sink, nodes: &Nodes<'_>) -> Result<(), IndexError> {
        let Nodes { graph, layout, order, number, .. } = nodes;
        let row_of: Vec<u32> = order.iter().map(|&old| nodes.row_of[old as usize]).collect();
        let copies = CopyLists::new(self.copies.iter().map(|&(old, row)| (number[old as usize], row)).collect());
        // Levels want their nodes ascending by number.
        let (levels, upper) = lay_out(self.shape.m, graph, order, number);
        let described = DiskMeta {
            nodes: self.shape.nodes,
            m: self.shape.m,
            search_list_size: self.shape.ef_construction,
            slots: layout.slots,
            entry: number.get(graph.entry as usize).copied().unwrap_or(0),
            levels,
            width: self.encoder.width,
        };
        let mean: Vec<u8> = self.encoder.mean.iter().flat_map(|value| value.to_le_bytes()).collect();
        let stride = self.encoder.width.stride(self.encoder.dim);
        let pieces = layout.pieces(self.shape.nodes);
        let done = Cell::new(0);
        let fill = |piece: usize, out: &mut [u8]| {
            self.progress.check()?;
            self.progress.advance(0.95 + 0.05 * done.replace(done.get() + 1) as f32 / pieces as f32);
            nodes.fill(piece, out);
            Ok(())
        };
        write_to(
            sink,
            &[
                ("meta", Part::Bytes(&self.meta.encode())),
                ("graph", Part::Bytes(&serde_json::to_vec(&described).unwrap_or_default())),
                ("mean", Part::Bytes(&mean)),
                ("rows", Part::Bytes(u32s_as_bytes(&row_of))),
                ("copy_nodes", Part::Bytes(u32s_as_bytes(&copies.nodes))),
                ("copy_starts", Part::Bytes(u32s_as_bytes(&copies.starts))),
                ("copy_rows", Part::Bytes(u32s_as_bytes(&copies.rows))),
                ("upper", Part::Bytes(u32s_as_bytes(&upper))),
                ("code_lines", Part::Records { bytes: &self.encoded.codes, stride, order }),
                ("code_factors", Part::Records { bytes: &self.encoded.heads, stride: FACTOR_BYTES, order }),
                ("disk_nodes", Part::Pages { count: pieces, bytes: layout.piece_bytes, fill: &fill }),
            ],
        )
    }
}
