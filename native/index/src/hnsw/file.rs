//! The parts of an HNSW index in its file, and their check on opening.

use std::ops::Range;

use elanus_kernels::BitsetView;
use elanus_kernels::memory::{as_f32s, as_u32s, u32s_as_bytes};
use serde::{Deserialize, Serialize};

use super::beam::NODES_MAX;
use super::build::{Graph, Shape, grow};
use super::codes::{Codes, Encoded, Encoder, Width, codes_suffice};
use super::copies::{CopyLists, NodeRows, separate};
use super::levels::{Levels, Upper, lay_out};
use super::order::{Blocks, breadth_first};
use super::records::{Recorded, Records, record_all};
use super::space::RowSpace;
use super::variant::{TYPES, Wish};
use super::walk::NONE;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{self, File, Part, corrupt};
use crate::params::Params;
use crate::progress::Progress;
use crate::quantize::{Form, Kind, Quantizer};
use crate::vector::{Element, Metric, VectorRows};

/// Below this many dimensions the rows are as small as their codes.
const CODES_DIM_MIN: usize = 16;
/// Codes of so many bytes are as quickly read as their signs.
const SIGNS_STRIDE_MIN: usize = 64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GraphMeta {
    pub nodes: usize,
    pub m: usize,
    pub ef_construction: usize,
    /// Words of a block of level 0.
    pub slots: usize,
    pub entry: u32,
    /// Nodes of each level above 0, from level 1 up.
    pub levels: Vec<usize>,
    /// Whether walks see codes; otherwise they see the rows.
    pub codes: bool,
    pub width: Width,
    /// Whether the heads of codes hold signs.
    #[serde(default)]
    pub signs: bool,
    /// Records of a quantiser that searches see instead; absent: they see codes of `width`, or rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<Kind>,
}

/// Builds the file of an index over all rows that are not null.
pub(crate) fn build_file(
    meta: &Meta,
    metric: Metric,
    params: &Params,
    rows: &dyn VectorRows,
    progress: &Progress,
    threads: usize,
) -> Result<Vec<u8>, IndexError> {
    let m = params.integer("M", 2, 2048)?.unwrap_or(30);
    let ef_construction = params.integer("efConstruction", 1, i32::MAX)?.unwrap_or(360);
    let wish = Wish::read(&meta.index_type, params, rows)?;
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let present: Vec<u32> = (0..count).filter(|&row| !rows.row(row).is_empty()).collect();
    let separated = separate(rows, &present);
    let row_of = separated.first;
    if row_of.len() > NODES_MAX {
        return Err(IndexError::Parameter(format!("HNSW holds at most {NODES_MAX} rows")));
    }
    let ef_construction = ef_construction.min(row_of.len()).max(1);
    let shape = Shape { nodes: row_of.len(), m, ef_construction, alpha: 1.0 };
    let mut encoder = Encoder::train(rows, &row_of, metric);
    let codes = narrowest_codes(wish.narrowest, &mut encoder, rows, &row_of, threads, progress)?;
    progress.advance(0.05);
    let mut graph = if let Some(encoded) = &codes {
        let space = encoded.view(&encoder);
        grow(&space, shape, threads, progress)?
    } else {
        let space = RowSpace::new(rows, &row_of, metric)
            .ok_or_else(|| IndexError::Parameter(format!("metric type {} does not fit", metric.name())))?;
        grow(&space, shape, threads, progress)?
    };
    let recorded = match wish.records {
        Some(kind) if !row_of.is_empty() => Some(record_all(kind, &encoder, rows, &row_of, threads, progress)?),
        _ => None,
    };
    let stored = match (recorded, codes) {
        (Some(recorded), _) => Stored::Records(recorded),
        (None, Some(encoded)) => Stored::Codes(encoded),
        (None, None) => Stored::Rows,
    };
    let copies = separated.copies;
    let parts = Parts { meta, shape, encoder: &encoder, stored: &stored, row_of: &row_of, copies: &copies };
    let file = parts.lay_out(&mut graph)?;
    progress.advance(1.0);
    Ok(file)
}

/// Codes of the fewest bits, `from` or more, that keep neighbours apart; `None`: none do.
fn narrowest_codes(
    from: Width,
    encoder: &mut Encoder,
    rows: &dyn VectorRows,
    row_of: &[u32],
    threads: usize,
    progress: &Progress,
) -> Result<Option<Encoded>, IndexError> {
    if rows.element() == Element::Bit || rows.dim() < CODES_DIM_MIN || row_of.is_empty() {
        return Ok(None);
    }
    for width in [Width::Four, Width::Eight].into_iter().filter(|&width| width == from || width == Width::Eight) {
        encoder.width = width;
        encoder.signs = width.stride(encoder.dim) > SIGNS_STRIDE_MIN;
        let encoded = encoder.encode_all(rows, row_of, threads, progress)?;
        if codes_suffice(rows, row_of, &encoded.view(encoder), encoder.metric) {
            return Ok(Some(encoded));
        }
    }
    Ok(None)
}

/// What searches compare while they walk.
enum Stored {
    Rows,
    Codes(Encoded),
    Records(Recorded),
}

struct Parts<'a> {
    meta: &'a Meta,
    shape: Shape,
    encoder: &'a Encoder,
    stored: &'a Stored,
    row_of: &'a [u32],
    copies: &'a [(u32, u32)],
}

impl Parts<'_> {
    /// Renumbers the nodes breadth-first and writes everything in that order.
    fn lay_out(&self, graph: &mut Graph) -> Result<Vec<u8>, IndexError> {
        let order = breadth_first(self.shape, graph);
        let mut number = vec![0u32; order.len()];
        for (new, &old) in order.iter().enumerate() {
            number[old as usize] = new as u32;
        }
        let row_of: Vec<u32> = order.iter().map(|&old| self.row_of[old as usize]).collect();
        let copies = self.copies.iter().map(|&(old, row)| (number[old as usize], row));
        let copies = CopyLists::new(copies.collect());
        let links = self.renumbered_links(graph, &order, &number);
        graph.links = vec![];
        let (levels, upper) = lay_out(self.shape.m, graph, &order, &number);
        let stride = self.encoder.width.stride(self.encoder.dim);
        let none = Part::Bytes(&[]);
        let order_of = |bytes, stride| Part::Records { bytes, stride, order: &order };
        let (codes, heads) = match self.stored {
            Stored::Rows => (none, none),
            Stored::Codes(Encoded { codes, heads }) => {
                (order_of(codes, stride), order_of(heads, self.encoder.head_bytes()))
            }
            Stored::Records(Recorded { quantizer, records }) => (order_of(records, quantizer.record_bytes()), none),
        };
        let quantizer = match self.stored {
            Stored::Records(Recorded { quantizer, .. }) => Some(quantizer),
            _ => None,
        };
        let state = quantizer.map(Quantizer::state).unwrap_or_default();
        let graph_meta = GraphMeta {
            nodes: self.shape.nodes,
            m: self.shape.m,
            ef_construction: self.shape.ef_construction,
            slots: self.shape.slots(),
            entry: number.get(graph.entry as usize).copied().unwrap_or(0),
            levels,
            codes: !matches!(self.stored, Stored::Rows),
            width: self.encoder.width,
            signs: self.encoder.signs,
            quantizer: quantizer.map(|quantizer| quantizer.kind),
        };
        let mean: Vec<u8> = self.encoder.mean.iter().flat_map(|value| value.to_le_bytes()).collect();
        let numbers = self.node_of(&row_of, &copies);
        format::write_parts(&[
            ("meta", Part::Bytes(&self.meta.encode())),
            ("graph", Part::Bytes(&serde_json::to_vec(&graph_meta).unwrap_or_default())),
            ("mean", Part::Bytes(&mean)),
            ("rows", Part::Bytes(u32s_as_bytes(&row_of))),
            ("nodes", Part::Bytes(u32s_as_bytes(&numbers))),
            ("copy_nodes", Part::Bytes(u32s_as_bytes(&copies.nodes))),
            ("copy_starts", Part::Bytes(u32s_as_bytes(&copies.starts))),
            ("copy_rows", Part::Bytes(u32s_as_bytes(&copies.rows))),
            ("links", Part::Bytes(u32s_as_bytes(&links))),
            ("upper", Part::Bytes(u32s_as_bytes(&upper))),
            ("quantizer", Part::Bytes(&state)),
            ("code_lines", codes),
            (heads_section(self.encoder.signs), heads),
        ])
    }

    /// The node of each row.
    fn node_of(&self, row_of: &[u32], copies: &CopyLists) -> Vec<u32> {
        let mut numbers = vec![NONE; self.meta.rows];
        for (node, &row) in row_of.iter().enumerate() {
            numbers[row as usize] = node as u32;
        }
        for (index, &node) in copies.nodes.iter().enumerate() {
            for &row in &copies.rows[copies.starts[index] as usize..copies.starts[index + 1] as usize] {
                numbers[row as usize] = node;
            }
        }
        numbers
    }

    fn renumbered_links(&self, graph: &Graph, order: &[u32], number: &[u32]) -> Vec<u32> {
        let slots = self.shape.slots();
        let blocks = order.iter().flat_map(|&old| &graph.links[old as usize * slots..(old as usize + 1) * slots]);
        blocks.map(|&word| if word == NONE { NONE } else { number[word as usize] }).collect()
    }
}

/// Where the heads of codes lie: files without signs keep the name that they have always had.
fn heads_section(signs: bool) -> &'static str {
    if signs { "code_heads" } else { "code_factors" }
}

/// An opened index.
pub(crate) struct Hnsw {
    file: File,
    pub type_name: &'static str,
    pub metric: Metric,
    pub element: Element,
    pub rows: usize,
    pub graph: GraphMeta,
    pub encoder: Encoder,
    quantizer: Option<Quantizer>,
    row_of: Range<usize>,
    node_of: Range<usize>,
    copies: [Range<usize>; 3],
    /// One bit for each node that has copies, so that a walk need not look for them.
    copied: Vec<u64>,
    links: Range<usize>,
    codes: Range<usize>,
    heads: Range<usize>,
    upper_words: Range<usize>,
    upper: Upper,
}

impl Hnsw {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let graph: GraphMeta = serde_json::from_slice(file.section("graph")?)
            .map_err(|error| corrupt(&format!("section graph: {error}")))?;
        let mean = as_f32s(file.section("mean")?).ok_or_else(|| corrupt("section mean"))?.to_vec();
        let metric = meta.metric()?;
        let encoder =
            Encoder { metric, element: meta.element()?, mean, dim: meta.dim, width: graph.width, signs: graph.signs };
        let form = Form::of(metric);
        let type_name = TYPES.into_iter().find(|&name| name == meta.index_type).unwrap_or(TYPES[0]);
        let quantizer = match graph.quantizer {
            Some(kind) => Some(Quantizer::open(kind, form, meta.dim, file.section("quantizer")?)?),
            None => None,
        };
        let (row_of, links, codes) = (file.range("rows")?, file.range("links")?, file.range("code_lines")?);
        let heads = file.range(heads_section(graph.signs))?;
        let node_of = file.range("nodes")?;
        let copies = [file.range("copy_nodes")?, file.range("copy_starts")?, file.range("copy_rows")?];
        let upper_words = file.range("upper")?;
        let upper = Upper::new(&graph.levels, graph.m, upper_words.len() / 4)?;
        let element = encoder.element;
        let mut index = Self {
            file,
            type_name,
            metric,
            element,
            rows: meta.rows,
            graph,
            encoder,
            quantizer,
            row_of,
            node_of,
            copies,
            copied: vec![],
            links,
            codes,
            heads,
            upper_words,
            upper,
        };
        index.check()?;
        index.copied = index.node_rows().mark_copied();
        Ok(index)
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(&self.file.bytes()[range.clone()]).unwrap_or(&[])
    }

    pub(crate) fn node_rows(&self) -> NodeRows<'_> {
        let [nodes, starts, copies] = &self.copies;
        NodeRows {
            first: self.words(&self.row_of),
            nodes: self.words(nodes),
            starts: self.words(starts),
            copies: self.words(copies),
            copied: BitsetView::new(&self.copied),
        }
    }

    /// The node of each row, `NONE` for null.
    pub(crate) fn node_of(&self) -> &[u32] {
        self.words(&self.node_of)
    }

    pub(crate) fn base(&self) -> Blocks<'_> {
        Blocks { words: self.words(&self.links), slots: self.graph.slots }
    }

    pub(crate) fn codes(&self) -> Codes<'_> {
        let bytes = self.file.bytes();
        Codes::new(&bytes[self.codes.clone()], &bytes[self.heads.clone()], &self.encoder)
    }

    /// What searches see instead of [`Self::codes`].
    pub(crate) fn records(&self) -> Option<Records<'_>> {
        let bytes = &self.file.bytes()[self.codes.clone()];
        self.quantizer.as_ref().map(|quantizer| Records { bytes, quantizer, encoder: &self.encoder })
    }

    /// Bytes of a code that a walk compares.
    pub(crate) fn code_bytes(&self) -> usize {
        let own = || self.encoder.width.stride(self.encoder.dim);
        self.quantizer.as_ref().map_or_else(own, Quantizer::record_bytes)
    }

    pub(crate) fn upper(&self) -> Levels<'_> {
        self.upper.over(self.words(&self.upper_words))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.file.heap_bytes() + self.encoder.mean.len() * 4 + self.copied.len() * 8
    }

    /// What checksums cannot tell: that every number stays inside the graph.
    fn check(&self) -> Result<(), IndexError> {
        let nodes = self.graph.nodes;
        let fits = |section: &str, holds: bool| {
            if holds { Ok(()) } else { Err(corrupt(&format!("section {section} does not fit the graph"))) }
        };
        let inside = |words: &[u32], limit: usize| words.iter().all(|&word| word == NONE || (word as usize) < limit);
        fits("graph", nodes <= NODES_MAX && self.graph.slots > 0 && self.graph.m > 0)?;
        fits("graph", nodes == 0 || (self.graph.entry as usize) < nodes)?;
        fits("rows", self.node_rows().fit(nodes, self.rows))?;
        fits("nodes", self.node_of().len() == self.rows && inside(self.node_of(), nodes))?;
        let links = self.base().words;
        fits("links", nodes.checked_mul(self.graph.slots) == Some(links.len()) && inside(links, nodes))?;
        let coded = if self.graph.codes { nodes } else { 0 };
        fits("code_lines", coded.checked_mul(self.code_bytes()) == Some(self.codes.len()))?;
        let coded = if self.quantizer.is_some() { 0 } else { coded };
        fits("code_heads", coded.checked_mul(self.encoder.head_bytes()) == Some(self.heads.len()))?;
        fits("mean", self.encoder.mean.is_empty() || self.encoder.mean.len() == self.encoder.dim)?;
        fits("upper", self.upper().fit(nodes))?;
        Ok(())
    }
}
