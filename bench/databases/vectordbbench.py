"""VectorDBBench's runner over a set of datasets.py as its "custom dataset": ADDRESS DATA ROWS EF SECONDS RESULTS.

Prints the runner's metrics as one JSON object: qps by number of clients, recall, latencies (s), load (s).
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import datasets  # noqa: E402

CLIENTS = "1,8,32"
K = 10
KEPT = [
    "insert_duration",
    "optimize_duration",
    "load_duration",
    "qps",
    "recall",
    "serial_latency_p99",
    "conc_num_list",
    "conc_qps_list",
    "conc_latency_p99_list",
]


def main():
    address, name, rows, ef, seconds, results = sys.argv[1:]
    data = datasets.prepare(name, int(rows) or None)
    base = np.load(data / "base.npy", mmap_mode="r")
    folder = parquet(data, base)
    command = [pathlib.Path(sys.executable).parent / "vectordbbench", "milvushnsw"]
    options = {
        "uri": f"http://{address}",
        "m": 16,
        "ef-construction": 200,
        "ef-search": ef,
        "k": K,
        "case-type": "PerformanceCustomDataset",
        "custom-case-name": data.name,
        "custom-dataset-name": data.name,
        "custom-dataset-dir": folder,
        "custom-dataset-size": len(base),
        "custom-dataset-dim": base.shape[1],
        "custom-dataset-metric-type": "L2",
        "custom-dataset-file-count": 1,
        "num-concurrency": CLIENTS,
        "concurrency-duration": seconds,
        "task-label": "elanus",
        "db-label": "server",
    }
    command += [word for key, value in options.items() for word in (f"--{key}", str(value))]
    env = {**os.environ, "RESULTS_LOCAL_DIR": results, "NUM_PER_BATCH": "1000", "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, env=env, stdout=sys.stderr, check=True)
    written = next(pathlib.Path(results).rglob("result_*.json"))
    metrics = json.loads(written.read_text())["results"][0]["metrics"]
    print(json.dumps({key: metrics[key] for key in KEPT}))


def parquet(data, base):
    """The files that the runner reads, beside the arrays they are made of."""
    folder = data / "vectordbbench"
    if (folder / "neighbors.parquet").exists():
        return folder
    folder.mkdir(exist_ok=True)
    queries, truth = np.load(data / "queries.npy"), np.load(data / "truth.npy")
    pq.write_table(vectors(base), folder / "train.parquet")
    pq.write_table(vectors(queries), folder / "test.parquet")
    numbers = {"id": np.arange(len(truth)), "neighbors_id": list(truth)}
    pq.write_table(pa.table(numbers), folder / "neighbors.parquet")
    return folder


def vectors(rows):
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    lists = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1]).cast(pa.list_(pa.float32()))
    return pa.table({"id": np.arange(len(rows)), "emb": lists})


if __name__ == "__main__":
    main()
