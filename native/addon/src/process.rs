//! What belongs to the process: locks, checksums, memory.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use elanus_kernels::{FileLock, Isa, crc32c as checksum};
use elanus_rows::error::NativeError;
use napi_derive::napi;

use crate::failure::{Thrown, now};

#[napi(js_name = "crc32c")]
pub fn crc32c(bytes: &[u8]) -> u32 {
    checksum(bytes)
}

#[napi]
pub fn isa() -> String {
    Isa::detect().name().to_owned()
}

/// An exclusive lock, held until it is closed or the process dies.
#[napi(js_name = "HeldLock")]
pub struct HeldLock {
    held: Mutex<Option<FileLock>>,
}

#[napi]
impl HeldLock {
    #[napi]
    pub fn close(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[napi]
pub fn lock_file(path: String) -> Result<HeldLock, Thrown> {
    now(|| {
        let lock = FileLock::acquire(Path::new(&path))
            .map_err(|cause| NativeError::IoFailed(format!("cannot lock {path}: {cause}")))?;
        Ok(HeldLock { held: Mutex::new(Some(lock)) })
    })
}

#[napi(object)]
pub struct MemoryUse {
    pub growing: f64,
    pub sealed: f64,
    pub index: f64,
}

#[napi]
pub fn memory_use() -> MemoryUse {
    let bytes = elanus_column::memory_use();
    MemoryUse { growing: bytes.growing as f64, sealed: bytes.sealed as f64, index: bytes.index as f64 }
}

#[napi_derive::module_init]
fn on_load() {
    elanus_kernels::keep_freed_memory();
}
