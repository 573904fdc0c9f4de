//! Whether a segment can hold a row that passes, judged by what is known of its columns without reading them.

use crate::node::{Leaf, Node, Source, Test};
use crate::numbers::{FloatTest, IntTest};
use crate::program::Program;
use crate::text::TextTest;

/// What is known of a column of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnBounds<'a> {
    /// Some row is null.
    pub nulls: bool,
    /// Some row is not null.
    pub values: bool,
    pub range: ValueRange<'a>,
}

/// Smallest and largest value that is not null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRange<'a> {
    Unknown,
    Ints(i64, i64),
    /// No value is NaN.
    Floats(f64, f64),
    Texts(&'a [u8], &'a [u8]),
}

/// Truth values that a row may have; UNKNOWN needs no account, as a row that has it does not pass either way.
#[derive(Clone, Copy)]
struct Possible {
    yes: bool,
    no: bool,
}

const ANY: Possible = Possible { yes: true, no: true };

impl Program {
    /// False only when no row passes. `bounds` tells what is known of a field, if anything.
    pub fn may_pass<'a>(&self, bounds: &dyn Fn(u32) -> Option<ColumnBounds<'a>>) -> bool {
        let of = |slot: usize| self.fields.get(slot).and_then(|&field| bounds(field));
        possible(&self.root, &of).yes
    }
}

fn possible<'a>(node: &Node, bounds: &dyn Fn(usize) -> Option<ColumnBounds<'a>>) -> Possible {
    let each = |nodes: &[Node]| nodes.iter().map(|node| possible(node, bounds)).collect::<Vec<_>>();
    match node {
        Node::Constant(value) => Possible { yes: *value, no: !value },
        Node::And(nodes) => {
            let each = each(nodes);
            Possible { yes: each.iter().all(|one| one.yes), no: each.iter().any(|one| one.no) }
        }
        Node::Or(nodes) => {
            let each = each(nodes);
            Possible { yes: each.iter().any(|one| one.yes), no: each.iter().all(|one| one.no) }
        }
        Node::Not(node) => {
            let Possible { yes, no } = possible(node, bounds);
            Possible { yes: no, no: yes }
        }
        Node::IsNull { slot, .. } => {
            bounds(*slot).map_or(ANY, |column| Possible { yes: column.nulls, no: column.values })
        }
        Node::Leaf(Leaf { source: Source::Column { slot }, test, .. }) => match bounds(*slot) {
            None => ANY,
            // Every row is null, and every comparison UNKNOWN.
            Some(column) if !column.values => Possible { yes: false, no: false },
            Some(column) => tested(test, column.range),
        },
        Node::Leaf(_) | Node::Exists { .. } | Node::Columns { .. } => ANY,
    }
}

/// What a test may say of the values of a range that has some.
fn tested(test: &Test, range: ValueRange<'_>) -> Possible {
    match (test, range) {
        (Test::Int { arithmetic: None, test }, ValueRange::Ints(min, max)) => match test {
            IntTest::Range { low, high } => {
                let (below, above) = (*low <= min && min <= *high, *low <= max && max <= *high);
                Possible { yes: *low <= *high && *low <= max && min <= *high, no: !(below && above) }
            }
            IntTest::In(set) => Possible {
                yes: set.values().iter().any(|&value| min <= value && value <= max),
                no: min < max || !set.contains(min),
            },
        },
        (Test::Float { arithmetic: None, test }, ValueRange::Floats(min, max)) => match test {
            FloatTest::Range(range) => {
                let reaches = if range.low_closed { range.low <= max } else { range.low < max };
                let begins = if range.high_closed { min <= range.high } else { min < range.high };
                Possible { yes: reaches && begins, no: !(range.contains(min) && range.contains(max)) }
            }
            FloatTest::In(values) => Possible {
                yes: values.iter().any(|&value| min <= value && value <= max),
                no: min < max || !values.contains(&min),
            },
        },
        (Test::Text(test), ValueRange::Texts(min, max)) => text_tested(test, min, max),
        _ => ANY,
    }
}

fn text_tested(test: &TextTest, min: &[u8], max: &[u8]) -> Possible {
    let within = |text: &[u8]| min <= text && text <= max;
    match test {
        TextTest::Equals(text) => Possible { yes: within(text), no: min < max || !test.matches(min) },
        TextTest::In(set) => {
            Possible { yes: set.texts().iter().any(|text| within(text)), no: min < max || !test.matches(min) }
        }
        TextTest::Range { low, high } => {
            let reaches = low.as_ref().is_none_or(|(low, closed)| if *closed { **low <= *max } else { **low < *max });
            let begins =
                high.as_ref().is_none_or(|(high, closed)| if *closed { *min <= **high } else { *min < **high });
            Possible { yes: reaches && begins, no: !(test.matches(min) && test.matches(max)) }
        }
        TextTest::Like(_) | TextTest::Regex(_) => ANY,
    }
}
