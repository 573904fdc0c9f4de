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

/// Ordinal of the part (shard, partition) that a key belongs to.
#[must_use]
pub fn bucket(key: Key<'_>, parts: usize) -> usize {
    if parts <= 1 { 0 } else { key.route_hash() as usize % parts }
}

impl Keys {
    #[must_use]
    pub fn empty(text: bool) -> Self {
        if text { Self::Text(VarBytes::default()) } else { Self::Int(Vec::new()) }
    }

    /// Makes room for so many keys more.
    pub fn reserve(&mut self, keys: usize) {
        match self {
            Self::Int(own) => own.reserve(keys),
            Self::Text(own) => own.offsets.reserve(keys),
        }
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

    /// Positions of the keys by the part they belong to.
    #[must_use]
    pub fn split(&self, parts: usize) -> Vec<Vec<u32>> {
        let mut split = vec![Vec::new(); parts.max(1)];
        for (i, key) in self.iter().enumerate() {
            split[bucket(key, parts)].push(i as u32);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(keys: &[&str]) -> Keys {
        Keys::Text(keys.iter().map(|key| key.as_bytes()).collect())
    }

    /// Reference values of the public algorithms; a change here would move rows between shards.
    #[test]
    fn hashes_are_the_documented_ones() {
        let known =
            [(0, 0x6385_2afc), (1, 0x5307_5d44), (-1, 0x6275_64e8), (42, 0x6f8f_913e), (1099511627776, 0x29f6_2f22)];
        for (key, hash) in known {
            assert_eq!(Key::Int(key).route_hash(), hash);
        }
        assert_eq!(Key::Text(b"123456789").route_hash(), 0xcbf4_3926);
        let long = [b'x'; 300];
        assert_eq!(Key::Text(&long).route_hash(), Key::Text(&long[..100]).route_hash());
        assert_ne!(Key::Text(&long[..99]).route_hash(), Key::Text(&long[..100]).route_hash());
    }

    #[test]
    fn the_last_of_equal_keys_stays() {
        assert_eq!(Keys::Int(vec![1, 2, 1, 3, 2]).last_positions(), [2, 3, 4]);
        assert_eq!(texts(&["a", "b", "a"]).last_positions(), [1, 2]);
    }

    fn any_keys() -> impl Strategy<Value = Keys> {
        prop_oneof![
            prop::collection::vec(any::<i64>(), 0..50).prop_map(Keys::Int),
            prop::collection::vec(".{0,12}", 0..50)
                .prop_map(|texts| Keys::Text(texts.iter().map(String::as_bytes).collect())),
        ]
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(keys in any_keys()) {
            prop_assert_eq!(Keys::decode(&keys.encode()).unwrap(), keys);
        }

        #[test]
        fn every_key_is_in_exactly_one_part(keys in any_keys(), parts in 1_usize..9) {
            let mut seen: Vec<u32> = keys.split(parts).concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..keys.len() as u32).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_are_refused_or_other_keys_but_never_a_panic(
            keys in any_keys(),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = keys.encode();
            let i = at.index(bytes.len());
            bytes[i] = to;
            let _ = Keys::decode(&bytes);
            prop_assert!(Keys::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Keys::decode(&bytes);
            let _ = Keys::decode(&[b"EKEY\x01\x02\x00\x00", bytes.as_slice()].concat());
        }
    }
}
