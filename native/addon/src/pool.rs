//! Threads for heavy calls. A pool without threads runs its work on the calling thread and answers at once, so that
//! nothing can reorder a simulation.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use elanus_rows::error::NativeError;
use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi::{Env, Error};
use napi_derive::napi;

use crate::failure::{Thrown, guarded, rejection, thrown};

type Job = Box<dyn FnOnce() + Send>;

/// What a heavy call answers: the value itself, or a promise of it. (The macro wants to see the `Result` around it.)
pub type Answer<'env, T> = Either<T, Object<'env>>;

#[napi(js_name = "Pool")]
pub struct Pool {
    jobs: Mutex<Option<Sender<Job>>>,
    threads: u32,
}

#[napi]
impl Pool {
    #[napi(constructor)]
    pub fn new(threads: u32) -> Result<Self, Thrown> {
        let (sender, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for i in 0..threads {
            let receiver = Arc::clone(&receiver);
            let spawned = thread::Builder::new().name(format!("elanus-{i}")).spawn(move || work(&receiver));
            if let Err(cause) = spawned {
                return Err(thrown(&NativeError::Internal(format!("cannot start a thread: {cause}"))));
            }
        }
        Ok(Self { jobs: Mutex::new((threads > 0).then_some(sender)), threads })
    }

    #[napi(getter)]
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Lets the queued work finish and ends the threads.
    #[napi]
    pub fn close(&self) {
        self.sender().take();
    }
}

impl Pool {
    fn sender(&self) -> std::sync::MutexGuard<'_, Option<Sender<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` here or on a thread; `T` crosses back to JavaScript.
    pub fn run<'env, T, W>(&self, env: &'env Env, work: W) -> Result<Answer<'env, T>, Thrown>
    where
        T: ToNapiValue + Send + 'static,
        W: FnOnce() -> Result<T, NativeError> + Send + 'static,
    {
        if self.threads == 0 {
            return guarded(work).map(Either::A).map_err(|error| thrown(&error));
        }
        let (deferred, promise) = env.create_deferred().map_err(|cause| gate_failure(&cause))?;
        let job: Job = Box::new(move || {
            let outcome = guarded(work);
            deferred.resolve(move |env: Env| outcome.map_err(|error| rejection(env, &error)));
        });
        match &*self.sender() {
            Some(sender) if sender.send(job).is_ok() => Ok(Either::B(promise)),
            _ => Err(thrown(&NativeError::Cancelled("the native pool is closed".to_owned()))),
        }
    }
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

pub fn gate_failure(cause: &Error) -> Thrown {
    thrown(&NativeError::Internal(format!("the native gate failed: {cause}")))
}
