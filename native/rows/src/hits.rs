//! What searches found, as it crosses roles: docs/formats/hits.md.

use crate::cursor::{Cursor, put_numbers};
use crate::error::{NativeError, Result};
use crate::groups::{Grouping, Groups};
use crate::keys::Keys;
use crate::metric;

const MAGIC: [u8; 4] = *b"EHIT";
const VERSION: u8 = 1;
const FLAG_TEXT: u8 = 1;
const FLAG_GROUPED: u8 = 2;
const FLAG_TEXT_GROUPS: u8 = 4;

/// Hits of `counts.len()` queries, flat: query by query, best first within a query, equal scores by smaller key.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits {
    /// Hits of each query.
    pub counts: Vec<u32>,
    pub scores: Vec<f32>,
    pub segments: Vec<u64>,
    /// Row number in the segment.
    pub rows: Vec<u32>,
    pub keys: Keys,
    /// The group of each hit, in a grouping search.
    pub groups: Option<Groups>,
}

impl Hits {
    /// No hits for `nq` queries.
    #[must_use]
    pub fn empty(nq: usize, text: bool) -> Self {
        Self {
            counts: vec![0; nq],
            scores: Vec::new(),
            segments: Vec::new(),
            rows: Vec::new(),
            keys: Keys::empty(text),
            groups: None,
        }
    }

    /// Makes room for so many hits more.
    pub fn reserve(&mut self, hits: usize) {
        self.scores.reserve(hits);
        self.segments.reserve(hits);
        self.rows.reserve(hits);
        self.keys.reserve(hits);
    }

    /// Number of hits over all queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// First hit of each query, and the end of the last.
    #[must_use]
    pub fn starts(&self) -> Vec<usize> {
        let mut starts = Vec::with_capacity(self.counts.len() + 1);
        let mut at = 0;
        starts.push(at);
        for &count in &self.counts {
            at += count as usize;
            starts.push(at);
        }
        starts
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.counts.len() * 4 + self.len() * 24);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.flags(), 0, 0]);
        put_numbers(&mut out, &[self.counts.len() as u32, self.len() as u32], u32::to_le_bytes);
        put_numbers(&mut out, &self.counts, u32::to_le_bytes);
        put_numbers(&mut out, &self.scores, f32::to_le_bytes);
        put_numbers(&mut out, &self.rows, u32::to_le_bytes);
        put_numbers(&mut out, &self.segments, u64::to_le_bytes);
        self.keys.write_body(&mut out);
        if let Some(groups) = &self.groups {
            groups.write_body(&mut out);
        }
        out
    }

    fn flags(&self) -> u8 {
        let groups = match &self.groups {
            None => 0,
            Some(groups) if groups.is_text() => FLAG_GROUPED | FLAG_TEXT_GROUPS,
            Some(_) => FLAG_GROUPED,
        };
        groups | if self.keys.is_text() { FLAG_TEXT } else { 0 }
    }

    /// Reads what `encode` wrote.
    ///
    /// # Errors
    /// `FileCorrupt` when the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, "encoded hits");
        cursor.header(MAGIC)?;
        let [version, flags] = [cursor.u8()?, cursor.u8()?];
        if version != VERSION || flags & !(FLAG_TEXT | FLAG_GROUPED | FLAG_TEXT_GROUPS) != 0 {
            return Err(cursor.damaged(&format!("version {version} with flags {flags} is unknown")));
        }
        cursor.align()?;
        let [queries, total] = [cursor.u32()? as usize, cursor.u32()? as usize];
        let counts = cursor.numbers(queries, u32::from_le_bytes)?;
        if counts.iter().map(|&count| u64::from(count)).sum::<u64>() != total as u64 {
            return Err(cursor.damaged("the counts do not add up"));
        }
        let grouped = flags & FLAG_GROUPED != 0;
        let groups = |cursor: &mut Cursor<'_>| Groups::read_body(cursor, flags & FLAG_TEXT_GROUPS != 0, total);
        let hits = Self {
            counts,
            scores: cursor.numbers(total, f32::from_le_bytes)?,
            rows: cursor.numbers(total, u32::from_le_bytes)?,
            segments: cursor.numbers(total, u64::from_le_bytes)?,
            keys: Keys::read_body(&mut cursor, flags & FLAG_TEXT != 0, total)?,
            groups: grouped.then(|| groups(&mut cursor)).transpose()?,
        };
        cursor.finish()?;
        Ok(hits)
    }
}

/// Merges hits of disjoint rows of one collection: the best `top_k` of each query; of a grouping search all, because
/// only the last merge knows which groups stay.
///
/// # Errors
/// `Internal` when the parts answer different queries.
pub fn reduce(parts: &[Hits], top_k: usize, metric: &str) -> Result<Hits> {
    let larger = metric::larger_is_better(metric)?;
    let first = parts.first().ok_or_else(|| NativeError::Internal("no hits to reduce".to_owned()))?;
    let nq = first.counts.len();
    let mut merged = Hits::like(parts, nq).unwrap_or_else(|| Hits::empty(nq, false));
    let top_k = if merged.groups.is_some() { usize::MAX } else { top_k };
    let starts: Vec<Vec<usize>> = parts.iter().map(Hits::starts).collect();
    if parts.iter().any(|part| part.counts.len() != nq) {
        return Err(NativeError::Internal("hits of different numbers of queries".to_owned()));
    }
    for query in 0..nq {
        let mut heads: Vec<usize> = starts.iter().map(|starts| starts[query]).collect();
        let ends: Vec<usize> = starts.iter().map(|starts| starts[query + 1]).collect();
        while (merged.counts[query] as usize) < top_k {
            let Some(best) = best_head(parts, &heads, &ends, larger) else { break };
            merged.push_from(&parts[best], heads[best])?;
            merged.counts[query] += 1;
            heads[best] += 1;
        }
    }
    Ok(merged)
}

fn best_head(parts: &[Hits], heads: &[usize], ends: &[usize], larger: bool) -> Option<usize> {
    let open = (0..parts.len()).filter(|&part| heads[part] < ends[part]);
    open.min_by(|&a, &b| {
        let by_score = compare_scores(parts[a].scores[heads[a]], parts[b].scores[heads[b]], larger);
        by_score.then_with(|| parts[a].keys.get(heads[a]).cmp(&parts[b].keys.get(heads[b])))
    })
}

/// Better first.
#[must_use]
pub fn compare_scores(a: f32, b: f32, larger_is_better: bool) -> std::cmp::Ordering {
    if larger_is_better { b.total_cmp(&a) } else { a.total_cmp(&b) }
}

impl Hits {
    /// Puts hit `i` of `other` behind; the caller counts it.
    pub(crate) fn push_from(&mut self, other: &Self, i: usize) -> Result<()> {
        self.keys.push(other.keys.get(i))?;
        self.scores.push(other.scores[i]);
        self.segments.push(other.segments[i]);
        self.rows.push(other.rows[i]);
        if let (Some(groups), Some(others)) = (&mut self.groups, &other.groups) {
            groups.push(others.get(i))?;
        }
        Ok(())
    }

    /// No hits yet for `nq` queries, of the same kind as `parts`. A part without rows cannot know the types and writes
    /// no values; the others decide.
    pub(crate) fn like(parts: &[Self], nq: usize) -> Option<Self> {
        let model = parts.iter().find(|part| !part.is_empty()).or(parts.first())?;
        let groups = model.groups.as_ref().map(|groups| Groups::empty(groups.is_text()));
        Some(Self { groups, ..Self::empty(nq, model.keys.is_text()) })
    }

    /// Keeps of each query the groups that `grouping` names, the members of a group side by side. Hits of a search that
    /// did not group form one group each.
    #[must_use]
    pub fn grouped(&self, grouping: &Grouping) -> Self {
        let mut positions = Vec::new();
        let mut counts = Vec::with_capacity(self.counts.len());
        for pair in self.starts().windows(2) {
            let hits = (pair[0]..pair[1]).map(|i| {
                let group = self.groups.as_ref().map_or_else(|| Some(self.keys.get(i)), |groups| groups.get(i));
                (i as u32, group, self.scores[i])
            });
            let kept = grouping.arrange(hits);
            counts.push(kept.len() as u32);
            positions.extend(kept);
        }
        self.gather(&positions, counts)
    }

    /// The hits at `positions`, of which each query has `counts`.
    #[must_use]
    pub fn gather(&self, positions: &[u32], counts: Vec<u32>) -> Self {
        Self {
            counts,
            scores: positions.iter().map(|&i| self.scores[i as usize]).collect(),
            segments: positions.iter().map(|&i| self.segments[i as usize]).collect(),
            rows: positions.iter().map(|&i| self.rows[i as usize]).collect(),
            keys: self.keys.gather(positions),
            groups: self.groups.as_ref().map(|groups| groups.gather(positions)),
        }
    }

    /// Drops the first `offset` hits of each query and keeps at most `limit`.
    #[must_use]
    pub fn slice(&self, offset: usize, limit: usize) -> Self {
        let mut positions = Vec::new();
        let mut counts = Vec::with_capacity(self.counts.len());
        for pair in self.starts().windows(2) {
            let from = pair[0].saturating_add(offset).min(pair[1]);
            let to = from.saturating_add(limit).min(pair[1]);
            positions.extend(from as u32..to as u32);
            counts.push((to - from) as u32);
        }
        self.gather(&positions, counts)
    }

    /// Score of the last hit of the first query.
    #[must_use]
    pub fn last_score(&self) -> Option<f32> {
        let count = self.counts.first().copied()? as usize;
        count.checked_sub(1).map(|last| self.scores[last])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Key;

    /// Hits with distinct keys, dealt to `parts` nodes, each list best first.
    fn dealt(parts: usize, nq: usize) -> impl Strategy<Value = Vec<Hits>> {
        let hit = (0_u8..6, 0..parts);
        prop::collection::vec(prop::collection::vec(hit, 0..30), nq).prop_map(move |queries| {
            let mut nodes = vec![Hits::empty(nq, false); parts];
            for (query, hits) in queries.iter().enumerate() {
                let mut sorted: Vec<_> =
                    hits.iter().enumerate().map(|(key, &(score, part))| (score, key, part)).collect();
                sorted.sort_by_key(|&(score, key, _)| (score, key));
                for (score, key, part) in sorted {
                    let node = &mut nodes[part];
                    node.keys.push(Key::Int(key as i64)).unwrap();
                    node.scores.push(f32::from(score));
                    node.segments.push(part as u64);
                    node.rows.push(key as u32);
                    node.counts[query] += 1;
                }
            }
            nodes
        })
    }

    fn listed(hits: &Hits, query: usize) -> Vec<(f32, Key<'_>)> {
        let starts = hits.starts();
        (starts[query]..starts[query + 1]).map(|i| (hits.scores[i], hits.keys.get(i))).collect()
    }

    proptest! {
        #[test]
        fn reduce_is_a_sort_of_everything(nodes in dealt(3, 2), top_k in 1_usize..12) {
            let reduced = reduce(&nodes, top_k, "L2").unwrap();
            for query in 0..2 {
                let mut all: Vec<_> = nodes.iter().flat_map(|node| listed(node, query)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                all.truncate(top_k);
                prop_assert_eq!(listed(&reduced, query), all);
            }
        }

        #[test]
        fn slice_is_skip_and_take(nodes in dealt(1, 2), offset in 0_usize..8, limit in 0_usize..8) {
            let sliced = nodes[0].slice(offset, limit);
            for query in 0..2 {
                let all: Vec<_> = listed(&nodes[0], query).into_iter().skip(offset).take(limit).collect();
                prop_assert_eq!(listed(&sliced, query), all);
            }
        }

        #[test]
        fn decoding_gives_back_what_was_encoded(nodes in dealt(1, 3)) {
            prop_assert_eq!(&Hits::decode(&nodes[0].encode()).unwrap(), &nodes[0]);
        }

        #[test]
        fn damaged_bytes_never_panic(
            nodes in dealt(1, 2),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = nodes[0].encode();
            prop_assert!(Hits::decode(&bytes[..cut.index(bytes.len())]).is_err());
            let i = at.index(bytes.len());
            bytes[i] = to;
            let _ = Hits::decode(&bytes).map(|hits| hits.slice(1, 2));
        }
    }
}
