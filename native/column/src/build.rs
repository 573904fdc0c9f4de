//! Builds index files over sealed segments.

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use elanus_filter::json_keys::{Cast, JsonKeys, JsonPath};
use elanus_index::catalog::{self, Rows, Sink};
use elanus_index::progress::Progress;
use elanus_index::rtree::{self, Rectangle};
use elanus_index::scalar::{self, JsonSource, ScalarRows, ScalarType, Scalars};
use elanus_kernels::{MappedFile, crc32c};
use elanus_rows::column::{Bits, Column, Values};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::geometry::{self, Bounds};
use elanus_rows::schema::{DataType, Field};

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
    let mut file = Cursor::new(Vec::new());
    build_to(&mut file, segment, request, progress)?;
    Ok(file.into_inner())
}

/// Size and checksum of a file that was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub bytes: u64,
    pub crc32c: u32,
}

/// Writes the index file at `path`, where no file may be yet, and makes it durable.
///
/// # Errors
/// As [`build_index`]; the file cannot be written.
pub fn build_index_file(
    segment: &Segment,
    request: &BuildRequest<'_>,
    progress: &Progress,
    path: &Path,
) -> Result<Written> {
    let failed = |e| NativeError::IoFailed(format!("index file: {e}"));
    let mut file = File::create_new(path).map_err(failed)?;
    build_to(&mut file, segment, request, progress)?;
    file.sync_all().map_err(failed)?;
    let whole = MappedFile::open(path).map_err(failed)?;
    Ok(Written { bytes: whole.len() as u64, crc32c: crc32c(&whole) })
}

fn build_to(sink: &mut dyn Sink, segment: &Segment, request: &BuildRequest<'_>, progress: &Progress) -> Result<()> {
    let source = Source::Sealed(segment.as_sealed()?.clone());
    let schema = segment.schema();
    let position = schema.position(request.field);
    let position =
        position.ok_or_else(|| NativeError::SchemaMismatch(format!("field {} is not in the schema", request.field)))?;
    let field = &schema.fields[position];
    if !field.data_type.is_vector() {
        let file = build_scalar(&*source.scalars(schema, position)?, field, request, progress)?;
        return sink.write_all(&file).map_err(|e| NativeError::IoFailed(format!("index file: {e}")));
    }
    let vectors = Vectors::new(schema, &source, position)?;
    let rows = match field.data_type {
        DataType::SparseFloatVector => Rows::Sparse(&vectors),
        _ => Rows::Dense(&vectors),
    };
    catalog::build_to(sink, request.index_type, request.metric, request.params, rows, progress, request.threads)
        .map_err(|e| index_error("index", e))
}

fn build_scalar(column: &Column, field: &Field, request: &BuildRequest<'_>, progress: &Progress) -> Result<Vec<u8>> {
    let failed = |e| index_error("index", e);
    if field.data_type == DataType::Geometry {
        return build_tree(column, progress);
    }
    let of = ScalarType::parse(request.index_type, request.params).map_err(failed)?;
    let validity = column.validity.as_ref().map(Bits::words);
    if field.data_type == DataType::Json {
        return build_json(column, of, request.params, progress);
    }
    let (values, offsets) = match &column.values {
        Values::Array { offsets, elements } => (scalars(elements), Some(offsets.as_slice())),
        values => (scalars(values), None),
    };
    let values = values.ok_or_else(|| unfit(request.index_type, field))?;
    scalar::build(&ScalarRows { row_count: column.len(), values, offsets, validity }, of, None, progress)
        .map_err(failed)
}

fn build_tree(column: &Column, progress: &Progress) -> Result<Vec<u8>> {
    let Values::Bytes(geometries) = &column.values else {
        return Err(NativeError::Internal("a geometry column holds no bytes".into()));
    };
    let rectangle = |Bounds { min, max }| [min[0], min[1], max[0], max[1]];
    let of = |row: usize| geometry::bounds(geometries.get(row)).filter(|_| column.is_valid(row)).map(rectangle);
    let boxes: Vec<Option<Rectangle>> = (0..column.len()).map(of).collect();
    let nulls: Option<Vec<u64>> = column.validity.as_ref().map(|valid| {
        let mut nulls = valid.clone();
        nulls.not();
        nulls.words().to_vec()
    });
    rtree::build(&boxes, &nulls.unwrap_or_default(), progress).map_err(|e| index_error("index", e))
}

fn unfit(index_type: &str, field: &Field) -> NativeError {
    NativeError::InvalidParameter(format!("no index {index_type} for {:?}", field.data_type))
}

/// An index over what lies at a path of the documents, as the parameters `json_path`, `json_cast_type` and
/// `json_cast_function` say.
fn build_json(column: &Column, of: ScalarType, params: &str, progress: &Progress) -> Result<Vec<u8>> {
    let failed = |e| index_error("index", e);
    let Values::Bytes(documents) = &column.values else {
        return Err(NativeError::Internal("a JSON column holds no texts".into()));
    };
    let text = |key| scalar::text_param(params, key).map_err(failed);
    let (path, function) = (text("json_path")?, text("json_cast_function")?);
    let cast = if function.is_empty() { text("json_cast_type")? } else { function };
    let wrong = |what: &str| NativeError::InvalidParameter(format!("json index: {what}"));
    let steps = JsonPath::parse(&path).ok_or_else(|| wrong(&path))?;
    let kept = Cast::from_name(&cast).ok_or_else(|| wrong(&cast))?;
    let is_valid = |row| column.is_valid(row);
    let keys = match of {
        ScalarType::Ngram { .. } => JsonKeys::texts(documents.into(), is_valid, &steps),
        _ => JsonKeys::of(documents.into(), is_valid, &steps, kept),
    };
    let rows = ScalarRows {
        row_count: column.len(),
        values: Scalars::Bytes { offsets: &keys.offsets, data: &keys.data },
        offsets: Some(&keys.rows),
        validity: column.validity.as_ref().map(Bits::words),
    };
    scalar::build(&rows, of, Some(JsonSource { path, cast, exact: keys.exact }), progress).map_err(failed)
}

fn scalars(values: &Values) -> Option<Scalars<'_>> {
    Some(match values {
        Values::Bool(v) => Scalars::Bool(v),
        Values::Int32(v) => Scalars::Int32(v),
        Values::Int64(v) => Scalars::Int64(v),
        Values::Float(v) => Scalars::Float(v),
        Values::Double(v) => Scalars::Double(v),
        Values::Bytes(v) => Scalars::Bytes { offsets: &v.offsets, data: &v.data },
        Values::Array { .. } | Values::Fixed { .. } => return None,
    })
}
