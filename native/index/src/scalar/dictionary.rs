//! The distinct values in ascending order. Texts may be front-coded (Witten, Moffat and Bell, Managing Gigabytes, 4.1):
//! in blocks of 16, each text but the first is written as the length it shares with the one before, and the rest.

use std::borrow::Cow;
use std::ops::Range;

use super::{Key, KeyKind, Meta, U64, corrupt, u64_at};
use crate::IndexError;
use crate::format::File;

const BLOCK: usize = 16;

/// Collects texts in ascending order.
pub(super) struct TextWriter {
    front_coded: bool,
    count: usize,
    last: Vec<u8>,
    pub(super) values: Vec<u8>,
    pub(super) offsets: Vec<u8>,
}

impl TextWriter {
    pub(super) fn new(front_coded: bool) -> Self {
        Self { front_coded, count: 0, last: Vec::new(), values: Vec::new(), offsets: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        let head = !self.front_coded || self.count.is_multiple_of(BLOCK);
        if head {
            self.offsets.extend((self.values.len() as u64).to_le_bytes());
        }
        if self.front_coded {
            let shared = if head { 0 } else { self.last.iter().zip(text).take_while(|(a, b)| a == b).count() };
            put_length(&mut self.values, shared);
            put_length(&mut self.values, text.len() - shared);
            self.values.extend(&text[shared..]);
            self.last.clear();
            self.last.extend(text);
        } else {
            self.values.extend(text);
        }
        self.count += 1;
    }

    /// The end of the last text.
    pub(super) fn finish(&mut self) {
        self.offsets.extend((self.values.len() as u64).to_le_bytes());
    }
}

/// Seven bits a byte, low ones first; the high bit says that more follow.
fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(length);
        }
        shift += 7;
    }
}

/// Turns the text before into the next one of a front-coded block.
fn take_text(bytes: &mut &[u8], text: &mut Vec<u8>) -> Option<()> {
    let (shared, own) = (take_length(bytes)?, take_length(bytes)?);
    if shared > text.len() || own > bytes.len() {
        return None;
    }
    text.truncate(shared);
    let (head, rest) = bytes.split_at(own);
    text.extend(head);
    *bytes = rest;
    Some(())
}

#[derive(Debug)]
pub(super) struct Dictionary {
    kind: KeyKind,
    front_coded: bool,
    distinct: usize,
    /// Numbers, or for texts the bytes back to back.
    values: Range<usize>,
    /// Where each text (or block) begins, and the end.
    offsets: Range<usize>,
}

impl Dictionary {
    /// Finds the sections and checks all that later look-ups rely on.
    pub(super) fn open(file: &File, meta: &Meta) -> Result<Self, IndexError> {
        let dictionary = Self {
            kind: meta.kind,
            front_coded: meta.front_coded,
            distinct: meta.distinct,
            values: file.range("values")?,
            offsets: file.range("offsets")?,
        };
        dictionary.verify(file)?;
        Ok(dictionary)
    }

    fn verify(&self, file: &File) -> Result<(), IndexError> {
        let fits = |range: &Range<usize>, count: usize| count.checked_mul(U64) == Some(range.len());
        if self.kind != KeyKind::Texts {
            return if fits(&self.values, self.distinct) { Ok(()) } else { Err(corrupt("section values")) };
        }
        let pieces = if self.front_coded { self.distinct.div_ceil(BLOCK) } else { self.distinct };
        if !fits(&self.offsets, pieces.saturating_add(1)) {
            return Err(corrupt("section offsets"));
        }
        let at = |i| u64_at(file, &self.offsets, i) as usize;
        if at(0) != 0 || at(pieces) != self.values.len() || (0..pieces).any(|i| at(i) > at(i + 1)) {
            return Err(corrupt("section offsets"));
        }
        let mut whole = 0;
        self.each_text(file, 0..self.distinct, |_, _| whole += 1);
        if whole == self.distinct { Ok(()) } else { Err(corrupt("section values")) }
    }

    /// Bytes of a text, or of a front-coded block.
    fn piece<'a>(&self, file: &'a File, number: usize) -> &'a [u8] {
        let from = self.values.start + u64_at(file, &self.offsets, number) as usize;
        let to = self.values.start + u64_at(file, &self.offsets, number + 1) as usize;
        &file.bytes()[from..to]
    }

    /// Calls `take` with the texts of these entries, in order.
    pub(super) fn each_text(&self, file: &File, entries: Range<usize>, mut take: impl FnMut(usize, &[u8])) {
        if !self.front_coded {
            return entries.for_each(|entry| take(entry, self.piece(file, entry)));
        }
        let mut text = Vec::new();
        let mut entry = entries.start / BLOCK * BLOCK;
        while entry < entries.end {
            let mut block = self.piece(file, entry / BLOCK);
            for _ in 0..BLOCK.min(entries.end - entry) {
                if take_text(&mut block, &mut text).is_none() {
                    return;
                }
                if entry >= entries.start {
                    take(entry, &text);
                }
                entry += 1;
            }
        }
    }

    /// The text of an entry; empty for numbers.
    pub(super) fn text<'a>(&self, file: &'a File, entry: usize) -> Cow<'a, [u8]> {
        if self.kind != KeyKind::Texts {
            return Cow::Borrowed(&[]);
        }
        if !self.front_coded {
            return Cow::Borrowed(self.piece(file, entry));
        }
        let mut found = Vec::new();
        self.each_text(file, entry..entry + 1, |_, text| found = text.to_vec());
        Cow::Owned(found)
    }

    /// First number for which `before` is false, where it is true up to some number and false from then on.
    fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// First entry with a value >= `key`, or > it when `after`. A key of another kind has no place.
    pub(super) fn position(&self, file: &File, key: Key<'_>, after: bool) -> Option<usize> {
        let before = |less: bool, equal: bool| less || (after && equal);
        match (key, self.kind) {
            (Key::Int(key), KeyKind::Ints) => Some(Self::partition(self.distinct, |entry| {
                let value = u64_at(file, &self.values, entry) as i64;
                before(value < key, value == key)
            })),
            (Key::Float(key), KeyKind::Floats) if !key.is_nan() => Some(Self::partition(self.distinct, |entry| {
                let value = f64::from_bits(u64_at(file, &self.values, entry));
                before(value < key, value == key)
            })),
            (Key::Text(key), KeyKind::Texts) if self.front_coded => Some(self.text_position(file, key, before)),
            (Key::Text(key), KeyKind::Texts) => Some(Self::partition(self.distinct, |entry| {
                let value = self.piece(file, entry);
                before(value < key, value == key)
            })),
            _ => None,
        }
    }

    /// In front-coded texts: finds the block by the texts they begin with, then walks it.
    fn text_position(&self, file: &File, key: &[u8], before: impl Fn(bool, bool) -> bool) -> usize {
        let blocks = self.distinct.div_ceil(BLOCK);
        let block = Self::partition(blocks, |block| {
            let head = self.text(file, block * BLOCK);
            before(*head < *key, *head == *key)
        });
        let Some(block) = block.checked_sub(1) else { return 0 };
        let first = block * BLOCK;
        let mut inside = 0;
        self.each_text(file, first..self.distinct.min(first + BLOCK), |_, text| {
            inside += usize::from(before(*text < *key, *text == *key));
        });
        first + inside
    }
}
