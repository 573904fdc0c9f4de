//! SIMD distances, bit sets, aligned and mapped memory; the only home of unsafe Rust.
