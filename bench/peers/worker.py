"""One peer in a process of its own: worker.py SYSTEM DATA. Reads a command a line, answers with a line of JSON.

{"do": "build", "threads": 2}                    -> {"seconds", "cpuSeconds", "anonymous", "mapped"} (bytes)
{"do": "search", "at": 64, "k": 10, "seconds": 1} -> {"recall", "qps", "cpuQps"}
"""

import gc
import json
import pathlib
import sys
import time

import numpy as np
from libraries import SYSTEMS


def resident():
    """Bytes of this process in memory: its own, and of mapped files."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return [int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")]


class Worker:
    def __init__(self, system, folder):
        self.library = SYSTEMS[system]()
        self.base = np.load(folder / "base.npy", mmap_mode="r")
        self.queries = np.load(folder / "queries.npy")
        self.truth = np.load(folder / "truth.npy")

    def build(self, command):
        anonymous, mapped = resident()
        began, cpu = time.perf_counter(), time.process_time()
        self.library.build(self.base, command["threads"])
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        self.base = None
        gc.collect()
        now = resident()
        return {
            "seconds": seconds,
            "cpuSeconds": cpu,
            "anonymous": max(0, now[0] - anonymous),
            "mapped": max(0, now[1] - mapped),
        }

    def search(self, command):
        library, k, at = self.library, command["k"], command["at"]
        batch = library.batch
        asked = self.queries[: len(self.queries) // batch * batch].reshape(-1, batch * self.queries.shape[1])
        found = [library.rows(library.search(query, k, at)) for query in asked]
        hits = 0
        for i, rows in enumerate(found):
            for j in range(batch):
                hits += len(set(self.truth[i * batch + j, :k]).intersection(rows[j * k : (j + 1) * k]))
        count = 0
        began, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < command["seconds"]:
            for query in asked[count % len(asked) :][:32]:
                library.search(query, k, at)
                count += 1
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        done = count * batch
        return {"recall": hits / (len(asked) * batch * k), "qps": done / seconds, "cpuQps": done / cpu}


def main():
    worker = Worker(sys.argv[1], pathlib.Path(sys.argv[2]))
    for line in sys.stdin:
        command = json.loads(line)
        answer = {"build": worker.build, "search": worker.search}[command["do"]](command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
