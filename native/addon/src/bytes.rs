//! Bytes on their way to JavaScript: few are copied into memory of V8's own, because memory of ours behind an array
//! costs a finaliser and its part of every garbage collection; many are handed over as they are.
#![allow(unsafe_code)]

use std::ptr;

use napi::bindgen_prelude::{ToNapiValue, Uint8Array, Uint8ArraySlice};
use napi::{Result, sys};

use crate::settle::check;

/// Up to here a copy costs less than handing over.
const COPIED_BYTES_MAX: usize = 16 * 1_024;

/// A `Uint8Array` to be.
pub struct Bytes(Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl ToNapiValue for Bytes {
    unsafe fn to_napi_value(env: sys::napi_env, Self(bytes): Self) -> Result<sys::napi_value> {
        if bytes.len() > COPIED_BYTES_MAX {
            // SAFETY: the caller vouches for `env`.
            return unsafe { Uint8Array::to_napi_value(env, bytes.into()) };
        }
        let (mut data, mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the caller vouches for `env`, and the places are there to be written.
        check(unsafe { sys::napi_create_arraybuffer(env, bytes.len(), &mut data, &mut buffer) })?;
        if !bytes.is_empty() {
            // SAFETY: the new buffer is as long as `bytes`, and nobody else knows it yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
        }
        let kind = sys::TypedarrayType::uint8_array;
        // SAFETY: as above; the array covers the buffer.
        check(unsafe { sys::napi_create_typedarray(env, kind, bytes.len(), buffer, 0, &mut array) })?;
        Ok(array)
    }
}

/// Writes `bytes` to the start of a caller's array; nothing where it is shorter.
pub fn write_to(array: &mut Uint8ArraySlice<'_>, bytes: &[u8]) {
    // SAFETY: JavaScript stands still while a call runs on its thread, and nothing of ours reads the array meanwhile.
    let place = unsafe { array.as_mut() };
    if let Some(place) = place.get_mut(..bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
