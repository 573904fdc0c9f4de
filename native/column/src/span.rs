//! The chunks of a growing segment that its lists cover, searched together.

use std::ops::Range;
use std::sync::Arc;

use elanus_index::growing::GrowingLists;
use elanus_index::trace::Trace;
use elanus_index::vector::{Metric, Query, SearchParams, VectorRows};
use elanus_rows::error::Result;

use crate::attached::index_error;
use crate::part::Joined;
use crate::search::{Found, SearchRequest, Target};

/// Consecutive targets of one segment under its lists.
pub(crate) struct Span<'a> {
    lists: Arc<GrowingLists>,
    segment: usize,
    /// Numbers of the targets.
    targets: Range<usize>,
    rows: Joined<'a>,
    /// By row number in the segment; `None`: all.
    allowed: Option<Vec<u64>>,
    allowed_count: usize,
    params: SearchParams,
}

/// The spans of a request that wants the best rows only; others compare every row.
pub(crate) fn of<'a>(
    request: &SearchRequest<'_>,
    position: usize,
    metric: Option<Metric>,
    targets: &[Target<'a>],
) -> Vec<Span<'a>> {
    let limited = request.radius.is_some() || request.range_filter.is_some() || request.after_score.is_some();
    let Some(metric) = metric.filter(|_| !request.exact && !limited && request.group_by.is_none()) else {
        return vec![];
    };
    let spans = request.segments.iter().enumerate().filter_map(|(segment, of)| {
        let lists = of.lists(position, metric)?;
        let first = targets.partition_point(|target| target.segment < segment);
        let end = |target: &Target<'_>| target.part.source.base() as usize + target.rows();
        let covered = |target: &&Target<'_>| target.segment == segment && end(target) <= lists.covered();
        let count = targets[first..].iter().take_while(covered).count();
        Span::new(lists, segment, first, &targets[first..first + count])
    });
    spans.collect()
}

impl<'a> Span<'a> {
    fn new(lists: Arc<GrowingLists>, segment: usize, first: usize, targets: &[Target<'a>]) -> Option<Self> {
        let rows = Joined::of(targets.iter().map(|target| (target.part.source.base(), target.vectors)).collect())?;
        let allowed_count = targets.iter().map(|target| target.allowed_count).sum();
        // A chunk without allowed rows is no target, so that the counts tell whether one is missing.
        let allowed = (allowed_count < rows.len()).then(|| {
            let mut words = vec![0; rows.len().div_ceil(64)];
            for target in targets {
                let base = target.part.source.base() as usize;
                match target.allowed {
                    Some(allowed) => place_bits(&mut words, base, allowed.iter().copied()),
                    None => place_bits(&mut words, base, ones(target.rows())),
                }
            }
            words
        });
        let params = targets.first()?.params.clone();
        Some(Self { lists, segment, targets: first..first + targets.len(), rows, allowed, allowed_count, params })
    }

    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    pub(crate) fn covers(&self, target: usize) -> bool {
        self.targets.contains(&target)
    }

    /// The best rows, as those of their targets.
    ///
    /// # Errors
    /// The vector has another size than the rows.
    pub(crate) fn search(
        &self,
        vector: &[u8],
        top_k: usize,
        trace: Option<&Trace>,
    ) -> Result<impl Iterator<Item = Found>> {
        let query = Query {
            vector,
            top_k,
            allowed: self.allowed.as_deref(),
            allowed_count: self.allowed_count,
            radius: None,
            range_filter: None,
            params: &self.params,
            trace,
        };
        let mut hits = vec![];
        self.lists.search(&self.rows, &query, &mut hits).map_err(|e| index_error("growing lists", e))?;
        let found = hits.into_iter().filter_map(|hit| {
            let (part, row) = self.rows.place(hit.row)?;
            Some(Found { score: hit.score, target: (self.targets.start + part) as u32, row })
        });
        Ok(found)
    }
}

/// Words of `count` set bits.
fn ones(count: usize) -> impl Iterator<Item = u64> {
    (0..count.div_ceil(64)).map(move |word| match count - word * 64 {
        left @ 0..64 => (1 << left) - 1,
        _ => u64::MAX,
    })
}

/// Sets the bits of `bits` in `words`, from bit `at` on. Bits beyond the last word are not set.
fn place_bits(words: &mut [u64], at: usize, bits: impl Iterator<Item = u64>) {
    let (first, shift) = (at / 64, at % 64);
    for (number, word) in bits.enumerate() {
        words[first + number] |= word << shift;
        if shift > 0
            && let Some(next) = words.get_mut(first + number + 1)
        {
            *next |= word >> (64 - shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ones, place_bits};

    #[test]
    fn bits_are_placed_where_they_belong() {
        for (at, count) in [(0, 64), (3, 61), (3, 62), (70, 130), (64, 1), (127, 2)] {
            let mut words = vec![0; 5];
            place_bits(&mut words, at, ones(count));
            for bit in 0..320 {
                let set = words[bit / 64] >> (bit % 64) & 1 == 1;
                assert_eq!(set, (at..at + count).contains(&bit), "bit {bit} of {count} from {at}");
            }
        }
    }
}
