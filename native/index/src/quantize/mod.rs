//! Vectors in few bytes, and distances to them: what IVF, SCANN, the graph variants and refinement are built on.
//!
//! A vector x is coded as what it differs by from a centre c (a list's centroid, a mean, or the origin): the code
//! stands for r̂ ≈ x − c. Keys are smaller for nearer vectors and take one form everywhere,
//!
//! ```text
//! key = base(query, centre) + bias(code) + scale(code) · rate · (sum(code, query) − excess)
//! ```
//!
//! where `sum` alone looks at the symbols. For squared distance |q − x|² that is base = |q − c|² and
//! bias = |r̂|² + 2 c·r̂, for the negative dot product base = −q·c and bias = 0; so one prepared query serves all
//! centres.
//!
//! `scalar` has some bits a dimension, `rabitq` the same after a rotation and with an unbiased estimate, `product`
//! codebooks, `halves` 16-bit floats. `record` compares one code, `blocks` 64 at a time, `kmeans` trains.

mod blocks;
mod decoder;
mod halves;
pub(crate) mod kmeans;
mod product;
mod rabitq;
mod record;
mod rotation;
mod scalar;

pub(crate) use blocks::{BlockQuery, block_bytes, fill_block};
pub(crate) use decoder::Decoder;
pub(crate) use record::RecordQuery;

use elanus_kernels::{Element, Metric};
use serde::{Deserialize, Serialize};

use crate::IndexError;
use crate::format::corrupt;
use crate::progress::Progress;
use halves::Halves;
use product::Product;
use rabitq::RaBitQ;
use scalar::Scalar;

/// What a key is, up to the quantiser's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    SquaredDistance,
    NegativeDot,
}

impl Form {
    /// The form that orders vectors as the metric does; for COSINE they must have length 1.
    pub(crate) fn of(metric: Metric) -> Self {
        if metric == Metric::Ip { Self::NegativeDot } else { Self::SquaredDistance }
    }

    /// What the dot product of query and code is multiplied by in a key.
    fn slope(self) -> f32 {
        if self == Self::SquaredDistance { -2.0 } else { -1.0 }
    }
}

/// A quantiser's choice of code, as it is asked for and as it stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// `bits` (2..=8) a dimension on an even grid that fits the vector's own magnitude.
    Scalar { bits: u32 },
    /// `bits` (1..=9) a dimension after a rotation.
    RaBitQ { bits: u32 },
    /// `splits` parts of the vector, each the sum of `steps` entries of codebooks of 2^`bits` (1..=8). Above 1,
    /// `parallel_weight` counts the error along the vector more than the error across it.
    Product { splits: usize, steps: usize, bits: u32, parallel_weight: f32 },
    /// 16-bit floats, IEEE or (`brain`) the upper half of an `f32`.
    Half { brain: bool },
}

impl Kind {
    /// Product codes of any number of bits: above 8 several steps share them.
    pub(crate) fn product(splits: usize, steps: usize, bits: usize, rows: usize) -> Self {
        let most = rows.max(2).ilog2() as usize;
        let more = bits.div_ceil(8).max(1);
        let bits = bits.div_ceil(more).min(most).max(1) as u32;
        Self::Product { splits, steps: steps * more, bits, parallel_weight: 1.0 }
    }
}

/// Training vectors, or any others: `dim` floats each, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vectors<'a> {
    pub values: &'a [f32],
    pub dim: usize,
}

impl Vectors<'_> {
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }
}

#[derive(Debug)]
enum Codec {
    Scalar(Scalar),
    RaBitQ(RaBitQ),
    Product(Product),
    Half(Halves),
}

/// A trained quantiser.
#[derive(Debug)]
pub(crate) struct Quantizer {
    pub kind: Kind,
    pub form: Form,
    pub dim: usize,
    codec: Codec,
}

/// How the symbols of a code lie in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A byte for each dimension.
    Dimensions,
    /// Bit planes, the lowest first: bit d of a plane for dimension d.
    Planes {
        count: usize,
    },
    /// Two symbols of 4 bits in a byte, the low one first.
    Nibbles,
    Bytes,
    /// Floats; these are not scanned in blocks.
    Halves,
}

/// What a code's factors are, besides its symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    scale: f32,
    bias: f32,
}

impl Quantizer {
    /// Learns from vectors as they will be encoded: after the centre was subtracted.
    ///
    /// # Errors
    /// Cancelled.
    pub(crate) fn train(
        kind: Kind,
        form: Form,
        sample: Vectors<'_>,
        threads: usize,
        progress: &Progress,
    ) -> Result<Self, IndexError> {
        let dim = sample.dim;
        let codec = match kind {
            Kind::Product { .. } => Codec::Product(Product::train(kind, sample, threads, progress)?),
            _ => Self::untrained(kind, dim, &[])?,
        };
        Ok(Self { kind, form, dim, codec })
    }

    /// Reads what [`Self::state`] gave.
    ///
    /// # Errors
    /// `Corrupt`: the parts do not fit each other.
    pub(crate) fn open(kind: Kind, form: Form, dim: usize, state: &[u8]) -> Result<Self, IndexError> {
        Ok(Self { kind, form, dim, codec: Self::untrained(kind, dim, state)? })
    }

    fn untrained(kind: Kind, dim: usize, state: &[u8]) -> Result<Codec, IndexError> {
        let codec = match kind {
            Kind::Scalar { bits: bits @ 2..=8 } => Codec::Scalar(Scalar::new(dim, bits)),
            Kind::RaBitQ { bits: bits @ 1..=9 } => Codec::RaBitQ(RaBitQ::new(dim, bits)),
            Kind::Half { brain } => Codec::Half(Halves::new(if brain { Element::Bf16 } else { Element::F16 })),
            Kind::Product { .. } => Codec::Product(Product::open(kind, dim, state)?),
            _ => return Err(corrupt("quantiser is not known")),
        };
        Ok(codec)
    }

    /// What training found, to be stored.
    pub(crate) fn state(&self) -> Vec<u8> {
        match &self.codec {
            Codec::Product(product) => product.state(),
            _ => vec![],
        }
    }

    fn layout(&self) -> Layout {
        match &self.codec {
            Codec::Scalar(scalar) => scalar.layout(),
            Codec::RaBitQ(rabitq) => Layout::Planes { count: rabitq.bits() },
            Codec::Product(product) => product.layout(),
            Codec::Half(_) => Layout::Halves,
        }
    }

    /// Bytes of the symbols of a code, a multiple of 4 where they are scanned by fours.
    pub(crate) fn symbol_bytes(&self) -> usize {
        match &self.codec {
            Codec::Scalar(scalar) => scalar.symbol_bytes(),
            Codec::RaBitQ(rabitq) => rabitq.symbol_bytes(),
            Codec::Product(product) => product.symbol_bytes(),
            Codec::Half(_) => self.dim * 2,
        }
    }

    /// Whether every code has its own scale; otherwise it is 1.
    fn has_scale(&self) -> bool {
        matches!(self.codec, Codec::Scalar(_) | Codec::RaBitQ(_))
    }

    /// Bytes of the factors of a code.
    fn factor_bytes(&self) -> usize {
        match self.layout() {
            Layout::Halves => 0,
            _ => 4 + 4 * usize::from(self.has_scale()),
        }
    }

    /// Bytes of a record: symbols, scale if there is one, bias.
    pub(crate) fn record_bytes(&self) -> usize {
        self.symbol_bytes() + self.factor_bytes()
    }

    /// Encodes at most 64 vectors. `residuals` has `dim` floats for each, what it differs by from its centre; a
    /// centre is the origin when it is empty. `vectors` are the vectors themselves; only parallel weights read them.
    pub(crate) fn encode(&self, residuals: &[f32], vectors: &[f32], centres: &[&[f32]], records: &mut [u8]) {
        let (dim, bytes, symbols) = (self.dim, self.record_bytes(), self.symbol_bytes());
        if let Codec::Product(product) = &self.codec {
            product.encode(residuals, vectors, records, bytes);
        }
        let mut work = scalar::Work::default();
        let coded = residuals.chunks_exact(dim).zip(records.chunks_exact_mut(bytes));
        for ((residual, record), centre) in coded.zip(centres) {
            let (code, footer) = record.split_at_mut(symbols);
            let factors = match &self.codec {
                Codec::Half(halves) => {
                    halves.encode(residual, code);
                    continue;
                }
                Codec::Scalar(scalar) => scalar.encode(residual, centre, &mut work, code),
                Codec::RaBitQ(rabitq) => rabitq.encode(residual, centre, &mut work, code),
                Codec::Product(product) => product.factors(code, centre),
            };
            let bias = if self.form == Form::SquaredDistance { factors.bias } else { 0.0 };
            let (scale_bytes, bias_bytes) = footer.split_at_mut(footer.len() - 4);
            bias_bytes.copy_from_slice(&bias.to_le_bytes());
            if let Some(four) = scale_bytes.first_chunk_mut::<4>() {
                *four = factors.scale.to_le_bytes();
            }
        }
    }

    /// The part of a key that only the query and the centre have a share in.
    pub(crate) fn base(&self, vector: &[f32], centre: &[f32]) -> f32 {
        match self.form {
            Form::NegativeDot => -dot(vector, centre),
            Form::SquaredDistance => {
                let square = |(value, centre): (&f32, &f32)| (value - centre) * (value - centre);
                vector.iter().zip(centre).map(square).sum()
            }
        }
    }

    fn factors_of(&self, record: &[u8]) -> Factors {
        let float = |from_end: usize| {
            let at = record.len().checked_sub(from_end);
            let four = at.and_then(|at| record.get(at..at + 4)).and_then(|four| four.first_chunk::<4>());
            four.map_or(0.0, |four| f32::from_le_bytes(*four))
        };
        Factors { scale: if self.has_scale() { float(8) } else { 1.0 }, bias: float(4) }
    }

    /// The vector that a record stands for, relative to its centre.
    pub(crate) fn decode(&self, record: &[u8], out: &mut [f32]) {
        let code = &record[..self.symbol_bytes().min(record.len())];
        match &self.codec {
            Codec::Scalar(scalar) => scalar.decode(code, self.factors_of(record).scale, out),
            Codec::RaBitQ(rabitq) => rabitq.decode(code, self.factors_of(record).scale, out),
            Codec::Product(product) => product.decode(code, out),
            Codec::Half(halves) => halves.decode(code, out),
        }
    }
}

/// Dot product, in eight partial sums.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests;
