"""Loading some fields, and rows that expire."""

import time

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient, MilvusException


def create(client, name, **properties):
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("t", DataType.VARCHAR, max_length=20)
    params = client.prepare_index_params()
    for field in ["v", "w"]:
        params.add_index(field, index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong", **properties)


def row(key):
    return {"id": key, "v": [key, 0], "w": [0, key], "t": str(key), "color": "red"}


def test_fields_that_are_not_loaded_cannot_be_named(client, name):
    create(client, name)
    client.insert(name, [row(1), row(2)])
    client.release_collection(name)
    client.load_collection(name, load_fields=["id", "v"], skip_load_dynamic_field=True)
    assert client.get_load_state(name)["state"].name == "Loaded"
    assert len(client.describe_collection(name)["fields"]) == 4
    assert sorted(client.query(name, "id == 1", ["*"])[0]) == ["id", "v"]
    assert client.search(name, [[1, 0]], anns_field="v", limit=1)[0][0]["id"] == 1
    for read, text in [
        (lambda: client.query(name, "id == 1", ["t"]), "field t is not loaded"),
        (lambda: client.query(name, 't == "1"', ["id"]), "field t is not loaded"),
        (lambda: client.query(name, 'color == "red"', ["id"]), "dynamic field is not loaded"),
        (lambda: client.search(name, [[1, 0]], anns_field="w", limit=1), "ann field w not loaded"),
        (lambda: client.search(name, [[1, 0]], anns_field="v", limit=1, filter='t == "1"'), "field t is not loaded"),
    ]:
        with pytest.raises(MilvusException, match=text):
            read()
    with pytest.raises(MilvusException, match="can't change the load field list for loaded collection"):
        client.load_collection(name, load_fields=["id", "v", "t"])
    client.release_collection(name)
    for fields, text in [
        (["v"], "does not contain primary key field id"),
        (["id", "t"], "does not contain vector field"),
    ]:
        with pytest.raises(MilvusException, match=text):
            client.load_collection(name, load_fields=fields)
    client.load_collection(name)
    assert client.query(name, "id == 1", ["t"])[0]["t"] == "1"


def test_rows_expire(client, name):
    create(client, name, properties={"collection.ttl.seconds": "3600"})
    client.insert(name, [row(1)])
    client.flush(name)
    client.insert(name, [row(2)])
    assert client.query(name, "", ["count(*)"])[0]["count(*)"] == 2
    time.sleep(2.1)
    client.alter_collection_properties(name, {"collection.ttl.seconds": "2"})
    assert client.query(name, "", ["count(*)"])[0]["count(*)"] == 0
    assert client.get(name, [1, 2]) == []
    assert list(client.search(name, [[1, 0]], anns_field="v", limit=5)[0]) == []
    client.alter_collection_properties(name, {"collection.ttl.seconds": "0"})
    assert [found["id"] for found in client.query(name, "id > 0", ["id"])] == [1, 2]
    with pytest.raises(MilvusException, match="collection TTL is out of range"):
        client.alter_collection_properties(name, {"collection.ttl.seconds": "-2"})


def test_automatic_effort(client, name):
    client.create_collection(name, 2, consistency_level="Strong")
    client.insert(name, [{"id": key, "vector": [key, 1]} for key in range(20)])
    for params in [{"level": 3}, {"ef": 100}, {"params": {"level": 10}}]:
        assert len(client.search(name, [[1, 0]], limit=5, search_params=params)[0]) == 5
    with pytest.raises(MilvusException, match="level"):
        client.search(name, [[1, 0]], limit=5, search_params={"params": {"level": 11}})


def test_many_growing_rows_are_searched_by_lists(client, name, random):
    rows = random.normal(size=(16_000, 256)).astype(np.float32)
    # Neighbours of each other, as real embeddings are.
    rows = rows[:200][random.integers(0, 200, len(rows))] + 0.3 * rows
    found = {}
    for index_type in ["FLAT", "HNSW"]:
        params = client.prepare_index_params()
        params.add_index("vector", index_type=index_type, metric_type="L2")
        client.drop_collection(name)
        schema = MilvusClient.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=256)
        client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
        for start in range(0, len(rows), 4_000):
            client.insert(name, [{"id": start + i, "vector": row} for i, row in enumerate(rows[start : start + 4_000])])
        for _ in range(40):
            found[index_type] = client.search(name, rows[:20], limit=10)
            time.sleep(0.05)
    for exact, near in zip(found["FLAT"], found["HNSW"]):
        scores = {hit["id"]: hit["distance"] for hit in exact}
        common = [hit for hit in near if hit["id"] in scores]
        assert len(common) >= 9
        assert all(hit["distance"] == scores[hit["id"]] for hit in common)
    client.insert(name, [{"id": 99_999, "vector": [9.0] * 256}])
    assert client.search(name, [[9.0] * 256], limit=1)[0][0]["id"] == 99_999
