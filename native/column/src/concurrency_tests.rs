//! Readers beside writers: what they see is always some moment between two writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::Schema;

use crate::query::{QueryRequest, count, query};
use crate::segment::Segment;
use crate::testing::{Random, batch, keys, schema};

fn keys_at(segment: &Arc<Segment>, snapshot: u64) -> Vec<i64> {
    let segments = &[Arc::clone(segment)];
    let request = QueryRequest {
        segments,
        moment: snapshot.into(),
        filter: None,
        limit: None,
        fields: &[100],
        bytes_max: usize::MAX,
    };
    let rows = query(&request).expect("queries");
    let keys = Keys::of_column(&rows.columns[0].1).expect("keys");
    keys.iter().map(|key| if let Key::Int(key) = key { key } else { panic!("integers") }).collect()
}

fn write_batches(schema: &Schema, segment: &Segment, done: &AtomicU64) {
    let mut random = Random::new(1);
    for i in 0..300_i64 {
        let of: Vec<i64> = (i * 5..i * 5 + 5).collect();
        segment.append(batch(schema, &mut random, &of), i as u64 + 1).expect("appends");
        done.store(i as u64 + 1, Ordering::Release);
    }
}

#[test]
fn readers_see_whole_batches_in_order() {
    let schema = schema(false);
    let segment = Segment::growing(Arc::clone(&schema), 1);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| write_batches(&schema, &segment, &done));
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Acquire) < 300 {
                    let applied = done.load(Ordering::Acquire);
                    assert_eq!(keys_at(&segment, applied), (0..applied.cast_signed() * 5).collect::<Vec<_>>());
                    let newest = keys_at(&segment, u64::MAX);
                    assert!(newest.len().is_multiple_of(5) && newest.len() as u64 >= applied * 5);
                    assert_eq!(newest, (0..newest.len() as i64).collect::<Vec<_>>());
                }
            });
        }
    });
}

#[test]
fn an_upserted_key_is_there_exactly_once() {
    let schema = schema(false);
    let segment = Segment::growing(Arc::clone(&schema), 1);
    let of: Vec<i64> = (0..20).collect();
    segment.append(batch(&schema, &mut Random::new(2), &of), 1).expect("appends");
    let done = AtomicU64::new(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(3);
            for at in 2..400 {
                segment.append(batch(&schema, &mut random, &of), at).expect("appends");
                done.store(at, Ordering::Release);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Acquire) < 399 {
                    let at = done.load(Ordering::Acquire);
                    for snapshot in [1, at / 2 + 1, at, u64::MAX] {
                        assert_eq!(count(&[Arc::clone(&segment)], snapshot.into(), None).expect("counts"), 20);
                    }
                    assert_eq!(segment.find(&keys(&schema, &of), at.into()).expect("finds").len(), 20);
                }
            });
        }
    });
}
