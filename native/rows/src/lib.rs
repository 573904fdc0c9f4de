//! Columnar row batches: schema, columns, protobuf field data and JSON in and out.
#![forbid(unsafe_code)]

pub mod answer;
pub mod batch_codec;
mod checks;
pub mod column;
mod cursor;
pub mod error;
pub mod field_data;
#[cfg(test)]
mod fixture;
pub mod gather;
pub mod geometry;
pub mod groups;
pub mod hits;
pub mod ingest;
pub mod json_in;
mod json_out;
pub mod keys;
pub mod metric;
pub mod placeholders;
mod proto;
pub mod query_answer;
pub mod rank;
pub mod route;
pub mod schema;
pub mod search_answer;
