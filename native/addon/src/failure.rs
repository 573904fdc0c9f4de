//! Failures on their way to JavaScript.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use elanus_rows::error::NativeError;
use napi::Error;
use serde_json::json;

/// Thrown with `code` = the kind.
pub type Thrown = Error<String>;

/// What an error holds besides its message stands as JSON in the message of its `cause`.
pub fn thrown(error: &NativeError) -> Thrown {
    let (message, details) = match error {
        NativeError::Unexpected { message, expected, actual } => {
            (message.clone(), Some(json!({ "expected": expected, "actual": actual })))
        }
        NativeError::FileCorrupt { file, message } => (message.clone(), Some(json!({ "file": file }))),
        other => (other.to_string(), None),
    };
    let mut thrown = Error::new(error.kind().to_owned(), message);
    if let Some(details) = details {
        thrown.set_cause(Error::from_reason(details.to_string()));
    }
    thrown
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

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("native code panicked: {}", words.unwrap_or_else(|| "without a message".to_owned()))
}
