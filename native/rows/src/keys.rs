//! Primary and partition keys: the list form that crosses roles, and the hashes that route rows. Both are on disk
//! and between versions for ever: docs/formats/row-batch.md.

use std::collections::HashMap;

use crate::column::{Column, Values, VarBytes};
use crate::cursor::{Cursor, put_numbers, put_var_bytes};
use crate::error::{NativeError, Result};

const MAGIC: [u8; 4] = *b"EKEY";
const VERSION: u8 = 1;
const KIND_INT: u8 = 1;
const KIND_TEXT: u8 = 2;
/// A text's hash looks at no more than this many bytes.
const HASHED_TEXT_BYTES: usize = 100;

/// Keys of one collection, in some order that the owner gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    Int(Vec<i64>),
    Text(VarBytes),
}

/// One key, for maps and comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'a> {
    Int(i64),
    Text(&'a [u8]),
}

impl Key<'_> {
    /// The hash that routes the key: 31 bits, the same in every version and on every machine.
    #[must_use]
    pub fn route_hash(self) -> u32 {
        match self {
            Self::Int(key) => murmur3_of_i64(key) & 0x7fff_ffff,
            Self::Text(key) => crc32fast::hash(&key[..key.len().min(HASHED_TEXT_BYTES)]),
        }
    }
}

/// MurmurHash3 (32 bits, seed 0) of the eight little-endian bytes of the key.
fn murmur3_of_i64(key: i64) -> u32 {
    let bits = key as u64;
    let mut hash = 0_u32;
    for block in [bits as u32, (bits >> 32) as u32] {
        let mixed = block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        hash = (hash ^ mixed).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= 8;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

impl Keys {
    #[must_use]
    pub fn empty(text: bool) -> Self {
        if text { Self::Text(VarBytes::default()) } else { Self::Int(Vec::new()) }
    }

    /// The keys of a key column.
    ///
    /// # Errors
    /// `Internal` when the column is of no key type.
    pub fn of_column(column: &Column) -> Result<Self> {
        match &column.values {
            Values::Int64(keys) => Ok(Self::Int(keys.clone())),
            Values::Bytes(keys) => Ok(Self::Text(keys.clone())),
            _ => Err(NativeError::Internal("a key column holds neither Int64 nor VarChar".to_owned())),
        }
    }

    /// The keys as the values of a column.
    #[must_use]
    pub fn into_values(self) -> Values {
        match self {
            Self::Int(keys) => Values::Int64(keys),
            Self::Text(keys) => Values::Bytes(keys),
        }
    }

    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int(keys) => keys.len(),
            Self::Text(keys) => keys.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, i: usize) -> Key<'_> {
        match self {
            Self::Int(keys) => Key::Int(keys[i]),
            Self::Text(keys) => Key::Text(keys.get(i)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Key<'_>> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Puts a key behind the others.
    ///
    /// # Errors
    /// `InvalidParameter` when the keys are of the other type.
    pub fn push(&mut self, key: Key<'_>) -> Result<()> {
        match (self, key) {
            (Self::Int(keys), Key::Int(key)) => keys.push(key),
            (Self::Text(keys), Key::Text(key)) => keys.push(key),
            _ => return Err(NativeError::InvalidParameter("keys are of different types".to_owned())),
        }
        Ok(())
    }

    /// The keys at `positions`, in that order.
    #[must_use]
    pub fn gather(&self, positions: &[u32]) -> Self {
        match self {
            Self::Int(keys) => Self::Int(positions.iter().map(|&i| keys[i as usize]).collect()),
            Self::Text(keys) => Self::Text(keys.gather(positions)),
        }
    }

    /// Positions of the keys without those that stand again further behind, in order.
    #[must_use]
    pub fn last_positions(&self) -> Vec<u32> {
        let mut last = HashMap::with_capacity(self.len());
        for (i, key) in self.iter().enumerate() {
            last.insert(key, i);
        }
        (0..self.len()).filter(|&i| last.get(&self.get(i)) == Some(&i)).map(|i| i as u32).collect()
    }

    /// Positions of the keys by `hash % parts`.
    #[must_use]
    pub fn split(&self, parts: usize) -> Vec<Vec<u32>> {
        let mut split = vec![Vec::new(); parts];
        for (i, key) in self.iter().enumerate() {
            split[key.route_hash() as usize % parts].push(i as u32);
        }
        split
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, if self.is_text() { KIND_TEXT } else { KIND_INT }, 0, 0]);
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        self.write_body(&mut out);
        out
    }

    /// Reads what `encode` wrote.
    ///
    /// # Errors
    /// `FileCorrupt` when the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, "encoded keys");
        cursor.header(MAGIC)?;
        let [version, kind] = [cursor.u8()?, cursor.u8()?];
        if version != VERSION {
            return Err(cursor.damaged(&format!("version {version} is unknown")));
        }
        cursor.align()?;
        let count = cursor.numbers(1, u64::from_le_bytes)?;
        let count = cursor.length_of(count.first().copied())?;
        let keys = match kind {
            KIND_INT => Self::read_body(&mut cursor, false, count)?,
            KIND_TEXT => Self::read_body(&mut cursor, true, count)?,
            _ => return Err(cursor.damaged(&format!("key kind {kind} is unknown"))),
        };
        cursor.finish()?;
        Ok(keys)
    }

    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(keys) => put_numbers(out, keys, i64::to_le_bytes),
            Self::Text(keys) => put_var_bytes(out, keys),
        }
    }

    pub(crate) fn read_body(cursor: &mut Cursor<'_>, text: bool, count: usize) -> Result<Self> {
        Ok(if text {
            Self::Text(cursor.var_bytes(count)?)
        } else {
            Self::Int(cursor.numbers(count, i64::from_le_bytes)?)
        })
    }
}
