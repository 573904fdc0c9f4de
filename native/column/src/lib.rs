//! Memory and sealed segments, key index, deletes, search, retrieval, Parquet.
#![forbid(unsafe_code)]

pub mod accounting;
mod attached;
pub mod build;
mod chunk;
mod deaths;
mod delete_file;
pub mod explain;
pub mod file;
mod grouping;
mod growing;
mod interim;
mod keys;
mod late_filter;
mod layout;
mod merge;
mod moment;
mod part;
pub mod query;
mod sealed;
pub mod search;
pub mod segment;
mod span;

#[cfg(test)]
mod concurrency_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod interim_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;

pub use accounting::{MemoryUse, memory_use};
pub use delete_file::DeleteFile;
pub use file::{FileSource, SegmentFile};
pub use grouping::GroupBy;
pub use moment::Moment;
pub use segment::Segment;
