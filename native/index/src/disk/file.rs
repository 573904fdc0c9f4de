//! An opened graph: what is held in memory, what stays in the file, and the check of both.

use std::ops::Range;

use elanus_kernels::memory::{as_f32s, as_u32s};
use elanus_kernels::{AlignedBuf, BitsetView};
use serde::{Deserialize, Serialize};

use super::TYPES;
use super::layout::Layout;
use crate::IndexError;
use crate::catalog::Meta;
use crate::format::{File, corrupt};
use crate::hnsw::beam::NODES_MAX;
use crate::hnsw::build::SLOTS_MAX;
use crate::hnsw::codes::{Codes, Encoder, FACTOR_BYTES, Width};
use crate::hnsw::copies::NodeRows;
use crate::hnsw::levels::{Levels, Upper};
use crate::hnsw::walk::NONE;
use crate::vector::{Element, Metric};

/// The section `graph`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiskMeta {
    pub nodes: usize,
    /// Neighbours on the levels above 0; twice as many below.
    pub m: usize,
    pub search_list_size: usize,
    /// Words of a neighbour list of level 0.
    pub slots: usize,
    pub entry: u32,
    /// Nodes of each level above 0, from level 1 up.
    pub levels: Vec<usize>,
    pub width: Width,
}

/// A section that is read where it lies, or from a copy on the heap.
struct Section {
    range: Range<usize>,
    copy: Option<AlignedBuf>,
}

impl Section {
    fn open(file: &File, name: &str, hold: bool) -> Result<Self, IndexError> {
        let range = file.range(name)?;
        let copy = (hold && file.is_mapped()).then(|| AlignedBuf::copy_of(&file.bytes()[range.clone()]));
        Ok(Self { range, copy })
    }

    fn bytes<'a>(&'a self, file: &'a File) -> &'a [u8] {
        self.copy.as_deref().unwrap_or_else(|| &file.bytes()[self.range.clone()])
    }

    fn heap_bytes(&self) -> usize {
        self.copy.as_ref().map_or(0, |copy| copy.len())
    }
}

/// An opened index.
pub(crate) struct DiskGraph {
    file: File,
    pub type_name: &'static str,
    pub metric: Metric,
    pub element: Element,
    pub rows: usize,
    pub graph: DiskMeta,
    pub encoder: Encoder,
    pub layout: Layout,
    /// Codes lie in the file, so that they have to be asked for.
    pub codes_on_disk: bool,
    upper: Upper,
    row_of: Section,
    copies: [Section; 3],
    /// One bit for each node that has copies.
    copied: Vec<u64>,
    upper_words: Section,
    codes: Section,
    factors: Section,
    nodes: Range<usize>,
}

impl DiskGraph {
    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let graph: DiskMeta = serde_json::from_slice(file.section("graph")?)
            .map_err(|error| corrupt(&format!("section graph: {error}")))?;
        if graph.nodes > NODES_MAX || graph.slots == 0 || graph.slots > SLOTS_MAX || graph.m > SLOTS_MAX {
            return Err(corrupt("section graph: size out of range"));
        }
        let mean = as_f32s(file.section("mean")?).ok_or_else(|| corrupt("section mean"))?.to_vec();
        let (metric, element) = (meta.metric()?, meta.element()?);
        let type_name = TYPES.into_iter().find(|&name| name == meta.index_type).unwrap_or(TYPES[0]);
        let hold = type_name == "DISKANN";
        let section = |name| Section::open(&file, name, true);
        let copies = [section("copy_nodes")?, section("copy_starts")?, section("copy_rows")?];
        let upper_words = section("upper")?;
        let mut index = Self {
            type_name,
            metric,
            element,
            rows: meta.rows,
            encoder: Encoder { metric, element, mean, dim: meta.dim, width: graph.width, signs: false },
            layout: Layout::new(graph.slots, element.row_bytes(meta.dim)),
            codes_on_disk: !hold && file.is_mapped(),
            upper: Upper::new(&graph.levels, graph.m, upper_words.range.len() / 4)?,
            row_of: Section::open(&file, "rows", hold)?,
            copies,
            copied: vec![],
            upper_words,
            codes: Section::open(&file, "code_lines", hold)?,
            factors: Section::open(&file, "code_factors", hold)?,
            nodes: file.range("disk_nodes")?,
            graph,
            file,
        };
        index.check()?;
        index.copied = index.node_rows().mark_copied();
        index.file.read_at_random(index.nodes.clone());
        if index.codes_on_disk {
            index.file.read_at_random(index.codes.range.clone());
        }
        Ok(index)
    }

    fn words<'a>(&'a self, section: &'a Section) -> &'a [u32] {
        as_u32s(section.bytes(&self.file)).unwrap_or(&[])
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

    pub(crate) fn codes(&self) -> Codes<'_> {
        Codes::new(self.codes.bytes(&self.file), self.factors.bytes(&self.file), &self.encoder)
    }

    pub(crate) fn upper(&self) -> Levels<'_> {
        self.upper.over(self.words(&self.upper_words))
    }

    /// Neighbours and vector of a node; the neighbours are not checked to be nodes.
    pub(crate) fn node(&self, node: u32) -> Option<(&[u32], &[u8])> {
        let at = self.nodes.start + self.layout.node(node);
        let list = at + self.layout.slots * 4;
        let bytes = self.file.bytes();
        let links = as_u32s(bytes.get(at..list)?)?;
        let used = links.iter().position(|&word| word == NONE).unwrap_or(links.len());
        Some((&links[..used], bytes.get(list..list + self.layout.row_bytes)?))
    }

    /// Asks for the pages of a node.
    pub(crate) fn ask(&self, node: u32) {
        let at = self.nodes.start + self.layout.piece(node);
        self.file.will_need(at..at + self.layout.piece_bytes);
    }

    /// Asks for the pages of a code.
    pub(crate) fn ask_code(&self, node: u32) {
        let stride = self.encoder.width.stride(self.encoder.dim);
        let at = self.codes.range.start + node as usize * stride;
        self.file.will_need(at..at + stride);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let sections = [&self.row_of, &self.upper_words, &self.codes, &self.factors];
        let held: usize = sections.into_iter().chain(&self.copies).map(Section::heap_bytes).sum();
        self.file.heap_bytes() + held + self.encoder.mean.len() * 4 + self.copied.len() * 8
    }

    /// What checksums cannot tell. Neighbour lists are left to the walk, which passes over what is no node: to look at
    /// them all would read the whole file.
    fn check(&self) -> Result<(), IndexError> {
        let nodes = self.graph.nodes;
        let fits = |section: &str, holds: bool| {
            if holds { Ok(()) } else { Err(corrupt(&format!("section {section} does not fit the graph"))) }
        };
        fits("graph", nodes == 0 || (self.graph.entry as usize) < nodes)?;
        fits("rows", self.node_rows().fit(nodes, self.rows))?;
        let stride = self.encoder.width.stride(self.encoder.dim);
        fits("code_lines", nodes.checked_mul(stride) == Some(self.codes.range.len()))?;
        fits("code_factors", nodes.checked_mul(FACTOR_BYTES) == Some(self.factors.range.len()))?;
        let pieces = self.layout.pieces(nodes);
        fits("disk_nodes", pieces.checked_mul(self.layout.piece_bytes) == Some(self.nodes.len()))?;
        fits("mean", self.encoder.mean.is_empty() || self.encoder.mean.len() == self.encoder.dim)?;
        fits("upper", self.upper().fit(nodes))
    }
}
