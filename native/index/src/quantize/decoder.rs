//! Vectors as quantisers see them.

use elanus_kernels::{Element, Metric, decode};

use crate::vector::VectorRows;

/// Rows looked at for the mean.
const MEAN_ROWS: usize = 10_000;

/// Turns rows and queries into floats; of length 1 for COSINE (a zero vector stays one), and relative to an origin
/// where that leaves the order as it is: a cloud of vectors far away would spend all precision on where it is.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    pub element: Element,
    pub metric: Metric,
    /// Subtracted; empty: nothing is.
    pub origin: Vec<f32>,
}

impl Decoder {
    /// With the mean of evenly spread rows as the origin; without one for dot products.
    pub(crate) fn centred(rows: &dyn VectorRows, row_of: &[u32], metric: Metric) -> Self {
        let mut decoder = Self { element: rows.element(), metric, origin: vec![] };
        if metric == Metric::Ip || row_of.is_empty() {
            return decoder;
        }
        let (mut sums, mut values) = (vec![0f64; rows.dim()], vec![0f32; rows.dim()]);
        let sample = row_of.iter().step_by(row_of.len().div_ceil(MEAN_ROWS));
        let count = sample.len() as f64;
        for &row in sample {
            decoder.decode(rows.row(row), &mut values);
            sums.iter_mut().zip(&values).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        if mean.iter().all(|value| value.is_finite()) {
            decoder.origin = mean;
        }
        decoder
    }

    /// Fills `out`, one float for each dimension.
    pub(crate) fn decode(&self, row: &[u8], out: &mut [f32]) {
        decode::to_f32(self.element, row, out);
        if self.metric == Metric::Cosine {
            let length = out.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
            out.iter_mut().for_each(|value| *value *= scale);
        }
        out.iter_mut().zip(&self.origin).for_each(|(value, origin)| *value -= origin);
    }
}
