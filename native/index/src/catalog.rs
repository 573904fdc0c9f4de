//! Index types by name: which build, which reader.

mod automatic;

use std::io::Cursor;

use serde::{Deserialize, Serialize};

use crate::binary::{BinaryIvf, MinHashLsh};
use crate::disk::{self, DiskGraph};
pub use crate::format::Sink;
use crate::format::{self, File};
use crate::hnsw::{self, Hnsw};
use crate::ivf::{self, Ivf};
use crate::params::Params;
use crate::progress::Progress;
use crate::sparse::{self, Inverted};
use crate::storage::Storage;
use crate::vector::{Element, Hit, Metric, Query, SparseIndex, SparseRows, VectorIndex, VectorRows};
use crate::{IndexError, flat};

/// What an index is built over.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    Dense(&'a dyn VectorRows),
    Sparse(&'a dyn SparseRows),
}

/// An opened index.
pub enum Index {
    Dense(Box<dyn VectorIndex>),
    Sparse(Box<dyn SparseIndex>),
}

impl Index {
    /// Bytes of heap memory, without mapped files.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Dense(index) => index.memory_bytes(),
            Self::Sparse(index) => index.memory_bytes(),
        }
    }

    /// Rows of the segment it was built for.
    #[must_use]
    pub fn row_count(&self) -> usize {
        match self {
            Self::Dense(index) => index.row_count(),
            Self::Sparse(index) => index.row_count(),
        }
    }

    /// Milvus's name of the type, for [`crate::vector::SearchParams::from_json`].
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Dense(index) => index.type_name(),
            Self::Sparse(index) => index.type_name(),
        }
    }
}

/// Nanoseconds in which exact search compares a dense row, about.
#[must_use]
pub fn exact_row_nanos(element: Element, dim: usize) -> usize {
    automatic::row_nanos(element, dim)
}

/// The section `meta` of every index file, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub index_type: String,
    pub metric: String,
    pub element: String,
    pub dim: usize,
    pub rows: usize,
}

impl Meta {
    fn of(index_type: &str, metric: Metric, rows: Rows<'_>) -> Self {
        let (element, dim, count) = match rows {
            Rows::Dense(rows) => (element_name(rows.element()), rows.dim(), rows.len()),
            Rows::Sparse(rows) => ("sparse", 0, rows.len()),
        };
        Self {
            index_type: index_type.to_owned(),
            metric: metric.name().to_owned(),
            element: element.to_owned(),
            dim,
            rows: count,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn metric(&self) -> Result<Metric, IndexError> {
        Metric::from_name(&self.metric).ok_or_else(|| format::corrupt(&format!("metric {}", self.metric)))
    }

    pub(crate) fn element(&self) -> Result<Element, IndexError> {
        let all = [Element::F32, Element::F16, Element::Bf16, Element::I8, Element::Bit];
        let found = all.into_iter().find(|&element| element_name(element) == self.element);
        found.ok_or_else(|| IndexError::Corrupt(format!("index file is damaged: element {}", self.element)))
    }
}

fn element_name(element: Element) -> &'static str {
    match element {
        Element::F32 => "f32",
        Element::F16 => "f16",
        Element::Bf16 => "bf16",
        Element::I8 => "i8",
        Element::Bit => "bit",
    }
}

/// No vector has more dimensions (bits for binary).
const DIM_MAX: usize = 1 << 20;

/// Builds an index and gives its file. `metric` may be empty: then the type's default is taken (COSINE, HAMMING for
/// binary, IP for sparse). `params` is a JSON object. Uses at most `threads` threads, the caller's among them.
///
/// # Errors
/// Unknown type, metric or parameter values with Milvus's text; cancelled.
pub fn build(
    index_type: &str,
    metric: &str,
    params: &str,
    rows: Rows<'_>,
    progress: &Progress,
    threads: usize,
) -> Result<Vec<u8>, IndexError> {
    let mut file = Cursor::new(vec![]);
    build_to(&mut file, index_type, metric, params, rows, progress, threads)?;
    Ok(file.into_inner())
}

/// As [`build`], but writes the file to the start of an empty `sink`. Types that lie on disk are written piece by piece
/// and never whole in memory.
///
/// # Errors
/// As [`build`]; the sink refuses.
pub fn build_to(
    sink: &mut dyn Sink,
    index_type: &str,
    metric: &str,
    params: &str,
    rows: Rows<'_>,
    progress: &Progress,
    threads: usize,
) -> Result<(), IndexError> {
    progress.check()?;
    let chosen = (index_type == "AUTOINDEX").then(|| automatic::choose(metric, rows));
    let (index_type, params) = match &chosen {
        Some(chosen) => (chosen.index_type, chosen.params.as_str()),
        None => (index_type, params),
    };
    let real_type = real_type(index_type, rows)?;
    let metric = metric_for(metric, real_type, rows)?;
    let params = Params::parse(params)?;
    let meta = Meta::of(real_type, metric, rows);
    let file = match (real_type, rows) {
        (name, Rows::Dense(rows)) if disk::TYPES.contains(&name) => {
            return disk::build_to(sink, &meta, metric, &params, rows, progress, threads);
        }
        (name, Rows::Dense(rows)) if hnsw::TYPES.contains(&name) => {
            hnsw::build_file(&meta, metric, &params, rows, progress, threads)?
        }
        ("BIN_IVF_FLAT", Rows::Dense(rows)) => BinaryIvf::build_file(&meta, metric, &params, rows, progress, threads)?,
        ("MINHASH_LSH", Rows::Dense(rows)) => MinHashLsh::build_file(&meta, &params, rows, progress)?,
        (name, Rows::Dense(rows)) if ivf::type_of(name).is_some() => {
            ivf::build_file(&meta, metric, &params, rows, progress, threads)?
        }
        (_, Rows::Sparse(rows)) => sparse::build_file(&meta, metric, &params, rows, progress, threads)?,
        _ => {
            let file = format::write(&[("meta", &meta.encode())])?;
            progress.advance(1.0);
            file
        }
    };
    sink.write_all(&file).map_err(format::unwritten)
}

fn metric_for(name: &str, real_type: &str, rows: Rows<'_>) -> Result<Metric, IndexError> {
    use Metric::{Bm25, Cosine, Hamming, Ip, Jaccard, L2, MhJaccard, Substructure, Superstructure};
    let supported: &[Metric] = match (rows, real_type) {
        (Rows::Sparse(_), _) => &[Ip, Bm25],
        (_, "MINHASH_LSH") => &[MhJaccard],
        (_, "BIN_FLAT") => &[Hamming, Jaccard, Substructure, Superstructure, MhJaccard],
        (Rows::Dense(rows), _) if rows.element() == Element::Bit => &[Hamming, Jaccard],
        (Rows::Dense(_), _) => &[Cosine, L2, Ip],
    };
    if name.is_empty() {
        return Ok(supported[0]);
    }
    Metric::from_name(name).filter(|metric| supported.contains(metric)).ok_or_else(|| {
        let names: Vec<&str> = supported.iter().map(|metric| metric.name()).collect();
        let names = names.join(" ");
        IndexError::Parameter(format!("metric type {name} not found or not supported, supported: [{names}]"))
    })
}

/// Aliases resolved, and checked against the kind of rows.
fn real_type(name: &str, rows: Rows<'_>) -> Result<&'static str, IndexError> {
    let fitting: &[(&str, &'static str)] = match rows {
        Rows::Sparse(_) => {
            &[("SPARSE_INVERTED_INDEX", "SPARSE_INVERTED_INDEX"), ("SPARSE_WAND", "SPARSE_INVERTED_INDEX")]
        }
        Rows::Dense(rows) if rows.element() == Element::Bit => &[
            ("BIN_FLAT", "BIN_FLAT"),
            ("BIN_IVF_FLAT", "BIN_IVF_FLAT"),
            ("HNSW", "HNSW"),
            ("MINHASH_LSH", "MINHASH_LSH"),
        ],
        Rows::Dense(_) => &[
            ("FLAT", "FLAT"),
            ("HNSW", "HNSW"),
            ("IVF_FLAT", "IVF_FLAT"),
            ("HNSW_SQ", "HNSW_SQ"),
            ("HNSW_PQ", "HNSW_PQ"),
            ("HNSW_PRQ", "HNSW_PRQ"),
            ("IVF_SQ8", "IVF_SQ8"),
            ("IVF_PQ", "IVF_PQ"),
            ("IVF_RABITQ", "IVF_RABITQ"),
            ("SCANN", "SCANN"),
            ("DISKANN", "DISKANN"),
            ("AISAQ", "AISAQ"),
        ],
    };
    let found = fitting.iter().find(|(own, _)| *own == name);
    found.map(|(_, real)| *real).ok_or_else(|| IndexError::Parameter(format!("invalid index type: {name}")))
}

/// Opens and verifies an index file.
///
/// # Errors
/// `Corrupt`, naming the damaged block or part.
pub fn open(storage: Storage) -> Result<Index, IndexError> {
    let (file, meta) = open_file(storage)?;
    let metric = meta.metric()?;
    match meta.index_type.as_str() {
        name if hnsw::TYPES.contains(&name) => Ok(Index::Dense(Box::new(Hnsw::open(file, &meta)?))),
        name if disk::TYPES.contains(&name) => Ok(Index::Dense(Box::new(DiskGraph::open(file, &meta)?))),
        name if ivf::type_of(name).is_some() => Ok(Index::Dense(Box::new(Ivf::open(file, &meta)?))),
        "BIN_IVF_FLAT" => Ok(Index::Dense(Box::new(BinaryIvf::open(file, &meta)?))),
        "MINHASH_LSH" => Ok(Index::Dense(Box::new(MinHashLsh::open(file, &meta)?))),
        "SPARSE_INVERTED_INDEX" => Ok(Index::Sparse(Box::new(Inverted::open(file, &meta)?))),
        "FLAT" => Ok(Index::Dense(Box::new(Flat { type_name: "FLAT", metric, rows: meta.rows }))),
        "BIN_FLAT" => Ok(Index::Dense(Box::new(Flat { type_name: "BIN_FLAT", metric, rows: meta.rows }))),
        other => Err(IndexError::Corrupt(format!("index file is damaged: index type {other} is not known"))),
    }
}

/// A verified file and what it says of itself.
pub(crate) fn open_file(storage: Storage) -> Result<(File, Meta), IndexError> {
    let file = File::open(storage)?;
    let meta: Meta = serde_json::from_slice(file.section("meta")?)
        .map_err(|error| IndexError::Corrupt(format!("index file is damaged: section meta: {error}")))?;
    if u32::try_from(meta.rows).is_err() || meta.dim > DIM_MAX {
        return Err(IndexError::Corrupt("index file is damaged: section meta: size out of range".to_owned()));
    }
    Ok((file, meta))
}

/// FLAT and BIN_FLAT keep nothing: the rows are the index.
struct Flat {
    type_name: &'static str,
    metric: Metric,
    rows: usize,
}

impl VectorIndex for Flat {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        flat::search(rows, self.metric, query, out)
    }

    fn search_many(
        &self,
        rows: &dyn VectorRows,
        queries: &[Query<'_>],
        out: &mut [Vec<Hit>],
    ) -> Result<(), IndexError> {
        flat::search_many(rows, self.metric, queries, out)
    }

    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_count(&self) -> usize {
        self.rows
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
