//! SIMD distances, bit sets, checksums, aligned and mapped memory; the only home of unsafe Rust.
//!
//! Vectors are little-endian byte slices without alignment, so that rows of a mapped file, of a network message
//! and of memory are all the same thing. A processor is examined once ([`Isa::detect`]); an index then picks its
//! function pointers once ([`DistanceKernel::choose`]) and calls them without any further test.
//! Every kernel has a scalar twin in [`scalar`] that says what it means and that the tests hold it to.

pub mod bits;
pub mod checksum;
pub mod compare;
pub mod decode;
pub mod dispatch;
pub mod many;
pub mod memory;
pub mod panel;
pub mod postings;
pub mod scalar;
pub mod scan;
pub mod signs;

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use bits::BitsetView;
pub use checksum::crc32c;
pub use dispatch::{DistanceKernel, Element, Isa, Metric, Scorer};
pub use memory::{AlignedBuf, FileLock, MappedFile, give_back_freed_memory, keep_freed_memory};
pub use postings::PostingKernels;
