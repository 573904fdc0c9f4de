//! A filter that waits until the vector index has found candidates: worth it when trying a row is dear and enough rows
//! pass (contract/expressions.md 20.6, `iterative_filter`).

use std::sync::OnceLock;

use elanus_filter::Program;
use elanus_rows::column::Bits;
use elanus_rows::error::Result;
use elanus_rows::schema::Schema;

use crate::part::Part;

/// Nanoseconds of a graph walk for each place in its beam, of trying a candidate beyond the filter's own cost, and of
/// one unit of that cost.
const WALK_NS: f64 = 900.0;
const CANDIDATE_NS: f64 = 60.0;
const UNIT_NS: f64 = 1.0;
/// A filter that takes less for the whole part is simply evaluated.
const WORTH_WAITING_NS: f64 = 100_000.0;
/// More candidates are asked for than should be needed by this factor and number.
const SPARE: f64 = 1.5;
const SPARE_CANDIDATES: usize = 16;

/// What the decision depends on besides the filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub queries: usize,
    pub top_k: usize,
    /// Width of the index's search.
    pub ef: usize,
    /// The client asked for it.
    pub forced: bool,
}

/// A filter that has not been tried on its part yet.
#[derive(Debug)]
pub(crate) struct LateFilter<'a> {
    program: &'a Program,
    /// Share of the visible rows that should pass.
    share: f64,
    /// The rows that pass, once the candidates were too few.
    passed: OnceLock<Bits>,
}

impl<'a> LateFilter<'a> {
    /// The filter of a part, if it had better wait.
    ///
    /// # Errors
    /// A column cannot be read.
    pub(crate) fn of(part: &Part, schema: &Schema, program: &'a Program, demand: Demand) -> Result<Option<Self>> {
        let rows = part.count();
        let row_ns = f64::from(part.filter_cost(program)) * UNIT_NS;
        let whole = rows as f64 * row_ns;
        if !demand.forced && whole < WORTH_WAITING_NS {
            return Ok(None);
        }
        let share = part.estimate(schema, program)?.fraction();
        let late = Self { program, share, passed: OnceLock::new() };
        let asked = late.asked(demand.top_k);
        let walk = |width: f64| demand.queries as f64 * width * WALK_NS;
        let tried = demand.queries as f64 * asked as f64 * (row_ns + CANDIDATE_NS);
        let wide = (demand.ef as f64 / share).max(asked as f64);
        let pays = walk(wide) + tried < 0.7 * (whole + walk(demand.ef as f64));
        Ok((asked * 4 < rows && (demand.forced || pays)).then_some(late))
    }

    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// How many candidates should hold `top_k` rows that pass.
    pub(crate) fn asked(&self, top_k: usize) -> usize {
        ((top_k as f64 / self.share * SPARE) as usize).saturating_add(SPARE_CANDIDATES)
    }

    /// Which of `rows` pass.
    ///
    /// # Errors
    /// A column cannot be read.
    pub(crate) fn try_rows(&self, part: &Part, schema: &Schema, rows: impl Iterator<Item = u32>) -> Result<Bits> {
        let mut candidates = Bits::with_value(part.source.rows(), false);
        rows.filter(|&row| (row as usize) < candidates.len()).collect::<Vec<_>>().into_iter().for_each(|row| {
            candidates.set(row as usize, true);
        });
        part.passing(schema, self.program, Some(&candidates))
    }

    /// All rows of the part that pass; evaluated at the first call.
    ///
    /// # Errors
    /// A column cannot be read.
    pub(crate) fn all(&self, part: &Part, schema: &Schema) -> Result<&Bits> {
        if let Some(passed) = self.passed.get() {
            return Ok(passed);
        }
        let passed = part.passing(schema, self.program, part.allowed.as_ref())?;
        Ok(self.passed.get_or_init(|| passed))
    }
}
