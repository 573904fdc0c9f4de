//! Fusing the hits of several searches into one list (contract/grpc.md 6.4, contract/expressions.md 22).

use std::collections::HashMap;
use std::f32::consts::PI;

use crate::error::{NativeError, Result};
use crate::hits::{Hits, compare_scores};
use crate::metric::{self, Scale};

const RRF_K_MAX: f32 = 16_384.0;

/// How lists are fused.
#[derive(Clone, Debug)]
pub enum Fusion {
    /// Reciprocal rank fusion: the sum of `1 / (k + rank)`.
    Rrf { k: f32 },
    /// The weighted sum of scores, each brought to 0..1 before when `normalise`.
    Weighted { weights: Vec<f32>, normalise: bool },
}

/// Fuses the hits of searches over the same collection; `metrics` names each search's metric. The best `top_k` of
/// each query stay; equal scores by smaller key.
///
/// # Errors
/// `InvalidParameter` in Milvus's words when the fusion's parameters are wrong.
pub fn fuse(parts: &[Hits], fusion: &Fusion, metrics: &[String], top_k: usize) -> Result<Hits> {
    let first = parts.first().ok_or_else(|| NativeError::Internal("no hits to rank".to_owned()))?;
    if metrics.len() != parts.len() || parts.iter().any(|part| part.counts.len() != first.counts.len()) {
        return Err(NativeError::Internal("searches of one ranking do not match".to_owned()));
    }
    let scorer = Scorer::new(fusion, metrics)?;
    let starts: Vec<Vec<usize>> = parts.iter().map(Hits::starts).collect();
    let nq = first.counts.len();
    let mut fused = Hits::like(parts, nq).unwrap_or_else(|| Hits::empty(nq, false));
    for query in 0..first.counts.len() {
        let mut scores = HashMap::new();
        let mut found = Vec::new();
        for (part, (hits, starts)) in parts.iter().zip(&starts).enumerate() {
            for (rank, i) in (starts[query]..starts[query + 1]).enumerate() {
                let score = scores.entry(hits.keys.get(i)).or_insert_with(|| {
                    found.push((part, i));
                    0.0_f32
                });
                *score += scorer.score(part, rank, hits.scores[i]);
            }
        }
        let key_of = |&(part, i): &(usize, usize)| parts[part].keys.get(i);
        let score_of = |place: &(usize, usize)| scores.get(&key_of(place)).copied().unwrap_or(0.0);
        found.sort_by(|a, b| {
            let by_score = compare_scores(score_of(a), score_of(b), scorer.larger_is_better);
            by_score.then_with(|| key_of(a).cmp(&key_of(b)))
        });
        for place in found.iter().take(top_k) {
            fused.push_from(&parts[place.0], place.1)?;
            if let Some(score) = fused.scores.last_mut() {
                *score = score_of(place);
            }
            fused.counts[query] += 1;
        }
    }
    Ok(fused)
}

/// Whether a larger fused score is better.
///
/// # Errors
/// As [`fuse`].
pub fn larger_is_better(fusion: &Fusion, metrics: &[String]) -> Result<bool> {
    Ok(Scorer::new(fusion, metrics)?.larger_is_better)
}

struct Scorer<'a> {
    fusion: &'a Fusion,
    scales: Vec<Scale>,
    mixed: bool,
    larger_is_better: bool,
}

impl<'a> Scorer<'a> {
    fn new(fusion: &'a Fusion, metrics: &[String]) -> Result<Self> {
        let scales = metrics.iter().map(|metric| metric::scale(metric)).collect::<Result<Vec<_>>>()?;
        let distances = scales.iter().filter(|&&scale| scale == Scale::Distance).count();
        let mixed = distances > 0 && distances < scales.len();
        let larger_is_better = match fusion {
            Fusion::Rrf { k } => {
                check_k(*k)?;
                true
            }
            Fusion::Weighted { weights, normalise } => {
                check_weights(weights, scales.len())?;
                *normalise || distances < scales.len()
            }
        };
        Ok(Self { fusion, scales, mixed, larger_is_better })
    }

    fn score(&self, part: usize, rank: usize, score: f32) -> f32 {
        match self.fusion {
            Fusion::Rrf { k } => 1.0 / (k + (rank + 1) as f32),
            Fusion::Weighted { weights, normalise } => {
                weights[part] * self.brought_to_scale(self.scales[part], score, *normalise)
            }
        }
    }

    fn brought_to_scale(&self, scale: Scale, score: f32, normalise: bool) -> f32 {
        match scale {
            Scale::Distance if normalise || self.mixed => 1.0 - 2.0 * score.atan() / PI,
            _ if !normalise => score,
            Scale::Cosine => (1.0 + score) * 0.5,
            Scale::Similarity => 0.5 + score.atan() / PI,
            Scale::Relevance => 2.0 * score.atan() / PI,
            Scale::Distance => score,
        }
    }
}

fn check_k(k: f32) -> Result<()> {
    if k > 0.0 && k < RRF_K_MAX {
        return Ok(());
    }
    Err(NativeError::InvalidParameter("The rank params k should be in range (0, 16384)".to_owned()))
}

fn check_weights(weights: &[f32], expected: usize) -> Result<()> {
    if weights.len() != expected {
        return Err(NativeError::Unexpected {
            message: "the length of weights param mismatch with ann search requests".to_owned(),
            expected: expected.to_string(),
            actual: weights.len().to_string(),
        });
    }
    if weights.iter().any(|weight| !(0.0..=1.0).contains(weight)) {
        return Err(NativeError::InvalidParameter("rank param weight should be in range [0, 1]".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Key, Keys};

    fn hits(found: &[(i64, f32)]) -> Hits {
        Hits {
            counts: vec![found.len() as u32],
            scores: found.iter().map(|&(_, score)| score).collect(),
            segments: vec![1; found.len()],
            rows: vec![0; found.len()],
            keys: Keys::Int(found.iter().map(|&(key, _)| key).collect()),
            groups: None,
        }
    }

    fn fused(parts: &[Hits], fusion: &Fusion, metrics: [&str; 2]) -> Vec<(i64, f32)> {
        let metrics = metrics.map(str::to_owned);
        let fused = fuse(parts, fusion, &metrics, 10).unwrap();
        let keys = fused.keys.iter().map(|key| if let Key::Int(key) = key { key } else { 0 });
        keys.zip(fused.scores.iter().copied()).collect()
    }

    #[test]
    fn rrf_adds_reciprocal_ranks_and_breaks_ties_by_key() {
        let parts = [hits(&[(1, 0.9), (2, 0.8)]), hits(&[(2, 5.0), (3, 4.0), (1, 3.0)])];
        let fused = fused(&parts, &Fusion::Rrf { k: 60.0 }, ["IP", "IP"]);
        let [first, second, third] = [1.0 / 61.0_f32, 1.0 / 62.0, 1.0 / 63.0];
        assert_eq!(fused, [(2, second + first), (1, first + third), (3, second)]);
        let tied = [hits(&[(9, 1.0)]), hits(&[(4, 1.0)])];
        let metrics = ["IP", "IP"].map(str::to_owned);
        assert_eq!(fuse(&tied, &Fusion::Rrf { k: 60.0 }, &metrics, 10).unwrap().keys, Keys::Int(vec![4, 9]));
    }

    #[test]
    fn raw_weights_keep_the_direction_of_their_metrics() {
        let weights = Fusion::Weighted { weights: vec![0.5, 0.25], normalise: false };
        let distances = [hits(&[(1, 1.0), (2, 4.0)]), hits(&[(2, 2.0), (1, 8.0)])];
        assert_eq!(fused(&distances, &weights, ["L2", "L2"]), [(1, 2.5), (2, 2.5)]);
        let similarities = [hits(&[(1, 4.0), (2, 1.0)]), hits(&[(2, 2.0)])];
        assert_eq!(fused(&similarities, &weights, ["IP", "IP"]), [(1, 2.0), (2, 1.0)]);
    }

    #[test]
    fn mixed_or_normalised_scores_are_brought_to_one_scale() {
        let weights = |normalise| Fusion::Weighted { weights: vec![1.0, 1.0], normalise };
        let parts = [hits(&[(1, 1.0)]), hits(&[(2, 1.0)])];
        assert_eq!(fused(&parts, &weights(false), ["IP", "L2"]), [(1, 1.0), (2, 0.5)]);
        let normalised = fused(&parts, &weights(true), ["COSINE", "IP"]);
        assert_eq!(normalised, [(1, 1.0), (2, 0.75)]);
    }

    #[test]
    fn wrong_parameters_are_refused_in_milvus_words() {
        let parts = [hits(&[]), hits(&[])];
        let metrics = ["IP", "IP"].map(str::to_owned);
        let refused = |fusion: Fusion| fuse(&parts, &fusion, &metrics, 1).unwrap_err().to_string();
        assert!(refused(Fusion::Rrf { k: 0.0 }).contains("k should be in range (0, 16384)"));
        assert!(
            refused(Fusion::Weighted { weights: vec![0.5], normalise: true })
                .contains("length of weights param mismatch")
        );
        assert!(
            refused(Fusion::Weighted { weights: vec![0.5, 1.5], normalise: true })
                .contains("should be in range [0, 1]")
        );
    }
}
