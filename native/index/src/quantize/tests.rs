//! Every quantiser: codes decode to something near, and keys are what the decoded vectors give by definition.

use elanus_kernels::scan::BLOCK;

use super::{Form, Kind, Quantizer, Vectors, block_bytes, dot, fill_block};
use crate::progress::Progress;
use crate::testing::Dice;

const DIM: usize = 48;

/// Kinds with the largest mean squared error they may have, as a share of the vectors' mean square.
const KINDS: [(Kind, f32); 11] = [
    (Kind::Scalar { bits: 8 }, 0.0001),
    (Kind::Scalar { bits: 6 }, 0.002),
    (Kind::Scalar { bits: 4 }, 0.02),
    (Kind::RaBitQ { bits: 1 }, 0.8),
    (Kind::RaBitQ { bits: 3 }, 0.08),
    (Kind::RaBitQ { bits: 9 }, 0.0001),
    (Kind::Product { splits: 12, steps: 1, bits: 8, parallel_weight: 1.0 }, 0.4),
    (Kind::Product { splits: 24, steps: 1, bits: 4, parallel_weight: 1.0 }, 0.2),
    (Kind::Product { splits: 12, steps: 3, bits: 6, parallel_weight: 1.0 }, 0.1),
    (Kind::Product { splits: 24, steps: 1, bits: 4, parallel_weight: 4.0 }, 0.3),
    (Kind::Half { brain: false }, 0.00001),
];

fn vectors(count: usize, seed: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    (0..count * DIM).map(|_| dice.float() + dice.float() * 0.5).collect()
}

fn trained(kind: Kind, form: Form, sample: &[f32]) -> Quantizer {
    let sample = Vectors { values: sample, dim: DIM };
    let quantizer = Quantizer::train(kind, form, sample, 2, &Progress::default()).expect("trained");
    // Once through its stored form.
    Quantizer::open(kind, form, DIM, &quantizer.state()).expect("whole")
}

fn encoded(quantizer: &Quantizer, rows: &[f32], centre: &[f32]) -> Vec<u8> {
    let mut records = vec![0; rows.len() / DIM * quantizer.record_bytes()];
    for (rows, records) in rows.chunks(DIM * 64).zip(records.chunks_mut(quantizer.record_bytes() * 64)) {
        let residuals: Vec<f32> = rows.iter().enumerate().map(|(at, value)| value - centre[at % DIM]).collect();
        quantizer.encode(&residuals, rows, &vec![centre; rows.len() / DIM], records);
    }
    records
}

#[test]
fn codes_stand_for_what_is_near() {
    let (sample, centre) = (vectors(2_000, 1), vec![0.0; DIM]);
    for (kind, limit) in KINDS {
        let quantizer = trained(kind, Form::SquaredDistance, &sample);
        let records = encoded(&quantizer, &sample, &centre);
        let (mut error, mut square) = (0.0, 0.0);
        let mut decoded = vec![0f32; DIM];
        for (row, record) in sample.chunks(DIM).zip(records.chunks(quantizer.record_bytes())) {
            quantizer.decode(record, &mut decoded);
            error += row.iter().zip(&decoded).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
            square += dot(row, row);
        }
        assert!(error <= limit * square, "{kind:?}: {} of {limit}", error / square);
    }
}

/// Keys of records and of blocks, against the distance from what the record decodes to. RaBitQ uses the vector's own
/// length, which for its codes is the better estimate; the oracle does the same.
#[test]
fn keys_are_distances_to_what_codes_stand_for() {
    let sample = vectors(700, 2);
    let centre: Vec<f32> = sample[..DIM].iter().map(|value| value * 0.3).collect();
    let rows = &sample[..DIM * 100];
    let query = vectors(1, 3);
    for form in [Form::SquaredDistance, Form::NegativeDot] {
        for (kind, _) in KINDS {
            let plain = matches!(kind, Kind::Half { .. });
            let centre = if plain { vec![0.0; DIM] } else { centre.clone() };
            let quantizer = trained(kind, form, &sample);
            let records = encoded(&quantizer, rows, &centre);
            let from_centre: Vec<f32> = query.iter().zip(&centre).map(|(q, c)| q - c).collect();
            let squared = form == Form::SquaredDistance;
            let base = if squared { dot(&from_centre, &from_centre) } else { -dot(&query, &centre) };
            let by_record = quantizer.record_query(&query, base);
            let by_block = quantizer.block_query(&query);
            let mut block = elanus_kernels::AlignedBuf::zeroed(block_bytes(&quantizer));
            let (mut decoded, mut keys) = (vec![0f32; DIM], [0f32; BLOCK]);
            for (number, record) in records.chunks(quantizer.record_bytes()).enumerate() {
                if number % BLOCK == 0 && !plain {
                    let rest = &records[number * quantizer.record_bytes()..];
                    let own = &rest[..rest.len().min(BLOCK * quantizer.record_bytes())];
                    fill_block(&quantizer, own, &mut block);
                    let mask = by_block.scan(&block, base, f32::INFINITY, &mut keys);
                    assert_eq!(mask.count_ones() as usize, (100 - number).min(BLOCK), "{kind:?}");
                }
                quantizer.decode(record, &mut decoded);
                let residual: Vec<f32> =
                    rows[number * DIM..(number + 1) * DIM].iter().zip(&centre).map(|(x, c)| x - c).collect();
                let square = match kind {
                    Kind::RaBitQ { .. } => dot(&residual, &residual),
                    _ => dot(&decoded, &decoded),
                };
                let expected = if squared {
                    base + square - 2.0 * dot(&from_centre, &decoded)
                } else {
                    base - dot(&query, &decoded)
                };
                let tolerance = 0.02 * (dot(&query, &query) * dot(&decoded, &decoded)).sqrt();
                let key = by_record.key(record);
                assert!((key - expected).abs() <= tolerance, "{kind:?} {form:?}: {key} {expected}");
                let key = if plain { expected } else { keys[number % BLOCK] };
                assert!((key - expected).abs() <= tolerance, "{kind:?} {form:?} block: {key} {expected}");
            }
            assert_eq!(by_record.key(&records[..1]), f32::INFINITY);
        }
    }
}

#[test]
fn rabitq_is_unbiased() {
    let rows = vectors(2_000, 5);
    let query = vectors(1, 6);
    let quantizer = trained(Kind::RaBitQ { bits: 1 }, Form::NegativeDot, &rows);
    let records = encoded(&quantizer, &rows, &[0.0; DIM]);
    let estimate = quantizer.record_query(&query, 0.0);
    let (mut error, mut spread) = (0f64, 0f64);
    for (row, record) in rows.chunks(DIM).zip(records.chunks(quantizer.record_bytes())) {
        error += f64::from(estimate.key(record) + dot(row, &query));
        spread += f64::from(dot(row, row) * dot(&query, &query)).sqrt();
    }
    assert!(error.abs() < 0.01 * spread, "{error} of {spread}");
}

#[test]
fn parallel_weights_turn_errors_across_the_vector() {
    let rows = vectors(1_500, 8);
    let along = |weight: f32| {
        let kind = Kind::Product { splits: 24, steps: 1, bits: 4, parallel_weight: weight };
        let quantizer = trained(kind, Form::NegativeDot, &rows);
        let records = encoded(&quantizer, &rows, &[0.0; DIM]);
        let mut decoded = vec![0f32; DIM];
        let error = |(row, record): (&[f32], &[u8])| {
            quantizer.decode(record, &mut decoded);
            (dot(row, &decoded) - dot(row, row)).powi(2)
        };
        rows.chunks(DIM).zip(records.chunks(quantizer.record_bytes())).map(error).sum::<f32>()
    };
    assert!(along(8.0) < 0.5 * along(1.0));
}

#[test]
fn zero_vectors_and_small_samples_work() {
    for (kind, _) in KINDS {
        let rows = vec![0f32; DIM * 3];
        let quantizer = trained(kind, Form::SquaredDistance, &rows);
        let records = encoded(&quantizer, &rows, &[0.0; DIM]);
        let query = vectors(1, 9);
        let key = quantizer.record_query(&query, dot(&query, &query)).key(&records[..quantizer.record_bytes()]);
        assert!((key - dot(&query, &query)).abs() < 1e-3 * key, "{kind:?} {key}");
    }
}
