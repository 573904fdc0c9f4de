"""What machine this is, and what it can do at most on one processor."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import time


def describe():
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    flags = [flag for flag in ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"] if flag in fields["flags"].split()]
    return {
        "cpu": fields["model name"],
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(memory),
        "vector": flags,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
    }


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip()


@contextlib.contextmanager
def quiet():
    """Measurements that share a machine take turns: they hold the lock on the file that BENCH_LOCK names, if any."""
    path = os.environ.get("BENCH_LOCK")
    if not path:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def limits():
    """One thread's memory bandwidth (bytes/s: a dot product over half a gigabyte) and f32 arithmetic (operations/s: a
    product of matrices that fit the cache), best of five. To be run in a process with OPENBLAS_NUM_THREADS=1."""
    import numpy as np

    long = np.ones(1 << 27, np.float32)
    square = np.ones((1_536, 1_536), np.float32)
    return {
        "bytesPerSecond": long.nbytes / fastest(lambda: long @ long),
        "operationsPerSecond": 2 * len(square) ** 3 / fastest(lambda: square @ square),
    }


def fastest(work):
    def timed():
        began = time.process_time()
        work()
        return time.process_time() - began

    timed()
    return min(timed() for _ in range(5))


if __name__ == "__main__":
    import json

    print(json.dumps(limits()))
