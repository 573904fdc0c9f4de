//! Building columns from columns: empty ones, nulls, picked rows, rows put behind others.

use crate::column::{Batch, Bits, Column, Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::schema::{DataType, Field, Schema};

impl Bits {
    /// The bits of `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        let mut picked = Self::with_value(rows.len(), false);
        for (i, &row) in rows.iter().enumerate() {
            if self.get(row as usize) {
                picked.set(i, true);
            }
        }
        picked
    }

    /// Puts `other` behind these bits.
    pub fn append(&mut self, other: &Self) {
        for i in 0..other.len() {
            self.push(other.get(i));
        }
    }

    /// Bits from words of an untrusted source: one word too many or too few, or a set bit at or above `len`, gives
    /// `None`.
    #[must_use]
    pub fn from_words(words: Vec<u64>, len: usize) -> Option<Self> {
        let tail_clear = len.is_multiple_of(64) || words.last().is_some_and(|last| last >> (len % 64) == 0);
        (words.len() == len.div_ceil(64) && tail_clear).then(|| Self::from_checked_words(words, len))
    }
}

impl VarBytes {
    /// The strings of `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        let bytes = rows.iter().map(|&row| self.get(row as usize).len()).sum();
        let mut picked = Self { offsets: Vec::with_capacity(rows.len() + 1), data: Vec::with_capacity(bytes) };
        picked.offsets.push(0);
        for &row in rows {
            picked.push(self.get(row as usize));
        }
        picked
    }

    /// Puts the strings of `other` behind these.
    pub fn append(&mut self, other: &Self) {
        let base = self.data.len() as u64;
        self.data.extend_from_slice(&other.data);
        self.offsets.extend(other.offsets.iter().skip(1).map(|offset| base + offset));
    }

    /// All strings in row order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.offsets.windows(2).map(|pair| &self.data[pair[0] as usize..pair[1] as usize])
    }
}

impl<'a> FromIterator<&'a [u8]> for VarBytes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut all = Self::default();
        strings.into_iter().for_each(|bytes| all.push(bytes));
        all
    }
}

impl Values {
    /// No rows of the field's type.
    #[must_use]
    pub fn empty(field: &Field) -> Self {
        match (field.data_type, field.data_type.vector_width(field.dim)) {
            (_, Some(width)) => Self::Fixed { width, data: Vec::new() },
            (DataType::Array, _) => Self::Array {
                offsets: vec![0],
                elements: Box::new(Self::empty_scalar(field.element_type.unwrap_or(DataType::Int64))),
            },
            (data_type, _) => Self::empty_scalar(data_type),
        }
    }

    fn empty_scalar(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::Bool(Vec::new()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => Self::Int32(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::Float => Self::Float(Vec::new()),
            DataType::Double => Self::Double(Vec::new()),
            _ => Self::Bytes(VarBytes::default()),
        }
    }

    /// Same kind, element kind and width: `append` is possible.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array { elements: a, .. }, Self::Array { elements: b, .. }) => a.same_kind(b),
            (Self::Fixed { width: a, .. }, Self::Fixed { width: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// No rows of the same kind.
    #[must_use]
    pub fn empty_like(&self) -> Self {
        match self {
            Self::Bool(_) => Self::Bool(Vec::new()),
            Self::Int32(_) => Self::Int32(Vec::new()),
            Self::Int64(_) => Self::Int64(Vec::new()),
            Self::Float(_) => Self::Float(Vec::new()),
            Self::Double(_) => Self::Double(Vec::new()),
            Self::Bytes(_) => Self::Bytes(VarBytes::default()),
            Self::Array { elements, .. } => Self::Array { offsets: vec![0], elements: Box::new(elements.empty_like()) },
            Self::Fixed { width, .. } => Self::Fixed { width: *width, data: Vec::new() },
        }
    }

    /// Puts `count` zero or empty slots behind the rows (what a null row holds).
    pub fn push_zeros(&mut self, count: usize) {
        match self {
            Self::Bool(v) => v.resize(v.len() + count, false),
            Self::Int32(v) => v.resize(v.len() + count, 0),
            Self::Int64(v) => v.resize(v.len() + count, 0),
            Self::Float(v) => v.resize(v.len() + count, 0.0),
            Self::Double(v) => v.resize(v.len() + count, 0.0),
            Self::Bytes(v) => v.offsets.resize(v.offsets.len() + count, v.data.len() as u64),
            Self::Array { offsets, elements } => offsets.resize(offsets.len() + count, elements.len() as u64),
            Self::Fixed { width, data } => data.resize(data.len() + count * *width, 0),
        }
    }

    /// The rows `rows`, in that order; a row may stand several times.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| values[row as usize]).collect()
        }
        match self {
            Self::Bool(v) => Self::Bool(pick(v, rows)),
            Self::Int32(v) => Self::Int32(pick(v, rows)),
            Self::Int64(v) => Self::Int64(pick(v, rows)),
            Self::Float(v) => Self::Float(pick(v, rows)),
            Self::Double(v) => Self::Double(pick(v, rows)),
            Self::Bytes(v) => Self::Bytes(v.gather(rows)),
            Self::Array { offsets, elements } => gather_lists(offsets, elements, rows),
            Self::Fixed { width, data } => {
                let mut picked = Vec::with_capacity(rows.len() * width);
                for &row in rows {
                    picked.extend_from_slice(&data[row as usize * width..(row as usize + 1) * width]);
                }
                Self::Fixed { width: *width, data: picked }
            }
        }
    }

    /// Puts the rows of `other` behind these.
    ///
    /// # Errors
    /// `Internal` when the kinds differ: a bug or a damaged schema.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.extend_from_slice(b),
            (Self::Int32(a), Self::Int32(b)) => a.extend_from_slice(b),
            (Self::Int64(a), Self::Int64(b)) => a.extend_from_slice(b),
            (Self::Float(a), Self::Float(b)) => a.extend_from_slice(b),
            (Self::Double(a), Self::Double(b)) => a.extend_from_slice(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.append(b),
            (Self::Array { offsets, elements }, Self::Array { offsets: o, elements: e }) => {
                let base = elements.len() as u64;
                elements.append(e)?;
                offsets.extend(o.iter().skip(1).map(|offset| base + offset));
            }
            (Self::Fixed { width: a, data }, Self::Fixed { width: b, data: more }) if a == b => {
                data.extend_from_slice(more);
            }
            _ => return Err(NativeError::Internal("columns of different kinds do not join".to_owned())),
        }
        Ok(())
    }

    /// Bytes of heap memory in use.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Int32(v) => v.len() * 4,
            Self::Int64(v) => v.len() * 8,
            Self::Float(v) => v.len() * 4,
            Self::Double(v) => v.len() * 8,
            Self::Bytes(v) => v.data.len() + v.offsets.len() * 8,
            Self::Array { offsets, elements } => offsets.len() * 8 + elements.byte_size(),
            Self::Fixed { data, .. } => data.len(),
        }
    }
}

fn gather_lists(offsets: &[u64], elements: &Values, rows: &[u32]) -> Values {
    let mut picked = Vec::with_capacity(rows.len() + 1);
    let mut positions = Vec::new();
    picked.push(0);
    for &row in rows {
        positions.extend(offsets[row as usize] as u32..offsets[row as usize + 1] as u32);
        picked.push(positions.len() as u64);
    }
    Values::Array { offsets: picked, elements: Box::new(elements.gather(&positions)) }
}

impl Column {
    /// No rows of the field's type.
    #[must_use]
    pub fn empty(field: &Field) -> Self {
        Self { values: Values::empty(field), validity: None }
    }

    /// `count` null rows of the field's type.
    #[must_use]
    pub fn nulls(field: &Field, count: usize) -> Self {
        let mut values = Values::empty(field);
        values.push_zeros(count);
        Self { values, validity: Some(Bits::with_value(count, false)) }
    }

    /// The rows `rows`, in that order; a row may stand several times.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        Self { values: self.values.gather(rows), validity: self.validity.as_ref().map(|bits| bits.gather(rows)) }
    }

    /// Puts the rows of `other` behind these.
    ///
    /// # Errors
    /// `Internal` when the kinds differ.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        let before = self.len();
        self.values.append(&other.values)?;
        match (&mut self.validity, &other.validity) {
            (None, None) => {}
            (Some(bits), Some(more)) => bits.append(more),
            (Some(bits), None) => bits.append(&Bits::with_value(other.len(), true)),
            (validity @ None, Some(more)) => {
                let mut bits = Bits::with_value(before, true);
                bits.append(more);
                *validity = Some(bits);
            }
        }
        Ok(())
    }

    /// The rows of all parts, one behind the other; `None` without parts.
    ///
    /// # Errors
    /// `Internal` when the kinds differ.
    pub fn concat(parts: &[&Self]) -> Result<Option<Self>> {
        let Some((first, rest)) = parts.split_first() else { return Ok(None) };
        let mut joined = (*first).clone();
        for part in rest {
            joined.append(part)?;
        }
        Ok(Some(joined))
    }

    /// Bytes of heap memory in use.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.values.byte_size() + self.validity.as_ref().map_or(0, |bits| bits.words().len() * 8)
    }
}

impl Batch {
    /// No rows of the schema.
    #[must_use]
    pub fn empty(schema: &Schema) -> Self {
        Self { row_count: 0, columns: schema.fields.iter().map(Column::empty).collect() }
    }

    /// The rows `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Self {
        Self { row_count: rows.len(), columns: self.columns.iter().map(|column| column.gather(rows)).collect() }
    }

    /// Puts the rows of `other` (same schema) behind these.
    ///
    /// # Errors
    /// `Internal` when the columns differ.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.columns.len() != other.columns.len() {
            return Err(NativeError::Internal("batches of different schemas do not join".to_owned()));
        }
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.append(more)?;
        }
        self.row_count += other.row_count;
        Ok(())
    }

    /// Bytes of heap memory in use.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.columns.iter().map(Column::byte_size).sum()
    }
}
