"""Every data type goes in and comes out unchanged, nullable and default values included, before and after a flush."""

import numpy as np
import pytest
from pymilvus import DataType, MilvusException

STRONG = {"consistency_level": "Strong"}


def create(client, name, add_fields, index=("FLAT", "L2"), **options):
    schema = client.create_schema(**options)
    schema.add_field("id", DataType.INT64, is_primary=True)
    add_fields(schema)
    if not any(field.name == "vector" for field in schema.fields):
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type=index[0], metric_type=index[1])
    client.create_collection(name, schema=schema, index_params=indexes)


SCALARS = {
    "b": (DataType.BOOL, {}, [True, False, True]),
    "i8": (DataType.INT8, {}, [-128, 0, 127]),
    "i16": (DataType.INT16, {}, [-32768, 5, 32767]),
    "i32": (DataType.INT32, {}, [-(2**31), 5, 2**31 - 1]),
    "i64": (DataType.INT64, {}, [-(2**63), 2**53 + 1, 2**63 - 1]),
    "f": (DataType.FLOAT, {}, [-1.5, 0.0, 3.25]),
    "d": (DataType.DOUBLE, {}, [-1e300, 0.1, 3.0]),
    "s": (DataType.VARCHAR, {"max_length": 64}, ["", "grüße", "日本"]),
    "j": (DataType.JSON, {}, [{"a": [1, 2.5, None]}, {}, {"deep": {"x": "y"}}]),
    "a": (DataType.ARRAY, {"element_type": DataType.INT64, "max_capacity": 5}, [[], [1], [2**60, -3]]),
    "t": (DataType.ARRAY, {"element_type": DataType.VARCHAR, "max_capacity": 5, "max_length": 9}, [["x"], [], ["y", "z"]]),
}


@pytest.mark.parametrize("flush", [False, True])
def test_scalars(client, name, flush):
    def fields(schema):
        for field, (kind, params, _) in SCALARS.items():
            schema.add_field(field, kind, **params)

    create(client, name, fields)
    rows = [
        {"id": i, "vector": [i, 0, 0, 0], **{field: values[i] for field, (_, _, values) in SCALARS.items()}}
        for i in range(3)
    ]
    client.insert(name, rows)
    if flush:
        client.flush(name)
    seen = client.query(name, filter="id >= 0", output_fields=list(SCALARS), **STRONG)
    for row, back in zip(rows, seen, strict=True):
        for field in SCALARS:
            value = back[field]
            assert (list(value) if field in "at" else value) == row[field], field


@pytest.mark.parametrize("flush", [False, True])
def test_nulls_and_defaults(client, name, flush):
    def fields(schema):
        schema.add_field("n", DataType.INT64, nullable=True)
        schema.add_field("s", DataType.VARCHAR, max_length=9, default_value="none")
        schema.add_field("j", DataType.JSON, nullable=True)
        schema.add_field("a", DataType.ARRAY, element_type=DataType.INT32, max_capacity=4, nullable=True)

    create(client, name, fields)
    client.insert(name, [
        {"id": 1, "vector": [1, 0, 0, 0], "n": None, "s": None, "j": None, "a": None},
        {"id": 2, "vector": [1, 0, 0, 0], "n": 5, "s": "x", "j": {"k": 1}, "a": [1]},
        {"id": 3, "vector": [1, 0, 0, 0]},
    ])
    if flush:
        client.flush(name)
    rows = client.query(name, filter="id > 0", output_fields=["n", "s", "j", "a"], **STRONG)
    assert [row["n"] for row in rows] == [None, 5, None]
    assert [row["s"] for row in rows] == ["none", "x", "none"]
    assert [row["j"] for row in rows] == [None, {"k": 1}, None]
    assert [None if row["a"] is None else list(row["a"]) for row in rows] == [None, [1], None]
    assert [r["id"] for r in client.query(name, filter="n is null", **STRONG)] == [1, 3]
    assert [r["id"] for r in client.query(name, filter="n == 5 or j is null", **STRONG)] == [1, 2, 3]
    assert client.query(name, filter="n != 7 and id == 1", **STRONG) == []


VECTORS = {
    "float16": (DataType.FLOAT16_VECTOR, "HNSW", "L2", lambda r: r.standard_normal(8).astype(np.float16)),
    "binary": (DataType.BINARY_VECTOR, "BIN_FLAT", "HAMMING", lambda r: r.integers(0, 256, 1, dtype=np.uint8).tobytes()),
    "sparse": (DataType.SPARSE_FLOAT_VECTOR, "SPARSE_INVERTED_INDEX", "IP",
               lambda r: {int(i): float(abs(v)) + 0.1 for i, v in zip(r.choice(1000, 5, replace=False), r.standard_normal(5))}),
}

# Clients of the 2.5 line do not know Int8Vector yet.
if hasattr(DataType, "INT8_VECTOR"):
    VECTORS["int8"] = (DataType.INT8_VECTOR, "HNSW", "L2", lambda r: r.integers(-128, 128, 8).astype(np.int8))


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("flush", [False, True])
def test_vector_types(client, name, kind, flush, random):
    data_type, index, metric, make = VECTORS[kind]
    options = {} if kind == "sparse" else {"dim": 8}
    create(client, name, lambda schema: schema.add_field("vector", data_type, **options), (index, metric))
    vectors = [make(random) for _ in range(40)]
    client.insert(name, [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    if flush:
        client.flush(name)
    hits = client.search(name, [vectors[17]], limit=5, **STRONG)[0]
    assert hits[0]["id"] == 17 or hits[0]["distance"] == hits[1]["distance"]
    if metric != "IP":
        assert hits[0]["distance"] == 0
    assert len(hits) == 5 or kind == "sparse"


def test_binary_jaccard(client, name):
    create(client, name, lambda s: s.add_field("vector", DataType.BINARY_VECTOR, dim=8), ("BIN_FLAT", "JACCARD"))
    client.insert(name, [{"id": i, "vector": bytes([b])} for i, b in enumerate([0b1111, 0b0011, 0b11110000])])
    hits = client.search(name, [bytes([0b1111])], limit=3, **STRONG)[0]
    assert [(hit["id"], round(hit["distance"], 4)) for hit in hits] == [(0, 0.0), (1, 0.5), (2, 1.0)]


def test_auto_ids(client, name):
    client.create_collection(name, dimension=4, auto_id=True)
    ids = client.insert(name, [{"vector": [i, 0, 0, 0]} for i in range(5)])["ids"]
    assert len(set(ids)) == 5 and all(i > 0 for i in ids)
    assert len(client.query(name, filter=f"id in {list(ids)}", **STRONG)) == 5


def test_text_keys(client, name):
    client.create_collection(name, dimension=4, id_type="string", max_length=20)
    client.insert(name, [{"id": key, "vector": [1, 0, 0, 0]} for key in ["b", "a", "it's", 'q"q']])
    assert [row["id"] for row in client.query(name, filter='id != ""', **STRONG)] == ["a", "b", "it's", 'q"q']
    assert client.delete(name, ids=["a", 'q"q'])["delete_count"] == 2
    assert [row["id"] for row in client.query(name, filter='id != ""', **STRONG)] == ["b", "it's"]


BAD_ROWS = [
    ({"id": 1, "vector": [1, 0, 0]}, "dim"),
    ({"id": 1, "vector": [float("nan"), 0, 0, 0]}, "not a number or infinity"),
    ({"vector": [1, 0, 0, 0]}, "id"),
    ({"id": "x", "vector": [1, 0, 0, 0]}, ""),
]


@pytest.mark.parametrize("row,words", BAD_ROWS)
def test_bad_rows_are_refused_whole(client, name, row, words):
    client.create_collection(name, dimension=4)
    with pytest.raises(MilvusException, match=words):
        client.insert(name, [{"id": 9, "vector": [1, 0, 0, 0]}, row])
    assert client.query(name, output_fields=["count(*)"], **STRONG)[0]["count(*)"] == 0
