//! Builds index files over sealed segments.

use elanus_index::catalog::{self, Rows};
use elanus_index::progress::Progress;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::DataType;

use crate::attached::index_error;
use crate::part::{Source, Vectors};
use crate::segment::Segment;

#[derive(Clone, Debug)]
pub struct BuildRequest<'a> {
    pub field: u32,
    /// Index type in Milvus's spelling.
    pub index_type: &'a str,
    /// Empty for scalar indexes.
    pub metric: &'a str,
    /// Checked build parameters as JSON.
    pub params: &'a str,
    pub threads: usize,
}

/// The bytes of an index file for one field of a sealed segment.
///
/// # Errors
/// The field or a parameter is wrong, the build was cancelled, or a file of the segment turns out damaged.
pub fn build_index(segment: &Segment, request: &BuildRequest<'_>, progress: &Progress) -> Result<Vec<u8>> {
    let source = Source::Sealed(segment.as_sealed()?.clone());
    let schema = segment.schema();
    let position = schema.position(request.field);
    let position =
        position.ok_or_else(|| NativeError::SchemaMismatch(format!("field {} is not in the schema", request.field)))?;
    let vectors = Vectors::new(schema, &source, position, 0, source.rows())?;
    let rows = match schema.fields[position].data_type {
        DataType::SparseFloatVector => Rows::Sparse(&vectors),
        kind if kind.is_vector() => Rows::Dense(&vectors),
        kind => return Err(NativeError::InvalidParameter(format!("no index {} for {kind:?}", request.index_type))),
    };
    catalog::build(request.index_type, request.metric, request.params, rows, progress, request.threads)
        .map_err(|e| index_error("index", e))
}
