//! HNSW: a graph of near neighbours, walked from far to near.
//!
//! `copies` finds the nodes, `codes` and `signs` are the form of the vectors the walk sees, `space` its distances,
//! `beam` and `walk` the walk itself, `build` and `order` make the graph, `file` lays it out with the `levels` above 0,
//! `search` answers queries, `plan` decides how, `scan` does without the graph, `rerank` compares the best with the
//! rows. `disk` shares most of it.

pub(crate) mod beam;
pub(crate) mod build;
pub(crate) mod codes;
pub(crate) mod copies;
mod file;
pub(crate) mod levels;
pub(crate) mod order;
mod plan;
mod records;
pub(crate) mod rerank;
mod scan;
mod search;
mod signs;
pub(crate) mod space;
mod variant;
pub(crate) mod walk;

pub(crate) use file::{Hnsw, build_file};
pub(crate) use variant::TYPES;

#[cfg(test)]
mod tests;
