//! Answers that go straight to another environment. A proxy on a thread of its own opens a promise there; the search
//! that it asks of the thread with the segments settles it, and that thread is not woken again to pass the answer on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::failure::{Thrown, thrown};
use crate::numbers;
use crate::pool::gate_failure;
use crate::settle::{Outcomes, Promised};

/// Promises that no search has taken yet.
static WAITING: Mutex<BTreeMap<u64, Promised>> = Mutex::new(BTreeMap::new());
/// So that no two environments give the same numbers.
static ENVIRONMENTS: AtomicU64 = AtomicU64::new(0);
/// Numbers that one environment may give.
const NUMBERS_EACH: u64 = 1 << 40;

/// Promises of this environment, by numbers that every environment knows.
#[napi(js_name = "Callers")]
pub struct Callers {
    first: u64,
    outcomes: Arc<Outcomes>,
}

#[napi]
impl Callers {
    #[napi(constructor)]
    pub fn new(env: Env) -> Result<Self, Thrown> {
        let first = ENVIRONMENTS.fetch_add(1, Ordering::Relaxed) * NUMBERS_EACH;
        Ok(Self { first, outcomes: Outcomes::new(&env).map_err(|cause| gate_failure(&cause))? })
    }

    /// The caller gives numbers from here on, each once.
    #[napi(getter)]
    pub fn first(&self) -> f64 {
        self.first as f64
    }

    /// A promise of what `deliver_search` finds for this number.
    #[napi]
    pub fn promise<'env>(&self, env: &'env Env, id: f64) -> Result<Object<'env>, Thrown> {
        let id = number(id)?;
        let (promised, promise) = self.outcomes.promise(env).map_err(|cause| gate_failure(&cause))?;
        waiting().insert(id, promised);
        Ok(promise)
    }

    /// The answer comes another way: the promise resolves to nothing, unless a search has it.
    #[napi]
    pub fn forget(&self, id: f64) -> Result<(), Thrown> {
        if let Some(promised) = take(id)? {
            promised.settle(Ok(()));
        }
        Ok(())
    }
}

/// The promise of this number, for whoever settles it; `None` when nobody waits any more.
pub fn take(id: f64) -> Result<Option<Promised>, Thrown> {
    Ok(waiting().remove(&number(id)?))
}

fn waiting() -> MutexGuard<'static, BTreeMap<u64, Promised>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(id: f64) -> Result<u64, Thrown> {
    numbers::count(id, "caller").map(|id| id as u64).map_err(|error| thrown(&error))
}
