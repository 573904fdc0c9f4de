"""A real server per session, on free loopback ports, over a fresh data folder."""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import numpy as np
import pytest
from pymilvus import MilvusClient

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Server:
    """One `elanus serve` process."""

    def __init__(self, data, *options, env=None):
        self.data = data
        self.options = options
        self.env = {**os.environ, **(env or {})}
        self.start()

    def start(self):
        command = ["node", str(ROOT / "packages/cli/dist/main.js"), "serve", "--data", str(self.data)]
        command += ["--port", "0", "--metrics-port", "0", "--log-level", "warn", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.env)
        line = self.process.stdout.readline()
        if "ready" not in line:
            raise RuntimeError(f"the server did not start: {line!r}")
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        self.uri = words["grpc"]
        self.metrics = words["metrics"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def restart(self):
        self.kill()
        self.start()


@pytest.fixture(scope="session")
def server():
    data = tempfile.mkdtemp(prefix="elanus-conformance-")
    running = Server(data)
    yield running
    running.stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may kill."""
    running = Server(tmp_path / "data")
    yield running
    if running.process.poll() is None:
        running.kill()


@pytest.fixture
def client(server):
    # Left open: clients of the 2.5 line share one connection per address.
    return MilvusClient(uri=server.uri)


_names = itertools.count()


@pytest.fixture
def name(client):
    """A collection name of this test's own, dropped at its end."""
    chosen = f"c_{os.getpid()}_{next(_names)}"
    yield chosen
    client.drop_collection(chosen)


@pytest.fixture
def random():
    return np.random.default_rng(7)
