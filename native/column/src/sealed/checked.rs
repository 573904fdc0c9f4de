//! Our own small files: magic, version, body, CRC-32C of everything before it. All numbers little-endian.

use std::panic::{AssertUnwindSafe, catch_unwind};

use elanus_kernels::crc32c;
use elanus_rows::error::{NativeError, Result};

/// Runs a Parquet reader over a file. The library panics on some damage that its author did not think of; that is
/// the file's failure, not the process's.
pub(crate) fn guarded<T>(role: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(NativeError::FileCorrupt { file: role.into(), message: "its Parquet cannot be read".into() })
    })
}

const VERSION: u32 = 1;
const HEADER: usize = 8;
const FOOTER: usize = 4;

/// Starts a file.
pub(crate) fn begin(magic: [u8; 4]) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out
}

/// Seals a file.
pub(crate) fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a file's body forward; every step checks that the bytes are there.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    role: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(role: &'static str, magic: [u8; 4], bytes: &'a [u8]) -> Result<Self> {
        let reader = Self { rest: &[], role };
        let Some(end) = bytes.len().checked_sub(FOOTER).filter(|&end| end >= HEADER) else {
            return Err(reader.damaged("it is too short"));
        };
        let (body, footer) = bytes.split_at(end);
        if crc32c(body).to_le_bytes() != footer {
            return Err(reader.damaged("its checksum is wrong"));
        }
        if body[..4] != magic || body[4..HEADER] != VERSION.to_le_bytes() {
            return Err(reader.damaged("it is of another format or version"));
        }
        Ok(Self { rest: &body[HEADER..], role })
    }

    pub(crate) fn damaged(&self, message: &str) -> NativeError {
        NativeError::FileCorrupt { file: self.role.into(), message: message.into() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.damaged("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn count(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    pub(crate) fn u64s(&mut self, count: usize) -> Result<Vec<u64>> {
        let bytes = self.take(count.checked_mul(8).ok_or_else(|| self.damaged("a count is too large"))?)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("bytes are left over")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.damaged("it ends too early"))
    }
}
