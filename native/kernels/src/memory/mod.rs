//! Memory that indexes stand on: aligned, mapped, prefetched; and the lock of a data folder.

mod aligned;
mod heap;
mod lock;
mod mapped;

pub use aligned::AlignedBuf;
pub use heap::keep_freed_memory;
pub use lock::FileLock;
pub use mapped::MappedFile;

/// `bytes` as little-endian words, when they start on a word boundary; `None` otherwise, and on a big-endian machine.
/// Trailing bytes that make no whole word are left out.
#[must_use]
pub fn as_u32s(bytes: &[u8]) -> Option<&[u32]> {
    if cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: every bit pattern is a valid u32.
    let (before, words, _) = unsafe { bytes.align_to::<u32>() };
    (before.is_empty()).then_some(words)
}

/// As [`as_u32s`], for floats.
#[must_use]
pub fn as_f32s(bytes: &[u8]) -> Option<&[f32]> {
    if cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: every bit pattern is a valid f32.
    let (before, words, _) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty()).then_some(words)
}

/// The bytes of little-endian words, without a copy (indexes are written on the machines that `as_u32s` reads on).
#[must_use]
pub fn u32s_as_bytes(words: &[u32]) -> &[u8] {
    // SAFETY: a u32 has no padding, and u8 needs no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), std::mem::size_of_val(words)) }
}

/// Asks for the cache line of `bytes[offset]` and those up to `offset + length`, to be read soon. Never faults.
#[inline(always)]
pub fn prefetch(bytes: &[u8], offset: usize, length: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let end = offset.saturating_add(length).min(bytes.len());
        let mut at = offset;
        while at < end {
            // SAFETY: the address is inside the slice, and a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(at).cast()) };
            at += 64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, offset, length);
}
