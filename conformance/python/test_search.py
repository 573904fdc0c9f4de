"""Search against brute force: every index, metric, filter selectivity, range, pages, iterators, hybrid."""

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusException, RRFRanker, WeightedRanker

STRONG = {"consistency_level": "Strong"}
ROWS, DIM = 3_000, 32


def exact(vectors, query, metric):
    if metric == "L2":
        return ((vectors - query) ** 2).sum(axis=1)
    dot = vectors @ query
    return dot if metric == "IP" else dot / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


def best(scores, metric, k):
    return np.argsort(scores if metric == "L2" else -scores, kind="stable")[:k]


def build(client, name, vectors, index_type, metric, params=None, flush=True):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    schema.add_field("n", DataType.INT64)
    schema.add_field("tag", DataType.VARCHAR, max_length=16)
    client.create_collection(name, schema=schema)
    data = [{"id": i, "vector": v, "n": i, "tag": f"t{i % 10}"} for i, v in enumerate(vectors)]
    for start in range(0, len(data), 1000):
        client.insert(name, data[start : start + 1000])
    if flush:
        client.flush(name)
    index = client.prepare_index_params()
    index.add_index("vector", index_type=index_type, metric_type=metric, params=params or {})
    client.create_index(name, index)
    client.load_collection(name)


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
@pytest.mark.parametrize(
    "index_type,params,search",
    [("FLAT", {}, {}), ("HNSW", {"M": 16, "efConstruction": 200}, {"ef": 128}),
     ("IVF_FLAT", {"nlist": 32}, {"nprobe": 24}), ("AUTOINDEX", {}, {}),
     ("HNSW_SQ", {"sq_type": "SQ4U", "refine": True, "refine_type": "FP16"}, {"ef": 96, "refine_k": 2}),
     ("HNSW_PQ", {"m": 16, "nbits": 6}, {"ef": 128, "refine_k": 8}),
     ("HNSW_PRQ", {"m": 8, "nrq": 2, "nbits": 6}, {"ef": 128, "refine_k": 8}),
     ("IVF_SQ8", {"nlist": 32}, {"nprobe": 24}), ("IVF_PQ", {"nlist": 32, "m": 16}, {"nprobe": 32}),
     ("IVF_RABITQ", {"nlist": 32, "refine": True, "refine_type": "SQ8"}, {"nprobe": 32, "refine_k": 20}),
     ("SCANN", {"nlist": 32}, {"nprobe": 32, "reorder_k": 200}), ("GPU_IVF_FLAT", {"nlist": 32}, {"nprobe": 24}),
     ("DISKANN", {"max_degree": 32, "search_list_size": 100}, {"search_list": 120}),
     ("AISAQ", {"inline_pq": 0}, {"search_list": 120, "beamwidth": 4})],
)
def test_recall(client, name, random, index_type, params, search, metric, flush):
    vectors = random.standard_normal((ROWS, DIM)).astype(np.float32)
    build(client, name, vectors, index_type, metric, params, flush)
    described = client.describe_index(name, "vector")
    assert described["index_type"] == index_type and described["metric_type"] == metric
    queries = random.standard_normal((20, DIM)).astype(np.float32)
    answers = client.search(name, list(queries), limit=10, search_params={"params": search}, **STRONG)
    found = 0
    for query, hits in zip(queries, answers, strict=True):
        scores = exact(vectors, query, metric)
        truth = set(best(scores, metric, 10).tolist())
        found += len(truth & {hit["id"] for hit in hits})
        assert len(hits) == 10
        for hit in hits:
            assert hit["distance"] == pytest.approx(scores[hit["id"]], rel=1e-3, abs=1e-3)
        distances = [hit["distance"] for hit in hits]
        assert distances == sorted(distances, reverse=metric != "L2")
    assert found / 200 >= (1.0 if index_type == "FLAT" else 0.9)


@pytest.mark.parametrize("index_type,params", [("FLAT", {}), ("HNSW", {"ef": 100}), ("IVF_FLAT", {"nprobe": 32})])
@pytest.mark.parametrize("below", [1500, 300, 30, 3, 0])
def test_filters_at_many_selectivities(client, name, random, index_type, params, below):
    vectors = random.standard_normal((ROWS, DIM)).astype(np.float32)
    build(client, name, vectors, index_type, "L2", {"nlist": 32} if index_type == "IVF_FLAT" else {})
    query = random.standard_normal(DIM).astype(np.float32)
    hits = client.search(name, [query], limit=10, filter=f"n < {below}", search_params={"params": params}, **STRONG)[0]
    truth = best(exact(vectors[:below], query, "L2"), "L2", 10).tolist()
    assert len(hits) == min(10, below)
    assert len(set(truth) & {hit["id"] for hit in hits}) >= len(truth) * 0.8


@pytest.fixture(scope="module")
def flat(server):
    """One collection for everything that only reads."""
    from pymilvus import MilvusClient

    client = MilvusClient(uri=server.uri)
    vectors = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)
    build(client, "flat_readers", vectors, "FLAT", "L2")
    yield client, "flat_readers", vectors
    client.drop_collection("flat_readers")


def test_offset_and_limit_are_windows_of_one_answer(flat, random):
    client, name, _ = flat
    query = random.standard_normal(DIM).astype(np.float32)
    whole = [hit["id"] for hit in client.search(name, [query], limit=50, **STRONG)[0]]
    page = client.search(name, [query], limit=10, search_params={"offset": 20}, **STRONG)[0]
    assert [hit["id"] for hit in page] == whole[20:30]


def test_range_search(flat, random):
    client, name, vectors = flat
    query = random.standard_normal(DIM).astype(np.float32)
    scores = exact(vectors, query, "L2")
    inner, outer = np.sort(scores)[[5, 40]]
    params = {"params": {"radius": float(outer), "range_filter": float(inner)}}
    hits = client.search(name, [query], limit=100, search_params=params, **STRONG)[0]
    expected = np.flatnonzero((scores >= inner) & (scores < outer))
    assert abs(len(hits) - len(expected)) <= 2
    assert all(inner * 0.9999 <= hit["distance"] < outer * 1.0001 for hit in hits)


def test_round_decimal(flat, random):
    client, name, _ = flat
    query = random.standard_normal(DIM).astype(np.float32)
    hits = client.search(name, [query], limit=3, round_decimal=2, **STRONG)[0]
    assert all(round(hit["distance"], 2) == pytest.approx(hit["distance"], abs=1e-5) for hit in hits)


def test_output_fields(flat, random):
    client, name, vectors = flat
    query = vectors[11]
    hit = client.search(name, [query], limit=1, output_fields=["*"], **STRONG)[0][0]
    assert hit["id"] == 11 and hit["entity"]["tag"] == "t1" and hit["entity"]["n"] == 11
    assert np.array_equal(np.array(hit["entity"]["vector"], dtype=np.float32), vectors[11])
    bare = client.search(name, [query], limit=1, **STRONG)[0][0]
    assert dict(bare["entity"]) == {}


@pytest.mark.parametrize("level", ["Strong", "Session", "Bounded", "Eventually"])
def test_consistency_levels_answer(flat, random, level):
    client, name, vectors = flat
    assert client.search(name, [vectors[5]], limit=1, consistency_level=level)[0][0]["id"] == 5


def test_query_pages_and_order(flat):
    client, name, _ = flat
    rows = client.query(name, filter="n >= 100", limit=5, offset=3, output_fields=["n"], **STRONG)
    assert [row["id"] for row in rows] == [103, 104, 105, 106, 107]
    counted = client.query(name, filter='tag == "t3"', output_fields=["count(*)"], **STRONG)
    assert counted[0]["count(*)"] == ROWS // 10


def test_query_iterator_sees_every_row_once(flat):
    client, name, _ = flat
    iterator = client.query_iterator(name, filter="n % 3 == 0", batch_size=170, output_fields=["n"])
    seen = []
    while page := iterator.next():
        seen += [row["id"] for row in page]
    iterator.close()
    assert seen == list(range(0, ROWS, 3))


def test_search_iterator_goes_on_in_order(flat, random):
    client, name, vectors = flat
    query = random.standard_normal(DIM).astype(np.float32)
    iterator = client.search_iterator(name, data=[query], batch_size=40, limit=200, output_fields=["n"])
    seen, distances = [], []
    while page := iterator.next():
        seen += [hit["id"] for hit in page]
        distances += [hit["distance"] for hit in page]
    iterator.close()
    assert distances == sorted(distances) and len(set(seen)) == len(seen) == 200
    assert set(seen) == set(best(exact(vectors, query, "L2"), "L2", 200).tolist())


def test_hybrid_search(client, name, random):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("a", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("b", DataType.FLOAT_VECTOR, dim=DIM)
    indexes = client.prepare_index_params()
    indexes.add_index("a", index_type="FLAT", metric_type="COSINE")
    indexes.add_index("b", index_type="FLAT", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=indexes)
    a, b = random.standard_normal((2, 500, DIM)).astype(np.float32)
    client.insert(name, [{"id": i, "a": x, "b": y} for i, (x, y) in enumerate(zip(a, b))])
    query = random.standard_normal(DIM).astype(np.float32)
    requests = [AnnSearchRequest([query], field, {"metric_type": "COSINE"}, limit=20) for field in ("a", "b")]
    scores = {field: exact(vectors, query, "COSINE") for field, vectors in (("a", a), ("b", b))}
    ranks = {field: best(score, "COSINE", 20).tolist() for field, score in scores.items()}

    fused = {}
    for ranked in ranks.values():
        for position, row in enumerate(ranked):
            fused[row] = fused.get(row, 0) + 1 / (60 + position + 1)
    hits = client.hybrid_search(name, requests, RRFRanker(60), limit=10, output_fields=["id"], **STRONG)[0]
    expected = sorted(fused.items(), key=lambda item: (-item[1], item[0]))[:10]
    assert [hit["id"] for hit in hits] == [row for row, _ in expected]
    assert [hit["distance"] for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-6)

    weighted = {}
    for (field, ranked), weight in zip(ranks.items(), (0.7, 0.3)):
        for row in ranked:
            weighted[row] = weighted.get(row, 0) + weight * (1 + scores[field][row]) / 2
    hits = client.hybrid_search(name, requests, WeightedRanker(0.7, 0.3), limit=5, **STRONG)[0]
    expected = sorted(weighted.items(), key=lambda item: -item[1])[:5]
    assert [hit["id"] for hit in hits] == [row for row, _ in expected]


BAD_SEARCHES = [
    ({"limit": 0}, "limit|topk"),
    ({"limit": 16_385}, r"topk \[16385\] is invalid"),
    ({"limit": 1, "filter": "nothing == 3"}, "field nothing not exist"),
    ({"limit": 1, "filter": "n >"}, "cannot parse expression"),
    ({"limit": 1, "filter": "n + 1"}, "predicate is not a boolean expression"),
    ({"limit": 1, "search_params": {"metric_type": "IP"}}, "metric type not match"),
    ({"limit": 1, "anns_field": "tag"}, ""),
    ({"limit": 1, "output_fields": ["absent"]}, "absent"),
    ({"limit": 1, "round_decimal": 9}, "round_decimal"),
]


@pytest.mark.parametrize("options,words", BAD_SEARCHES)
def test_bad_searches_are_explained(flat, options, words):
    client, name, vectors = flat
    with pytest.raises(MilvusException, match=words):
        client.search(name, [vectors[0]], **options)


def test_wrong_dimension_is_explained(flat):
    client, name, _ = flat
    with pytest.raises(MilvusException, match="(?i)dim"):
        client.search(name, [[0.5] * (DIM + 1)], limit=1)
