//! Protobuf's wire format, as far as Milvus's data messages need it: a reader that cannot panic and copies nothing,
//! and a writer.

use crate::error::{NativeError, Result};

const VARINT_BYTES_MAX: usize = 10;

/// The value of one field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Wire<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("a field has another wire type than its message says")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("a string is not UTF-8"))
    }

    pub(crate) fn varint(self) -> Result<u64> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(malformed("a field has another wire type than its message says")),
        }
    }
}

pub(crate) fn malformed(why: &str) -> NativeError {
    NativeError::InvalidParameter(format!("malformed protobuf message: {why}"))
}

/// The fields of a message, one after the other.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field and its value; `None` at the end. Groups do not occur in proto3.
    pub(crate) fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.raw_varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|&number| number > 0);
        let number = number.ok_or_else(|| malformed("a field number is out of range"))?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.raw_varint()?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let length = usize::try_from(self.raw_varint()?).map_err(|_| malformed("a length is too large"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(self.array()?),
            other => return Err(malformed(&format!("wire type {other} is unknown"))),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn raw_varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for (i, &byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(malformed("a number does not end"))
    }
}

/// Appends a repeated varint field's values, packed or not.
pub(crate) fn read_varints<T>(wire: Wire<'_>, out: &mut Vec<T>, convert: impl Fn(u64) -> T) -> Result<()> {
    match wire {
        Wire::Varint(value) => out.push(convert(value)),
        Wire::Bytes(bytes) => {
            let mut packed = Reader::new(bytes);
            // Every varint ends with a byte below 0x80: their number is known before reading.
            out.reserve(bytes.iter().filter(|&&byte| byte < 0x80).count());
            while !packed.rest.is_empty() {
                out.push(convert(packed.raw_varint()?));
            }
        }
        _ => return Err(malformed("a repeated number has another wire type")),
    }
    Ok(())
}

/// Appends a repeated fixed-width field's bytes, packed or not.
pub(crate) fn read_fixed(wire: Wire<'_>, width: usize, out: &mut Vec<u8>) -> Result<()> {
    let bytes = match &wire {
        Wire::Fixed32(bytes) if width == 4 => bytes.as_slice(),
        Wire::Fixed64(bytes) if width == 8 => bytes.as_slice(),
        Wire::Bytes(bytes) if bytes.len().is_multiple_of(width) => bytes,
        _ => return Err(malformed("a repeated number has another wire type")),
    };
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes one message; proto3's rule of leaving out zero values is the caller's choice by method.
#[derive(Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u64) {
        self.raw_varint(u64::from(field) << 3 | wire_type);
    }

    /// A number or bool; zero is left out.
    pub(crate) fn varint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, 0);
            self.raw_varint(value);
        }
    }

    pub(crate) fn float(&mut self, field: u32, value: f32) {
        self.tag(field, 5);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A string, bytes or whole message, also when empty.
    pub(crate) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// A string; the empty one is left out.
    pub(crate) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// A message written by `write`, also when it comes out empty.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        // The length stands before the content: the content is written behind and its length put in between.
        self.tag(field, 2);
        let at = self.out.len();
        write(self);
        let length = (self.out.len() - at) as u64;
        let content_end = self.out.len();
        self.raw_varint(length);
        let length_bytes = self.out.len() - content_end;
        self.out[at..].rotate_right(length_bytes);
    }

    /// A packed repeated number; nothing for no values.
    pub(crate) fn packed_varints(&mut self, field: u32, values: impl Iterator<Item = u64> + Clone) {
        let length: usize = values.clone().map(varint_length).sum();
        if length == 0 {
            return;
        }
        self.tag(field, 2);
        self.raw_varint(length as u64);
        self.out.reserve(length);
        values.for_each(|value| self.raw_varint(value));
    }

    /// A packed repeated fixed-width number; nothing for no values.
    pub(crate) fn packed_fixed<const N: usize>(&mut self, field: u32, values: impl ExactSizeIterator<Item = [u8; N]>) {
        if values.len() == 0 {
            return;
        }
        self.tag(field, 2);
        self.raw_varint((values.len() * N) as u64);
        self.out.reserve(values.len() * N);
        values.for_each(|bytes| self.out.extend_from_slice(&bytes));
    }
}

fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
