//! A program after reading: every test knows the type of the column it reads.

use crate::json::{Number, Step};
use crate::numbers::{FloatTest, IntSet, IntTest, Operation};
use crate::spatial::SpatialTest;
use crate::text::{TextSet, TextTest};
use std::cmp::Ordering;

/// `id` numbers the tips that an index may answer.
#[derive(Debug)]
pub(crate) enum Node {
    Constant(bool),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull { id: usize, slot: usize },
    Exists { id: usize, path: Path },
    Columns { relation: Relation, left: usize, right: usize, kind: ColumnsKind },
    Leaf(Leaf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Relation {
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Equal,
            1 => Self::Less,
            2 => Self::LessEqual,
            3 => Self::Greater,
            4 => Self::GreaterEqual,
            _ => return None,
        })
    }

    /// `None` (NaN) satisfies nothing.
    #[inline]
    pub fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnsKind {
    Ints,
    Floats,
    Texts,
    Bools,
}

/// A path in a JSON column.
#[derive(Debug)]
pub(crate) struct Path {
    pub slot: usize,
    pub steps: Vec<Step>,
    /// The dynamic field: null reads as an empty object.
    pub dynamic: bool,
}

/// One test of one value a row.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Numbers the tips that an index may answer from 0.
    pub id: usize,
    pub source: Source,
    pub test: Test,
}

#[derive(Debug)]
pub(crate) enum Source {
    Column {
        slot: usize,
    },
    Element {
        slot: usize,
        index: usize,
    },
    /// Elements of an array column.
    Length {
        slot: usize,
    },
    /// Elements of a JSON array.
    JsonLength(Path),
    Json(Path),
}

impl Source {
    /// The column that the value comes from.
    pub fn slot(&self) -> usize {
        match self {
            Self::Column { slot } | Self::Element { slot, .. } | Self::Length { slot } => *slot,
            Self::JsonLength(path) | Self::Json(path) => path.slot,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Test {
    Int {
        arithmetic: Option<(Operation, i64)>,
        test: IntTest,
    },
    Float {
        arithmetic: Option<(Operation, f64)>,
        test: FloatTest,
    },
    /// Answers for false and true.
    Bool([bool; 2]),
    Text(TextTest),
    Spatial(SpatialTest),
    Contains(Elements, Quantifier),
    ArrayEquals(Elements),
    Json {
        arithmetic: Option<(Operation, Number)>,
        test: JsonTest,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

/// Constants of an array's element type, in the order given.
#[derive(Debug)]
pub(crate) enum Elements {
    Bools(Vec<bool>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<Box<[u8]>>),
}

/// A constant of any type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
    Array(Vec<Literal>),
}

#[derive(Debug)]
pub(crate) enum JsonTest {
    Compare(Relation, Literal),
    Range {
        low: Literal,
        low_closed: bool,
        high: Literal,
        high_closed: bool,
    },
    In(JsonSet),
    /// `like` and regular expressions.
    Text(TextTest),
    Contains(Vec<Literal>, Quantifier),
}

/// Constants by type, so that long lists are not walked for each row.
#[derive(Debug)]
pub(crate) struct JsonSet {
    pub bools: [bool; 2],
    pub ints: IntSet,
    pub floats: Vec<f64>,
    pub texts: TextSet,
    pub arrays: Vec<Literal>,
}

impl Node {
    /// Rough cost of one row, for putting cheap operands first.
    pub fn cost(&self) -> u32 {
        match self {
            Self::Constant(_) => 0,
            Self::IsNull { .. } => 1,
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().map(Self::cost).fold(0, u32::saturating_add),
            Self::Not(node) => node.cost(),
            Self::Exists { .. } => 100,
            Self::Columns { .. } => 4,
            Self::Leaf(leaf) => leaf.cost(),
        }
    }
}

impl Leaf {
    fn cost(&self) -> u32 {
        let source = match self.source {
            Source::Column { .. } => 0,
            Source::Length { .. } => 2,
            Source::Element { .. } => 4,
            Source::Json(_) | Source::JsonLength(_) => 100,
        };
        let test = match &self.test {
            Test::Int { .. } | Test::Float { .. } | Test::Bool(_) => 1,
            Test::Text(test) => test.cost(),
            Test::Spatial(_) => 1_000,
            Test::Contains(..) | Test::ArrayEquals(_) => 10,
            Test::Json { test, .. } => match test {
                JsonTest::Text(test) => test.cost(),
                JsonTest::Compare(..) | JsonTest::Range { .. } | JsonTest::In(_) => 5,
                JsonTest::Contains(..) => 40,
            },
        };
        source + test
    }
}
