//! Every level against the scalar twin.

use proptest::prelude::*;

use super::{DistanceKernel, Element, Isa, Metric, code_dot, nibble_dot};

const FLOATS: [Element; 3] = [Element::F32, Element::F16, Element::Bf16];

/// Values as little-endian bytes of `element`, and what they are after rounding.
fn encode(element: Element, values: &[f32]) -> Vec<u8> {
    match element {
        Element::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Element::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        Element::Bf16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        Element::I8 => values.iter().map(|&v| (v as i8).cast_unsigned()).collect(),
        Element::Bit => values.iter().map(|&v| v as i8 as u8).collect(),
    }
}

fn close(fast: f32, twin: f32, scale: f32) -> bool {
    (fast - twin).abs() <= 1e-5 * scale.max(1.0)
}

/// One unaligned copy of `bytes`: kernels must not need alignment.
fn shifted(bytes: &[u8], by: usize) -> Vec<u8> {
    [&vec![0xAB; by][..], bytes].concat()
}

proptest! {
    #[test]
    fn float_kernels_agree_with_the_twin(
        pairs in prop::collection::vec((-8.0f32..8.0, -8.0f32..8.0), 1..200), shift in 0usize..4,
    ) {
        let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        for element in FLOATS {
            let query = shifted(&encode(element, &x), shift);
            let row = shifted(&encode(element, &y), 3 - shift);
            for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
                let twin = DistanceKernel::choose(metric, element, Isa::scalar()).expect("fits");
                let expected = twin.scorer(&query[shift..]).score(&row[3 - shift..]);
                for isa in Isa::available() {
                    let kernel = DistanceKernel::choose(metric, element, isa).expect("fits");
                    let scorer = kernel.scorer(&query[shift..]);
                    let score = scorer.score(&row[3 - shift..]);
                    let scale = if metric == Metric::Cosine { 1.0 } else { x.len() as f32 * 64.0 };
                    let case = format!("{metric:?} {element:?} {}: {score} {expected}", isa.name());
                    prop_assert!(close(score, expected, scale), "{case}");
                    let four = scorer.score4([&row[3 - shift..], &query[shift..], &row[3 - shift..], &query[shift..]]);
                    prop_assert_eq!([four[0], four[2]], [score, score]);
                    prop_assert_eq!(four[1], scorer.score(&query[shift..]));
                }
            }
        }
    }

    #[test]
    fn integer_and_bit_kernels_agree_exactly(
        pairs in prop::collection::vec((any::<u8>(), any::<u8>()), 0..400), shift in 0usize..4,
    ) {
        let (x, y): (Vec<u8>, Vec<u8>) = pairs.into_iter().unzip();
        let (query, row) = (shifted(&x, shift), shifted(&y, 1));
        let (query, row) = (&query[shift..], &row[1..]);
        let cases = [
            (Metric::L2, Element::I8), (Metric::Ip, Element::I8), (Metric::Cosine, Element::I8),
            (Metric::Hamming, Element::Bit), (Metric::Jaccard, Element::Bit),
        ];
        for isa in Isa::available() {
            for (metric, element) in cases {
                let twin = DistanceKernel::choose(metric, element, Isa::scalar()).expect("fits");
                let kernel = DistanceKernel::choose(metric, element, isa).expect("fits");
                prop_assert_eq!(kernel.scorer(query).score(row), twin.scorer(query).score(row));
            }
            prop_assert_eq!(code_dot(isa)(query, row), code_dot(Isa::scalar())(query, row));
            // Containment and equal elements must happen for a difference to show.
            let part: Vec<u8> = query.iter().zip(row).map(|(x, y)| x & y).collect();
            let mixed: Vec<u8> = query.iter().zip(row).map(|(x, y)| if y % 3 == 0 { *x } else { *y }).collect();
            for metric in [Metric::Substructure, Metric::Superstructure] {
                let twin = DistanceKernel::choose(metric, Element::Bit, Isa::scalar()).expect("fits");
                let kernel = DistanceKernel::choose(metric, Element::Bit, isa).expect("fits");
                for (a, b) in [(query, row), (query, &part[..]), (&part[..], row)] {
                    prop_assert_eq!(kernel.scorer(a).score(b), twin.scorer(a).score(b));
                }
            }
            for width in 1..=32 {
                let twin = DistanceKernel::min_hash(width, Isa::scalar()).expect("fits");
                let kernel = DistanceKernel::min_hash(width, isa).expect("fits");
                prop_assert_eq!(kernel.scorer(query).score(&mixed), twin.scorer(query).score(&mixed));
            }
            let code = &row[..query.len() / 2];
            let query = &query[..code.len() * 2];
            prop_assert_eq!(nibble_dot(isa)(code, query), nibble_dot(Isa::scalar())(code, query));
        }
    }
}

#[test]
fn extremes_of_signed_bytes_do_not_overflow() {
    let (low, high) = (vec![0x80; 32_768], vec![0x7F; 32_768]);
    for isa in Isa::available() {
        let kernel = DistanceKernel::choose(Metric::L2, Element::I8, isa).expect("fits");
        assert_eq!(kernel.scorer(&low).score(&high), (255.0 * 255.0) * 32_768.0);
    }
}

#[test]
fn cosine_of_zero_is_zero_and_of_itself_is_one() {
    let zero = encode(Element::F32, &[0.0; 5]);
    let some = encode(Element::F32, &[1.0, -2.0, 3.0, 0.5, 4.0]);
    for isa in Isa::available() {
        let kernel = DistanceKernel::choose(Metric::Cosine, Element::F32, isa).expect("fits");
        assert_eq!(kernel.scorer(&zero).score(&some), 0.0);
        assert_eq!(kernel.scorer(&some).score(&zero), 0.0);
        assert!((kernel.scorer(&some).score(&some) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn structures_and_signatures_as_they_are_defined() {
    for isa in Isa::available() {
        let score = |metric, query: &[u8], row: &[u8]| {
            DistanceKernel::choose(metric, Element::Bit, isa).expect("fits").scorer(query).score(row)
        };
        assert_eq!(score(Metric::Substructure, &[0b111], &[0b101]), 0.0);
        assert_eq!(score(Metric::Substructure, &[0b101], &[0b111]), 1.0);
        assert_eq!(score(Metric::Superstructure, &[0b101], &[0b111]), 0.0);
        assert_eq!(score(Metric::Superstructure, &[0b111], &[0b101]), 1.0);
        assert_eq!(score(Metric::MhJaccard, &[1, 2, 3, 4], &[1, 2, 0, 4]), 0.75);
        let halves = DistanceKernel::min_hash(2, isa).expect("fits");
        assert_eq!(halves.scorer(&[1, 2, 3, 4, 9]).score(&[1, 2, 0, 4, 9]), 0.5);
        assert!(DistanceKernel::min_hash(33, isa).is_none() && DistanceKernel::min_hash(0, isa).is_none());
    }
}

#[test]
fn metrics_that_do_not_fit_the_element_are_refused() {
    assert!(DistanceKernel::choose(Metric::L2, Element::Bit, Isa::detect()).is_none());
    assert!(DistanceKernel::choose(Metric::Hamming, Element::F32, Isa::detect()).is_none());
    assert_eq!(Metric::from_name("cosine"), Some(Metric::Cosine));
    assert_eq!(Metric::from_name("bm25"), Some(Metric::Bm25));
    assert!(DistanceKernel::choose(Metric::Bm25, Element::F32, Isa::detect()).is_none());
    assert_eq!(Metric::from_name("DTW"), None);
}
