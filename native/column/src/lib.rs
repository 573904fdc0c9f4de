//! Memory and sealed segments, key index, deletes, search, retrieval, Parquet.
