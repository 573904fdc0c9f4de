//! Searches of growing segments by lists, beside exact ones.

use std::collections::HashMap;
use std::sync::Arc;

use elanus_rows::hits::Hits;
use elanus_rows::json_in::placeholders_from_json;
use elanus_rows::keys::Keys;
use elanus_rows::schema::Schema;

use crate::explain::SegmentReport;
use crate::search::{SearchRequest, explain};
use crate::segment::Segment;
use crate::testing::{DIM, Random, batch, filters, keys, schema};

/// Rows of one write: so many that their chunk is not merged with others.
const ROWS: i64 = 4_200;

struct Asked<'a> {
    segment: &'a Arc<Segment>,
    field: u32,
    metric: &'a str,
    top_k: usize,
    snapshot: u64,
    filter: Option<&'a [u8]>,
    radius: Option<f32>,
    exact: bool,
}

impl Asked<'_> {
    fn run(&self, random: &mut Random) -> (Hits, SegmentReport) {
        let schema = self.segment.schema();
        let field = schema.by_id(self.field).expect("field");
        let vectors: Vec<Vec<f32>> =
            (0..8).map(|_| (0..DIM).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()).collect();
        let text = serde_json::to_vec(&vectors).expect("vectors");
        let placeholders = placeholders_from_json(field, &text).expect("placeholders");
        let request = SearchRequest {
            segments: &[Arc::clone(self.segment)],
            field: self.field,
            metric: self.metric,
            placeholders: &placeholders,
            top_k: self.top_k,
            moment: self.snapshot.into(),
            filter: self.filter,
            params: "{}",
            radius: self.radius,
            range_filter: None,
            after_score: None,
            group_by: None,
            filter_late: false,
            exact: self.exact,
        };
        let (hits, mut reports) = explain(&request).expect("searches");
        (hits, reports.swap_remove(0))
    }

    /// Share of the exact hits that are found; scores must be exact, and all hits rows that exact search may find.
    fn recall(&self, seed: u64) -> f64 {
        let (near, _) = Self { exact: false, ..*self }.run(&mut Random::new(seed));
        let (exact, report) = Self { exact: true, ..*self }.run(&mut Random::new(seed));
        assert_eq!(report.search.plans, ["exact scan"]);
        assert_eq!(near.counts, exact.counts);
        let (all, _) = Self { exact: true, top_k: 16_000, ..*self }.run(&mut Random::new(seed));
        let (mut found, mut near_from, mut exact_from, mut all_from) = (0, 0, 0, 0);
        for query in 0..near.counts.len() {
            let ends = [near.counts[query], exact.counts[query], all.counts[query]].map(|count| count as usize);
            let scores: HashMap<u32, f32> =
                (all_from..all_from + ends[2]).map(|i| (all.rows[i], all.scores[i])).collect();
            let wanted = &exact.rows[exact_from..exact_from + ends[1]];
            for i in near_from..near_from + ends[0] {
                assert_eq!(scores.get(&near.rows[i]), Some(&near.scores[i]), "row {}", near.rows[i]);
                found += usize::from(wanted.contains(&near.rows[i]));
            }
            [near_from, exact_from, all_from] = [near_from + ends[0], exact_from + ends[1], all_from + ends[2]];
        }
        found as f64 / exact.rows.len().max(1) as f64
    }
}

fn grown(schema: &Arc<Schema>, batches: i64) -> Arc<Segment> {
    let segment = Segment::growing(Arc::clone(schema), 1);
    let mut random = Random::new(7);
    for number in 0..batches {
        let of: Vec<i64> = (number * ROWS..(number + 1) * ROWS).collect();
        segment.append(batch(schema, &mut random, &of), 10 + number as u64).expect("appends");
    }
    segment
}

/// The ten nearest of all rows by the first field.
fn ten_nearest(segment: &Arc<Segment>) -> Asked<'_> {
    Asked { segment, field: 110, metric: "L2", top_k: 10, snapshot: u64::MAX, filter: None, radius: None, exact: false }
}

#[test]
fn lists_find_what_exact_search_finds() {
    let schema = schema(false);
    let segment = grown(&schema, 3);
    let mut random = Random::new(11);
    let asked = ten_nearest(&segment);
    let before = segment.byte_size();
    // The first search compares the rows and asks for lists.
    assert_eq!(asked.run(&mut random).1.search.plans, ["exact scan"]);
    segment.settle();
    assert_eq!(asked.run(&mut random).1.search.plans, ["growing lists"]);
    assert!(segment.byte_size() > before + 3 * ROWS as usize * DIM);

    // Rows that came since and tombstones count at once.
    segment.append(batch(&schema, &mut random, &[5, 6, 100_000]), 20).expect("appends");
    segment.delete(&keys(&schema, &(0..2_000).collect::<Vec<_>>()), 30).expect("deletes");
    let plans = asked.run(&mut random).1.search.plans;
    assert_eq!(plans, ["growing lists", "exact scan"]);
    let small = filters::small(-20_000);
    let few = filters::keys(&Keys::Int((3_000..3_040).collect()));
    for snapshot in [10, 11, 19, 25, u64::MAX] {
        for filter in [None, Some(small.as_slice()), Some(few.as_slice())] {
            for top_k in [1, 10, 100] {
                let share = Asked { snapshot, filter, top_k, ..asked }.recall(snapshot.wrapping_add(3));
                assert!(share >= 0.95, "recall {share} at {snapshot}, top {top_k}, filter {}", filter.is_some());
            }
        }
    }
    let (within, report) = Asked { radius: Some(1.5), top_k: 500, ..asked }.run(&mut random);
    assert_eq!(report.search.plans, ["exact scan"]);
    assert!(within.scores.iter().all(|&score| score < 1.5));
}

#[test]
fn every_metric_and_nullable_field_has_lists_of_its_own() {
    let schema = schema(false);
    let segment = grown(&schema, 3);
    for (field, metric) in [(110, "COSINE"), (110, "IP"), (114, "L2")] {
        let of = Asked {
            segment: &segment,
            field,
            metric,
            top_k: 10,
            snapshot: u64::MAX,
            filter: None,
            radius: None,
            exact: false,
        };
        of.run(&mut Random::new(3));
        segment.settle();
        assert_eq!(of.run(&mut Random::new(3)).1.search.plans, ["growing lists"]);
        let share = of.recall(17);
        assert!(share >= 0.95, "recall {share} of field {field}, {metric}");
    }
}

#[test]
fn lists_are_made_anew_when_there_are_many_more_rows() {
    let schema = schema(false);
    let segment = grown(&schema, 1);
    let asked = ten_nearest(&segment);
    asked.run(&mut Random::new(3));
    segment.settle();
    let mut random = Random::new(8);
    for number in 1..5 {
        let of: Vec<i64> = (number * ROWS..(number + 1) * ROWS).collect();
        segment.append(batch(&schema, &mut random, &of), 20 + number as u64).expect("appends");
        assert!(asked.run(&mut random).1.search.plans.contains(&"growing lists"));
        segment.settle();
        assert_eq!(asked.run(&mut random).1.search.plans, ["growing lists"]);
        assert!(asked.recall(number as u64) >= 0.95);
    }
}
