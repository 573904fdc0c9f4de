//! Leaves that a scalar index answers without reading the column.

use crate::evaluate::Truth;
use crate::like::LikePattern;
use crate::node::{Elements, Quantifier, Test};
use crate::numbers::{CHUNK_WORDS, FloatTest, IntTest, Words};
use crate::text::TextTest;
use elanus_index::scalar::{Key, ScalarIndex};
use std::ops::{Bound, Range};

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

/// A column of numbers is scanned faster than bits are set one by one for more than this share of the rows. Tests
/// ask the index whenever it can answer.
const SCAN_SHARE: usize = if cfg!(test) { 1 } else { 16 };
/// A pattern is tried on every entry of the dictionary when there are this many times more rows.
const DICTIONARY_SHARE: usize = 2;

/// `None` when the index has no answer that is faster than the column.
pub(crate) fn answer_leaf(test: &Test, index: &ScalarIndex) -> Option<IndexAnswer> {
    let words = match test {
        Test::Contains(items, quantifier) if index.is_array() => contains(items, *quantifier, index),
        _ if index.is_array() => return None,
        Test::Int { arithmetic: None, test } => scarce(ints(test), index)?,
        Test::Float { arithmetic: None, test } => scarce(floats(test), index)?,
        Test::Bool(answers) => {
            let values = [0, 1].into_iter().filter(|&value| answers[value as usize]);
            union(&values.map(|value| index.equal(Key::Int(value))).collect::<Vec<_>>(), index)
        }
        Test::Text(test) => union(&texts(test, index)?, index),
        _ => return None,
    };
    Some(IndexAnswer { yes: words, nulls: index.nulls() })
}

fn empty(index: &ScalarIndex) -> Vec<u64> {
    vec![0; index.row_count().div_ceil(64)]
}

fn union(entries: &[Range<usize>], index: &ScalarIndex) -> Vec<u64> {
    let mut words = empty(index);
    entries.iter().for_each(|range| index.mark(range.clone(), &mut words));
    words
}

/// The union, unless scanning the numbers is cheaper.
fn scarce(ranges: Vec<(Bound<Key<'_>>, Bound<Key<'_>>)>, index: &ScalarIndex) -> Option<Vec<u64>> {
    let entries: Vec<Range<usize>> = ranges.into_iter().map(|(low, high)| index.between(low, high)).collect();
    let rows: usize = entries.iter().map(|range| index.count(range.clone())).sum();
    (rows.max(entries.len()) <= index.row_count() / SCAN_SHARE).then(|| union(&entries, index))
}

fn ints(test: &IntTest) -> Vec<(Bound<Key<'_>>, Bound<Key<'_>>)> {
    match test {
        IntTest::Range { low, high } => vec![(Bound::Included(Key::Int(*low)), Bound::Included(Key::Int(*high)))],
        IntTest::In(set) => {
            set.values().iter().map(|&v| (Bound::Included(Key::Int(v)), Bound::Included(Key::Int(v)))).collect()
        }
    }
}

fn floats(test: &FloatTest) -> Vec<(Bound<Key<'_>>, Bound<Key<'_>>)> {
    let bound = |value: f64, closed: bool| {
        if closed { Bound::Included(Key::Float(value)) } else { Bound::Excluded(Key::Float(value)) }
    };
    match test {
        FloatTest::Range { low, low_closed, high, high_closed } => {
            vec![(bound(*low, *low_closed), bound(*high, *high_closed))]
        }
        FloatTest::In(values) => values.iter().map(|&v| (bound(v, true), bound(v, true))).collect(),
    }
}

/// Entries whose text passes; `None` when every row is as good as every entry.
fn texts(test: &TextTest, index: &ScalarIndex) -> Option<Vec<Range<usize>>> {
    let bound = |side: &'_ Option<(Box<[u8]>, bool)>| match side {
        None => Bound::Unbounded,
        Some((text, true)) => Bound::Included(text.clone()),
        Some((text, false)) => Bound::Excluded(text.clone()),
    };
    Some(match test {
        TextTest::Equals(text) => vec![index.equal(Key::Text(text))],
        TextTest::In(set) => set.texts().iter().map(|text| index.equal(Key::Text(text))).collect(),
        TextTest::Range { low, high } => {
            let (low, high) = (bound(low), bound(high));
            vec![index.between(low.as_ref().map(|t| Key::Text(t)), high.as_ref().map(|t| Key::Text(t)))]
        }
        TextTest::Like(LikePattern::Equals(text)) => vec![index.equal(Key::Text(text))],
        TextTest::Like(LikePattern::Prefix(prefix)) => vec![index.with_prefix(prefix)],
        TextTest::Like(_) | TextTest::Regex(_) => {
            if index.distinct() > index.row_count() / DICTIONARY_SHARE {
                return None;
            }
            let passing = (0..index.distinct()).filter(|&entry| test.matches(index.text(entry)));
            passing.map(|entry| entry..entry + 1).collect()
        }
    })
}

fn contains(items: &Elements, quantifier: Quantifier, index: &ScalarIndex) -> Vec<u64> {
    let entries: Vec<Range<usize>> = (0..items.len()).map(|item| index.equal(items.key(item))).collect();
    match quantifier {
        Quantifier::Any => union(&entries, index),
        Quantifier::All => all(&entries, index),
    }
}

/// Rows under every one of these entries; of an empty list every row that is not null.
fn all(entries: &[Range<usize>], index: &ScalarIndex) -> Vec<u64> {
    let mut words: Vec<u64> = index.nulls().iter().map(|null| !null).collect();
    if let (Some(last), tail @ 1..) = (words.last_mut(), index.row_count() % 64) {
        *last &= (1 << tail) - 1;
    }
    for range in entries {
        let mut rows = empty(index);
        index.mark(range.clone(), &mut rows);
        words.iter_mut().zip(rows).for_each(|(word, rows)| *word &= rows);
    }
    words
}

impl Elements {
    fn key(&self, item: usize) -> Key<'_> {
        match self {
            Self::Bools(values) => Key::Int(i64::from(values[item])),
            Self::Ints(values) => Key::Int(values[item]),
            Self::Floats(values) => Key::Float(values[item]),
            Self::Texts(values) => Key::Text(&values[item]),
        }
    }
}
