//! 64-bit integers, which JavaScript passes as `BigInt`, and values that may be absent.

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{BigInt, Either};

use crate::failure::wrong_argument;

pub fn unsigned(value: &BigInt, what: &str) -> Result<u64, NativeError> {
    match value.get_u64() {
        (false, number, true) => Ok(number),
        _ => Err(wrong_argument(&format!("{what} is not an unsigned 64-bit integer"))),
    }
}

pub fn signed(value: &BigInt, what: &str) -> Result<i64, NativeError> {
    match value.get_i64() {
        (number, true) => Ok(number),
        _ => Err(wrong_argument(&format!("{what} is not a 64-bit integer"))),
    }
}

/// A count that JavaScript passes as a number.
pub fn count(value: f64, what: &str) -> Result<usize, NativeError> {
    if value >= 0.0 && value.fract() == 0.0 && value <= 9_007_199_254_740_991.0 {
        Ok(value as usize)
    } else {
        Err(wrong_argument(&format!("{what} is not a count")))
    }
}

/// JavaScript's `undefined` for what is absent; an `Option` alone would cross as `null`.
pub fn or_undefined<T>(value: Option<T>) -> Either<T, ()> {
    value.map_or(Either::B(()), Either::A)
}
