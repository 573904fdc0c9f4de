//! A filter, decoded and checked against the schema.

use crate::decode::decode_node;
use crate::estimate::{Estimate, estimate};
use crate::evaluate::Evaluation;
use crate::node::{Leaf, Node, Source, Test};
use crate::numbers::IntTest;
use crate::source::{ColumnSource, ScalarIndexes};
use crate::text::TextTest;
use elanus_rows::column::Bits;
use elanus_rows::error::Result;
use elanus_rows::schema::Schema;

/// Primary keys that a filter names; sorted and distinct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyList {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

/// What a filter says about the primary key: no row with another key can be TRUE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRestriction {
    pub keys: KeyList,
    /// The filter is nothing but this list.
    pub exact: bool,
}

/// A filter, ready to run.
#[derive(Debug)]
pub struct Program {
    pub(crate) root: Node,
    /// Field ids; a node's slot is a position in it.
    pub(crate) fields: Vec<u32>,
    pub(crate) tip_count: usize,
    primary_slot: Option<usize>,
}

impl Program {
    /// Reads the encoding of docs/formats/filter-program.md; everything in it is checked.
    ///
    /// # Errors
    /// `SchemaMismatch` when a field is gone or has another type; `Internal` for a malformed program.
    pub fn decode(schema: &Schema, bytes: &[u8]) -> Result<Self> {
        let decoded = decode_node(schema, bytes)?;
        let primary_slot = decoded.fields.iter().position(|&id| id == schema.primary().id);
        Ok(Self { root: decoded.root, fields: decoded.fields, tip_count: decoded.tip_count, primary_slot })
    }

    /// Fields that the program reads.
    #[must_use]
    pub fn fields(&self) -> &[u32] {
        &self.fields
    }

    /// The keys that the filter allows, when it names them one by one.
    #[must_use]
    pub fn primary_keys(&self) -> Option<KeyRestriction> {
        let slot = self.primary_slot?;
        match &self.root {
            Node::Leaf(leaf) => keys_of(leaf, slot).map(|keys| KeyRestriction { keys, exact: true }),
            Node::And(nodes) => nodes.iter().find_map(|node| match node {
                Node::Leaf(leaf) => keys_of(leaf, slot).map(|keys| KeyRestriction { keys, exact: false }),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The rows for which the filter is TRUE; of `candidates` only, when given.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn evaluate(
        &self,
        source: &dyn ColumnSource,
        indexes: Option<&dyn ScalarIndexes>,
        candidates: Option<&Bits>,
    ) -> Result<Bits> {
        Evaluation::new(self, source, indexes, candidates).run()
    }
}

impl Program {
    /// How many rows would pass, judged from a few thousand of them: those of `candidates` only, when given. Exact when
    /// the source is small or indexes know the answer.
    ///
    /// # Errors
    /// A column cannot be read.
    pub fn estimate(
        &self,
        source: &dyn ColumnSource,
        indexes: Option<&dyn ScalarIndexes>,
        candidates: Option<&Bits>,
    ) -> Result<Estimate> {
        estimate(&Evaluation::new(self, source, indexes, candidates), source)
    }
}

fn keys_of(leaf: &Leaf, slot: usize) -> Option<KeyList> {
    if !matches!(leaf.source, Source::Column { slot: own } if own == slot) {
        return None;
    }
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    match &leaf.test {
        Test::Int { arithmetic: None, test: IntTest::Range { low, high } } if low == high => {
            Some(KeyList::Ints(vec![*low]))
        }
        Test::Int { arithmetic: None, test: IntTest::In(set) } => Some(KeyList::Ints(set.values().to_vec())),
        Test::Text(TextTest::Equals(value)) => Some(KeyList::Texts(vec![text(value)?])),
        Test::Text(TextTest::In(set)) => {
            set.texts().iter().map(|t| text(t)).collect::<Option<Vec<_>>>().map(KeyList::Texts)
        }
        _ => None,
    }
}
