//! Memory that indexes stand on: aligned, mapped, prefetched; and the lock of a data folder.

mod aligned;
mod heap;
mod lock;
mod mapped;

pub use aligned::AlignedBuf;
pub use heap::{give_back_freed_memory, keep_freed_memory};
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

/// As [`as_u32s`], for half words.
#[must_use]
pub fn as_u16s(bytes: &[u8]) -> Option<&[u16]> {
    if cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: every bit pattern is a valid u16.
    let (before, words, _) = unsafe { bytes.align_to::<u16>() };
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

/// As [`u32s_as_bytes`], for half words.
#[must_use]
pub fn u16s_as_bytes(words: &[u16]) -> &[u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), std::mem::size_of_val(words)) }
}

/// As [`u32s_as_bytes`], for floats.
#[must_use]
pub fn f32s_as_bytes(values: &[f32]) -> &[u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), std::mem::size_of_val(values)) }
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

#[cfg(test)]
mod tests {
    use super::{
        AlignedBuf, MappedFile, as_f32s, as_u16s, as_u32s, f32s_as_bytes, prefetch, u16s_as_bytes, u32s_as_bytes,
    };

    #[test]
    fn words_and_bytes_are_views_of_each_other() {
        let words = [1u32, 2, 0x0403_0201];
        let bytes = u32s_as_bytes(&words);
        assert_eq!(as_u32s(bytes), Some(&words[..]));
        assert_eq!(as_u32s(&bytes[1..]), None);
        assert_eq!(as_u32s(&bytes[..7]), Some(&words[..1]));
        assert_eq!(as_f32s(u32s_as_bytes(&[1.5f32.to_bits()])), Some(&[1.5][..]));
        assert_eq!(f32s_as_bytes(&[1.5]), u32s_as_bytes(&[1.5f32.to_bits()]));
        assert_eq!(as_u16s(u16s_as_bytes(&[1, 0x0203])), Some(&[1, 0x0203][..]));
        assert_eq!(as_u16s(&bytes[1..]), None);
    }

    #[test]
    fn aligned_bytes_start_on_a_cache_line() {
        for length in [0, 1, 63, 64, 65, 1000] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let copy = AlignedBuf::copy_of(&bytes);
            assert_eq!(&copy[..], &bytes[..]);
            assert!(length == 0 || (copy.as_ptr() as usize).is_multiple_of(64));
        }
    }

    #[test]
    fn files_are_mapped_whole_and_prefetch_beyond_the_end_is_harmless() {
        let path = std::env::temp_dir().join(format!("elanus-mapped-{}", std::process::id()));
        for content in [&b""[..], &[7u8; 5000]] {
            std::fs::write(&path, content).expect("a writable folder");
            let map = MappedFile::open(&path).expect("there");
            assert_eq!(&map[..], content);
            prefetch(&map, 4_990, 1 << 20);
            prefetch(&map, usize::MAX, usize::MAX);
            for part in [0..content.len(), 1..2, 4_096..4_097, 4_999..9_999] {
                map.will_need(part.clone());
                map.read_at_random(part);
            }
            assert_eq!(&map[..], content);
        }
        std::fs::remove_file(&path).expect("made above");
        assert!(MappedFile::open(&path).is_err());
    }
}
