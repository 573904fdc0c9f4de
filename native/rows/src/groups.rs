//! The group that each hit of a grouping search belongs to (contract/expressions.md 20.3).

use std::collections::HashMap;

use crate::column::{Bits, Column, Values};
use crate::cursor::{Cursor, put_numbers};
use crate::error::{NativeError, Result};
use crate::keys::{Key, Keys};

/// Group values of a list of hits; rows whose value is null form a group of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    values: Keys,
    valid: Bits,
}

/// How good a group is, from the scores of its members (contract/grpc.md 6.4, `rank_group_scorer`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupScorer {
    /// As good as its best member.
    #[default]
    Max,
    Sum,
    Average,
}

/// Which groups of a list stay.
#[derive(Clone, Copy, Debug)]
pub struct Grouping {
    /// Groups to skip, and groups to keep after them.
    pub offset: usize,
    pub limit: usize,
    /// Members to keep of each.
    pub size: usize,
    pub scorer: GroupScorer,
    pub larger_is_better: bool,
}

impl Groups {
    #[must_use]
    pub fn empty(text: bool) -> Self {
        Self { values: Keys::empty(text), valid: Bits::default() }
    }

    #[must_use]
    pub fn is_text(&self) -> bool {
        self.values.is_text()
    }

    #[must_use]
    pub fn get(&self, i: usize) -> Option<Key<'_>> {
        self.valid.get(i).then(|| self.values.get(i))
    }

    /// Puts the group of one more hit behind the others.
    ///
    /// # Errors
    /// The value is of another type.
    pub fn push(&mut self, group: Option<Key<'_>>) -> Result<()> {
        self.valid.push(group.is_some());
        let empty = if self.is_text() { Key::Text(&[]) } else { Key::Int(0) };
        self.values.push(group.unwrap_or(empty))
    }

    #[must_use]
    pub fn gather(&self, positions: &[u32]) -> Self {
        let mut valid = Bits::default();
        positions.iter().for_each(|&i| valid.push(self.valid.get(i as usize)));
        Self { values: self.values.gather(positions), valid }
    }

    /// The values as a column like the grouped field's.
    ///
    /// # Errors
    /// `Internal` when the field has another type than the values.
    pub fn column(&self, like: &Values) -> Result<Column> {
        let values = match (&self.values, like) {
            (Keys::Text(texts), Values::Bytes(_)) => Values::Bytes(texts.clone()),
            (Keys::Int(ints), Values::Int64(_)) => Values::Int64(ints.clone()),
            (Keys::Int(ints), Values::Int32(_)) => Values::Int32(ints.iter().map(|&value| value as i32).collect()),
            (Keys::Int(ints), Values::Bool(_)) => Values::Bool(ints.iter().map(|&value| value != 0).collect()),
            _ => return Err(NativeError::Internal("groups do not fit their field".to_owned())),
        };
        let whole = self.valid.count_ones() == self.valid.len();
        Ok(Column { values, validity: (!whole).then(|| self.valid.clone()) })
    }

    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        put_numbers(out, self.valid.words(), u64::to_le_bytes);
        self.values.write_body(out);
    }

    pub(crate) fn read_body(cursor: &mut Cursor<'_>, text: bool, count: usize) -> Result<Self> {
        let words = cursor.numbers(count.div_ceil(64), u64::from_le_bytes)?;
        let mut valid = Bits::with_value(count, true);
        let fits = words.iter().zip(valid.words()).all(|(word, all)| word & !all == 0);
        if !fits {
            return Err(cursor.damaged("bits of groups beyond the last hit"));
        }
        valid.words_mut().copy_from_slice(&words);
        Ok(Self { values: Keys::read_body(cursor, text, count)?, valid })
    }
}

/// The value of `column` that groups row `row`; `None` when it is null.
///
/// # Errors
/// The column is of no type that can group.
pub fn group_at(column: &Column, row: usize) -> Result<Option<Key<'_>>> {
    if !column.is_valid(row) {
        return Ok(None);
    }
    Ok(Some(match &column.values {
        Values::Bool(values) => Key::Int(i64::from(values[row])),
        Values::Int32(values) => Key::Int(i64::from(values[row])),
        Values::Int64(values) => Key::Int(values[row]),
        Values::Bytes(values) => Key::Text(values.get(row)),
        _ => return Err(NativeError::InvalidParameter("the field cannot group hits".to_owned())),
    }))
}

impl Grouping {
    /// Positions of the hits that stay: groups best first, the members of one side by side, best first. `hits` gives
    /// position, group and score, best first; groups that are equally good stay in the order of their best members.
    pub(crate) fn arrange<'a>(&self, hits: impl Iterator<Item = (u32, Option<Key<'a>>, f32)>) -> Vec<u32> {
        let mut numbers = HashMap::new();
        let mut groups: Vec<(Vec<u32>, f32)> = Vec::new();
        for (position, group, score) in hits {
            let number = *numbers.entry(group).or_insert(groups.len());
            if number == groups.len() {
                groups.push((Vec::new(), score));
            } else if groups[number].0.len() < self.size && self.scorer != GroupScorer::Max {
                groups[number].1 += score;
            }
            if groups[number].0.len() < self.size {
                groups[number].0.push(position);
            }
        }
        if self.scorer == GroupScorer::Average {
            groups.iter_mut().for_each(|(members, score)| *score /= members.len().max(1) as f32);
        }
        if self.scorer != GroupScorer::Max {
            let better = self.larger_is_better;
            groups.sort_by(|a, b| if better { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) });
        }
        groups.into_iter().skip(self.offset).take(self.limit).flat_map(|(members, _)| members).collect()
    }
}
