"""One embedded database in a process of its own: worker.py DATABASE DATA FOLDER. Speaks lines of JSON.

{"do": "open"}   -> {"seconds"}                      first, and again after a close: up to the first search's answer
{"do": "load"}   -> {"seconds", "rowsPerSecond"}
{"do": "index"}  -> {"seconds"}
{"do": "recall", "ef", "k", "below"} -> {"recall"}
{"do": "search", "ef", "k", "below", "clients", "seconds", "writing"} -> {"perSecond", "p50", "p99" (ms), "written"}
{"do": "footprint"} -> {"anonymous", "resident"} (bytes)
"""

import json
import pathlib
import sys
import threading
import time

import numpy as np
from embedded import DATABASES

BATCH = 1_000


class Worker:
    def __init__(self, name, data, folder):
        self.make, self.folder = DATABASES[name], folder
        self.base = np.load(data / "base.npy", mmap_mode="r")
        self.queries = np.load(data / "queries.npy")[:200]
        self.truth = {0: np.load(data / "truth.npy")}
        self.next = len(self.base)

    def open(self, _):
        began = time.perf_counter()
        self.database = self.make()
        self.database.open(self.folder, self.base.shape[1])
        return {"seconds": time.perf_counter() - began}

    def reopen(self, command):
        self.database.close()
        began = time.perf_counter()
        self.open(command)
        self.database.search(self.queries[0], 10, 64, 0)
        return {"seconds": time.perf_counter() - began}

    def load(self, _):
        began = time.perf_counter()
        for start in range(0, len(self.base), BATCH):
            self.database.insert(start, np.array(self.base[start : start + BATCH]))
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "rowsPerSecond": len(self.base) / seconds}

    def index(self, _):
        began = time.perf_counter()
        self.database.index()
        return {"seconds": time.perf_counter() - began}

    def recall(self, command):
        below, k = command["below"], command["k"]
        if below not in self.truth:
            self.truth[below] = self.nearest(below, k)
        hits = 0
        for query, wanted in zip(self.queries, self.truth[below]):
            hits += len(set(self.database.search(query, k, command["ef"], below)).intersection(wanted[:k].tolist()))
        return {"recall": hits / (len(self.queries) * k)}

    def nearest(self, below, k):
        import faiss

        kept = np.flatnonzero(np.arange(len(self.base)) % 100 < below)
        return kept[faiss.knn(self.queries, self.base[kept], k)[1]]

    def search(self, command):
        times, written = [], [0]
        until = time.perf_counter() + command["seconds"]

        def ask(client):
            i = client
            while (began := time.perf_counter()) < until:
                query = self.queries[i % len(self.queries)]
                self.database.search(query, command["k"], command["ef"], command["below"])
                times.append(time.perf_counter() - began)
                i += command["clients"]

        def write():
            while time.perf_counter() < until:
                start = self.next % min(5_000, len(self.base) // 100 * 100)
                self.database.insert(self.next, np.array(self.base[start : start + 100]))
                self.next += 100
                written[0] += 100

        threads = [threading.Thread(target=ask, args=(client,)) for client in range(command["clients"])]
        threads += [threading.Thread(target=write)] if command.get("writing") else []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        milliseconds = 1_000 * np.percentile(times, [50, 99])
        rate = {"perSecond": len(times) / command["seconds"], "writtenPerSecond": written[0] / command["seconds"]}
        return rate | {"p50": milliseconds[0], "p99": milliseconds[1]}

    def footprint(self, _):
        servers = getattr(self.database, "processes", lambda: ["self"])()
        lines = [pathlib.Path(f"/proc/{one}/status").read_text() for one in servers]
        told = [dict(line.split(":", 1) for line in text.splitlines()) for text in lines]
        # A process that has just ended still stands in the list, without memory.
        return {
            name: sum(int(fields.get(field, "0").split()[0]) * 1_024 for fields in told)
            for name, field in [("anonymous", "RssAnon"), ("resident", "VmRSS")]
        }


def main():
    worker = Worker(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(worker, command["do"])(command)), flush=True)


if __name__ == "__main__":
    main()
