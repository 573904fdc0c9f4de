//! Failures of native code: the kind is one of `packages/model/src/error.ts`, the message is for the user.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum NativeError {
    #[error("{0}")]
    InvalidParameter(String),
    /// An invalid parameter that names what was wanted and what came.
    #[error("{message}")]
    Unexpected { message: String, expected: String, actual: String },
    #[error("{0}")]
    MissingParameter(String),
    #[error("{0}")]
    ParameterTooLarge(String),
    #[error("{0}")]
    SchemaMismatch(String),
    /// `file` is the role or path of the damaged file.
    #[error("{file}: {message}")]
    FileCorrupt { file: String, message: String },
    #[error("{0}")]
    MemoryLimit(String),
    #[error("{0}")]
    IoFailed(String),
    #[error("{0}")]
    Cancelled(String),
    #[error("{0}")]
    Internal(String),
}

impl NativeError {
    /// The `DbError` kind in TypeScript.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidParameter(_) | Self::Unexpected { .. } => "invalidParameter",
            Self::MissingParameter(_) => "missingParameter",
            Self::ParameterTooLarge(_) => "parameterTooLarge",
            Self::SchemaMismatch(_) => "collectionSchemaMismatch",
            Self::FileCorrupt { .. } => "fileCorrupt",
            Self::MemoryLimit(_) => "memoryLimit",
            Self::IoFailed(_) => "ioFailed",
            Self::Cancelled(_) => "cancelled",
            Self::Internal(_) => "internal",
        }
    }
}

pub type Result<T> = std::result::Result<T, NativeError>;
