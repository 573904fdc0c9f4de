//! The gate to Node: handles, buffers, error codes and the pool.
