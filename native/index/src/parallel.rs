//! Threads of a build: as many as were granted, the caller's among them.

use std::thread::ScopedJoinHandle;

use crate::IndexError;

/// The result of a worker. A panic in it is a bug of ours: it goes on in the caller, who answers for the request.
pub(crate) fn joined<T>(worker: ScopedJoinHandle<'_, Result<T, IndexError>>) -> Result<T, IndexError> {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `work` on `threads` threads at once and gives the first failure. One thread: on the caller's.
pub(crate) fn run(threads: usize, work: impl Fn() -> Result<(), IndexError> + Sync) -> Result<(), IndexError> {
    if threads <= 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let own = work();
        workers.into_iter().map(joined).fold(own, Result::and)
    })
}
