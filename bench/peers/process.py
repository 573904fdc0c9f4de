"""A measured system in a process of its own, spoken to by lines of JSON."""

import contextlib
import json
import os
import signal
import subprocess
import threading


# Seconds that one step of a measurement may take: builds of the slowest peers need minutes, a deadlock for ever.
PATIENCE = 400


def environment():
    """Without the overrides of OpenBLAS that slow a current NumPy; threads that wait must not spin."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


class Process:
    """`command` with a data folder (and what else the worker wants) behind it."""

    def __init__(self, command, *places):
        self.process = subprocess.Popen(
            [*command, *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        self.too_slow = None

    def ask(self, command):
        """Raises EOFError when the process ended instead of answering, or was ended because it took PATIENCE."""
        impatience = threading.Timer(PATIENCE, self.give_up, [command])
        impatience.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(json.dumps(command) + "\n")
                self.process.stdin.flush()
            while line := self.process.stdout.readline():
                if line.startswith("{"):
                    return json.loads(line)
            raise EOFError
        finally:
            impatience.cancel()

    def give_up(self, command):
        self.too_slow = command["do"]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def last_words(self):
        """Why it ended, in its own words."""
        # A server it started would outlive it, and hold its pipes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        _, errors = self.process.communicate()
        if self.too_slow is not None:
            return f"no answer to «{self.too_slow}» within {PATIENCE} s"
        lines = [line for line in errors.strip().splitlines() if line.strip() and not line.startswith("Node.js")]
        told = next((line for line in reversed(lines) if "rror" in line or "support" in line), "".join(lines[-1:]))
        return told.strip() or f"ended with status {self.process.returncode}"

    def pin(self):
        """All threads on the last processor, as searches have one."""
        last = max(os.sched_getaffinity(0))
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task), {last})

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
