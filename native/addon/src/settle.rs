//! Promises settled in batches: one call of JavaScript delivers the outcomes of all jobs that have ended since the last
//! one. napi-rs's own deferred makes a thread-safe function per promise, which costs more than a short search.
//!
//! This file and `bytes.rs` are the addon's only homes of `unsafe`: napi-rs has no safe face for a bare promise, nor
//! for keeping the event loop alive only while something is awaited.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Error, JsError, Result, Status, sys};

use crate::failure::thrown;

/// Settles one promise, on the thread of its environment.
type Settle = Box<dyn FnOnce(Env) + Send>;
/// Without a hold on the event loop, and with nothing to tell but that there is something to do.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Where jobs leave their outcomes.
pub struct Outcomes {
    ended: Mutex<Ended>,
}

#[derive(Default)]
struct Ended {
    settles: Vec<Settle>,
    /// Promises that are not settled yet; the event loop lives while there are any.
    awaited: usize,
    bell: Option<Bell>,
}

/// A promise that JavaScript holds, to be settled once.
pub struct Promised {
    deferred: sys::napi_deferred,
    outcomes: Arc<Outcomes>,
}

// SAFETY: the pointer is only passed on, and used on the environment's own thread.
unsafe impl Send for Promised {}

impl Outcomes {
    pub fn new(env: &Env) -> Result<Arc<Self>> {
        let outcomes = Arc::new(Self { ended: Mutex::default() });
        let own = Arc::downgrade(&outcomes);
        let deliver = env.create_function_from_closure::<(), (), _>("deliver", move |context| {
            if let Some(outcomes) = own.upgrade() {
                outcomes.deliver(*context.env);
            }
            Ok(())
        })?;
        let bell = deliver.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build()?;
        outcomes.lock().bell = Some(bell);
        Ok(outcomes)
    }

    /// A new promise, as JavaScript sees it and as its job does.
    pub fn promise<'env>(self: &Arc<Self>, env: &'env Env) -> Result<(Promised, Object<'env>)> {
        let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is the environment of the running call, and both places are there to be written.
        check(unsafe { sys::napi_create_promise(env.raw(), &mut deferred, &mut promise) })?;
        let mut ended = self.lock();
        ended.awaited += 1;
        if let (1, Some(bell)) = (ended.awaited, &ended.bell) {
            // SAFETY: the bell is alive, and this is the thread of its environment.
            check(unsafe { sys::napi_ref_threadsafe_function(env.raw(), bell.raw()) })?;
        }
        Ok((Promised { deferred, outcomes: Arc::clone(self) }, Object::from_raw(env.raw(), promise)))
    }

    fn deliver(&self, env: Env) {
        let settles = std::mem::take(&mut self.lock().settles);
        let count = settles.len();
        for settle in settles {
            settle(env);
        }
        let mut ended = self.lock();
        ended.awaited -= count;
        if let (0, Some(bell)) = (ended.awaited, &ended.bell) {
            // SAFETY: as where it was taken.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), bell.raw()) };
        }
    }

    fn put(&self, settle: Settle) {
        let mut ended = self.lock();
        ended.settles.push(settle);
        if let (1, Some(bell)) = (ended.settles.len(), &ended.bell) {
            // It fails only while the process ends.
            let _ = bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promised {
    /// Leaves the outcome for the next delivery; from any thread.
    pub fn settle<T: ToNapiValue + Send + 'static>(self, outcome: std::result::Result<T, NativeError>) {
        let outcomes = Arc::clone(&self.outcomes);
        outcomes.put(Box::new(move |env| self.settle_now(env, outcome)));
    }

    fn settle_now<T: ToNapiValue>(self, env: Env, outcome: std::result::Result<T, NativeError>) {
        let value = match outcome {
            // SAFETY: `env` is the environment of the running call; the value is made in it.
            Ok(value) => unsafe { T::to_napi_value(env.raw(), value) },
            Err(error) => Err(Error::from(JsError::from(thrown(&error)).into_unknown(env))),
        };
        // SAFETY: the deferred is of this environment and is settled here, once.
        unsafe {
            match value {
                Ok(value) => sys::napi_resolve_deferred(env.raw(), self.deferred, value),
                Err(error) => {
                    sys::napi_reject_deferred(env.raw(), self.deferred, JsError::from(error).into_value(env.raw()))
                }
            };
        }
    }
}

pub(crate) fn check(status: sys::napi_status) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Error::new(Status::from(status), "napi refused")) }
}
