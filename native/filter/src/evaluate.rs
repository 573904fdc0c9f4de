//! Evaluation, 1,024 rows at a time: each node gives the rows that are TRUE and those that are UNKNOWN. Only rows
//! that can still matter (`wanted`) are looked at where looking is dear.

use crate::index_answers::{IndexAnswer, answer_leaf};
use crate::json;
use crate::leaf::{test_columns, test_leaf};
use crate::node::{Leaf, Node, Path, Source};
use crate::numbers::{CHUNK_ROWS, CHUNK_WORDS, Words};
use crate::program::Program;
use crate::source::{BytesSlice, ColumnSource, ColumnView, ScalarIndexes, ScalarSlice, ViewValues};
use elanus_rows::column::Bits;
use elanus_rows::error::Result;
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
    /// By leaf id.
    answers: Vec<Option<IndexAnswer>>,
    /// By slot: whether some node reads the column itself.
    read: Vec<bool>,
}

/// A stretch of rows inside one run.
pub(crate) struct Chunk<'a> {
    /// By slot; `None` reads as all null.
    columns: &'a [Option<ColumnView<'a>>],
    /// First row, from the start of the run; a multiple of 64.
    start: usize,
    pub rows: usize,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        program: &'a Program,
        source: &'a dyn ColumnSource,
        indexes: Option<&dyn ScalarIndexes>,
        candidates: Option<&'a Bits>,
    ) -> Self {
        let mut evaluation = Self { program, source, candidates, answers: Vec::new(), read: Vec::new() };
        evaluation.answers.resize_with(program.leaf_count, || None);
        evaluation.read.resize(program.fields.len(), false);
        // Only a source of one run has the rows of the indexes.
        evaluation.prepare(&program.root, indexes.filter(|_| source.run_count() == 1));
        evaluation
    }

    /// Asks the indexes, and notes the columns that must be read all the same.
    fn prepare(&mut self, node: &Node, indexes: Option<&dyn ScalarIndexes>) {
        match node {
            Node::Constant(_) => {}
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|n| self.prepare(n, indexes)),
            Node::Not(node) => self.prepare(node, indexes),
            Node::IsNull { slot } | Node::Exists(Path { slot, .. }) => self.read[*slot] = true,
            Node::Columns { left, right, .. } => {
                self.read[*left] = true;
                self.read[*right] = true;
            }
            Node::Leaf(leaf) => {
                let slot = leaf.source.slot();
                if let Source::Column { .. } = leaf.source {
                    let index = indexes.and_then(|indexes| indexes.of(self.program.fields[slot]));
                    let index = index.filter(|index| index.row_count() == self.source.row_count());
                    self.answers[leaf.id] = index.and_then(|index| answer_leaf(&leaf.test, index));
                }
                self.read[slot] |= self.answers[leaf.id].is_none();
            }
        }
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
        !self.read.contains(&true)
    }

    fn evaluate_run(&self, run: usize, first_row: usize, rows: usize, result: &mut Bits) -> Result<()> {
        // A run whose rows are all ruled out is not even read.
        if !self.any_candidate(first_row, rows) {
            return Ok(());
        }
        let columns = self.columns(run)?;
        for start in (0..rows).step_by(CHUNK_ROWS) {
            let chunk = Chunk { columns: &columns, start, rows: CHUNK_ROWS.min(rows - start) };
            let wanted = self.wanted(first_row + start, chunk.rows);
            let yes = self.passing(&chunk, &wanted);
            write_words(result.words_mut(), first_row + start, chunk.rows, &yes);
        }
        Ok(())
    }

    /// Rows that pass and rows that were tried in some stretches of a run. Each begins at a multiple of 64 and has
    /// at most `CHUNK_ROWS` rows.
    pub fn count(&self, run: usize, first_row: usize, stretches: &[Range<usize>]) -> Result<(usize, usize)> {
        let columns = self.columns(run)?;
        let ones = |words: &Words| words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        let (mut passed, mut tried) = (0, 0);
        for stretch in stretches {
            let chunk = Chunk { columns: &columns, start: stretch.start, rows: stretch.len() };
            let wanted = self.wanted(first_row + stretch.start, stretch.len());
            passed += ones(&self.passing(&chunk, &wanted));
            tried += ones(&wanted);
        }
        Ok((passed, tried))
    }

    /// By slot: the columns of a run that some node reads.
    fn columns(&self, run: usize) -> Result<Vec<Option<ColumnView<'_>>>> {
        let fields = self.program.fields.iter().zip(&self.read);
        let column = |(&field, &read): (&u32, &bool)| if read { self.source.column(run, field) } else { Ok(None) };
        fields.map(column).collect()
    }

    fn passing(&self, chunk: &Chunk<'_>, wanted: &Words) -> Words {
        if wanted.iter().all(|&word| word == 0) {
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

    fn evaluate(&self, node: &Node, chunk: &Chunk<'_>, wanted: &Words) -> Truth {
        match node {
            Node::Constant(value) => Truth::constant(*value),
            Node::And(nodes) => self.and(nodes, chunk, wanted),
            Node::Or(nodes) => self.or(nodes, chunk, wanted),
            Node::Not(node) => {
                let truth = self.evaluate(node, chunk, wanted);
                Truth { yes: zip(&truth.yes, &truth.unknown, |yes, unknown| !yes & !unknown), unknown: truth.unknown }
            }
            Node::IsNull { slot } => Truth { yes: chunk.nulls(*slot), unknown: [0; CHUNK_WORDS] },
            Node::Exists(path) => chunk.exists(path, wanted),
            Node::Columns { relation, left, right, kind } => {
                test_columns(chunk, *relation, *left, *right, *kind, wanted)
            }
            Node::Leaf(leaf) => self.leaf(leaf, chunk, wanted),
        }
    }

    /// Out of line, so that nesting costs only the frames of `and`, `or` and `not`.
    #[inline(never)]
    fn leaf(&self, leaf: &Leaf, chunk: &Chunk<'_>, wanted: &Words) -> Truth {
        match self.answers.get(leaf.id).and_then(Option::as_ref) {
            Some(answer) => answer.truth(chunk.start / 64),
            None => test_leaf(leaf, chunk, wanted),
        }
    }

    #[inline(never)]
    fn and(&self, nodes: &[Node], chunk: &Chunk<'_>, wanted: &Words) -> Truth {
        let mut whole = Truth::constant(true);
        let mut open = *wanted;
        for node in nodes {
            if open.iter().all(|&word| word == 0) {
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
    fn or(&self, nodes: &[Node], chunk: &Chunk<'_>, wanted: &Words) -> Truth {
        let mut whole = Truth::constant(false);
        let mut open = *wanted;
        for node in nodes {
            if open.iter().all(|&word| word == 0) {
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

impl<'a> Chunk<'a> {
    /// Values of the chunk's rows; `None` when the segment has no such column.
    pub fn values(&self, slot: usize) -> Option<ViewValues<'a>> {
        let view = self.columns[slot].as_ref()?;
        Some(match view.values {
            ViewValues::Scalar(values) => ViewValues::Scalar(slice(values, self.start, self.rows)),
            ViewValues::Array { offsets, elements } => {
                ViewValues::Array { offsets: &offsets[self.start..=self.start + self.rows], elements }
            }
            ViewValues::Opaque => ViewValues::Opaque,
        })
    }

    /// One bit for each row that is null.
    pub fn nulls(&self, slot: usize) -> Words {
        let mut words = [0; CHUNK_WORDS];
        match &self.columns[slot] {
            None => words = [u64::MAX; CHUNK_WORDS],
            Some(ColumnView { validity: None, .. }) => {}
            Some(ColumnView { validity: Some(bits), .. }) => {
                let valid = &bits.words()[self.start / 64..];
                words.iter_mut().zip(valid).for_each(|(word, valid)| *word = !valid);
            }
        }
        words
    }

    /// JSON text of the chunk's rows.
    pub fn documents(&self, slot: usize) -> Option<BytesSlice<'a>> {
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

fn slice(values: ScalarSlice<'_>, start: usize, rows: usize) -> ScalarSlice<'_> {
    let range = start..start + rows;
    match values {
        ScalarSlice::Bool(v) => ScalarSlice::Bool(&v[range]),
        ScalarSlice::Int32(v) => ScalarSlice::Int32(&v[range]),
        ScalarSlice::Int64(v) => ScalarSlice::Int64(&v[range]),
        ScalarSlice::Float(v) => ScalarSlice::Float(&v[range]),
        ScalarSlice::Double(v) => ScalarSlice::Double(&v[range]),
        ScalarSlice::Bytes(v) => {
            ScalarSlice::Bytes(BytesSlice { offsets: &v.offsets[start..=start + rows], data: v.data })
        }
    }
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
fn read_word(words: &[u64], at: usize, count: usize) -> u64 {
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
