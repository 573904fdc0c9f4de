//! Which kernel serves which metric and element on this processor. The only place that asks what the processor can.

use std::sync::OnceLock;

use crate::scalar;

/// Element type of dense and binary vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    F16,
    Bf16,
    I8,
    Bit,
}

impl Element {
    /// Bytes of one row of `dim` dimensions (bits for binary).
    #[must_use]
    pub fn row_bytes(self, dim: usize) -> usize {
        match self {
            Self::F32 => dim * 4,
            Self::F16 | Self::Bf16 => dim * 2,
            Self::I8 => dim,
            Self::Bit => dim.div_ceil(8),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Squared Euclidean distance.
    L2,
    /// Dot product.
    Ip,
    /// Cosine of the angle; 0 when one of the two is the zero vector.
    Cosine,
    /// Number of differing bits.
    Hamming,
    /// 1 − common bits / bits in either.
    Jaccard,
    /// 0 when all bits of the row are in the query, else 1.
    Substructure,
    /// 0 when all bits of the query are in the row, else 1.
    Superstructure,
    /// Share of equal elements of two MinHash signatures.
    MhJaccard,
    /// Relevance of a text to words, over sparse vectors of word counts.
    Bm25,
}

impl Metric {
    const ALL: [Self; 9] = [
        Self::L2,
        Self::Ip,
        Self::Cosine,
        Self::Hamming,
        Self::Jaccard,
        Self::Substructure,
        Self::Superstructure,
        Self::MhJaccard,
        Self::Bm25,
    ];

    /// Similarities: the larger the better.
    #[must_use]
    pub fn larger_is_better(self) -> bool {
        matches!(self, Self::Ip | Self::Cosine | Self::Bm25 | Self::MhJaccard)
    }

    /// By Milvus's name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name().eq_ignore_ascii_case(name))
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::Ip => "IP",
            Self::Cosine => "COSINE",
            Self::Hamming => "HAMMING",
            Self::Jaccard => "JACCARD",
            Self::Substructure => "SUBSTRUCTURE",
            Self::Superstructure => "SUPERSTRUCTURE",
            Self::MhJaccard => "MHJACCARD",
            Self::Bm25 => "BM25",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Scalar,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The levels that kernels of whole blocks are written for.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum X86 {
    Avx2,
    Avx512,
}

/// Proof that this processor has an instruction level: a value can only come from having asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

impl Isa {
    /// The best level of this processor; asked once per process.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available()[0])
    }

    #[must_use]
    pub fn scalar() -> Self {
        Self(Level::Scalar)
    }

    /// Every level of this processor, best first; the last is the scalar one.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
                && is_x86_feature_detected!("popcnt");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vpopcntdq");
            if avx2 && avx512 {
                levels.push(Self(Level::Avx512));
            }
            if avx2 {
                levels.push(Self(Level::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Self(Level::Neon));
        levels.push(Self::scalar());
        levels
    }

    /// The level on x86-64; the scalar one and other processors have none.
    #[cfg_attr(not(target_arch = "x86_64"), allow(clippy::unused_self))]
    pub(crate) fn x86(self) -> Option<X86> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Some(X86::Avx2),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Some(X86::Avx512),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512vnni",
        }
    }
}

/// A query and a row.
pub type DistanceFn = fn(&[u8], &[u8]) -> f32;
/// A query and four rows: the query is loaded once. Gives exactly what the one-row function gives.
pub type Distance4Fn = fn(&[u8], [&[u8]; 4]) -> [f32; 4];
/// Unsigned 8-bit codes and a signed 8-bit query.
pub type CodeDotFn = fn(&[u8], &[u8]) -> i32;

/// The functions of one metric over one element. For `Cosine` they give dot product / length of the row, so that
/// the query's length is looked at once, by [`Scorer`].
#[derive(Clone, Copy, Debug)]
pub struct DistanceKernel {
    pub metric: Metric,
    pub element: Element,
    one: DistanceFn,
    four: Option<Distance4Fn>,
}

impl DistanceKernel {
    /// `None` when the metric does not fit the element: those of sets for bits, those of space for all others. For
    /// MHJACCARD elements have one byte; [`Self::min_hash`] takes others.
    #[must_use]
    pub fn choose(metric: Metric, element: Element, isa: Isa) -> Option<Self> {
        let (one, four) = match isa.0 {
            Level::Scalar => (scalar_kernel(metric, element)?, None),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => (neon_kernel(metric, element)?, None),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2_kernel(metric, element)?,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => match (metric, element) {
                (Metric::Substructure, Element::Bit) => (crate::x86::avx512::substructure as DistanceFn, None),
                (Metric::Superstructure, Element::Bit) => (crate::x86::avx512::superstructure as DistanceFn, None),
                (Metric::MhJaccard, Element::Bit) => return Self::min_hash(1, isa),
                _ => avx512_kernel(metric, element)?,
            },
        };
        Some(Self { metric, element, one, four })
    }

    /// MHJACCARD over signatures whose elements have `width` bytes, 1..=32; `None` for another width.
    #[must_use]
    pub fn min_hash(width: usize, isa: Isa) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let fast: Option<DistanceFn> = match width {
            _ if isa.x86() != Some(X86::Avx512) => None,
            1 => Some(crate::x86::avx512::mh_jaccard::<1>),
            2 => Some(crate::x86::avx512::mh_jaccard::<2>),
            4 => Some(crate::x86::avx512::mh_jaccard::<4>),
            8 => Some(crate::x86::avx512::mh_jaccard::<8>),
            _ => None,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let (fast, _): (Option<DistanceFn>, Isa) = (None, isa);
        let plain = *MH_JACCARD.get(width.checked_sub(1)?)?;
        Some(Self { metric: Metric::MhJaccard, element: Element::Bit, one: fast.unwrap_or(plain), four: None })
    }

    /// Fixes the query.
    #[must_use]
    pub fn scorer<'q>(&self, query: &'q [u8]) -> Scorer<'q> {
        self.scorer_scaled(query, self.scale_of(query))
    }

    /// The part of [`Self::scorer`] that costs as much as a comparison, for a query that is kept.
    #[must_use]
    pub fn scale_of(&self, query: &[u8]) -> f32 {
        if self.metric != Metric::Cosine {
            return 1.0;
        }
        // Against itself the kernel gives q·q / length(q): the length.
        let length = (self.one)(query, query);
        if length > 0.0 { 1.0 / length } else { 0.0 }
    }

    /// A scorer for a query whose [`Self::scale_of`] is known.
    #[inline]
    #[must_use]
    pub fn scorer_scaled<'q>(&self, query: &'q [u8], scale: f32) -> Scorer<'q> {
        Scorer { one: self.one, four: self.four, query, scale, cosine: self.metric == Metric::Cosine }
    }
}

/// A query ready to be compared with rows; scores have the metric's meaning and direction.
#[derive(Clone, Copy, Debug)]
pub struct Scorer<'q> {
    one: DistanceFn,
    four: Option<Distance4Fn>,
    query: &'q [u8],
    scale: f32,
    cosine: bool,
}

impl Scorer<'_> {
    #[inline]
    #[must_use]
    pub fn score(&self, row: &[u8]) -> f32 {
        self.finish((self.one)(self.query, row))
    }

    /// Exactly four times [`Self::score`].
    #[inline]
    #[must_use]
    pub fn score4(&self, rows: [&[u8]; 4]) -> [f32; 4] {
        match self.four {
            Some(four) => four(self.query, rows).map(|raw| self.finish(raw)),
            None => rows.map(|row| self.score(row)),
        }
    }

    #[inline]
    fn finish(&self, raw: f32) -> f32 {
        if self.cosine { (raw * self.scale).clamp(-1.0, 1.0) } else { raw }
    }
}

/// Dot product of unsigned 8-bit codes with a signed 8-bit query, exact.
#[must_use]
pub fn code_dot(isa: Isa) -> CodeDotFn {
    match isa.0 {
        Level::Scalar => scalar::dot_u8_i8,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => scalar::dot_u8_i8,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => crate::x86::avx2::dot_u8_i8,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => crate::x86::avx512::dot_u8_i8,
    }
}

/// By bytes of an element, from 1 on.
static MH_JACCARD: [DistanceFn; 32] = {
    use scalar::mh_jaccard as of;
    [
        of::<1>, of::<2>, of::<3>, of::<4>, of::<5>, of::<6>, of::<7>, of::<8>, of::<9>, of::<10>, of::<11>, of::<12>,
        of::<13>, of::<14>, of::<15>, of::<16>, of::<17>, of::<18>, of::<19>, of::<20>, of::<21>, of::<22>, of::<23>,
        of::<24>, of::<25>, of::<26>, of::<27>, of::<28>, of::<29>, of::<30>, of::<31>, of::<32>,
    ]
};

/// Dot product of packed unsigned 4-bit codes with a signed 8-bit query, exact; [`scalar::dot_u4_i8`] says how the two
/// are laid out.
#[must_use]
pub fn nibble_dot(isa: Isa) -> CodeDotFn {
    match isa.0 {
        Level::Scalar => scalar::dot_u4_i8,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => scalar::dot_u4_i8,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => crate::x86::avx2::dot_u4_i8,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => crate::x86::avx512::dot_u4_i8,
    }
}

fn scalar_kernel(metric: Metric, element: Element) -> Option<DistanceFn> {
    let kernel: DistanceFn = match (metric, element) {
        (Metric::Ip, Element::F32) => scalar::dot_f32,
        (Metric::Ip, Element::F16) => scalar::dot_f16,
        (Metric::Ip, Element::Bf16) => scalar::dot_bf16,
        (Metric::Ip, Element::I8) => scalar::dot_i8,
        (Metric::L2, Element::F32) => scalar::l2_f32,
        (Metric::L2, Element::F16) => scalar::l2_f16,
        (Metric::L2, Element::Bf16) => scalar::l2_bf16,
        (Metric::L2, Element::I8) => scalar::l2_i8,
        (Metric::Cosine, Element::F32) => scalar::dot_over_norm_f32,
        (Metric::Cosine, Element::F16) => scalar::dot_over_norm_f16,
        (Metric::Cosine, Element::Bf16) => scalar::dot_over_norm_bf16,
        (Metric::Cosine, Element::I8) => scalar::dot_over_norm_i8,
        (Metric::Hamming, Element::Bit) => scalar::hamming,
        (Metric::Jaccard, Element::Bit) => scalar::jaccard,
        (Metric::Substructure, Element::Bit) => scalar::substructure,
        (Metric::Superstructure, Element::Bit) => scalar::superstructure,
        (Metric::MhJaccard, Element::Bit) => scalar::mh_jaccard::<1>,
        _ => return None,
    };
    Some(kernel)
}

#[cfg(target_arch = "aarch64")]
fn neon_kernel(metric: Metric, element: Element) -> Option<DistanceFn> {
    match (metric, element) {
        (Metric::Ip, Element::F32) => Some(crate::arm::dot_f32),
        (Metric::L2, Element::F32) => Some(crate::arm::l2_f32),
        (Metric::Cosine, Element::F32) => Some(crate::arm::cosine_f32),
        _ => scalar_kernel(metric, element),
    }
}

/// The same table for every x86 level: the modules have equal names inside.
macro_rules! x86_table {
    ($name:ident, $level:ident) => {
        #[cfg(target_arch = "x86_64")]
        fn $name(metric: Metric, element: Element) -> Option<(DistanceFn, Option<Distance4Fn>)> {
            use crate::x86::$level as level;
            let (one, four): (DistanceFn, Option<Distance4Fn>) = match (metric, element) {
                (Metric::Ip, Element::F32) => (level::dot_f32, Some(level::dot4_f32)),
                (Metric::Ip, Element::F16) => (level::dot_f16, Some(level::dot4_f16)),
                (Metric::Ip, Element::Bf16) => (level::dot_bf16, Some(level::dot4_bf16)),
                (Metric::Ip, Element::I8) => (level::dot_i8, None),
                (Metric::L2, Element::F32) => (level::l2_f32, Some(level::l2_4_f32)),
                (Metric::L2, Element::F16) => (level::l2_f16, Some(level::l2_4_f16)),
                (Metric::L2, Element::Bf16) => (level::l2_bf16, Some(level::l2_4_bf16)),
                (Metric::L2, Element::I8) => (level::l2_i8, None),
                (Metric::Cosine, Element::F32) => (level::cosine_f32, Some(level::cosine4_f32)),
                (Metric::Cosine, Element::F16) => (level::cosine_f16, Some(level::cosine4_f16)),
                (Metric::Cosine, Element::Bf16) => (level::cosine_bf16, Some(level::cosine4_bf16)),
                (Metric::Cosine, Element::I8) => (level::cosine_i8, None),
                (Metric::Hamming, Element::Bit) => (level::hamming, None),
                (Metric::Jaccard, Element::Bit) => (level::jaccard, None),
                _ => (scalar_kernel(metric, element)?, None),
            };
            Some((one, four))
        }
    };
}

x86_table!(avx2_kernel, avx2);
x86_table!(avx512_kernel, avx512);

#[cfg(test)]
mod tests;
