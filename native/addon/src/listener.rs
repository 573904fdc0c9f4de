//! The native front door: requests cross in batches, each batch with one call of JavaScript.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use elanus_listener::{Answer, Entrance, Listener, OpenError, Options, Tls, framed};
use elanus_rows::error::NativeError;
use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, BufferSlice, Either, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::failure::{Thrown, now, thrown, wrong_argument};
use crate::numbers::{self, or_undefined};
use crate::pool::gate_failure;

/// A batch up to here is copied to JavaScript: memory of ours behind a buffer costs a finaliser.
const COPIED_BYTES_MAX: usize = 32 * 1_024;

#[napi(object, js_name = "ListenerOptions")]
pub struct ListenerOptions {
    pub host: String,
    pub port: u16,
    pub entrance: Option<u32>,
    pub request_bytes_max: f64,
    pub response_bytes_max: f64,
    pub in_flight_bytes_max: f64,
    pub stall_ms_max: f64,
    pub threads: u32,
    pub certificate: Option<Uint8Array>,
    pub key: Option<Uint8Array>,
}

/// Open entrances, by the number that other environments know them by: handles do not pass from one to the other.
static ENTRANCES: Mutex<BTreeMap<u32, Arc<Entrance>>> = Mutex::new(BTreeMap::new());

/// So that no number is given twice.
static ENTRANCES_OPENED: AtomicU32 = AtomicU32::new(0);

/// A socket that listeners of several environments share, until it is closed and they are.
#[napi(js_name = "Entrance")]
pub struct EntranceHandle {
    id: u32,
    port: u16,
}

#[napi]
impl EntranceHandle {
    #[napi(constructor)]
    pub fn new(host: String, port: u16) -> Result<Self, Thrown> {
        now(|| {
            let entrance = Entrance::open(&host, port).map_err(|cause| io_failed(&cause))?;
            let port = entrance.port();
            let id = ENTRANCES_OPENED.fetch_add(1, Ordering::Relaxed) + 1;
            ENTRANCES.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(entrance));
            Ok(Self { id, port })
        })
    }

    #[napi(getter)]
    pub fn id(&self) -> u32 {
        self.id
    }

    #[napi(getter)]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// No further listener finds it; those behind it go on.
    #[napi]
    pub fn close(&self) {
        ENTRANCES.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[napi(js_name = "Listener")]
pub struct ListenerHandle {
    listener: Mutex<Option<Arc<Listener>>>,
}

#[napi]
impl ListenerHandle {
    /// `ring` is called when the batch of events is no longer empty.
    #[napi(constructor)]
    pub fn new(options: ListenerOptions, ring: Function<(), ()>) -> Result<Self, Thrown> {
        let bell = ring.build_threadsafe_function::<()>().callee_handled::<false>().build();
        let bell = bell.map_err(|cause| gate_failure(&cause))?;
        now(|| {
            let entrance = options.entrance()?;
            let listener = Listener::open(&entrance, options.read()?, move || {
                // It fails only while the process ends.
                let _ = bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
            });
            let listener = listener.map_err(|cause| io_failed(&cause))?;
            Ok(Self { listener: Mutex::new(Some(Arc::new(listener))) })
        })
    }

    /// 0 once it is freed.
    #[napi(getter)]
    pub fn port(&self) -> u16 {
        self.open().map_or(0, |listener| listener.port())
    }

    /// All events since the last call.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<BufferSlice<'env>, Thrown> {
        let batch = self.open().map(|listener| listener.take()).unwrap_or_default();
        let buffer = if batch.len() <= COPIED_BYTES_MAX {
            BufferSlice::copy_from(env, batch)
        } else {
            BufferSlice::from_data(env, batch)
        };
        buffer.map_err(|cause| gate_failure(&cause))
    }

    /// A body that the batch did not hold; once.
    #[napi]
    pub fn body(&self, id: f64) -> Result<Either<Uint8Array, ()>, Thrown> {
        let id = call_id(id)?;
        Ok(or_undefined(self.open().and_then(|listener| listener.body(id)).map(Uint8Array::from)))
    }

    /// Frees a body that `body` gave, before the garbage collector would; what still looks at it sees nothing.
    #[napi]
    pub fn release(&self, body: ArrayBuffer) -> Result<(), Thrown> {
        body.detach().map_err(|cause| gate_failure(&cause))
    }

    #[napi]
    pub fn answer_message(&self, id: f64, message: &[u8], keep_open: bool) -> Result<(), Thrown> {
        self.answer(id, Answer::Message { frame: framed(message), keep_open })
    }

    #[napi]
    pub fn answer_failure(&self, id: f64, status: u32, message: String) -> Result<(), Thrown> {
        self.answer(id, Answer::Failure { status, message })
    }

    /// `headers`: names and values in turn.
    #[napi]
    pub fn answer_http(&self, id: f64, status: u16, headers: Vec<String>, body: Vec<Uint8Array>) -> Result<(), Thrown> {
        let headers = headers.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let body = body.iter().map(|part| part.to_vec().into()).collect();
        self.answer(id, Answer::Http { status, headers, body })
    }

    /// Sends the answers since the last call.
    #[napi]
    pub fn send(&self) {
        if let Some(listener) = self.open() {
            listener.send();
        }
    }

    /// The last event follows when every connection is closed, at the latest after `grace_ms`.
    #[napi]
    pub fn close(&self, grace_ms: f64) {
        if let Some(listener) = self.open() {
            listener.close(Duration::from_millis(grace_ms.max(0.0) as u64));
        }
    }

    /// Frees everything; later calls do nothing.
    #[napi]
    pub fn free(&self) {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl ListenerHandle {
    /// `None` once it is freed: answers that come later have no caller any more.
    fn open(&self) -> Option<Arc<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, id: f64, answer: Answer) -> Result<(), Thrown> {
        let id = call_id(id)?;
        if let Some(listener) = self.open() {
            listener.answer(id, answer);
        }
        Ok(())
    }
}

impl ListenerOptions {
    /// The shared one that it names, or one of its own.
    fn entrance(&self) -> Result<Arc<Entrance>, NativeError> {
        let Some(id) = self.entrance else {
            return Entrance::open(&self.host, self.port).map(Arc::new).map_err(|cause| io_failed(&cause));
        };
        let open = ENTRANCES.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&id).cloned().ok_or_else(|| wrong_argument("there is no entrance of this number"))
    }

    fn read(self) -> Result<Options, NativeError> {
        let tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate: certificate.to_vec(), key: key.to_vec() }),
            (None, None) => None,
            _ => return Err(wrong_argument("a certificate goes with its key")),
        };
        Ok(Options {
            request_bytes_max: numbers::count(self.request_bytes_max, "requestBytesMax")?,
            response_bytes_max: numbers::count(self.response_bytes_max, "responseBytesMax")?,
            in_flight_bytes_max: numbers::count(self.in_flight_bytes_max, "inFlightBytesMax")?,
            stall_max: Duration::from_millis(numbers::count(self.stall_ms_max, "stallMsMax")? as u64),
            tls,
            threads: self.threads as usize,
        })
    }
}

fn io_failed(cause: &OpenError) -> NativeError {
    NativeError::IoFailed(cause.to_string())
}

fn call_id(id: f64) -> Result<u64, Thrown> {
    numbers::count(id, "call id").map(|id| id as u64).map_err(|error| thrown(&error))
}
