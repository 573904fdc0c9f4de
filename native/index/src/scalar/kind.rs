//! The scalar index types with their parameters (contract/indexes.md 22).

use crate::IndexError;
use crate::params::Params;

/// What AUTOINDEX and HYBRID keep as bitmaps at most.
const CARDINALITY_LIMIT: usize = 100;
const CARDINALITY_LIMIT_MAX: i32 = 1000;

/// A scalar index type. All are sorted dictionaries with the rows of each value; they differ in how the two are
/// written, and in what stands in the dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    Inverted,
    StlSort,
    /// Rows of common values as bitmaps.
    Bitmap,
    /// Texts share what they begin with.
    Trie,
    /// Every run of `min` to `max` characters of a text is an entry.
    Ngram {
        min: usize,
        max: usize,
    },
    /// BITMAP up to `limit` distinct values, STL_SORT above.
    Hybrid {
        limit: usize,
    },
}

impl ScalarType {
    /// By Milvus's name; `params` is a JSON object.
    ///
    /// # Errors
    /// An unknown type, or parameters that do not fit it.
    pub fn parse(name: &str, params: &str) -> Result<Self, IndexError> {
        let params = Params::parse(params)?;
        Ok(match name {
            "INVERTED" => Self::Inverted,
            "STL_SORT" => Self::StlSort,
            "BITMAP" => Self::Bitmap,
            "Trie" | "TRIE" | "marisa-trie" => Self::Trie,
            "NGRAM" => {
                let gram = |key| params.integer(key, 1, i32::MAX);
                match (gram("min_gram")?, gram("max_gram")?) {
                    (Some(min), Some(max)) if min <= max => Self::Ngram { min, max },
                    (Some(min), Some(max)) => {
                        return Err(IndexError::Parameter(format!(
                            "invalid min_gram or max_gram value for Ngram index, min_gram: {min}, max_gram: {max}"
                        )));
                    }
                    _ => {
                        return Err(IndexError::Parameter(
                            "Ngram index must specify both min_gram and max_gram".to_owned(),
                        ));
                    }
                }
            }
            "HYBRID" => {
                let limit = params.integer("bitmap_cardinality_limit", 1, CARDINALITY_LIMIT_MAX)?;
                Self::Hybrid { limit: limit.unwrap_or(CARDINALITY_LIMIT) }
            }
            other => return Err(IndexError::Parameter(format!("invalid index type: {other}"))),
        })
    }

    /// Milvus's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inverted => "INVERTED",
            Self::StlSort => "STL_SORT",
            Self::Bitmap => "BITMAP",
            Self::Trie => "Trie",
            Self::Ngram { .. } => "NGRAM",
            Self::Hybrid { .. } => "HYBRID",
        }
    }

    /// Whether the rows of common values become bitmaps.
    pub(super) fn has_bitmaps(self, distinct: usize) -> bool {
        match self {
            Self::Bitmap => true,
            Self::Hybrid { limit } => distinct <= limit,
            _ => false,
        }
    }
}

/// A text among the parameters; empty when it is missing.
///
/// # Errors
/// The parameters are no JSON object.
pub fn text_param(params: &str, key: &str) -> Result<String, IndexError> {
    Ok(Params::parse(params)?.text(key).unwrap_or_default().to_owned())
}
