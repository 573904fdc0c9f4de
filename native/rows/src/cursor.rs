//! Reading our own little-endian formats from bytes nobody vouches for, and writing them.

use crate::column::VarBytes;
use crate::error::{NativeError, Result};

/// Every section of a format starts at a multiple of this.
pub(crate) const ALIGN: usize = 8;

/// Reads forward; every step checks that the bytes are there.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Names the format in errors.
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    pub(crate) fn damaged(&self, why: &str) -> NativeError {
        NativeError::FileCorrupt { file: self.what.to_owned(), message: why.to_owned() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged("it ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.damaged("it ends too early"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Skips to the next section; the filling must be zero.
    pub(crate) fn align(&mut self) -> Result<()> {
        let filling = self.take(self.at.next_multiple_of(ALIGN) - self.at)?;
        if filling.iter().any(|&byte| byte != 0) {
            return Err(self.damaged("filling bytes are not zero"));
        }
        Ok(())
    }

    /// `count` numbers of `N` bytes, then the filling.
    pub(crate) fn numbers<const N: usize, T>(&mut self, count: usize, read: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = count.checked_mul(N).ok_or_else(|| self.damaged("a count is too large"))?;
        let (chunks, _) = self.take(bytes)?.as_chunks::<N>();
        let numbers = chunks.iter().map(|chunk| read(*chunk)).collect();
        self.align()?;
        Ok(numbers)
    }

    /// `count` raw bytes, then the filling.
    pub(crate) fn blob(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.take(count)?;
        self.align()?;
        Ok(taken)
    }

    /// `count + 1` offsets that start with 0 and never fall.
    pub(crate) fn offsets(&mut self, count: usize) -> Result<Vec<u64>> {
        let length = count.checked_add(1).ok_or_else(|| self.damaged("a count is too large"))?;
        let offsets = self.numbers(length, u64::from_le_bytes)?;
        if offsets.first() != Some(&0) || offsets.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(self.damaged("offsets are out of order"));
        }
        Ok(offsets)
    }

    /// `count` byte strings.
    pub(crate) fn var_bytes(&mut self, count: usize) -> Result<VarBytes> {
        let offsets = self.offsets(count)?;
        let end = self.length_of(offsets.last().copied())?;
        Ok(VarBytes { offsets, data: self.blob(end)?.to_vec() })
    }

    /// A stored length as a length in memory.
    pub(crate) fn length_of(&self, stored: Option<u64>) -> Result<usize> {
        stored.and_then(|length| usize::try_from(length).ok()).ok_or_else(|| self.damaged("a length is too large"))
    }

    pub(crate) fn header(&mut self, magic: [u8; 4]) -> Result<()> {
        if self.array::<4>()? != magic {
            return Err(self.damaged("it does not start with its magic"));
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<()> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.damaged("bytes are left over")) }
    }
}

/// Fills up to the next section.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGN), 0);
}

/// Writes numbers back to back, then the filling.
pub(crate) fn put_numbers<const N: usize, T: Copy>(out: &mut Vec<u8>, numbers: &[T], write: fn(T) -> [u8; N]) {
    out.reserve(numbers.len() * N + ALIGN);
    for &number in numbers {
        out.extend_from_slice(&write(number));
    }
    pad(out);
}

pub(crate) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    pad(out);
}

pub(crate) fn put_var_bytes(out: &mut Vec<u8>, strings: &VarBytes) {
    put_numbers(out, &strings.offsets, u64::to_le_bytes);
    put_blob(out, &strings.data);
}
