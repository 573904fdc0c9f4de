//! Grouping search: the best rows of the best groups (contract/expressions.md 20.3). Works with every index: it asks
//! for the best rows, and asks again without the groups that are full until there are enough groups.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use elanus_rows::column::{Bits, Column, VarBytes};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::groups::{Groups, group_at};
use elanus_rows::keys::Key;
use elanus_rows::schema::DataType;

use crate::explain::Explanation;
use crate::search::{Ask, Best, Found, Ground, Target, found_in};

/// How hits are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// Field id: Bool, Int8 to Int64 or VarChar. Rows without a value form a group of their own.
    pub field: u32,
    /// Most hits of one group.
    pub size: usize,
    /// Go on until every group is full or there are no more rows.
    pub strict: bool,
}

/// More rows are asked for at first than would do if every one began a group.
const SPARE: usize = 2;
const SPARE_ROWS: usize = 16;

/// The group of a row; `None`: its value is null.
type Group<'a> = Option<Key<'a>>;

/// For each query, best rows first, the best `top_k` groups with at most `by.size` rows each.
///
/// # Errors
/// As a search; or the field cannot group.
pub(crate) fn search(
    ground: &Ground<'_>,
    by: GroupBy,
    queries: &VarBytes,
    explanation: &mut Option<Explanation>,
) -> Result<Vec<Vec<Found>>> {
    let columns = columns(ground, by)?;
    queries.iter().map(|vector| GroupedSearch::new(ground, by, &columns).run(vector, explanation)).collect()
}

/// The groups of what was found, hit by hit.
///
/// # Errors
/// As `search`.
pub(crate) fn groups_of(ground: &Ground<'_>, by: GroupBy, found: &[Vec<Found>]) -> Result<Groups> {
    let columns = columns(ground, by)?;
    let field = ground.schema.by_id(by.field);
    let mut groups = Groups::empty(field.is_some_and(|field| field.data_type == DataType::VarChar));
    for found in found.iter().flatten() {
        groups.push(group_at(&columns[found.target as usize], found.row as usize)?)?;
    }
    Ok(groups)
}

/// The grouping column of each target's source.
fn columns<'a>(ground: &Ground<'a>, by: GroupBy) -> Result<Vec<Cow<'a, Column>>> {
    let position = ground.schema.position(by.field);
    let position =
        position.ok_or_else(|| NativeError::SchemaMismatch(format!("field {} is not in the schema", by.field)))?;
    ground.targets.iter().map(|target| target.part.source.scalars(ground.schema, position)).collect()
}

struct GroupedSearch<'a> {
    ground: &'a Ground<'a>,
    by: GroupBy,
    columns: &'a [Cow<'a, Column>],
    /// Members of each group, best first; groups in the order of their best members.
    members: Vec<(Group<'a>, Vec<Found>)>,
    number_of: HashMap<Group<'a>, usize>,
}

impl<'a> GroupedSearch<'a> {
    fn new(ground: &'a Ground<'a>, by: GroupBy, columns: &'a [Cow<'a, Column>]) -> Self {
        Self { ground, by, columns, members: Vec::new(), number_of: HashMap::new() }
    }

    fn run(mut self, vector: &[u8], explanation: &mut Option<Explanation>) -> Result<Vec<Found>> {
        let wanted = self.ground.request.top_k;
        let mut asked = (wanted * self.by.size).saturating_mul(SPARE) + SPARE_ROWS;
        let mut open = None;
        loop {
            let found = self.best(vector, asked, open.as_deref(), explanation)?;
            let exhausted = found.len() < asked;
            for found in found {
                self.enter(found)?;
            }
            let enough = self.members.len() >= wanted;
            let full = || self.members.iter().take(wanted).all(|(_, members)| members.len() >= self.by.size);
            if exhausted || enough && (!self.by.strict || full()) {
                return self.finish(wanted);
            }
            open = Some(self.open_rows(wanted)?);
            asked = asked.saturating_mul(2);
        }
    }

    /// The best `asked` rows, of those in `open` when given.
    fn best(
        &self,
        vector: &[u8],
        asked: usize,
        open: Option<&[Bits]>,
        explanation: &mut Option<Explanation>,
    ) -> Result<Vec<Found>> {
        let mut best = Best::new(self.ground, asked);
        for (number, target) in self.ground.targets.iter().enumerate() {
            let mut ask = Ask { bound: best.bound(), ..target.ask(vector, asked) };
            if let Some(open) = open.map(|open| &open[number]) {
                (ask.allowed, ask.allowed_count) = (Some(open.words()), open.count_ones());
            }
            if ask.allowed_count > 0 {
                let found = self.ground.search(target, &[ask], explanation)?;
                best.add(found_in(number as u32, &found.concat()))?;
            }
        }
        best.finish()
    }

    fn group(&self, target: usize, row: u32) -> Result<Group<'a>> {
        group_at(&self.columns[target], row as usize)
    }

    /// Puts a row into its group, unless that is full or has it.
    fn enter(&mut self, found: Found) -> Result<()> {
        let group = self.group(found.target as usize, found.row)?;
        let number = *self.number_of.entry(group).or_insert(self.members.len());
        if number == self.members.len() {
            self.members.push((group, Vec::new()));
        }
        let members = &mut self.members[number].1;
        let known = members.iter().any(|other| (other.target, other.row) == (found.target, found.row));
        if members.len() < self.by.size && !known {
            members.push(found);
        }
        Ok(())
    }

    /// Rows by target that can still change the answer: those of no full group; once there are enough groups, only
    /// those of their own.
    fn open_rows(&self, wanted: usize) -> Result<Vec<Bits>> {
        let enough = self.members.len() >= wanted;
        let of_interest = self.members.iter().take(if enough { wanted } else { usize::MAX });
        let is_open = |members: &[Found]| members.len() < self.by.size;
        let listed: HashSet<Group<'_>> =
            of_interest.filter(|(_, members)| is_open(members) == enough).map(|&(group, _)| group).collect();
        let open = |(number, target): (usize, &Target<'_>)| {
            let mut bits = Bits::with_value(target.rows(), false);
            for row in 0..target.rows() {
                let allowed = target.allowed.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1);
                if allowed && listed.contains(&self.group(number, row as u32)?) == enough {
                    bits.set(row, true);
                }
            }
            Ok(bits)
        };
        self.ground.targets.iter().enumerate().map(open).collect()
    }

    /// The rows of the first `wanted` groups, best first.
    fn finish(self, wanted: usize) -> Result<Vec<Found>> {
        let mut best = Best::new(self.ground, usize::MAX);
        best.take_over(self.members.into_iter().take(wanted).flat_map(|(_, members)| members));
        best.finish()
    }
}
