//! Tests on text: equality, order, membership, `like` and regular expressions.

use crate::like::LikePattern;
use elanus_rows::error::{NativeError, Result};
use regex::bytes::{Regex, RegexBuilder};

/// Compiled size of a regular expression; Milvus's clients send short ones.
const REGEX_BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub(crate) enum TextTest {
    Equals(Box<[u8]>),
    Range { low: Option<(Box<[u8]>, bool)>, high: Option<(Box<[u8]>, bool)> },
    In(TextSet),
    Like(LikePattern),
    Regex(Regex),
}

impl TextTest {
    pub fn regex(pattern: &str) -> Result<Self> {
        RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|e| NativeError::InvalidParameter(format!("invalid regex pattern: {pattern}, {e}")))
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Equals(value) => **value == *text,
            Self::Range { low, high } => {
                low.as_ref().is_none_or(|(bound, closed)| *text > **bound || (*closed && *text == **bound))
                    && high.as_ref().is_none_or(|(bound, closed)| *text < **bound || (*closed && *text == **bound))
            }
            Self::In(set) => set.contains(text),
            Self::Like(pattern) => pattern.matches(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// Rough cost of one test, for ordering.
    pub fn cost(&self) -> u32 {
        match self {
            Self::Equals(_) | Self::Range { .. } => 4,
            Self::In(_) => 8,
            Self::Like(_) => 12,
            Self::Regex(_) => 60,
        }
    }
}

/// Sorted distinct texts.
#[derive(Debug)]
pub(crate) struct TextSet {
    texts: Vec<Box<[u8]>>,
}

impl TextSet {
    pub fn new(mut texts: Vec<Box<[u8]>>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        Self { texts }
    }

    pub fn contains(&self, text: &[u8]) -> bool {
        self.texts.binary_search_by(|probe| (**probe).cmp(text)).is_ok()
    }

    pub fn texts(&self) -> &[Box<[u8]>] {
        &self.texts
    }
}
