//! Searches that are asked with many vectors, one call after the other.

use std::sync::{Mutex, PoisonError};

use elanus_column::search;
use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{Object, Uint8ArraySlice};
use napi_derive::napi;

use crate::bytes::write_to;
use crate::failure::{Thrown, now};
use crate::reads::{Fields, SearchArguments};

#[napi(js_name = "PreparedSearch")]
pub struct PreparedSearch {
    asked: Mutex<Option<SearchArguments>>,
}

#[napi]
impl PreparedSearch {
    #[napi(constructor)]
    pub fn new(request: Object) -> Result<Self, Thrown> {
        now(|| Ok(Self { asked: Mutex::new(Some(SearchArguments::read(&Fields(&request))?)) }))
    }

    /// On the calling thread. Reading the caller's memory ends before anything is written to it: it may be the same.
    #[napi]
    pub fn search(&self, placeholders: &[u8], mut out: Uint8ArraySlice<'_>) -> Result<u32, Thrown> {
        now(|| {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let closed = || NativeError::Internal("the prepared search is closed".to_owned());
            let hits = search::search(&asked.as_ref().ok_or_else(closed)?.request(placeholders))?.encode();
            write_to(&mut out, &hits);
            Ok(hits.len() as u32)
        })
    }

    #[napi]
    pub fn close(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
