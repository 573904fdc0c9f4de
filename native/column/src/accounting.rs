//! Counts the heap bytes that segments hold, by kind, for the whole process.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the bytes serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Growing,
    Sealed,
    Index,
}

/// Heap bytes by kind. Mapped files are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    pub growing: u64,
    pub sealed: u64,
    pub index: u64,
}

static BYTES: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// What is held now, by all segments of the process.
#[must_use]
pub fn memory_use() -> MemoryUse {
    let of = |kind: Kind| BYTES[kind as usize].load(Ordering::Relaxed);
    MemoryUse { growing: of(Kind::Growing), sealed: of(Kind::Sealed), index: of(Kind::Index) }
}

/// A share of the counters; gives its bytes back when dropped.
#[derive(Debug)]
pub(crate) struct Account {
    kind: Kind,
    bytes: u64,
}

impl Account {
    pub(crate) fn new(kind: Kind, bytes: usize) -> Self {
        BYTES[kind as usize].fetch_add(bytes as u64, Ordering::Relaxed);
        Self { kind, bytes: bytes as u64 }
    }

    pub(crate) fn grow(&mut self, bytes: usize) {
        BYTES[self.kind as usize].fetch_add(bytes as u64, Ordering::Relaxed);
        self.bytes += bytes as u64;
    }

    /// Holds `bytes` from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        let counter = &BYTES[self.kind as usize];
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        counter.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes as u64;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        BYTES[self.kind as usize].fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
