//! Bounds-checked reading of an encoded program.

use elanus_rows::error::{NativeError, Result};

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// The program is malformed: it comes from our own proxy, so this is damage or a bug.
pub(crate) fn malformed(what: &str) -> NativeError {
    NativeError::Internal(format!("filter program: {what}"))
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(malformed("cut short"));
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| malformed("cut short"))
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn f64(&mut self) -> Result<f64> {
        let value = f64::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(malformed("a constant is not finite")) }
    }

    pub fn bool(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(malformed("a boolean is neither 0 nor 1")),
        }
    }

    pub fn text(&mut self) -> Result<&'a str> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.take(length)?).map_err(|_| malformed("text is not UTF-8"))
    }

    /// A count of items that take at least `bytes_each`: a huge count is refused before memory is taken for it.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.remaining() / bytes_each { Err(malformed("a count exceeds the program")) } else { Ok(count) }
    }
}
