//! HNSW: a graph of near neighbours, walked from far to near.
//!
//! `copies` finds the nodes, `codes` is the form of the vectors the walk sees, `space` its distances, `beam` and
//! `walk` the walk itself, `build` and `order` make the graph, `file` lays it out, `search` answers queries and
//! decides how.

mod beam;
mod build;
mod codes;
mod copies;
mod file;
mod order;
mod plan;
mod records;
mod search;
mod space;
mod variant;
mod walk;

pub(crate) use file::{Hnsw, build_file};
pub(crate) use variant::TYPES;

#[cfg(test)]
mod tests;
