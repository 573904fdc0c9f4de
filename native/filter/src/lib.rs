//! Typed filter programs evaluated over columns with three-valued logic.
