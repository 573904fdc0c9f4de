"""Rows per second that one ordinary pymilvus client inserts: insert_client.py URI COLLECTION ROWS DIM BATCH."""

import json
import sys
import time

import numpy as np
from pymilvus import DataType, MilvusClient

uri, name, rows, dim, batch = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
client = MilvusClient(uri=uri)
if client.has_collection(name):
    client.drop_collection(name)
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
client.create_collection(name, schema=schema)
vectors = np.random.default_rng(1).standard_normal((rows, dim)).astype(np.float32)
batches = [
    [{"id": i, "vector": vectors[i]} for i in range(start, min(rows, start + batch))] for start in range(0, rows, batch)
]
started = time.perf_counter()
for data in batches:
    client.insert(name, data)
seconds = time.perf_counter() - started
client.drop_collection(name)
print(json.dumps({"rowsPerSecond": round(rows / seconds)}))
