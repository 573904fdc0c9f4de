//! Walks over records of a quantiser: the codes that HNSW_PQ, HNSW_PRQ and 16-bit HNSW_SQ ask for. The graph under
//! them is built as for plain HNSW; only searches see these codes.

use elanus_kernels::memory::prefetch;

use super::codes::Encoder;
use super::space::Space;
use crate::IndexError;
use crate::progress::Progress;
use crate::quantize::{Form, Kind, Quantizer, RecordQuery, Vectors};
use crate::vector::VectorRows;

/// Rows that a quantiser learns from.
const TRAINING_ROWS: usize = 50_000;
/// Rows encoded at a time.
const BATCH: usize = 64;

/// A quantiser and the records of all nodes, as a build holds them.
pub(crate) struct Recorded {
    pub quantizer: Quantizer,
    pub records: Vec<u8>,
}

/// Learns a quantiser of `kind` and encodes the given rows, in that order.
pub(crate) fn record_all(
    kind: Kind,
    encoder: &Encoder,
    rows: &dyn VectorRows,
    row_of: &[u32],
    threads: usize,
    progress: &Progress,
) -> Result<Recorded, IndexError> {
    let dim = encoder.dim;
    let encoder = &centred(kind, encoder);
    let step = row_of.len().div_ceil(TRAINING_ROWS).max(1);
    let mut sample = vec![0f32; row_of.len().div_ceil(step) * dim];
    for (&row, values) in row_of.iter().step_by(step).zip(sample.chunks_exact_mut(dim)) {
        encoder.residual(rows.row(row), values);
    }
    let form = Form::of(encoder.metric);
    let quantizer = Quantizer::train(kind, form, Vectors { values: &sample, dim }, threads, progress)?;
    let bytes = quantizer.record_bytes();
    let mut records = vec![0u8; row_of.len() * bytes];
    let share = row_of.len().div_ceil(threads.max(1)).next_multiple_of(BATCH).max(BATCH);
    let encode = |part: &[u32], out: &mut [u8]| {
        let mut residuals = vec![0f32; BATCH * dim];
        let centres = [&encoder.mean[..]; BATCH];
        for (batch, out) in part.chunks(BATCH).zip(out.chunks_mut(BATCH * bytes)) {
            progress.check()?;
            for (&row, values) in batch.iter().zip(residuals.chunks_exact_mut(dim)) {
                encoder.residual(rows.row(row), values);
            }
            quantizer.encode(&residuals[..batch.len() * dim], &[], &centres[..batch.len()], out);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let encode = &encode;
        let parts = row_of.chunks(share).zip(records.chunks_mut(share * bytes));
        let workers: Vec<_> = parts.map(|(part, out)| scope.spawn(move || encode(part, out))).collect();
        workers.into_iter().try_for_each(crate::parallel::joined)
    })?;
    Ok(Recorded { quantizer, records })
}

/// 16-bit floats stand for the vectors themselves, all other records for what is left without the mean.
fn centred(kind: Kind, encoder: &Encoder) -> Encoder {
    let mut own = encoder.clone();
    if matches!(kind, Kind::Half { .. }) {
        own.mean.clear();
    }
    own
}

/// Records of all nodes, where comparisons read them.
pub(crate) struct Records<'a> {
    pub bytes: &'a [u8],
    pub quantizer: &'a Quantizer,
    pub encoder: &'a Encoder,
}

impl<'a> Records<'a> {
    fn record(&self, node: u32) -> &'a [u8] {
        let bytes = self.quantizer.record_bytes();
        let start = node as usize * bytes;
        self.bytes.get(start..start + bytes).unwrap_or(&[])
    }

    /// Prepares a caller's vector.
    pub(crate) fn query(&self, vector: &[u8], values: &mut Vec<f32>) -> Option<RecordQuery<'a>> {
        values.clear();
        values.resize(self.encoder.dim, 0.0);
        let base = self.encoder.whole(vector, values);
        Some(self.quantizer.record_query(values, base))
    }
}

impl<'a> Space for Records<'a> {
    type Query = Option<RecordQuery<'a>>;

    #[inline]
    fn distance(&self, query: &Self::Query, node: u32) -> f32 {
        query.as_ref().map_or(f32::INFINITY, |query| query.key(self.record(node)))
    }

    fn load(&self, node: u32, query: &mut Self::Query) {
        let mut values = vec![0f32; self.encoder.dim];
        self.quantizer.decode(self.record(node), &mut values);
        let base = match self.quantizer.form {
            Form::SquaredDistance => values.iter().map(|value| value * value).sum(),
            Form::NegativeDot => 0.0,
        };
        let encoder = centred(self.quantizer.kind, self.encoder);
        values.iter_mut().zip(&encoder.mean).for_each(|(value, mean)| *value += mean);
        *query = Some(self.quantizer.record_query(&values, base));
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        let bytes = self.quantizer.record_bytes();
        prefetch(self.bytes, node as usize * bytes, bytes);
    }
}
