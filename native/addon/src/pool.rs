//! Threads for heavy calls. A pool without threads runs its work on the calling thread and answers at once, so that
//! nothing can reorder a simulation.
//!
//! There are two queues, each with its own threads: searches and other short work never wait behind the merges, index
//! builds and encodings of whole segments.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi::{Env, Error};
use napi_derive::napi;

use crate::failure::{Thrown, guarded, thrown};
use crate::settle::{Outcomes, Promised};

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
    now: Queue,
    background: Queue,
}

/// Jobs and the threads that work them off. Dropped, it lets its threads end after the last job.
struct Queue {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    filled: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// Threads that sleep and have not been called yet: only then is there somebody to wake.
    asleep: usize,
    /// Threads that were called and have not looked yet.
    called: usize,
    closed: bool,
}

#[napi]
impl Pool {
    #[napi(constructor)]
    pub fn new(env: Env, threads: u32) -> Result<Self, Thrown> {
        let queues = Queues {
            now: Queue::start("elanus", threads)?,
            background: Queue::start("elanus-bg", threads.div_ceil(2))?,
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
        let Some(queues) = &*queues else { return Err(thrown(&closed())) };
        let (promised, promise) = outcomes.promise(env).map_err(|cause| gate_failure(&cause))?;
        let job: Job = Box::new(move || promised.settle(guarded(work)));
        let queue = match urgency {
            Urgency::Now => &queues.now,
            Urgency::Background => &queues.background,
        };
        queue.put(job);
        Ok(Either::B(promise))
    }
}

impl Pool {
    /// Runs `work` here or on a thread, for a promise of another environment.
    pub fn run_for<T, W>(&self, promised: Promised, work: W)
    where
        T: ToNapiValue + Send + 'static,
        W: FnOnce() -> Result<T, NativeError> + Send + 'static,
    {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queues {
            Some(queues) => queues.now.put(Box::new(move || promised.settle(guarded(work)))),
            None if self.outcomes.is_none() => promised.settle(guarded(work)),
            None => promised.settle::<T>(Err(closed())),
        }
    }
}

impl Queue {
    fn start(name: &str, threads: u32) -> Result<Self, Thrown> {
        let queue = Self { shared: Arc::default() };
        for i in 0..threads {
            let shared = Arc::clone(&queue.shared);
            let spawned = thread::Builder::new().name(format!("{name}-{i}")).spawn(move || shared.work());
            spawned.map_err(|cause| thrown(&NativeError::Internal(format!("cannot start a thread: {cause}"))))?;
        }
        Ok(queue)
    }

    fn put(&self, job: Job) {
        let mut jobs = self.shared.lock();
        jobs.waiting.push_back(job);
        // Calling costs more than many jobs do, so nobody is called twice.
        let calls = jobs.asleep > 0;
        if calls {
            jobs.asleep -= 1;
            jobs.called += 1;
        }
        drop(jobs);
        if calls {
            self.shared.filled.notify_one();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            if jobs.closed {
                return None;
            }
            jobs.asleep += 1;
            jobs = self.filled.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            // Whoever wakes without a call was still counted among the sleepers.
            if jobs.called > 0 {
                jobs.called -= 1;
            } else {
                jobs.asleep -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> NativeError {
    NativeError::Cancelled("the native pool is closed".to_owned())
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
