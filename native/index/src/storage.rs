//! Where the bytes of an opened index live.

use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use elanus_kernels::{AlignedBuf, MappedFile};

/// The bytes of an index file; the first stands on a cache line.
#[derive(Debug)]
pub enum Storage {
    Mapped(MappedFile),
    Owned(AlignedBuf),
}

impl Storage {
    /// Maps a file.
    ///
    /// # Errors
    /// It cannot be opened or mapped.
    pub fn map(path: &Path) -> io::Result<Self> {
        MappedFile::open(path).map(Self::Mapped)
    }

    /// Copies bytes to aligned memory.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::Owned(AlignedBuf::copy_of(bytes))
    }

    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }

    /// Asks for a part of a mapped file to be read soon.
    #[inline]
    pub fn will_need(&self, part: Range<usize>) {
        if let Self::Mapped(file) = self {
            file.will_need(part);
        }
    }

    /// Says that a part of a mapped file is read here and there: nothing around a place is worth reading.
    pub fn read_at_random(&self, part: Range<usize>) {
        if let Self::Mapped(file) = self {
            file.read_at_random(part);
        }
    }

    /// Bytes on the heap: none when mapped.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Mapped(_) => 0,
            Self::Owned(bytes) => bytes.len(),
        }
    }
}

impl Deref for Storage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file,
            Self::Owned(bytes) => bytes,
        }
    }
}
