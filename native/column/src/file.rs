//! Files of a sealed segment as they are handed in: named by role, with the size and checksum they must have.

use std::path::PathBuf;

use bytes::Bytes;
use elanus_index::storage::Storage;
use elanus_kernels::{MappedFile, crc32c};
use elanus_rows::error::{NativeError, Result};

#[derive(Clone, Debug)]
pub enum FileSource {
    /// A file to map.
    Path(PathBuf),
    Content(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// `scalars`, `vector:<field>`, `statistics`, `deletes`, `index:<id>`.
    pub role: String,
    pub crc32c: u32,
    pub bytes: u64,
    pub source: FileSource,
    /// For an index: the field it was built for.
    pub field: Option<u32>,
}

struct Mapped(MappedFile);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SegmentFile {
    /// The verified content; mapped when it is a path.
    pub(crate) fn load(&self) -> Result<Bytes> {
        let bytes = match &self.source {
            FileSource::Path(path) => {
                let file = MappedFile::open(path).map_err(|e| self.unreadable(&e))?;
                Bytes::from_owner(Mapped(file))
            }
            FileSource::Content(content) => Bytes::from(content.clone()),
        };
        self.verify(&bytes)?;
        Ok(bytes)
    }

    /// As `load`, for an index.
    pub(crate) fn storage(&self) -> Result<Storage> {
        let storage = match &self.source {
            FileSource::Path(path) => Storage::map(path).map_err(|e| self.unreadable(&e))?,
            FileSource::Content(content) => Storage::copy_of(content),
        };
        self.verify(&storage)?;
        Ok(storage)
    }

    pub(crate) fn corrupt(&self, message: &str) -> NativeError {
        NativeError::FileCorrupt { file: self.role.clone(), message: message.into() }
    }

    /// Heap bytes that the loaded file takes; a mapped one takes none.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.source {
            FileSource::Path(_) => 0,
            FileSource::Content(content) => content.len(),
        }
    }

    fn verify(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 != self.bytes {
            return Err(self.corrupt(&format!("it has {} bytes, not {}", bytes.len(), self.bytes)));
        }
        if crc32c(bytes) != self.crc32c {
            return Err(self.corrupt("its checksum is wrong"));
        }
        Ok(())
    }

    fn unreadable(&self, error: &std::io::Error) -> NativeError {
        NativeError::IoFailed(format!("{}: {error}", self.role))
    }
}
