//! Evaluation, 1,024 rows at a time: each node gives the rows that are TRUE and those that are UNKNOWN. Only rows
//! that can still matter (`wanted`) are looked at where looking is dear.

use crate::index_answers::{IndexAnswer, answer, answer_spatial};
use crate::json;
use crate::leaf::{test_columns, test_leaf};
use crate::node::{Leaf, Node, Path, Test};
use crate::numbers::{CHUNK_ROWS, CHUNK_WORDS, Words};
use crate::program::Program;
use crate::source::{BytesSlice, ColumnSource, ColumnView, RunColumn, ScalarIndexes, ScalarSlice, ViewValues};
use elanus_rows::column::Bits;
use elanus_rows::error::{NativeError, Result};
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// Bits outside the wanted rows mean nothing; `yes` and `unknown` never share a bit.
pub(crate) struct Truth {
    pub yes: Words,
    pub unknown: Words,
}

impl Truth {
    pub fn constant(value: bool) -> Self {
        Self { yes: [if value { u64::MAX } else { 0 }; CHUNK_WORDS], unknown: [0; CHUNK_WORDS] }
    }

    /// The words of this truth and of one operand's, side by side with the rows still open.
    fn merge<'a>(
        &'a mut self,
        part: &'a Self,
        open: &'a mut Words,
    ) -> impl Iterator<Item = ((&'a mut u64, &'a mut u64), (u64, u64), &'a mut u64)> {
        let whole = self.yes.iter_mut().zip(&mut self.unknown);
        let part = part.yes.iter().copied().zip(part.unknown.iter().copied());
        whole.zip(part).zip(open).map(|((whole, part), open)| (whole, part, open))
    }
}

pub(crate) struct Evaluation<'a> {
    program: &'a Program,
    source: &'a dyn ColumnSource,
    candidates: Option<&'a Bits>,
    /// What the indexes say, by the id of the tip.
    answers: Vec<Option<IndexAnswer>>,
    /// Some tip must read its column.
    reads: bool,
}

/// The columns of one run, each read when it is first looked at.
struct Run<'a> {
    source: &'a dyn ColumnSource,
    number: usize,
    fields: &'a [u32],
    /// By slot.
    columns: Vec<OnceCell<Option<RunColumn<'a>>>>,
    /// The first column that could not be read; it reads as all null until the run is given up.
    failure: Cell<Option<NativeError>>,
}

impl<'a> Run<'a> {
    fn new(source: &'a dyn ColumnSource, number: usize, fields: &'a [u32]) -> Self {
        let columns = fields.iter().map(|_| OnceCell::new()).collect();
        Self { source, number, fields, columns, failure: Cell::new(None) }
    }

    /// `None` reads as all null.
    fn column(&self, slot: usize) -> Option<ColumnView<'_>> {
        let column = self.columns[slot].get_or_init(|| {
            self.source.column(self.number, self.fields[slot]).unwrap_or_else(|error| {
                self.failure.set(Some(error));
                None
            })
        });
        column.as_ref().map(RunColumn::view)
    }

    fn outcome(&self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// A stretch of rows inside one run.
pub(crate) struct Chunk<'r, 's> {
    run: &'r Run<'s>,
    /// First row, from the start of the run; a multiple of 64.
    start: usize,
    /// The same row, from the start of the source.
    first_row: usize,
    pub rows: usize,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        program: &'a Program,
        source: &'a dyn ColumnSource,
        indexes: Option<&dyn ScalarIndexes>,
        candidates: Option<&'a Bits>,
    ) -> Self {
        let mut evaluation = Self { program, source, candidates, answers: Vec::new(), reads: false };
        evaluation.answers.resize_with(program.tip_count, || None);
        evaluation.ask(&program.root, indexes);
        evaluation
    }

    /// Asks the indexes, and notes whether a column must be read all the same.
    fn ask(&mut self, node: &Node, indexes: Option<&dyn ScalarIndexes>) {
        let (id, slot) = match node {
            Node::Constant(_) => return,
            Node::And(nodes) | Node::Or(nodes) => return nodes.iter().for_each(|node| self.ask(node, indexes)),
            Node::Not(node) => return self.ask(node, indexes),
            Node::Columns { .. } => {
                self.reads = true;
                return;
            }
            Node::IsNull { id, slot } => (*id, *slot),
            Node::Exists { id, path } => (*id, path.slot),
            Node::Leaf(leaf) => (leaf.id, leaf.source.slot()),
        };
        let own = indexes.map(|indexes| indexes.of(self.program.fields[slot])).unwrap_or_default();
        if let Node::Leaf(Leaf { test: Test::Spatial(test), .. }) = node {
            let tree = indexes.and_then(|indexes| indexes.tree(self.program.fields[slot]));
            let tree = tree.filter(|tree| tree.row_count() == self.source.row_count());
            self.answers[id] = tree.and_then(|tree| answer_spatial(test, tree));
            self.reads = true;
            return;
        }
        let mut covering = own.into_iter().filter(|index| index.row_count() == self.source.row_count());
        self.answers[id] = covering.find_map(|index| answer(node, index));
        self.reads |= self.answers[id].as_ref().is_none_or(IndexAnswer::is_superset);
    }

    pub fn run(&self) -> Result<Bits> {
        let mut result = Bits::with_value(self.source.row_count(), false);
        let mut first_row = 0;
        for run in 0..self.source.run_count() {
            let rows = self.source.run_rows(run);
            self.evaluate_run(run, first_row, rows, &mut result)?;
            first_row += rows;
        }
        Ok(result)
    }

    /// Every answer comes from an index.
    pub fn reads_nothing(&self) -> bool {
        !self.reads
    }

    fn evaluate_run(&self, number: usize, first_row: usize, rows: usize, result: &mut Bits) -> Result<()> {
        if !self.any_candidate(first_row, rows) {
            return Ok(());
        }
        let run = Run::new(self.source, number, &self.program.fields);
        for start in (0..rows).step_by(CHUNK_ROWS) {
            let chunk = Chunk { run: &run, start, first_row: first_row + start, rows: CHUNK_ROWS.min(rows - start) };
            let yes = self.passing(&chunk, &self.wanted(chunk.first_row, chunk.rows));
            write_words(result.words_mut(), chunk.first_row, chunk.rows, &yes);
        }
        run.outcome()
    }

    /// Rows that pass and rows that were tried in some stretches of a run. Each begins at a multiple of 64 and has
    /// at most `CHUNK_ROWS` rows.
    pub fn count(&self, number: usize, first_row: usize, stretches: &[Range<usize>]) -> Result<(usize, usize)> {
        let run = Run::new(self.source, number, &self.program.fields);
        let ones = |words: &Words| words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        let (mut passed, mut tried) = (0, 0);
        for stretch in stretches {
            let chunk =
                Chunk { run: &run, start: stretch.start, first_row: first_row + stretch.start, rows: stretch.len() };
            let wanted = self.wanted(chunk.first_row, chunk.rows);
            passed += ones(&self.passing(&chunk, &wanted));
            tried += ones(&wanted);
        }
        run.outcome()?;
        Ok((passed, tried))
    }

    fn passing(&self, chunk: &Chunk<'_, '_>, wanted: &Words) -> Words {
        if is_empty(wanted) {
            return [0; CHUNK_WORDS];
        }
        let truth = self.evaluate(&self.program.root, chunk, wanted);
        zip(&truth.yes, wanted, |yes, wanted| yes & wanted)
    }

    fn any_candidate(&self, first_row: usize, rows: usize) -> bool {
        self.candidates.is_none_or(|bits| {
            (0..rows).step_by(64).any(|row| read_word(bits.words(), first_row + row, 64.min(rows - row)) != 0)
        })
    }

    /// The rows of the chunk that may be in the result.
    fn wanted(&self, first_row: usize, rows: usize) -> Words {
        let mut words = [0; CHUNK_WORDS];
        for (i, word) in words.iter_mut().enumerate().take(rows.div_ceil(64)) {
            let count = 64.min(rows - i * 64);
            *word = match self.candidates {
                None => u64::MAX >> (64 - count),
                Some(bits) => read_word(bits.words(), first_row + i * 64, count),
            };
        }
        words
    }

    fn evaluate(&self, node: &Node, chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
        match node {
            Node::Constant(value) => Truth::constant(*value),
            Node::And(nodes) => self.and(nodes, chunk, wanted),
            Node::Or(nodes) => self.or(nodes, chunk, wanted),
            Node::Not(node) => {
                let truth = self.evaluate(node, chunk, wanted);
                Truth { yes: zip(&truth.yes, &truth.unknown, |yes, unknown| !yes & !unknown), unknown: truth.unknown }
            }
            Node::Columns { relation, left, right, kind } => {
                test_columns(chunk, *relation, *left, *right, *kind, wanted)
            }
            Node::IsNull { .. } | Node::Exists { .. } | Node::Leaf(_) => self.tip(node, chunk, wanted),
        }
    }

    /// Out of line, so that nesting costs only the frames of `and`, `or` and `not`.
    #[inline(never)]
    fn tip(&self, node: &Node, chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
        match self.answer_of(node) {
            None => read_tip(node, chunk, wanted),
            Some(answer) if answer.is_superset() => {
                let told = answer.truth(chunk.first_row);
                let rows = zip(wanted, &told.yes, |wanted, possible| wanted & possible);
                if is_empty(&rows) {
                    return Truth { yes: rows, unknown: told.unknown };
                }
                let found = read_tip(node, chunk, &rows);
                Truth { yes: zip(&found.yes, &rows, |yes, rows| yes & rows), unknown: told.unknown }
            }
            Some(answer) => answer.truth(chunk.first_row),
        }
    }

    fn answer_of(&self, node: &Node) -> Option<&IndexAnswer> {
        let id = match node {
            Node::IsNull { id, .. } | Node::Exists { id, .. } => *id,
            Node::Leaf(leaf) => leaf.id,
            _ => return None,
        };
        self.answers[id].as_ref()
    }

    /// What an index answers comes first, because it costs nothing any more.
    fn in_order<'n>(&self, nodes: &'n [Node]) -> impl Iterator<Item = &'n Node> {
        let answered = |node: &&Node| self.answer_of(node).is_some_and(|answer| !answer.is_superset());
        nodes.iter().filter(answered).chain(nodes.iter().filter(move |node| !answered(node)))
    }

    #[inline(never)]
    fn and(&self, nodes: &[Node], chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
        let mut whole = Truth::constant(true);
        let mut open = *wanted;
        for node in self.in_order(nodes) {
            if is_empty(&open) {
                break;
            }
            let part = self.evaluate(node, chunk, &open);
            for ((yes, unknown), (part_yes, part_unknown), open) in whole.merge(&part, &mut open) {
                // Rows no longer open are FALSE already and must stay so.
                let possible = (*yes | *unknown) & (part_yes | part_unknown) & *open;
                *yes &= part_yes & *open;
                *unknown = possible & !*yes;
                *open = possible;
            }
        }
        whole
    }

    #[inline(never)]
    fn or(&self, nodes: &[Node], chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
        let mut whole = Truth::constant(false);
        let mut open = *wanted;
        for node in self.in_order(nodes) {
            if is_empty(&open) {
                break;
            }
            let part = self.evaluate(node, chunk, &open);
            for ((yes, unknown), (part_yes, part_unknown), open) in whole.merge(&part, &mut open) {
                *yes |= part_yes & *open;
                *unknown = (*unknown | (part_unknown & *open)) & !*yes;
                *open &= !part_yes;
            }
        }
        whole
    }
}

/// A node without nodes below, by its column.
fn read_tip(node: &Node, chunk: &Chunk<'_, '_>, wanted: &Words) -> Truth {
    match node {
        Node::IsNull { slot, .. } => Truth { yes: chunk.nulls(*slot), unknown: [0; CHUNK_WORDS] },
        Node::Exists { path, .. } => chunk.exists(path, wanted),
        Node::Leaf(leaf) => test_leaf(leaf, chunk, wanted),
        _ => Truth::constant(false),
    }
}

impl<'r> Chunk<'r, '_> {
    /// Values of the chunk's rows; `None` when the segment has no such column.
    pub fn values(&self, slot: usize) -> Option<ViewValues<'r>> {
        Some(self.run.column(slot)?.slice(self.start, self.rows).values)
    }

    /// One bit for each row that is null.
    pub fn nulls(&self, slot: usize) -> Words {
        let mut words = [0; CHUNK_WORDS];
        match self.run.column(slot) {
            None => words = [u64::MAX; CHUNK_WORDS],
            Some(ColumnView { validity: None, .. }) => {}
            Some(ColumnView { validity: Some(valid), .. }) => {
                words.iter_mut().zip(&valid[self.start / 64..]).for_each(|(word, valid)| *word = !valid);
            }
        }
        words
    }

    /// JSON text of the chunk's rows.
    pub fn documents(&self, slot: usize) -> Option<BytesSlice<'r>> {
        match self.values(slot)? {
            ViewValues::Scalar(ScalarSlice::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Never UNKNOWN: a null document has no paths.
    #[inline(never)]
    fn exists(&self, path: &Path, wanted: &Words) -> Truth {
        let mut truth = Truth::constant(false);
        let Some(documents) = self.documents(path.slot) else { return truth };
        let present = zip(wanted, &self.nulls(path.slot), |wanted, null| wanted & !null);
        truth.yes = rows_where(&present, |row| {
            json::find(documents.get(row), &path.steps).is_some_and(|value| value != json::Json::Null)
        });
        truth
    }
}

#[inline]
fn is_empty(words: &Words) -> bool {
    words.iter().all(|&word| word == 0)
}

#[inline]
pub(crate) fn zip(a: &Words, b: &Words, f: impl Fn(u64, u64) -> u64) -> Words {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Runs `test` on the rows of `rows` only.
#[inline]
pub(crate) fn rows_where(rows: &Words, test: impl Fn(usize) -> bool) -> Words {
    let mut words = [0; CHUNK_WORDS];
    for (i, (out, &word)) in words.iter_mut().zip(rows).enumerate() {
        let mut rest = word;
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            *out |= u64::from(test(i * 64 + bit as usize)) << bit;
        }
    }
    words
}

/// `count` (1..=64) bits from bit `at` on.
pub(crate) fn read_word(words: &[u64], at: usize, count: usize) -> u64 {
    let (index, shift) = (at / 64, at % 64);
    let low = words[index] >> shift;
    let high = if shift == 0 { 0 } else { words.get(index + 1).map_or(0, |word| word << (64 - shift)) };
    (low | high) & (u64::MAX >> (64 - count))
}

/// Sets the bits of `rows` rows from bit `at` on, where the words hold zeros so far.
fn write_words(words: &mut [u64], at: usize, rows: usize, bits: &Words) {
    let shift = at % 64;
    for (i, &bits) in bits.iter().enumerate().take(rows.div_ceil(64)) {
        let index = at / 64 + i;
        words[index] |= bits << shift;
        if shift != 0 && bits >> (64 - shift) != 0 {
            words[index + 1] |= bits >> (64 - shift);
        }
    }
}
