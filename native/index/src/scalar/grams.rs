//! Runs of characters of a text, as the NGRAM index keeps them.

use crate::IndexError;

/// Calls `take` with every run of `min` to `max` characters of a UTF-8 text. A run that occurs twice comes twice.
pub(super) fn each_gram<'a>(text: &'a [u8], min: usize, max: usize, mut take: impl FnMut(&'a [u8])) {
    let mut starts: Vec<usize> = (0..text.len()).filter(|&at| text[at] & 0xc0 != 0x80).collect();
    starts.push(text.len());
    for first in 0..starts.len() - 1 {
        for length in min..=max.min(starts.len() - 1 - first) {
            take(&text[starts[first]..starts[first + length]]);
        }
    }
}

/// The grams that every text with `literal` in it has: those of the greatest length that fits. `None` when the literal
/// is shorter than `min`.
#[must_use]
pub fn grams_of(literal: &[u8], min: usize, max: usize) -> Option<Vec<&[u8]>> {
    let chars = literal.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    let length = chars.min(max);
    if length < min {
        return None;
    }
    let mut grams = Vec::new();
    each_gram(literal, length, length, |gram| grams.push(gram));
    grams.sort_unstable();
    grams.dedup();
    Some(grams)
}

/// The limits of the grams of an index, as its file says them.
pub(super) fn checked([min, max]: [usize; 2]) -> Result<(usize, usize), IndexError> {
    if min >= 1 && min <= max { Ok((min, max)) } else { Err(super::corrupt("section meta: grams")) }
}
