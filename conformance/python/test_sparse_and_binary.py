"""Sparse and binary indexes through the wire against brute force, growing and sealed."""

import numpy as np
import pytest
from pymilvus import DataType, MilvusException

STRONG = {"consistency_level": "Strong"}
ROWS = 1500
ALGORITHMS = ["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"]
UNFIT = "metric type {} not found or not supported"


def fill(client, name, field, vectors, index, flush):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("even", DataType.BOOL)
    schema.add_field("vector", field[0], **field[1])
    indexes = client.prepare_index_params()
    indexes.add_index("vector", **index)
    client.create_collection(name, schema=schema, index_params=indexes)
    rows = [{"id": i, "even": i % 2 == 0, "vector": vector} for i, vector in enumerate(vectors)]
    client.insert(name, rows)
    if flush:
        client.flush(name)
        while client.describe_index(name, "vector")["indexed_rows"] < len(rows):
            pass


def found(client, name, vector, **more):
    hits = client.search(name, [vector], **{"limit": 10, **STRONG, **more})[0]
    return [(hit["id"], round(hit["distance"], 4)) for hit in hits]


def best(scores, keep, smaller=False, limit=10):
    """Ids and scores of the best rows; equal scores by id."""
    order = sorted((i for i in range(len(scores)) if keep(i)), key=lambda i: (scores[i] if smaller else -scores[i], i))
    return [(i, round(float(scores[i]), 4)) for i in order[:limit]]


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sparse(client, name, random, algorithm, flush):
    def make():
        return {int(d): float(v) for d, v in zip(random.choice(300, 12, replace=False), random.random(12) + 0.1)}

    vectors = [make() for _ in range(ROWS)]
    index = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {"inverted_index_algo": algorithm}}
    fill(client, name, (DataType.SPARSE_FLOAT_VECTOR, {}), vectors, index, flush)
    query = make()
    scores = [sum(query[d] * v for d, v in sorted(row.items()) if d in query) for row in vectors]
    ids = lambda hits: [i for i, _ in hits]
    assert ids(found(client, name, query)) == ids(best(scores, lambda i: scores[i] > 0))
    even = best(scores, lambda i: scores[i] > 0 and i % 2 == 0)
    assert ids(found(client, name, query, filter="even == true")) == ids(even)
    low, high = np.quantile(scores, [0.9, 0.99])
    params = {"params": {"radius": float(low), "range_filter": float(high)}}
    assert ids(found(client, name, query, search_params=params)) == ids(best(scores, lambda i: low < scores[i] <= high))
    pages = client.search_iterator(name, [query], batch_size=100, **STRONG)
    seen = []
    while page := pages.next():
        seen += [hit["id"] for hit in page]
    assert sorted(seen) == [i for i in range(ROWS) if scores[i] > 0]
    refined = {"params": {"drop_ratio_search": 0.3, "refine_factor": 200}}
    assert ids(found(client, name, query, search_params=refined))[:5] == ids(best(scores, lambda i: scores[i] > 0))[:5]


DISTANCES = {
    "HAMMING": lambda q, r: (q != r).sum(),
    "JACCARD": lambda q, r: 1 - (q & r).sum() / max((q | r).sum(), 1),
    "SUBSTRUCTURE": lambda q, r: float((r & ~q & 1).any()),
    "SUPERSTRUCTURE": lambda q, r: float((q & ~r & 1).any()),
}
BINARY = [("BIN_FLAT", metric) for metric in DISTANCES]
BINARY += [(index, metric) for index in ["BIN_IVF_FLAT", "HNSW"] for metric in ["HAMMING", "JACCARD"]]


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize(("index_type", "metric"), BINARY)
def test_binary(client, name, random, index_type, metric, flush):
    bits = (random.random((ROWS, 64)) < 0.1).astype(np.uint8)
    bits[7] = bits[3] | bits[5]
    build = {"nlist": 16} if index_type == "BIN_IVF_FLAT" else {}
    index = {"index_type": index_type, "metric_type": metric, "params": build}
    vectors = [np.packbits(row, bitorder="little").tobytes() for row in bits]
    fill(client, name, (DataType.BINARY_VECTOR, {"dim": 64}), vectors, index, flush)
    params = {"params": {"BIN_IVF_FLAT": {"nprobe": 16}, "HNSW": {"ef": 400}}.get(index_type, {})}
    for query in [7, 20]:
        distances = [DISTANCES[metric](bits[query], row) for row in bits]
        for text, keep in [("", lambda i: True), ("even == true", lambda i: i % 2 == 0)]:
            hits = found(client, name, vectors[query], filter=text, search_params=params)
            expected = best(distances, keep, smaller=True)
            assert [score for _, score in hits] == [score for _, score in expected]
            if index_type != "HNSW":
                assert hits == expected


@pytest.mark.parametrize("flush", [False, True])
def test_min_hash(client, name, random, flush):
    signatures = random.integers(0, 40, (ROWS, 16), dtype=np.uint32)
    signatures[1] = signatures[0]
    signatures[2, :12] = signatures[0, :12]
    index = {"index_type": "MINHASH_LSH", "metric_type": "MHJACCARD",
             "params": {"mh_lsh_band": 8, "mh_element_bit_width": 32, "with_raw_data": True}}
    vectors = [row.tobytes() for row in signatures]
    fill(client, name, (DataType.BINARY_VECTOR, {"dim": 512}), vectors, index, flush)
    exact = {"params": {"mh_search_with_jaccard": True}}
    hits = found(client, name, vectors[0], limit=3, search_params=exact)
    assert hits == [(0, 1.0), (1, 1.0), (2, 0.75)] or hits[:2] == [(0, 1.0), (1, 1.0)] and hits[2][1] > 0.75
    with pytest.raises(MilvusException, match="not implemented"):
        found(client, name, vectors[0], search_params={"params": {"radius": 0.5}})


def test_signatures_without_lists(client, name, random):
    signatures = random.integers(0, 4, (200, 8), dtype=np.uint16)
    index = {"index_type": "BIN_FLAT", "metric_type": "MHJACCARD", "params": {"mh_element_bit_width": 16}}
    vectors = [row.tobytes() for row in signatures]
    fill(client, name, (DataType.BINARY_VECTOR, {"dim": 128}), vectors, index, False)
    shares = [(signatures[9] == row).mean() for row in signatures]
    assert found(client, name, vectors[9]) == best(shares, lambda i: True)


@pytest.mark.parametrize(("field", "index", "text"), [
    ("sparse", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {"inverted_index_algo": "BEST"}},
     "sparse inverted index algo BEST not found or not supported"),
    ("sparse", {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25"}, "only BM25 Function output field"),
    ("binary", {"index_type": "BIN_IVF_FLAT", "metric_type": "HAMMING", "params": {"nlist": 65537}},
     "param 'nlist' \\(65537\\) should be in range"),
    ("binary", {"index_type": "BIN_IVF_FLAT", "metric_type": "SUBSTRUCTURE"}, UNFIT.format("SUBSTRUCTURE")),
    ("binary", {"index_type": "MINHASH_LSH", "metric_type": "HAMMING"}, UNFIT.format("HAMMING")),
])
def test_refusals(client, name, field, index, text):
    kind = (DataType.SPARSE_FLOAT_VECTOR, {}) if field == "sparse" else (DataType.BINARY_VECTOR, {"dim": 64})
    with pytest.raises(MilvusException, match=text):
        fill(client, name, kind, [], index, False)
