"""DISKANN and AISAQ beyond plain recall: filters, deletes, ranges, pages, groups, EXPLAIN, refusals."""

import json
import urllib.request

import numpy as np
import pytest
from pymilvus import DataType, MilvusException

STRONG = {"consistency_level": "Strong"}
ROWS, DIM = 4_000, 48


def ranked(vectors, query):
    distances = ((vectors - query) ** 2).sum(axis=1)
    return np.argsort(distances, kind="stable"), distances


@pytest.fixture(params=["DISKANN", "AISAQ"])
def collection(client, name, random, request):
    centres = random.standard_normal((40, DIM))
    vectors = (centres[np.arange(ROWS) % 40] + 0.4 * random.standard_normal((ROWS, DIM))).astype(np.float32)
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("n", DataType.INT64)
    schema.add_field("tag", DataType.VARCHAR, max_length=16)
    client.create_collection(name, schema=schema)
    data = [{"id": i, "vector": v, "n": i, "tag": f"t{i % 7}"} for i, v in enumerate(vectors)]
    for start in range(0, ROWS, 1000):
        client.insert(name, data[start : start + 1000])
    client.flush(name)
    index = client.prepare_index_params()
    params = {"max_degree": 32, "search_list_size": 64}
    index.add_index("vector", index_type=request.param, metric_type="L2", params=params)
    client.create_index(name, index)
    client.load_collection(name)
    return name, vectors


def search(client, name, query, limit=10, params=None, **more):
    return client.search(name, [query], limit=limit, search_params={"params": params or {}}, **more, **STRONG)[0]


def test_filters_and_deletes(client, collection, random):
    name, vectors = collection
    query = vectors[17] + 0.1 * random.standard_normal(DIM).astype(np.float32)
    for below in [3_000, 400, 20, 0]:
        hits = search(client, name, query, params={"search_list": 64}, filter=f"n < {below}")
        truth, _ = ranked(vectors[:below], query)
        assert len(hits) == min(10, below)
        assert len(set(truth[:10].tolist()) & {hit["id"] for hit in hits}) >= 0.8 * min(10, below)
    order, _ = ranked(vectors, query)
    gone = order[:5].tolist()
    client.delete(name, ids=gone)
    hits = search(client, name, query, params={"search_list": 64})
    assert not set(gone) & {hit["id"] for hit in hits}
    assert len(set(order[5:15].tolist()) & {hit["id"] for hit in hits}) >= 8


def test_ranges_iterators_and_groups(client, collection):
    name, vectors = collection
    query = vectors[99]
    order, distances = ranked(vectors, query)
    radius = float((distances[order[60]] + distances[order[61]]) / 2)
    hits = search(client, name, query, limit=100, params={"radius": radius})
    assert len(set(order[:61].tolist()) & {hit["id"] for hit in hits}) >= 58
    assert all(hit["distance"] < radius for hit in hits)
    iterator = client.search_iterator(name, [query], batch_size=50, limit=200, search_params={"params": {}})
    seen = []
    while page := iterator.next():
        seen.extend(hit["id"] for hit in page)
    iterator.close()
    assert len(seen) == len(set(seen)) == 200
    assert len(set(order[:200].tolist()) & set(seen)) >= 190
    hits = search(client, name, query, limit=7, group_by_field="tag", output_fields=["tag"])
    assert len({hit["entity"]["tag"] for hit in hits}) == 7


def test_explain_tells_of_the_walk(collection, server):
    name, vectors = collection
    body = {"collectionName": name, "data": [vectors[7].tolist()], "annsField": "vector", "limit": 10}
    body |= {"explain": True, "consistencyLevel": "Strong", "searchParams": {"params": {"search_list": 40}}}
    request = urllib.request.Request(
        server.uri + "/v2/vectordb/entities/search", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request))
    (node,) = answer["explain"]["searches"][0]["nodes"]
    (segment,) = [segment for segment in node["segments"] if segment["rows"] > 0]
    assert segment["plans"] == ["disk walk"] and 40 <= segment["visited"] < 200


def test_refusals(client, collection):
    name, vectors = collection
    with pytest.raises(MilvusException, match=r"search_list_size\(5\) should be larger than k\(10\)"):
        search(client, name, vectors[0], params={"search_list": 5})
    index = client.prepare_index_params()
    other = f"{name}_other"
    client.create_collection(other, dimension=8, auto_id=True)
    client.release_collection(other)
    client.drop_index(other, "vector")
    index.add_index("vector", index_type="DISKANN", metric_type="L2", params={"max_degree": 4096})
    with pytest.raises(MilvusException, match="'max_degree' .* should be in range"):
        client.create_index(other, index)
    client.drop_collection(other)
