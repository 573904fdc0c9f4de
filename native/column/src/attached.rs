//! An index file opened beside a sealed segment.

use elanus_index::IndexError;
use elanus_index::catalog::{self, Index};
use elanus_index::rtree::RTree;
use elanus_index::scalar::ScalarIndex;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::{DataType, Schema};

use crate::accounting::{Account, Kind};
use crate::file::SegmentFile;

/// An opened index of one field.
pub(crate) struct Attached {
    pub(crate) id: u64,
    pub(crate) field: u32,
    body: Body,
    account: Account,
}

enum Body {
    Vector(Index),
    Scalar(Box<ScalarIndex>),
    Spatial(Box<RTree>),
}

impl Attached {
    /// Verifies and opens the file of an index over a vector field or over a scalar one.
    pub(crate) fn open(schema: &Schema, id: u64, file: &SegmentFile) -> Result<Self> {
        let of = file.field.and_then(|field| schema.by_id(field));
        let of = of.ok_or_else(|| NativeError::Internal(format!("{}: it does not say its field", file.role)))?;
        let storage = file.storage()?;
        let wrong = |e| index_error(&file.role, e);
        let (body, bytes) = if of.data_type.is_vector() {
            let index = catalog::open(storage).map_err(wrong)?;
            let bytes = index.memory_bytes();
            (Body::Vector(index), bytes)
        } else if of.data_type == DataType::Geometry {
            let tree = RTree::open(storage).map_err(wrong)?;
            let bytes = tree.memory_bytes();
            (Body::Spatial(Box::new(tree)), bytes)
        } else {
            let index = ScalarIndex::open(storage).map_err(wrong)?;
            let bytes = index.memory_bytes();
            (Body::Scalar(Box::new(index)), bytes)
        };
        Ok(Self { id, field: of.id, body, account: Account::new(Kind::Index, bytes) })
    }

    pub(crate) fn vector(&self) -> Option<&Index> {
        match &self.body {
            Body::Vector(index) => Some(index),
            Body::Scalar(_) | Body::Spatial(_) => None,
        }
    }

    pub(crate) fn scalar(&self) -> Option<&ScalarIndex> {
        match &self.body {
            Body::Vector(_) | Body::Spatial(_) => None,
            Body::Scalar(index) => Some(index),
        }
    }

    pub(crate) fn tree(&self) -> Option<&RTree> {
        match &self.body {
            Body::Spatial(tree) => Some(tree),
            Body::Vector(_) | Body::Scalar(_) => None,
        }
    }

    /// Both index the same values: a field, or the same path in a JSON field.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        let path = |attached: &Self| attached.scalar().and_then(|index| index.json()).map(|json| json.path.clone());
        self.field == other.field && path(self) == path(other)
    }

    /// Rows that the index covers, where it says so.
    pub(crate) fn row_count(&self) -> Option<usize> {
        self.scalar().map(ScalarIndex::row_count).or_else(|| self.tree().map(RTree::row_count))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.account.bytes()
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "index {} of field {}", self.id, self.field)
    }
}

/// `file` names the index in case it is damaged.
pub(crate) fn index_error(file: &str, error: IndexError) -> NativeError {
    match error {
        IndexError::Parameter(message) => NativeError::InvalidParameter(message),
        IndexError::Corrupt(message) => NativeError::FileCorrupt { file: file.into(), message },
        IndexError::Unwritten(message) => NativeError::IoFailed(message),
        IndexError::Cancelled => NativeError::Cancelled("index build was cancelled".into()),
    }
}
