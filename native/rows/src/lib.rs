//! Columnar row batches: schema, columns, protobuf field data and JSON in and out.
#![forbid(unsafe_code)]

pub mod batch_codec;
pub mod column;
mod cursor;
pub mod error;
pub mod gather;
pub mod hits;
pub mod keys;
pub mod metric;
pub mod schema;
