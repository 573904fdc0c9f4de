//! Vectors in 16-bit floats.

use elanus_kernels::{Element, decode};

#[derive(Debug)]
pub(super) struct Halves {
    pub element: Element,
}

impl Halves {
    pub(super) fn new(element: Element) -> Self {
        Self { element }
    }

    pub(super) fn encode(&self, vector: &[f32], code: &mut [u8]) {
        decode::from_f32(self.element, vector, code);
    }

    pub(super) fn decode(&self, code: &[u8], out: &mut [f32]) {
        decode::to_f32(self.element, code, out);
    }
}
