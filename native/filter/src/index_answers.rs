//! Leaves that a scalar index answers without reading the column.

use crate::evaluate::Truth;
use crate::node::Test;
use crate::numbers::{CHUNK_WORDS, Words};
use elanus_index::scalar::ScalarIndex;

/// Rows that are TRUE and rows that are null, one bit a row.
pub(crate) struct IndexAnswer {
    yes: Vec<u64>,
    nulls: Vec<u64>,
}

impl IndexAnswer {
    pub fn truth(&self, first_word: usize) -> Truth {
        Truth { yes: chunk_words(&self.yes, first_word), unknown: chunk_words(&self.nulls, first_word) }
    }
}

fn chunk_words(words: &[u64], first: usize) -> Words {
    let mut chunk = [0; CHUNK_WORDS];
    let rest = words.get(first..).unwrap_or_default();
    chunk.iter_mut().zip(rest).for_each(|(out, word)| *out = *word);
    chunk
}

/// `None` when the index has no fast answer to this test.
pub(crate) fn answer_leaf(_test: &Test, _index: &ScalarIndex) -> Option<IndexAnswer> {
    None
}
