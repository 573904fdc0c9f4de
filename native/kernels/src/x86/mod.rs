//! Kernels of x86-64. Each file holds one instruction level.

pub(crate) mod avx2;
pub(crate) mod avx512;
pub(crate) mod compare2;
pub(crate) mod compare512;
pub(crate) mod many2;
pub(crate) mod many512;
pub(crate) mod panel2;
pub(crate) mod panel512;
pub(crate) mod scan2;
pub(crate) mod scan512;
pub(crate) mod signs2;
pub(crate) mod signs512;

/// Makes the safe entries of a level's float kernels, one row and four rows. They may only be handed out by
/// `dispatch`, which has seen the processor.
macro_rules! float_entries {
    ($sums:ident, $dot:ident, $dot4:ident, $l2:ident, $l2_4:ident, $cosine:ident, $cosine4:ident) => {
        pub(crate) fn $dot(query: &[u8], row: &[u8]) -> f32 {
            // SAFETY: `dispatch` hands this function out only where the processor has the level.
            unsafe { $sums::<1, { super::DOT }>(query, [row])[0].0 }
        }
        pub(crate) fn $dot4(query: &[u8], rows: [&[u8]; 4]) -> [f32; 4] {
            // SAFETY: as above.
            unsafe { $sums::<4, { super::DOT }>(query, rows).map(|sums| sums.0) }
        }
        pub(crate) fn $l2(query: &[u8], row: &[u8]) -> f32 {
            // SAFETY: as above.
            unsafe { $sums::<1, { super::L2 }>(query, [row])[0].0 }
        }
        pub(crate) fn $l2_4(query: &[u8], rows: [&[u8]; 4]) -> [f32; 4] {
            // SAFETY: as above.
            unsafe { $sums::<4, { super::L2 }>(query, rows).map(|sums| sums.0) }
        }
        pub(crate) fn $cosine(query: &[u8], row: &[u8]) -> f32 {
            // SAFETY: as above.
            let (dot, norm) = unsafe { $sums::<1, { super::COSINE }>(query, [row])[0] };
            crate::scalar::over_norm(dot, norm)
        }
        pub(crate) fn $cosine4(query: &[u8], rows: [&[u8]; 4]) -> [f32; 4] {
            // SAFETY: as above.
            let sums = unsafe { $sums::<4, { super::COSINE }>(query, rows) };
            sums.map(|(dot, norm)| crate::scalar::over_norm(dot, norm))
        }
    };
}
pub(crate) use float_entries;

/// What a float kernel sums: products, squared differences, or products together with the row's squares.
pub(crate) const DOT: u8 = 0;
pub(crate) const L2: u8 = 1;
pub(crate) const COSINE: u8 = 2;
