//! What one posting adds to a score.

use serde::{Deserialize, Serialize};

/// Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), as Lucene and Milvus have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bm25 {
    /// How soon further mentions of a word stop counting; 0..3.
    pub k1: f32,
    /// How much long texts are held back; 0..1.
    pub b: f32,
    /// Words of an average text; not above 0: length does not count.
    pub average_length: f32,
}

impl Bm25 {
    pub const K1: f32 = 1.2;
    pub const B: f32 = 0.75;

    /// What a text of `length` words adds to the denominator: k1 · (1 − b + b · length / average).
    #[inline]
    #[must_use]
    pub fn norm(self, length: f32) -> f32 {
        let (fixed, slope) = self.line();
        fixed + slope * length
    }

    /// [`Self::norm`] as a line: its value at 0 and its slope.
    pub(crate) fn line(self) -> (f32, f32) {
        let relative = if self.average_length > 0.0 { self.b / self.average_length } else { 0.0 };
        (self.k1 * (1.0 - self.b), self.k1 * relative)
    }

    /// Weight of a query word times its saturated frequency: `weight · (k1 + 1) · f / (f + norm)`.
    #[inline]
    #[must_use]
    pub fn score(self, weight: f32, frequency: f32, norm: f32) -> f32 {
        weight * (self.k1 + 1.0) * frequency / (frequency + norm)
    }
}

/// Weight of a word that stands in `with_word` of `documents` texts: ln(1 + (N − n + ½) / (n + ½)), never negative.
#[must_use]
pub fn idf(documents: u64, with_word: u64) -> f32 {
    let (all, with) = (documents as f64, with_word.min(documents) as f64);
    ((all - with + 0.5) / (with + 0.5)).ln_1p() as f32
}

/// The metric of a sparse field with what it needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scoring {
    InnerProduct,
    Bm25(Bm25),
}

#[cfg(test)]
mod tests {
    use super::{Bm25, idf};

    #[test]
    fn the_formula() {
        let bm25 = Bm25 { k1: 1.2, b: 0.75, average_length: 10.0 };
        let expected = 2.0 * 2.2 * 3.0 / (3.0 + 1.2 * (0.25 + 0.75 * 20.0 / 10.0));
        assert!((bm25.score(2.0, 3.0, bm25.norm(20.0)) - expected).abs() < 1e-6);
        assert_eq!(Bm25 { average_length: 0.0, ..bm25 }.norm(50.0), bm25.norm(0.0));
        assert!((idf(100, 3) - (1.0f32 + 97.5 / 3.5).ln()).abs() < 1e-6);
        assert!(idf(5, 5) > 0.0);
    }
}
