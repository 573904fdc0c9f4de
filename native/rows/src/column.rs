//! Columns in memory. A column holds `len` rows; `validity` (when present) says which are not null, and a null
//! row still has a slot (zero, empty) so that row numbers are positions.

/// Bits, least significant first; bit i of row i.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    #[must_use]
    pub fn with_value(len: usize, value: bool) -> Self {
        let mut bits = Self { words: vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        bits.clear_tail();
        bits
    }

    /// The words must fit `len` and be zero above it: `Bits::from_words` checks that.
    pub(crate) fn from_checked_words(words: Vec<u64>, len: usize) -> Self {
        Self { words, len }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[must_use]
    pub fn get(&self, i: usize) -> bool {
        self.words[i / 64] >> (i % 64) & 1 == 1
    }

    pub fn set(&mut self, i: usize, value: bool) {
        assert!(i < self.len, "bit {i} of {}", self.len);
        let mask = 1 << (i % 64);
        if value {
            self.words[i / 64] |= mask;
        } else {
            self.words[i / 64] &= !mask;
        }
    }

    pub fn push(&mut self, value: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        self.set(self.len - 1, value);
    }

    #[must_use]
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Words for bulk writers; bits at and above `len` must stay zero.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    pub fn and(&mut self, other: &Self) {
        assert_eq!(self.len, other.len);
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    pub fn or(&mut self, other: &Self) {
        assert_eq!(self.len, other.len);
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    pub fn and_not(&mut self, other: &Self) {
        assert_eq!(self.len, other.len);
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    pub fn not(&mut self) {
        self.words.iter_mut().for_each(|w| *w = !*w);
        self.clear_tail();
    }

    pub fn iter_ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        })
    }

    fn clear_tail(&mut self) {
        if let (Some(last), tail @ 1..) = (self.words.last_mut(), self.len % 64) {
            *last &= (1 << tail) - 1;
        }
    }
}

/// Byte strings back to back; row i is `data[offsets[i]..offsets[i + 1]]`. `offsets` starts with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarBytes {
    pub offsets: Vec<u64>,
    pub data: Vec<u8>,
}

impl Default for VarBytes {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new() }
    }
}

impl VarBytes {
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, i: usize) -> &[u8] {
        &self.data[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.offsets.push(self.data.len() as u64);
    }
}

/// The values of one field. Narrow integers are widened to i32, as on Milvus's wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Bool(Vec<bool>),
    /// Int8, Int16, Int32.
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    /// VarChar (UTF-8), Json (UTF-8 text) and SparseFloatVector (pairs u32 index, f32 value, little-endian,
    /// ascending), Geometry (WKB).
    Bytes(VarBytes),
    /// One list of elements a row; elements are never null. Row i is `elements[offsets[i]..offsets[i + 1]]`.
    Array {
        offsets: Vec<u64>,
        elements: Box<Values>,
    },
    /// Dense and binary vectors: `width` bytes a row, little-endian elements.
    Fixed {
        width: usize,
        data: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub values: Values,
    /// `None`: no row is null.
    pub validity: Option<Bits>,
}

impl Column {
    #[must_use]
    pub fn is_valid(&self, row: usize) -> bool {
        self.validity.as_ref().is_none_or(|bits| bits.get(row))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Values {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Int32(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Double(v) => v.len(),
            Self::Bytes(v) => v.len(),
            Self::Array { offsets, .. } => offsets.len() - 1,
            Self::Fixed { width, data } => data.len() / width,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows of one schema: one column per field, in the schema's field order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub row_count: usize,
    pub columns: Vec<Column>,
}
