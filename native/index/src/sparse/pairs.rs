//! The bytes of a sparse vector.

use crate::IndexError;

/// Pairs (u32 dimension, f32 value), little-endian, ascending by dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs<'a> {
    bytes: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Rows come checked; a trailing piece of a pair is left out.
    pub(crate) fn of_row(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn of_query(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let pairs = Self { bytes };
        let ascending = pairs.iter().zip(pairs.iter().skip(1)).all(|((left, _), (right, _))| left < right);
        if !bytes.len().is_multiple_of(8) || !ascending {
            return Err(IndexError::Parameter("invalid sparse float vector".to_owned()));
        }
        Ok(pairs)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        self.bytes.chunks_exact(8).map(|pair| {
            let dimension = u32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]);
            (dimension, f32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]]))
        })
    }

    /// Values of the dimensions that both have, ascending by dimension.
    pub(crate) fn common(self, other: Pairs<'a>) -> impl Iterator<Item = (f32, f32)> + 'a {
        let mut right = other.iter().peekable();
        self.iter().filter_map(move |(dimension, value)| {
            while right.next_if(|&(next, _)| next < dimension).is_some() {}
            right.next_if(|&(next, _)| next == dimension).map(|(_, theirs)| (value, theirs))
        })
    }

    /// Words of a text whose values count them: the sum of those above 0.
    pub(crate) fn length(self) -> f32 {
        self.iter().map(|(_, value)| value.max(0.0)).sum()
    }
}
