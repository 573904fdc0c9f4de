//! An index file opened beside a sealed segment.

use elanus_index::IndexError;
use elanus_index::catalog::{self, Index};
use elanus_rows::error::{NativeError, Result};

use crate::accounting::{Account, Kind};
use crate::file::SegmentFile;

/// An opened index of one field.
pub(crate) struct Attached {
    pub(crate) id: u64,
    pub(crate) field: u32,
    index: Index,
    account: Account,
}

impl Attached {
    pub(crate) fn open(id: u64, file: SegmentFile) -> Result<Self> {
        let field = file.field.ok_or_else(|| NativeError::Internal("an index file without its field".into()))?;
        let index = catalog::open(file.storage()?).map_err(|e| index_error(&file.role, e))?;
        let account = Account::new(Kind::Index, index.memory_bytes());
        Ok(Self { id, field, index, account })
    }

    /// The vector index; `None` for an index of a scalar field.
    pub(crate) fn index(&self) -> Option<&Index> {
        Some(&self.index)
    }

    /// Milvus's name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        self.index.type_name()
    }

    pub(crate) fn is_vector(&self) -> bool {
        true
    }

    /// Rows that the index covers, where it says so.
    pub(crate) fn row_count(&self) -> Option<usize> {
        None
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
        IndexError::Cancelled => NativeError::Cancelled("index build was cancelled".into()),
    }
}
