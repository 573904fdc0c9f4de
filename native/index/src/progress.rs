//! How far a build has come, and the wish to stop it; both cross threads.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::IndexError;

#[derive(Debug, Default)]
pub struct Progress {
    fraction_bits: AtomicU32,
    cancelled: AtomicBool,
}

impl Progress {
    /// 0..1, never going back.
    #[must_use]
    pub fn fraction(&self) -> f32 {
        f32::from_bits(self.fraction_bits.load(Ordering::Relaxed))
    }

    /// The build ends with `IndexError::Cancelled` within moments.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Positive floats sort like their bits, so a late report of another thread cannot turn the bar back.
    pub(crate) fn advance(&self, fraction: f32) {
        self.fraction_bits.fetch_max(fraction.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), IndexError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(IndexError::Cancelled) } else { Ok(()) }
    }
}
