//! Columnar row batches: schema, columns, protobuf field data and JSON in and out.
#![forbid(unsafe_code)]

pub mod column;
pub mod error;
pub mod gather;
pub mod schema;
