"""Elanus's engine beside vector libraries: same data, one query at a time, one thread, taking turns.

    npm run bench:peers -- [--suite graph|flat|ivf|all] [--data NAME|DIR ...] [--rows N] [--k 10,100] [--json FILE]

Every system lives in its own process on one processor. A round asks each system for each of its settings in turn, so
that whatever else the machine does falls on all alike; the figures are medians over the rounds. Queries per second
are given by the clock and by processor time; ratios use the latter, which other work on the machine disturbs less.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import datasets  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
from process import Process, environment  # noqa: E402
from libraries import SYSTEMS  # noqa: E402

SUITES = {
    "graph": ["graph"],
    "flat": ["flat", "flat-batch"],
    "ivf": ["ivf-flat", "ivf-sq8", "ivf-pq", "ivf-rabitq", "scann"],
}
OURS = json.loads(subprocess.run(["node", HERE / "elanus-systems.mjs"], capture_output=True, check=True).stdout)


def main():
    asked = options()
    result = {"machine": machine.describe(), "rounds": asked.rounds, "runs": []}
    for data in asked.data:
        folder = datasets.prepare(data, asked.rows)
        for suite in SUITES if asked.suite == "all" else [asked.suite]:
            for group in SUITES[suite]:
                run = compare(group, folder, asked)
                result["runs"].append(run)
                report.print_run(run)
                if asked.json:
                    asked.json.parent.mkdir(parents=True, exist_ok=True)
                    asked.json.write_text(json.dumps(result, indent=1) + "\n")
                    report.plot(result, asked.json.with_suffix(".svg"))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="all")
    parser.add_argument("--data", nargs="+", default=["sentences", "clustered-768"], help="sets or folders")
    parser.add_argument("--rows", type=int, help="cut the made sets to so many rows")
    parser.add_argument("--k", type=lambda text: [int(k) for k in text.split(",")], default=[10, 100])
    parser.add_argument("--only", default="", help="systems whose name holds one of these words, split by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one measurement")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def compare(group, folder, asked):
    """All systems of one group over one data set."""
    base = np.load(folder / "base.npy", mmap_mode="r")
    run = {"group": group, "data": folder.name, "rows": len(base), "dim": base.shape[1], "systems": [], "refused": {}}
    workers = []
    try:
        for name, points in members(group, asked.only):
            worker = Process(command(name), folder)
            try:
                built = worker.ask({"do": "build", "threads": asked.build_threads})
            except EOFError:
                run["refused"][name] = worker.last_words()
                continue
            worker.pin()
            curves = {str(k): [{"at": at} for at in points] for k in asked.k}
            worker.system = {"name": name, "build": built, "curves": curves}
            run["systems"].append(worker.system)
            workers.append(worker)
        for k in asked.k:
            measure(workers, k, asked)
        if group.startswith("flat"):
            run["limits"] = measured_limits()
    finally:
        for worker in workers:
            worker.stop()
    return run


def command(name):
    kind, _, index = name.partition(" ")
    return ["node", HERE / "elanus.mjs", index] if kind == "elanus" else [sys.executable, HERE / "worker.py", name]


def members(group, only):
    """(name, settings) of Elanus's index types and the peers in a group."""
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    peers = {name: make() for name, make in SYSTEMS.items()}
    points = {name: library.points for name, library in peers.items() if library.group == group}
    sweep = max(points.values(), key=len)
    every = {f"elanus {name}": sweep for name, system in OURS.items() if system["group"] == group} | points
    return [(name, at) for name, at in every.items() if not words or any(word in name.lower() for word in words)]


def measure(workers, k, asked):
    """Adds medians over the rounds to each point of each curve."""
    seen = {}
    for _ in range(asked.rounds):
        with machine.quiet():
            for worker in workers:
                for point in worker.system["curves"][str(k)]:
                    if point["at"] in points_too_slow(worker, k):
                        continue
                    answer = worker.ask({"do": "search", "at": point["at"], "k": k, "seconds": asked.seconds})
                    seen.setdefault(id(point), []).append(answer)
                    point |= {key: statistics.median(one[key] for one in seen[id(point)]) for key in answer}


def measured_limits():
    with machine.quiet():
        done = subprocess.run([sys.executable, HERE / "machine.py"], capture_output=True, check=True, env=environment())
    return json.loads(done.stdout)


def points_too_slow(worker, k):
    """Settings beyond the first one that reached recall 0.9995: they only cost time."""
    curve = worker.system["curves"][str(k)]
    done = next((i for i, point in enumerate(curve) if point.get("recall", 0) >= 0.9995), len(curve))
    return [point["at"] for point in curve[done + 1 :]]


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
