//! Failures on their way to JavaScript.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{JsObjectValue, JsValue};
use napi::{Env, Error};

/// Thrown with `code` = the kind.
pub type Thrown = Error<String>;

pub fn thrown(error: &NativeError) -> Thrown {
    Error::new(error.kind().to_owned(), error.to_string())
}

pub fn wrong_argument(what: &str) -> NativeError {
    NativeError::Internal(format!("wrong argument at the native gate: {what}"))
}

/// Runs `work`; a panic inside it is an `internal` failure of this call.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, NativeError>) -> Result<T, NativeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(NativeError::Internal(words_of(&*panic))))
}

/// The same for calls that answer on the calling thread.
pub fn now<T>(work: impl FnOnce() -> Result<T, NativeError>) -> Result<T, Thrown> {
    guarded(work).map_err(|error| thrown(&error))
}

/// A JavaScript `Error` that a promise is rejected with.
pub fn rejection(env: &Env, error: &NativeError) -> Error {
    let built = env.create_error(Error::from_reason(error.to_string())).and_then(|mut object| {
        object.set_named_property("code", error.kind())?;
        Ok(Error::from(object.to_unknown()))
    });
    built.unwrap_or_else(|failure| failure)
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("native code panicked: {}", words.unwrap_or_else(|| "without a message".to_owned()))
}
