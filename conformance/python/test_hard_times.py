"""Damage, pressure, and two processes on one folder: clear words, nothing lost, nothing wrong in silence."""

import pathlib
import subprocess
import urllib.request

import numpy as np
import pytest
from conftest import ROOT, Server
from pymilvus import MilvusClient, MilvusException

STRONG = {"consistency_level": "Strong"}


def fill(client, name, count):
    client.create_collection(name, dimension=4)
    client.insert(name, [{"id": i, "vector": [i, 1, 0, 0], "text": f"row {i}"} for i in range(count)])
    client.flush(name)


@pytest.mark.parametrize("damage", ["flip", "truncate"])
@pytest.mark.parametrize("part", ["scalars", "vector"])
def test_a_damaged_file_is_named_and_isolated(own_server, damage, part):
    client = MilvusClient(uri=own_server.uri)
    fill(client, "healthy", 50)
    healthy = set(pathlib.Path(own_server.data).rglob("*"))
    fill(client, "damaged", 50)
    own_server.kill()
    files = [f for f in pathlib.Path(own_server.data).rglob("*") if f.is_file() and f not in healthy]
    victim = next(f for f in files if part in f.name and "segments" in str(f))
    content = bytearray(victim.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0x40
    else:
        del content[len(content) // 2 :]
    victim.write_bytes(content)

    own_server.start()
    client = MilvusClient(uri=own_server.uri)
    counted = client.query("healthy", output_fields=["count(*)"], **STRONG)
    assert counted[0]["count(*)"] == 50
    with pytest.raises(MilvusException) as refused:
        client.query("damaged", filter="id >= 0", output_fields=["*"], timeout=20, **STRONG)
    assert victim.name in str(refused.value) or part in str(refused.value)


def test_a_full_memory_turns_into_back_pressure(tmp_path):
    small = {"ELANUS_GROWING_MIB": "16", "ELANUS_SEGMENT_MIB": "8"}
    server = Server(tmp_path / "data", env=small)
    try:
        client = MilvusClient(uri=server.uri)
        client.create_collection("t", dimension=256, metric_type="L2")
        vectors = np.random.default_rng(1).standard_normal((60_000, 256)).astype(np.float32)
        for start in range(0, len(vectors), 1_000):
            # The client itself repeats a refusal that says «later».
            client.insert("t", [{"id": i, "vector": vectors[i]} for i in range(start, start + 1_000)])
        assert client.query("t", output_fields=["count(*)"], **STRONG)[0]["count(*)"] == len(vectors)
        nearest = client.search("t", [vectors[4_321]], limit=1, **STRONG)[0][0]
        assert nearest["id"] == 4_321
        metrics = urllib.request.urlopen(f"{server.metrics}/metrics").read().decode()
        growing = next(line for line in metrics.splitlines() if line.startswith('elanus_native_memory_bytes{kind="growing"}'))
        assert float(growing.split()[-1]) < 64 * 2**20
    finally:
        server.kill()


def test_a_second_process_is_refused(own_server):
    command = ["node", str(ROOT / "packages/cli/dist/main.js"), "serve", "--data", str(own_server.data)]
    second = subprocess.run([*command, "--port", "0", "--metrics-port", "0"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "in use by another Elanus process" in second.stderr and str(own_server.data) in second.stderr
    client = MilvusClient(uri=own_server.uri)
    assert client.list_collections() == []


def test_an_open_address_needs_a_word(tmp_path):
    command = ["node", str(ROOT / "packages/cli/dist/main.js"), "serve", "--data", str(tmp_path / "d"), "--host", "0.0.0.0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "--insecure" in refused.stderr
