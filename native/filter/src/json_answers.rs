//! What an index over JSON paths says of a test on a path (contract/expressions.md 6): two-valued inside a document.

use crate::index_answers::{all, union};
use crate::json_keys::{BOOL, NUMBER, OBJECT, Origin, TEXT, any_element, literal_bytes};
use crate::like::LikePattern;
use crate::node::{JsonSet, JsonTest, Literal, Path, Quantifier, Relation};
use crate::text::TextTest;
use elanus_index::scalar::{Key, ScalarIndex};
use std::ops::{Bound, Range};

/// The keys of one path, and what the index keeps of them.
struct At<'a> {
    index: &'a ScalarIndex,
    origin: Origin,
    prefixes: Vec<Vec<u8>>,
}

impl<'a> At<'a> {
    fn of(path: &Path, index: &'a ScalarIndex) -> Option<Self> {
        let origin = Origin::of(index.json()?).ok()?;
        let prefixes = origin.prefixes(&path.steps)?;
        Some(Self { index, origin, prefixes })
    }

    /// Whether values with this tag can be looked up by value.
    fn has(&self, tag: u8) -> bool {
        self.origin.cast.keeps(tag) && (tag != NUMBER || self.is_exact())
    }

    fn is_exact(&self) -> bool {
        self.index.json().is_some_and(|json| json.exact)
    }

    /// Entries between two endings of the keys of the path.
    fn between(&self, low: Bound<Vec<u8>>, high: Bound<Vec<u8>>) -> Vec<Range<usize>> {
        let ranges = self.prefixes.iter().map(|prefix| {
            let whole = |end: &Vec<u8>| [prefix.as_slice(), end].concat();
            let (low, high) = (low.as_ref().map(whole), high.as_ref().map(whole));
            self.index.between(low.as_ref().map(|key| Key::Text(key)), high.as_ref().map(|key| Key::Text(key)))
        });
        ranges.collect()
    }

    fn equal(&self, tag: u8, value: &[u8]) -> Vec<Range<usize>> {
        let key = [&[tag], value].concat();
        self.between(Bound::Included(key.clone()), Bound::Included(key))
    }

    /// All values with a tag. The tag alone is a number that nobody kept, but an empty text.
    fn of_type(&self, tag: u8) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let low = if tag == TEXT { Bound::Included(vec![tag]) } else { Bound::Excluded(vec![tag]) };
        (low, Bound::Excluded(vec![tag + 1]))
    }

    fn compare(&self, relation: Relation, literal: &Literal) -> Option<Vec<Range<usize>>> {
        let (tag, value) = literal_bytes(literal).filter(|(tag, _)| self.has(*tag))?;
        let key = [&[tag], value.as_slice()].concat();
        let (low, high) = self.of_type(tag);
        Some(match relation {
            Relation::Equal => self.equal(tag, &value),
            Relation::Less => self.between(low, Bound::Excluded(key)),
            Relation::LessEqual => self.between(low, Bound::Included(key)),
            Relation::Greater => self.between(Bound::Excluded(key), high),
            Relation::GreaterEqual => self.between(Bound::Included(key), high),
        })
    }

    fn range(&self, low: (&Literal, bool), high: (&Literal, bool)) -> Option<Vec<Range<usize>>> {
        let bound = |(literal, closed): (&Literal, bool)| {
            let (tag, value) = literal_bytes(literal).filter(|(tag, _)| self.has(*tag))?;
            let key = [&[tag], value.as_slice()].concat();
            Some((tag, if closed { Bound::Included(key) } else { Bound::Excluded(key) }))
        };
        let ((low_tag, low), (high_tag, high)) = (bound(low)?, bound(high)?);
        (low_tag == high_tag).then(|| self.between(low, high))
    }

    fn listed(&self, set: &JsonSet) -> Option<Vec<Range<usize>>> {
        let bools = [false, true].into_iter().filter(|&value| set.bools[usize::from(value)]).map(Literal::Bool);
        let ints = set.ints.values().iter().map(|&value| Literal::Int(value));
        let floats = set.floats.iter().map(|&value| Literal::Float(value));
        let texts = set.texts.texts().iter().map(|text| Literal::Text(text.clone()));
        let arrays = set.arrays.iter().cloned();
        let items = bools.chain(ints).chain(floats).chain(texts).chain(arrays);
        let entries = items.map(|item| self.compare(Relation::Equal, &item)).collect::<Option<Vec<_>>>()?;
        Some(entries.concat())
    }

    fn texts(&self, test: &TextTest) -> Option<Vec<Range<usize>>> {
        if !self.has(TEXT) {
            return None;
        }
        let key = |text: &[u8]| [&[TEXT], text].concat();
        let bound = |side: &Option<(Box<[u8]>, bool)>, open| match side {
            None => open,
            Some((text, true)) => Bound::Included(key(text)),
            Some((text, false)) => Bound::Excluded(key(text)),
        };
        let (first, last) = self.of_type(TEXT);
        Some(match test {
            TextTest::Equals(text) | TextTest::Like(LikePattern::Equals(text)) => self.equal(TEXT, text),
            TextTest::In(set) => set.texts().iter().flat_map(|text| self.equal(TEXT, text)).collect(),
            TextTest::Range { low, high } => self.between(bound(low, first), bound(high, last)),
            TextTest::Like(LikePattern::Prefix(prefix)) => self
                .prefixes
                .iter()
                .map(|way| self.index.with_prefix(&[way, key(prefix).as_slice()].concat()))
                .collect(),
            TextTest::Like(_) | TextTest::Regex(_) => {
                let mut passing = Vec::new();
                for (prefix, entries) in self.prefixes.iter().zip(self.between(first, last)) {
                    self.index.each_text(entries, |entry, text| {
                        if test.matches(&text[prefix.len() + 1..]) {
                            passing.push(entry..entry + 1);
                        }
                    });
                }
                passing
            }
        })
    }

    fn contains(&self, items: &[Literal], quantifier: Quantifier) -> Option<Vec<u64>> {
        let entries = items.iter().map(|item| {
            let (tag, value) = literal_bytes(item)?;
            let kept = self.origin.cast.keeps_elements(tag) && (tag != NUMBER || self.is_exact());
            let find = |prefix: &Vec<u8>| {
                let key = [any_element(prefix).as_slice(), &[tag], &value].concat();
                self.index.equal(Key::Text(&key))
            };
            kept.then(|| self.prefixes.iter().map(find).collect::<Vec<_>>())
        });
        let entries: Vec<Vec<Range<usize>>> = entries.collect::<Option<_>>()?;
        match (quantifier, entries.as_slice()) {
            (Quantifier::Any, _) => Some(union(&entries.concat(), self.index)),
            // Every array contains all of nothing.
            (Quantifier::All, []) => None,
            (Quantifier::All, _) if self.prefixes.len() == 1 => Some(all(&entries.concat(), self.index)),
            (Quantifier::All, _) => None,
        }
    }
}

/// Whether the index begins at this very path.
pub(crate) fn is_at(path: &Path, index: &ScalarIndex) -> bool {
    At::of(path, index).is_some_and(|at| at.prefixes == [Vec::<u8>::new()])
}

/// Rows with something other than null at the path.
pub(crate) fn exists(path: &Path, index: &ScalarIndex) -> Option<Vec<u64>> {
    if index.grams().is_some() {
        return None;
    }
    let at = At::of(path, index)?;
    Some(union(&at.between(Bound::Included(vec![BOOL]), Bound::Excluded(vec![OBJECT + 1])), index))
}

/// Rows for which the test is TRUE. `None` when the index does not keep what it asks for.
pub(crate) fn test(path: &Path, test: &JsonTest, index: &ScalarIndex) -> Option<Vec<u64>> {
    let at = At::of(path, index)?;
    let entries = match test {
        JsonTest::Compare(relation, literal) => at.compare(*relation, literal)?,
        JsonTest::Range { low, low_closed, high, high_closed } => at.range((low, *low_closed), (high, *high_closed))?,
        JsonTest::In(set) => at.listed(set)?,
        JsonTest::Text(test) => at.texts(test)?,
        JsonTest::Contains(items, quantifier) => return at.contains(items, *quantifier),
    };
    Some(union(&entries, index))
}
