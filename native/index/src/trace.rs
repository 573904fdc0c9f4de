//! What a search did, for EXPLAIN. Indexes count as they go and write it down once, when somebody asked.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A way to answer that was weighed, with its estimated cost in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    pub plan: &'static str,
    pub cost: f32,
}

/// The work of one search of one index or of one exact scan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchStats {
    /// The way that was taken; a fallback stands behind the way that it followed.
    pub plans: Vec<&'static str>,
    pub alternatives: Vec<Alternative>,
    /// Graph nodes or list entries that were met.
    pub visited: u64,
    /// Comparisons with compressed rows.
    pub code_distances: u64,
    /// Comparisons with the rows themselves.
    pub exact_distances: u64,
    /// Those of them that checked what codes had found.
    pub reranked: u64,
    /// Bytes of codes and rows that were compared.
    pub bytes_read: u64,
}

impl SearchStats {
    /// Adds another search's work; its plans are taken over where they are new.
    pub fn add(&mut self, other: &Self) {
        for plan in &other.plans {
            if !self.plans.contains(plan) {
                self.plans.push(plan);
            }
        }
        if self.alternatives.is_empty() {
            self.alternatives.clone_from(&other.alternatives);
        }
        self.visited += other.visited;
        self.code_distances += other.code_distances;
        self.exact_distances += other.exact_distances;
        self.reranked += other.reranked;
        self.bytes_read += other.bytes_read;
    }

    /// Notes comparisons with `count` rows of `row_bytes` each.
    pub fn compared_rows(&mut self, count: usize, row_bytes: usize) {
        self.exact_distances += count as u64;
        self.bytes_read += (count * row_bytes) as u64;
    }

    /// Notes comparisons with `count` codes of `code_bytes` each.
    pub fn compared_codes(&mut self, count: usize, code_bytes: usize) {
        self.code_distances += count as u64;
        self.bytes_read += (count * code_bytes) as u64;
    }
}

/// Where a search that is being explained writes down what it did.
#[derive(Debug, Default)]
pub struct Trace(Mutex<SearchStats>);

impl Trace {
    /// Lets `write` change what is known so far.
    pub fn note(&self, write: impl FnOnce(&mut SearchStats)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything noted since the last call.
    #[must_use]
    pub fn take(&self) -> SearchStats {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
