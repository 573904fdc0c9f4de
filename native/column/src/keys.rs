//! From primary key to rows, in memory.

use std::collections::HashMap;

use elanus_rows::column::{Column, Values};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::Key;

/// The key of one row of a primary key column.
pub(crate) fn key_at(column: &Column, row: usize) -> Result<Key<'_>> {
    match &column.values {
        Values::Int64(values) => Ok(Key::Int(values[row])),
        Values::Bytes(values) => Ok(Key::Text(values.get(row))),
        _ => Err(NativeError::Internal("a primary key column holds neither Int64 nor VarChar".into())),
    }
}

/// The rows of the same key next to a row, by insert timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbours {
    pub(crate) younger: Option<u32>,
    pub(crate) older: Option<u32>,
}

/// Key → newest row, and from each row to the next older one with the same key.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    ints: HashMap<i64, u32>,
    texts: HashMap<Box<[u8]>, u32>,
    older: HashMap<u32, u32>,
    text_bytes: usize,
}

impl KeyIndex {
    /// Enters a row behind the rows of its key that `is_younger` says are younger.
    pub(crate) fn insert(&mut self, key: Key<'_>, row: u32, is_younger: impl Fn(u32) -> bool) -> Neighbours {
        let newest = match key {
            Key::Int(key) => self.ints.get(&key),
            Key::Text(key) => self.texts.get(key),
        }
        .copied();
        let mut neighbours = Neighbours { younger: None, older: newest };
        while let Some(other) = neighbours.older.filter(|&other| is_younger(other)) {
            neighbours = Neighbours { younger: Some(other), older: self.older.get(&other).copied() };
        }
        if let Some(older) = neighbours.older {
            self.older.insert(row, older);
        }
        match neighbours.younger {
            Some(younger) => {
                self.older.insert(younger, row);
            }
            None => self.set_newest(key, row),
        }
        neighbours
    }

    fn set_newest(&mut self, key: Key<'_>, row: u32) {
        match key {
            Key::Int(key) => {
                self.ints.insert(key, row);
            }
            Key::Text(key) => match self.texts.get_mut(key) {
                Some(newest) => *newest = row,
                None => {
                    self.text_bytes += key.len();
                    self.texts.insert(key.into(), row);
                }
            },
        }
    }

    /// Rows of a key, youngest first.
    pub(crate) fn rows(&self, key: Key<'_>) -> impl Iterator<Item = u32> + '_ {
        let newest = match key {
            Key::Int(key) => self.ints.get(&key),
            Key::Text(key) => self.texts.get(key),
        };
        std::iter::successors(newest.copied(), |row| self.older.get(row).copied())
    }

    /// Heap bytes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.ints.capacity() * 17 + self.texts.capacity() * 25 + self.text_bytes + self.older.capacity() * 9
    }
}
