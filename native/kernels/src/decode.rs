//! Single elements and whole rows as `f32`.

use crate::dispatch::Element;

fn pair(bytes: &[u8], index: usize) -> u16 {
    bytes.get(index * 2..index * 2 + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

/// Element `index`; 0 beyond the end.
#[must_use]
pub fn f32_at(bytes: &[u8], index: usize) -> f32 {
    let four = bytes.get(index * 4..index * 4 + 4);
    four.map_or(0.0, |four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// Half precision (IEEE 754 binary16).
#[must_use]
pub fn f16_at(bytes: &[u8], index: usize) -> f32 {
    half::f16::from_bits(pair(bytes, index)).to_f32()
}

/// The upper half of an `f32`.
#[must_use]
pub fn bf16_at(bytes: &[u8], index: usize) -> f32 {
    f32::from_bits(u32::from(pair(bytes, index)) << 16)
}

/// Fills `out` with the elements of `row`; what the row lacks becomes 0. Bits give 0 and 1.
pub fn to_f32(element: Element, row: &[u8], out: &mut [f32]) {
    out.fill(0.0);
    match element {
        Element::F32 => {
            for (value, four) in out.iter_mut().zip(row.chunks_exact(4)) {
                *value = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            }
        }
        Element::F16 => {
            for (value, two) in out.iter_mut().zip(row.chunks_exact(2)) {
                *value = half::f16::from_bits(u16::from_le_bytes([two[0], two[1]])).to_f32();
            }
        }
        Element::Bf16 => {
            for (value, two) in out.iter_mut().zip(row.chunks_exact(2)) {
                *value = f32::from_bits(u32::from(u16::from_le_bytes([two[0], two[1]])) << 16);
            }
        }
        Element::I8 => {
            for (value, &byte) in out.iter_mut().zip(row) {
                *value = f32::from(byte.cast_signed());
            }
        }
        Element::Bit => {
            for (i, value) in out.iter_mut().enumerate() {
                let byte = row.get(i / 8).copied().unwrap_or(0);
                *value = f32::from(byte >> (7 - i % 8) & 1);
            }
        }
    }
}

/// Fills `row` with the values as 16-bit floats of `element`, to the nearest; beyond the largest finite one, that one.
///
/// # Panics
/// `element` has not 16 bits.
pub fn from_f32(element: Element, values: &[f32], row: &mut [u8]) {
    for (&value, two) in values.iter().zip(row.chunks_exact_mut(2)) {
        let bits = match element {
            Element::F16 => half::f16::from_f32(value.clamp(-65_504.0, 65_504.0)).to_bits(),
            Element::Bf16 => {
                let most = half::bf16::MAX.to_f32();
                half::bf16::from_f32(value.clamp(-most, most)).to_bits()
            }
            other => unreachable!("{other:?} has not 16 bits"),
        };
        two.copy_from_slice(&bits.to_le_bytes());
    }
}
