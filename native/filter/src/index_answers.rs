//! What scalar indexes say of a filter without reading the column.

use crate::evaluate::{Truth, read_word};
use crate::json_answers;
use crate::like::LikePattern;
use crate::node::{Elements, JsonTest, Leaf, Node, Quantifier, Source, Test};
use crate::numbers::{CHUNK_ROWS, CHUNK_WORDS, FloatTest, IntTest, Words};
use crate::spatial::SpatialTest;
use crate::text::TextTest;
use elanus_index::rtree::RTree;
use elanus_index::scalar::{Key, ScalarIndex, grams_of};
use elanus_kernels::compare::FloatRange;
use elanus_rows::geometry::Bounds;
use std::ops::{Bound, Range};

/// What an index knows of all rows of the source, one bit a row.
pub(crate) struct IndexAnswer {
    row_count: usize,
    yes: Vec<u64>,
    unknown: Vec<u64>,
    superset: bool,
}

impl IndexAnswer {
    /// The rows that are TRUE are among `yes`, but each must still be tested.
    pub fn is_superset(&self) -> bool {
        self.superset
    }

    /// For the chunk from row `first` on.
    pub fn truth(&self, first: usize) -> Truth {
        Truth { yes: self.chunk(&self.yes, first), unknown: self.chunk(&self.unknown, first) }
    }

    fn chunk(&self, words: &[u64], first: usize) -> Words {
        let mut chunk = [0; CHUNK_WORDS];
        let rows = CHUNK_ROWS.min(self.row_count - first);
        for (i, word) in chunk.iter_mut().enumerate().take(rows.div_ceil(64)) {
            *word = read_word(words, first + i * 64, 64.min(rows - i * 64));
        }
        chunk
    }
}

/// A column of numbers is scanned faster than bits are set one by one for more than this share of the rows. Tests
/// ask the index whenever it can answer.
const SCAN_SHARE: usize = if cfg!(test) { 1 } else { 16 };
/// A pattern is tried on every entry of the dictionary when there are this many times more rows.
const DICTIONARY_SHARE: usize = if cfg!(test) { 1 } else { 2 };
/// Grams that are looked up for one pattern: the rarest ones.
const GRAMS_MAX: usize = 8;

/// `None` when the index has no answer that is faster than the column.
pub(crate) fn answer(node: &Node, index: &ScalarIndex) -> Option<IndexAnswer> {
    let row_count = index.row_count();
    let (yes, unknown, superset) = match node {
        Node::IsNull { .. } => (index.nulls(), empty(index), false),
        Node::Exists { path, .. } => (json_answers::exists(path, index)?, empty(index), false),
        Node::Leaf(Leaf { source: Source::Json(path), test: Test::Json { arithmetic: None, test }, .. }) => {
            let unknown = if path.dynamic { empty(index) } else { index.nulls() };
            match (index.grams(), test) {
                (Some(_), JsonTest::Text(test)) if json_answers::is_at(path, index) => {
                    (candidates(test, index)?, unknown, true)
                }
                (Some(_), _) => return None,
                (None, _) => (json_answers::test(path, test, index)?, unknown, false),
            }
        }
        Node::Leaf(Leaf { source: Source::Column { .. }, test, .. }) if index.json().is_none() => {
            match (index.grams(), test) {
                (Some(_), Test::Text(test)) => (candidates(test, index)?, index.nulls(), true),
                (Some(_), _) => return None,
                (None, _) => (answer_test(test, index)?, index.nulls(), false),
            }
        }
        _ => return None,
    };
    Some(IndexAnswer { row_count, yes, unknown, superset })
}

/// Rows whose boxes meet what the test asks for. `None`: any row may pass.
pub(crate) fn answer_spatial(test: &SpatialTest, tree: &RTree) -> Option<IndexAnswer> {
    let Bounds { min, max } = test.bounds()?;
    let yes = tree.meeting(&[min[0], min[1], max[0], max[1]]);
    Some(IndexAnswer { row_count: tree.row_count(), yes, unknown: tree.nulls(), superset: true })
}

/// Rows that are TRUE.
fn answer_test(test: &Test, index: &ScalarIndex) -> Option<Vec<u64>> {
    Some(match test {
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
    })
}

/// Rows with all runs of characters that the pattern needs; `None` when it needs none, or only common ones.
fn candidates(test: &TextTest, index: &ScalarIndex) -> Option<Vec<u64>> {
    let (min, max) = index.grams()?;
    let literals = match test {
        TextTest::Equals(text) => vec![&**text],
        TextTest::Like(pattern) => pattern.literals(),
        _ => return None,
    };
    let grams = literals.into_iter().filter_map(|literal| grams_of(literal, min, max)).flatten();
    let mut entries: Vec<Range<usize>> = grams.map(|gram| index.equal(Key::Text(gram))).collect();
    entries.sort_by_cached_key(|entries| index.count(entries.clone()));
    entries.truncate(GRAMS_MAX);
    let rarest = index.count(entries.first()?.clone());
    if !cfg!(test) && rarest > index.row_count() / 2 {
        return None;
    }
    Some(all(&entries, index))
}

pub(crate) fn empty(index: &ScalarIndex) -> Vec<u64> {
    vec![0; index.row_count().div_ceil(64)]
}

pub(crate) fn union(entries: &[Range<usize>], index: &ScalarIndex) -> Vec<u64> {
    let mut words = empty(index);
    entries.iter().for_each(|range| index.mark(range.clone(), &mut words));
    words
}

/// The union, unless scanning the numbers is cheaper.
fn scarce(ranges: Vec<(Bound<Key<'_>>, Bound<Key<'_>>)>, index: &ScalarIndex) -> Option<Vec<u64>> {
    let entries: Vec<Range<usize>> = ranges.into_iter().map(|(low, high)| index.between(low, high)).collect();
    let cost: usize = entries.iter().map(|range| index.mark_cost(range.clone())).sum();
    (cost.max(entries.len()) <= index.row_count() / SCAN_SHARE).then(|| union(&entries, index))
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
        FloatTest::Range(FloatRange { low, low_closed, high, high_closed }) => {
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
            let mut passing = Vec::new();
            index.each_text(0..index.distinct(), |entry, text| {
                if test.matches(text) {
                    passing.push(entry..entry + 1);
                }
            });
            passing
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
pub(crate) fn all(entries: &[Range<usize>], index: &ScalarIndex) -> Vec<u64> {
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
