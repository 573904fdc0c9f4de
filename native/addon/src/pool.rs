//! Threads for heavy calls. A pool without threads runs its work on the calling thread and answers at once, so that
//! nothing can reorder a simulation.
//!
//! There are two queues, each with its own threads: searches and other short work never wait behind the merges, index
//! builds and encodings of whole segments.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi::{Env, Error};
use napi_derive::napi;

use crate::failure::{Thrown, guarded, thrown};
use crate::settle::Outcomes;

type Job = Box<dyn FnOnce() + Send>;

/// What a heavy call answers: the value itself, or a promise of it.
pub type Answer<'env, T> = Either<T, Object<'env>>;

/// Who may wait for whom.
#[derive(Clone, Copy)]
pub enum Urgency {
    /// A reader waits.
    Now,
    /// Seconds of work that nobody waits for.
    Background,
}

#[napi(js_name = "Pool")]
pub struct Pool {
    queues: Mutex<Option<Queues>>,
    threads: u32,
    /// Absent without threads.
    outcomes: Option<Arc<Outcomes>>,
}

struct Queues {
    now: Sender<Job>,
    background: Sender<Job>,
}

#[napi]
impl Pool {
    #[napi(constructor)]
    pub fn new(env: Env, threads: u32) -> Result<Self, Thrown> {
        let queues = Queues {
            now: start_threads("elanus", threads)?,
            background: start_threads("elanus-bg", threads.div_ceil(2))?,
        };
        let outcomes = (threads > 0).then(|| Outcomes::new(&env)).transpose().map_err(|cause| gate_failure(&cause))?;
        Ok(Self { queues: Mutex::new((threads > 0).then_some(queues)), threads, outcomes })
    }

    #[napi(getter)]
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Lets the queued work finish and ends the threads.
    #[napi]
    pub fn close(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Pool {
    /// Runs `work` here or on a thread; `T` crosses back to JavaScript.
    pub fn run<'env, T, W>(&self, env: &'env Env, work: W) -> Result<Answer<'env, T>, Thrown>
    where
        T: ToNapiValue + Send + 'static,
        W: FnOnce() -> Result<T, NativeError> + Send + 'static,
    {
        self.run_as(env, Urgency::Now, work)
    }

    /// The same in the queue that `urgency` says.
    pub fn run_as<'env, T, W>(&self, env: &'env Env, urgency: Urgency, work: W) -> Result<Answer<'env, T>, Thrown>
    where
        T: ToNapiValue + Send + 'static,
        W: FnOnce() -> Result<T, NativeError> + Send + 'static,
    {
        let Some(outcomes) = &self.outcomes else {
            return guarded(work).map(Either::A).map_err(|error| thrown(&error));
        };
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queues) = &*queues else { return Err(closed()) };
        let (promised, promise) = outcomes.promise(env).map_err(|cause| gate_failure(&cause))?;
        let job: Job = Box::new(move || promised.settle(guarded(work)));
        let queue = match urgency {
            Urgency::Now => &queues.now,
            Urgency::Background => &queues.background,
        };
        queue.send(job).map_err(|_| closed())?;
        Ok(Either::B(promise))
    }
}

/// A queue and the threads that work it off until it is dropped.
fn start_threads(name: &str, count: u32) -> Result<Sender<Job>, Thrown> {
    let (sender, receiver) = channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for i in 0..count {
        let receiver = Arc::clone(&receiver);
        let spawned = thread::Builder::new().name(format!("{name}-{i}")).spawn(move || work(&receiver));
        spawned.map_err(|cause| thrown(&NativeError::Internal(format!("cannot start a thread: {cause}"))))?;
    }
    Ok(sender)
}

fn work(receiver: &Mutex<Receiver<Job>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

fn closed() -> Thrown {
    thrown(&NativeError::Cancelled("the native pool is closed".to_owned()))
}

pub fn gate_failure(cause: &Error) -> Thrown {
    thrown(&NativeError::Internal(format!("the native gate failed: {cause}")))
}

/// Panics on purpose, so that the tests can prove that a panic is one call's failure.
#[napi]
pub fn rehearse_panic<'env>(env: &'env Env, pool: &Pool) -> Result<Answer<'env, ()>, Thrown> {
    // Unwinds as a panic does, without a report on stderr.
    pool.run(env, || std::panic::resume_unwind(Box::new("rehearsed")))
}
