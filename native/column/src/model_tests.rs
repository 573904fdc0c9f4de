//! Random writes, seals, merges and reopenings against a naive twin, read at many snapshots.

use std::sync::Arc;

use elanus_index::vector::Metric;
use elanus_rows::column::{Batch, Values};
use elanus_rows::groups::{GroupScorer, Grouping, group_at};
use elanus_rows::json_in::placeholders_from_json;
use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::Schema;

use crate::explain::Filtering;
use crate::grouping::GroupBy;
use crate::moment::Moment;
use crate::query::{QueryRequest, count, explain_count, query, retrieve};
use crate::search::{SearchRequest, explain, search};
use crate::segment::Segment;
use crate::testing::{DIM, Random, batch, filters, index, keys, plain, schema, seal};

/// Every row that was ever written, with when it came and went.
struct Twin {
    rows: Batch,
    keys: Vec<i64>,
    born: Vec<u64>,
    died: Vec<u64>,
}

impl Twin {
    fn new(schema: &Schema) -> Self {
        Self { rows: Batch::empty(schema), keys: Vec::new(), born: Vec::new(), died: Vec::new() }
    }

    fn delete(&mut self, keys: &[i64], at: u64) {
        for i in 0..self.keys.len() {
            if keys.contains(&self.keys[i]) && self.born[i] < at {
                self.died[i] = self.died[i].min(at);
            }
        }
    }

    fn append(&mut self, keys: &[i64], rows: &Batch, at: u64) {
        self.delete(keys, at);
        for (i, key) in keys.iter().enumerate() {
            self.keys.push(*key);
            self.born.push(at);
            // Of a key that stands twice the last row counts.
            self.died.push(if keys[i + 1..].contains(key) { at } else { u64::MAX });
        }
        self.rows.append(rows).expect("same schema");
    }

    /// Visible rows by ascending key.
    fn visible(&self, Moment { snapshot, expired }: Moment) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..self.keys.len() as u32)
            .filter(|&i| (expired + 1..=snapshot).contains(&self.born[i as usize]) && self.died[i as usize] > snapshot)
            .collect();
        rows.sort_by_key(|&i| self.keys[i as usize]);
        rows
    }
}

struct World {
    schema: Arc<Schema>,
    random: Random,
    twin: Twin,
    growing: Arc<Segment>,
    sealed: Vec<Arc<Segment>>,
    now: u64,
    /// Snapshots before this are gone.
    horizon: u64,
    next_id: u64,
}

impl World {
    fn new(seed: u64, text_key: bool) -> Self {
        let schema = schema(text_key);
        Self {
            twin: Twin::new(&schema),
            growing: Segment::growing(Arc::clone(&schema), 1),
            schema,
            random: Random::new(seed),
            sealed: Vec::new(),
            now: 10,
            horizon: 0,
            next_id: 2,
        }
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        self.sealed.iter().cloned().chain([Arc::clone(&self.growing)]).collect()
    }

    fn random_keys(&mut self, most: u64) -> Vec<i64> {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| self.random.below(60).cast_signed()).collect()
    }

    fn step(&mut self) {
        self.now += 1 + self.random.below(3);
        match self.random.below(12) {
            0..6 => self.append(),
            6..8 => {
                let doomed = self.random_keys(6);
                self.twin.delete(&doomed, self.now);
                self.delete(&doomed, self.now);
            }
            8 => self.seal(),
            9 => self.merge(),
            _ => self.reopen_deletes(),
        }
    }

    fn append(&mut self) {
        let of = self.random_keys(12);
        let rows = batch(&self.schema, &mut self.random, &of);
        self.twin.append(&of, &rows, self.now);
        self.growing.append(rows, self.now).expect("appends");
        for segment in &self.sealed {
            segment.delete(&keys(&self.schema, &of), self.now).expect("deletes");
        }
    }

    fn delete(&self, doomed: &[i64], at: u64) {
        for segment in self.segments() {
            let before = segment.deleted_count();
            let killed = segment.delete(&keys(&self.schema, doomed), at).expect("deletes");
            assert_eq!(segment.deleted_count(), before + killed);
            // Again, later: nothing moves.
            let deaths = segment.export_deletes().expect("exports");
            assert_eq!(segment.delete(&keys(&self.schema, doomed), at).expect("deletes"), 0);
            assert_eq!(segment.export_deletes().expect("exports"), deaths);
        }
    }

    fn seal(&mut self) {
        if self.growing.row_count() == 0 {
            return;
        }
        let sealed = seal(&self.growing).expect("opens");
        if self.random.below(2) == 0 {
            index(&sealed, 1, 103, "INVERTED", "").expect("indexes");
            index(&sealed, 2, 110, "FLAT", "L2").expect("indexes");
            assert_eq!(sealed.indexes(), [1, 2]);
        }
        self.sealed.push(sealed);
        self.growing = Segment::growing(Arc::clone(&self.schema), self.next_id);
        self.next_id += 1;
    }

    fn merge(&mut self) {
        if self.sealed.len() < 2 {
            return;
        }
        let drop_before = self.horizon + self.random.below(self.now - self.horizon);
        let first = self.random.below(self.sealed.len() as u64 - 1) as usize;
        let sources: Vec<Arc<Segment>> = self.sealed.drain(first..first + 2).collect();
        let merged = Segment::merge(Arc::clone(&self.schema), self.next_id, &sources, drop_before, 0).expect("merges");
        self.next_id += 1;
        // Deletes that come while the merge is being written are carried over.
        let started = self.now;
        self.now += 1;
        let doomed = self.random_keys(6);
        self.twin.delete(&doomed, self.now);
        self.delete(&doomed, self.now);
        sources.iter().for_each(|source| {
            source.delete(&keys(&self.schema, &doomed), self.now).expect("deletes");
        });
        let merged = seal(&merged).expect("opens");
        sources.iter().for_each(|source| {
            merged.carry_deletes(source, started).expect("carries");
        });
        self.sealed.push(merged);
        self.horizon = drop_before;
    }

    /// Deletes of one segment go through files into a copy that knows none or some of them.
    fn reopen_deletes(&mut self) {
        let Some(i) = (!self.sealed.is_empty()).then(|| self.random.below(self.sealed.len() as u64) as usize) else {
            return;
        };
        let known = self.sealed[i].export_deletes().expect("exports");
        self.sealed[i].import_deletes(&known.bytes).expect("imports");
        assert_eq!(self.sealed[i].export_deletes().expect("exports"), known);
    }

    fn check(&mut self) {
        let segments = self.segments();
        for _ in 0..4 {
            let snapshot = self.horizon + self.random.below(self.now - self.horizon + 3);
            let expired = [0, self.random.below(self.now)][self.random.below(2) as usize];
            let moment = Moment { snapshot, expired };
            let mut expected = self.twin.visible(moment);
            let filter = self.random_filter(&mut expected);
            let filter = filter.as_deref();
            assert_eq!(count(&segments, moment, filter).expect("counts"), expected.len() as u64);
            self.check_query(&segments, moment, filter, &expected);
            self.check_search(&segments, moment, filter, &expected);
        }
    }

    /// A filter or none; leaves the rows that pass it in `expected`.
    fn random_filter(&mut self, expected: &mut Vec<u32>) -> Option<Vec<u8>> {
        let mut asked = self.random_keys(9);
        asked.sort_unstable();
        asked.dedup();
        let most = self.random.below(1 << 16).cast_signed() - (1 << 15);
        let Values::Int32(small) = &self.twin.rows.columns[3].values else { panic!("integers") };
        let is_small = |row: &u32| i64::from(small[*row as usize]) <= most;
        let is_asked = |row: &u32| asked.contains(&self.twin.keys[*row as usize]);
        let asked_keys = keys(&self.schema, &asked);
        match self.random.below(4) {
            0 => {
                expected.retain(is_small);
                Some(filters::small(most))
            }
            1 => {
                expected.retain(is_asked);
                Some(filters::keys(&asked_keys))
            }
            2 => {
                expected.retain(|row| is_small(row) && is_asked(row));
                Some(filters::both(&asked_keys, most))
            }
            _ => None,
        }
    }

    fn check_query(&mut self, segments: &[Arc<Segment>], moment: Moment, filter: Option<&[u8]>, expected: &[u32]) {
        let limit = (self.random.below(2) == 0).then(|| self.random.below(20) as usize);
        let fields: Vec<u32> = self.schema.fields.iter().map(|field| field.id).collect();
        let request = QueryRequest { segments, moment, filter, limit, fields: &fields, bytes_max: usize::MAX };
        let rows = query(&request).expect("queries");
        let expected = &expected[..expected.len().min(limit.unwrap_or(usize::MAX))];
        assert_eq!(rows.row_count, expected.len());
        for ((id, column), all) in rows.columns.iter().zip(&self.twin.rows.columns) {
            assert_eq!(plain(column.clone()), plain(all.gather(expected)), "field {id} at {moment:?}");
        }
    }

    /// Grouping by a flag or a nullable integer keeps the best rows of the best groups; explaining changes nothing.
    fn check_grouped(
        &mut self,
        segments: &[Arc<Segment>],
        moment: Moment,
        filter: Option<&[u8]>,
        field: u32,
        placeholders: &[u8],
        scored: &[(f32, i64, u32)],
    ) {
        let position = if self.random.below(2) == 0 { 1 } else { 2 };
        let (groups, size) = (1 + self.random.below(4) as usize, 1 + self.random.below(3) as usize);
        let column = &self.twin.rows.columns[position];
        let mut expected: Vec<(Option<Key<'_>>, Vec<f32>)> = Vec::new();
        for &(score, _, row) in scored {
            let group = group_at(column, row as usize).expect("groups");
            match expected.iter_mut().find(|(known, _)| *known == group) {
                Some((_, members)) => members.push(score),
                None => expected.push((group, vec![score])),
            }
        }
        let expected = expected
            .into_iter()
            .take(groups)
            .map(|(group, members)| (group, members[..members.len().min(size)].to_vec()));
        let request = SearchRequest {
            segments,
            field,
            metric: Metric::L2.name(),
            placeholders,
            top_k: groups,
            moment,
            filter,
            params: "{}",
            radius: None,
            range_filter: None,
            after_score: None,
            group_by: Some(GroupBy { field: self.schema.fields[position].id, size, strict: true }),
            filter_late: false,
            exact: false,
        };
        let (hits, reports) = explain(&request).expect("explains");
        assert_eq!(search(&request).expect("searches"), hits);
        assert_eq!(reports.len(), segments.len());
        let grouping = Grouping { offset: 0, limit: groups, size, scorer: GroupScorer::Max, larger_is_better: false };
        let arranged = hits.grouped(&grouping);
        assert_eq!(arranged.len(), hits.len());
        let mut place = 0;
        for (group, members) in expected {
            for score in members {
                assert!((arranged.scores[place] - score).abs() < 1e-4, "place {place} of {groups} groups of {size}");
                let found = arranged.groups.as_ref().and_then(|groups| groups.get(place));
                assert!(found == group || scored.windows(2).any(|pair| pair[0].0 == pair[1].0), "{found:?} {group:?}");
                place += 1;
            }
        }
        assert_eq!(place, arranged.len());
    }

    fn check_search(&mut self, segments: &[Arc<Segment>], moment: Moment, filter: Option<&[u8]>, expected: &[u32]) {
        let vector: Vec<f32> = (0..DIM).map(|_| self.random.below(200) as f32 / 100.0 - 1.0).collect();
        let position = self.schema.position(if self.random.below(2) == 0 { 110 } else { 114 }).expect("there");
        let field = self.schema.fields[position].clone();
        let placeholders = placeholders_from_json(&field, format!("[{vector:?}]").as_bytes()).expect("encodes");
        let column = &self.twin.rows.columns[position];
        let Values::Fixed { width, data } = &column.values else { panic!("vectors") };
        let mut scored: Vec<(f32, i64, u32)> = expected
            .iter()
            .filter(|&&row| column.is_valid(row as usize))
            .map(|&row| {
                let bytes = &data[row as usize * width..(row as usize + 1) * width];
                let values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
                let score = values.zip(&vector).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
                (score, self.twin.keys[row as usize], row)
            })
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.check_grouped(segments, moment, filter, field.id, &placeholders, &scored);
        scored.truncate(7);
        let hits = search(&SearchRequest {
            segments,
            field: field.id,
            metric: Metric::L2.name(),
            placeholders: &placeholders,
            top_k: 7,
            moment,
            filter,
            params: "{}",
            radius: None,
            range_filter: None,
            after_score: None,
            group_by: None,
            filter_late: false,
            exact: false,
        })
        .expect("searches");
        assert_eq!(hits.counts, [scored.len() as u32]);
        for (i, (score, ..)) in scored.iter().enumerate() {
            assert!((hits.scores[i] - score).abs() < 1e-4, "score {i}: {} and {score}", hits.scores[i]);
        }
        let rows = retrieve(segments, &hits, &[100, 107, 110]).expect("retrieves");
        assert_eq!(rows.row_count, scored.len());
        for (i, &position) in rows.positions.iter().enumerate() {
            let own = &[i as u32];
            let key = Keys::of_column(&rows.columns[0].1.gather(own)).expect("keys");
            assert_eq!(key.get(0), hits.keys.get(position as usize));
            let row = expected.iter().find(|&&row| key == keys(&self.schema, &[self.twin.keys[row as usize]]));
            let row = *row.expect("a visible row");
            for (n, position) in [(1, 7), (2, 10)] {
                let all = &self.twin.rows.columns[position];
                assert_eq!(plain(rows.columns[n].1.gather(own)), plain(all.gather(&[row])));
            }
        }
    }
}

fn run(seed: u64, text_key: bool, steps: usize) {
    let mut world = World::new(seed, text_key);
    for _ in 0..steps {
        world.step();
        if world.random.below(3) == 0 {
            world.check();
        }
    }
    world.check();
}

#[test]
fn equals_the_twin() {
    for seed in 1..=20 {
        run(seed, seed % 3 == 0, 80);
    }
}

#[test]
fn late_rows_find_their_place() {
    let schema = schema(false);
    let mut random = Random::new(5);
    let segment = Segment::growing(Arc::clone(&schema), 1);
    for at in [10, 30, 20, 20, 5] {
        segment.append(batch(&schema, &mut random, &[1]), at).expect("appends");
    }
    for (snapshot, expected) in [(4, 0), (5, 1), (10, 1), (20, 1), (29, 1), (30, 1), (99, 1)] {
        let found = count(&[Arc::clone(&segment)], snapshot.into(), None).expect("counts");
        assert_eq!(found, expected, "at {snapshot}");
    }
    assert_eq!(segment.delete(&keys(&schema, &[1]), 25).expect("deletes"), 0);
    assert_eq!(count(&[Arc::clone(&segment)], 25.into(), None).expect("counts"), 0);
    let copy = seal(&segment).expect("opens");
    assert_eq!(copy.export_deletes().expect("exports"), segment.export_deletes().expect("exports"));
}

#[test]
fn a_merge_leaves_expired_rows_out() {
    let schema = schema(false);
    let mut random = Random::new(5);
    let sealed = |number: i64, random: &mut Random| {
        let segment = Segment::growing(Arc::clone(&schema), number as u64);
        for at in 0..10 {
            let key = number * 10 + at;
            segment.append(batch(&schema, random, &[key]), (at as u64 + 1) * 10).expect("appends");
        }
        seal(&segment).expect("opens")
    };
    let sources = [sealed(1, &mut random), sealed(2, &mut random)];
    sources[0].delete(&keys(&schema, &[19]), 150).expect("deletes");
    let merged = seal(&Segment::merge(Arc::clone(&schema), 3, &sources, 0, 60).expect("merges")).expect("opens");
    assert_eq!((merged.row_count(), merged.timestamp_min()), (8, 70));
    for snapshot in [60, 85, 149, 150] {
        let moment = Moment { snapshot, expired: 60 };
        let before = count(&sources, moment, None).expect("counts");
        assert_eq!(count(&[Arc::clone(&merged)], moment, None).expect("counts"), before);
    }
    assert_eq!(Segment::merge(Arc::clone(&schema), 4, &sources, 0, 100).expect("merges").row_count(), 0);
}

#[test]
fn a_segment_whose_bounds_rule_the_filter_out_is_not_read() {
    let schema = schema(false);
    let sealed = |number: i64| {
        let segment = Segment::growing(Arc::clone(&schema), number as u64);
        let of: Vec<i64> = (number * 100..number * 100 + 50).collect();
        let mut rows = batch(&schema, &mut Random::new(number as u64), &of);
        rows.columns[3].values = Values::Int32((0..50).map(|i| (number * 100 + i) as i32).collect());
        segment.append(rows, 10).expect("appends");
        seal(&segment).expect("opens")
    };
    let segments = [sealed(1), sealed(2)];
    for (filter, expected) in [
        (filters::small(120), [21, 0]),
        (filters::small(99), [0, 0]),
        (filters::small(210), [50, 11]),
        (filters::keys(&keys(&schema, &[205, 206])), [0, 2]),
    ] {
        let (total, reports) = explain_count(&segments, 99.into(), Some(&filter)).expect("counts");
        assert_eq!(total, expected.iter().sum::<u64>());
        for (report, rows) in reports.iter().zip(expected) {
            assert_eq!(report.filtering == Filtering::Pruned, rows == 0, "{report:?}");
            assert_eq!(report.search.visited, rows);
        }
        let request = QueryRequest {
            segments: &segments,
            moment: 99.into(),
            filter: Some(&filter),
            limit: None,
            fields: &[103],
            bytes_max: usize::MAX,
        };
        assert_eq!(query(&request).expect("queries").row_count as u64, total);
    }
}

#[test]
fn deletes_of_another_segment_are_refused() {
    let schema = schema(false);
    let mut random = Random::new(6);
    let of = |count: i64, random: &mut Random| {
        let segment = Segment::growing(Arc::clone(&schema), 1);
        segment.append(batch(&schema, random, &(0..count).collect::<Vec<_>>()), 5).expect("appends");
        segment.delete(&keys(&schema, &[0]), 6).expect("deletes");
        segment
    };
    let (small, large) = (of(3, &mut random), of(4, &mut random));
    let deletes = large.export_deletes().expect("exports");
    assert_eq!(seal(&small).expect("opens").import_deletes(&deletes.bytes).expect_err("refused").kind(), "fileCorrupt");
}
