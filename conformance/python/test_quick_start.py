"""What the README promises, and what every tutorial of a Milvus client does first."""

import numpy as np
import pytest
from pymilvus import MilvusClient


def test_connects_and_tells_its_version(client):
    assert client.get_server_version().startswith("v2.6")
    assert "default" in client.list_databases()


def test_quick_collection_answers_like_brute_force(client, name, random):
    vectors = random.standard_normal((500, 16)).astype(np.float32)
    client.create_collection(name, dimension=16)
    inserted = client.insert(name, [{"id": i, "vector": v, "color": f"c{i % 5}"} for i, v in enumerate(vectors)])
    assert inserted["insert_count"] == 500

    query = random.standard_normal(16).astype(np.float32)
    hits = client.search(name, [query], limit=10, output_fields=["color"], consistency_level="Strong")[0]
    cosine = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosine)[:10]
    assert [hit["id"] for hit in hits] == expected.tolist()
    assert np.allclose([hit["distance"] for hit in hits], cosine[expected], atol=1e-5)
    assert [hit["entity"]["color"] for hit in hits] == [f"c{i % 5}" for i in expected]


def test_rows_come_back_as_they_went_in(client, name, random):
    vectors = random.standard_normal((20, 8)).astype(np.float32)
    client.create_collection(name, dimension=8)
    client.insert(name, [{"id": i, "vector": v, "text": f"row {i}", "n": i * 2} for i, v in enumerate(vectors)])
    rows = client.query(name, filter="id in [3, 7]", output_fields=["*"], consistency_level="Strong")
    assert [row["id"] for row in rows] == [3, 7]
    assert rows[0]["text"] == "row 3" and rows[1]["n"] == 14
    assert np.array_equal(np.array(rows[1]["vector"], dtype=np.float32), vectors[7])
    assert client.get(name, ids=[5])[0]["id"] == 5


def test_deleted_and_upserted_rows(client, name):
    client.create_collection(name, dimension=4)
    client.insert(name, [{"id": i, "vector": [i, 0, 0, 1], "v": 1} for i in range(10)])
    assert client.delete(name, ids=[1, 2])["delete_count"] == 2
    client.upsert(name, [{"id": 3, "vector": [3, 0, 0, 1], "v": 2}, {"id": 2, "vector": [2, 0, 0, 1], "v": 3}])
    rows = client.query(name, filter="id >= 0", output_fields=["v"], consistency_level="Strong")
    assert {row["id"]: row["v"] for row in rows} == {0: 1, 2: 3, 3: 2, **{i: 1 for i in range(4, 10)}}
    assert client.query(name, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == 9
    client.delete(name, filter="v == 1")
    assert client.query(name, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == 2


@pytest.mark.parametrize("flush", [False, True])
def test_acknowledged_rows_survive_a_kill(own_server, flush):
    client = MilvusClient(uri=own_server.uri)
    client.create_collection("docs", dimension=4)
    client.insert("docs", [{"id": i, "vector": [i, 1, 0, 0], "title": f"t{i}"} for i in range(300)])
    if flush:
        client.flush("docs")
    client.delete("docs", ids=[7])
    client.insert("docs", [{"id": 1000, "vector": [0, 0, 1, 0], "title": "last"}])
    client.close()
    own_server.restart()

    client = MilvusClient(uri=own_server.uri)
    assert client.query("docs", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == 300
    assert client.get("docs", ids=[7]) == []
    hits = client.search("docs", [[0, 0, 1, 0]], limit=1, output_fields=["title"], consistency_level="Strong")
    assert hits[0][0]["entity"]["title"] == "last"
    client.close()


def test_stops_cleanly_on_sigterm(own_server):
    assert own_server.stop() == 0
