//! How the process's heap behaves.

/// Requests up to this size come from the heap and go back to it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM_BYTES: i32 = 32 << 20;
/// The heap keeps up to this much free memory at its end.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 256 << 20;

/// Lets the heap reuse the megabytes that every insert takes and gives back. By default glibc maps and unmaps each
/// of them, and the page faults cost several times what copying the rows does.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Numbers of `M_MMAP_THRESHOLD`, `M_TRIM_THRESHOLD` and `M_MXFAST` in glibc's malloc.h.
        const MAP_THRESHOLD: i32 = -3;
        const TRIM_THRESHOLD: i32 = -1;
        const FAST_BYTES_MAX: i32 = 1;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: mallopt may be called at any time from any thread; a value it refuses changes nothing.
        unsafe {
            mallopt(MAP_THRESHOLD, MAPPED_FROM_BYTES);
            mallopt(TRIM_THRESHOLD, KEPT_BYTES);
            // Every request of a kilobyte or more, as each search makes, would sweep up the small chunks kept apart;
            // the threads' own caches keep those that count.
            mallopt(FAST_BYTES_MAX, 0);
        }
    }
}

/// Gives all free pages of the heap back to the kernel, wherever they lie. Takes milliseconds for each hundred
/// megabytes, in which other threads may wait for memory: worth it where much was freed that nobody needs soon.
pub fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(kept: usize) -> i32;
        }
        // SAFETY: malloc_trim may be called at any time from any thread; it touches free memory only.
        unsafe {
            malloc_trim(0);
        }
    }
}
