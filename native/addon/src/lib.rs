//! The gate to Node: handles, buffers, error codes and the pool. `packages/engine/src/addon.ts` is its face.
//!
//! Every call of the gate either returns a value or throws a JavaScript `Error` whose `code` is a `DbError` kind. A
//! panic in native code is caught at the gate and becomes `internal` for that call alone.
#![deny(unsafe_code)]

mod bytes;
mod callers;
mod failure;
mod hits;
mod listener;
mod numbers;
mod pool;
mod prepared;
mod process;
mod reads;
mod rows;
mod schema;
mod segment;
mod settle;
