"""Whole databases on one machine, one after the other, over the same data.

    npm run bench:databases -- [--data NAME|DIR] [--rows N] [--only a,b] [--seconds 4] [--json FILE]

Elanus and Milvus standalone are servers and are asked by a light gRPC client; the embedded databases are asked from
Python threads in their process, as their users do, Elanus also from a Node process of its own; pgvector by its driver
over a socket. Client and database share the machine's cores.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "peers")]

import datasets  # noqa: E402
import machine  # noqa: E402
from process import Process  # noqa: E402
from embedded import DATABASES  # noqa: E402
from table import plot, print_table  # noqa: E402

SERVERS = ["elanus", "milvus"]
IN_NODE = {"elanus-embedded": "elanus-embedded.mjs"}
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400, 800]
CLIENTS = [1, 8, 32]
FILTERS = [10, 1]
K = 10


def main():
    asked = options()
    data = datasets.prepare(asked.data, asked.rows)
    base = np.load(data / "base.npy", mmap_mode="r")
    words = [word for word in asked.only.split(",") if word]
    names = [name for name in [*SERVERS, *IN_NODE, *DATABASES] if not words or name in words]
    result = {"machine": machine.describe(), "data": data.name, "rows": len(base), "dim": base.shape[1]}
    result |= {"databases": {}, "refused": {"qdrant": "its server is in no package registry; see qdrant-edge"}}
    for name in names:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        process = Process(command(name), data, folder)
        told = {}
        try:
            run(process, folder, asked.seconds, told)
            print(name, json.dumps(told), flush=True)
        except EOFError:
            result["refused"][name] = process.last_words()
            print(f"{name}: not measured: {result['refused'][name]}", flush=True)
        finally:
            if "load" in told:
                result["databases"][name] = told
            process.stop()
            shutil.rmtree(folder, ignore_errors=True)
        if asked.json:
            asked.json.write_text(json.dumps(result, indent=1) + "\n")
    print_table(result)
    if asked.json:
        plot(result, asked.json.with_suffix(".svg"))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sentences", help="a set of datasets.py, or a folder")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--only", default="", help="names, split by commas")
    parser.add_argument("--seconds", type=float, default=4, help="of one measurement")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def command(name):
    if name in IN_NODE:
        return ["node", HERE / IN_NODE[name]]
    if name in SERVERS:
        return ["node", HERE / "milvus-protocol.mjs", name]
    return [sys.executable, HERE / "worker.py", name]


def run(process, folder, seconds, told):
    """Everything about one database, in the order of a life, into `told` as far as it gets."""
    told["start"] = process.ask({"do": "open"})
    told["load"] = process.ask({"do": "load"})
    told["index"] = process.ask({"do": "index"})
    told["search"] = {}
    for wanted in [0.95, 0.99]:
        ef, recall = smallest(process, wanted)
        if ef is None:
            continue
        plain = {"do": "search", "ef": ef, "k": K, "below": 0, "seconds": seconds}
        with machine.quiet():
            # Not counted: compilers at run time, of servers as of clients, want to have seen what is asked.
            process.ask({**plain, "clients": 8, "seconds": 1})
            rates = {str(clients): process.ask({**plain, "clients": clients}) for clients in CLIENTS}
        told["search"][str(wanted)] = {"ef": ef, "recall": recall, "clients": rates}
    ef = next((found["ef"] for found in told["search"].values()), 64)
    told["filtered"] = {}
    with machine.quiet():
        for below in FILTERS:
            one = process.ask({"do": "recall", "ef": ef, "k": K, "below": below})
            asked = {"do": "search", "ef": ef, "k": K, "below": below, "clients": 8, "seconds": seconds}
            told["filtered"][f"{below} %"] = one | process.ask(asked)
    told["memory"] = process.ask({"do": "footprint"})
    told["disk"] = size(folder)
    told["ready"] = process.ask({"do": "reopen"})
    with machine.quiet():
        mixed = {"do": "search", "ef": ef, "k": K, "below": 0, "clients": 8, "seconds": seconds, "writing": True}
        told["mixed"] = process.ask(mixed)


def smallest(process, wanted):
    """The smallest ef of EFS whose recall is as wanted, and that recall; (None, best) when none is."""
    recall = 0
    for ef in EFS:
        recall = process.ask({"do": "recall", "ef": ef, "k": K, "below": 0})["recall"]
        if recall >= wanted:
            return ef, recall
    return None, recall


def size(folder):
    done = subprocess.run(["du", "-sb", "--exclude=bin", folder], capture_output=True, text=True)
    return int(done.stdout.split("\t")[0])


if __name__ == "__main__":
    main()
