"""The filter language against Python's own evaluation, over growing and sealed rows."""

import pytest
from pymilvus import DataType, MilvusException

STRONG = {"consistency_level": "Strong"}
ROWS = [
    {
        "id": i, "vector": [i, 0, 0, 1], "i8": i % 100 - 50, "f": i / 4, "flag": i % 2 == 0,
        "s": f"item_{i:03d}", "n": None if i % 5 == 0 else i, "a": list(range(i % 4)),
        "j": {"k": i, "name": f"n{i % 3}", "list": [i % 4, "x"], "deep": {"z": i / 2}} if i % 7 else {"other": 1},
        "dyn": i * 10,
    }
    for i in range(200)
]


@pytest.fixture(scope="module", params=["growing", "sealed"])
def rows(request, server):
    from pymilvus import MilvusClient

    client = MilvusClient(uri=server.uri)
    name = f"filters_{request.param}"
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("i8", DataType.INT8)
    schema.add_field("f", DataType.FLOAT)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("s", DataType.VARCHAR, max_length=32)
    schema.add_field("n", DataType.INT64, nullable=True)
    schema.add_field("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("j", DataType.JSON)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    client.insert(name, ROWS)
    if request.param == "sealed":
        client.flush(name)
    yield client, name
    client.drop_collection(name)


def has(row, key):
    return key in row["j"]


CASES = [
    ("id > 5 && i8 in [1,2,]", lambda r: r["id"] > 5 and r["i8"] in (1, 2)),
    ("10 < id <= 20", lambda r: 10 < r["id"] <= 20),
    ("id in []", lambda r: False),
    ("f == 1", lambda r: r["f"] == 1),
    ("f > 12.5 and f < 20", lambda r: 12.5 < r["f"] < 20),
    ("flag == true", lambda r: r["flag"]),
    ("not (flag == true)", lambda r: not r["flag"]),
    ("id + 1 == 3 or 2 * id < 10", lambda r: r["id"] == 2 or r["id"] < 5),
    ("id % 7 == 3", lambda r: r["id"] % 7 == 3),
    ("id > i8", lambda r: r["id"] > r["i8"]),
    ('s like "item_0%"', lambda r: r["s"].startswith("item_0")),
    ('s like "%_9"', lambda r: r["s"].endswith("9")),
    ('s == "item_042"', lambda r: r["s"] == "item_042"),
    ('s >= "item_190"', lambda r: r["s"] >= "item_190"),
    ("n is null", lambda r: r["n"] is None),
    ("n is not null and n < 10", lambda r: r["n"] is not None and r["n"] < 10),
    ("n != 3", lambda r: r["n"] is not None and r["n"] != 3),
    ("not (n > 5)", lambda r: r["n"] is not None and not r["n"] > 5),
    ('j["k"] > 190', lambda r: has(r, "k") and r["j"]["k"] > 190),
    ('j["k"] != 5', lambda r: not has(r, "k") or r["j"]["k"] != 5),
    ('not (j["k"] > 3)', lambda r: not (has(r, "k") and r["j"]["k"] > 3)),
    ('j["name"] == "n1"', lambda r: r["j"].get("name") == "n1"),
    ('j["deep"]["z"] == 10', lambda r: has(r, "deep") and r["j"]["deep"]["z"] == 10),
    ('j["list"][0] == 2', lambda r: has(r, "list") and r["j"]["list"][0] == 2),
    ('exists j["k"]', lambda r: has(r, "k")),
    ('json_contains(j["list"], "x")', lambda r: has(r, "list")),
    ('json_contains_any(j["list"], [3, 77])', lambda r: has(r, "list") and r["j"]["list"][0] == 3),
    ('json_contains_all(j["list"], [1, "x"])', lambda r: has(r, "list") and r["j"]["list"][0] == 1),
    ("array_contains(a, 2)", lambda r: 2 in r["a"]),
    ("array_contains_all(a, [0, 1])", lambda r: {0, 1} <= set(r["a"])),
    ("array_contains_any(a, [1, 9])", lambda r: 1 in r["a"]),
    ("array_length(a) > 2", lambda r: len(r["a"]) > 2),
    ("a[1] == 1", lambda r: len(r["a"]) > 1),
    ("dyn == 50", lambda r: r["dyn"] == 50),
    ('$meta["dyn"] > 1950', lambda r: r["dyn"] > 1950),
    ("0x10 == id", lambda r: r["id"] == 16),
]


@pytest.mark.parametrize("text,predicate", CASES, ids=[case[0] for case in CASES])
def test_filter(rows, text, predicate):
    client, name = rows
    found = [row["id"] for row in client.query(name, filter=text, output_fields=["id"], **STRONG)]
    assert found == [row["id"] for row in ROWS if predicate(row)]


TEMPLATES = [
    ("id in {ids}", {"ids": [3, 5, 199, 5_000]}, [3, 5, 199]),
    ("id == {x}", {"x": 7}, [7]),
    ("s in {names}", {"names": ["item_001", "item_150"]}, [1, 150]),
    ("{lo} < id < {hi}", {"lo": 10, "hi": 13}, [11, 12]),
    ("s like {p}", {"p": "item_19%"}, list(range(190, 200))),
    ("array_contains_any(a, {v}) and id < 4", {"v": [1]}, [2, 3]),
]


@pytest.mark.parametrize("text,values,expected", TEMPLATES, ids=[case[0] for case in TEMPLATES])
def test_templates(rows, text, values, expected):
    client, name = rows
    found = client.query(name, filter=text, filter_params=values, output_fields=["id"], **STRONG)
    assert [row["id"] for row in found] == expected


BAD = ["id == 1.0", "s == 1", "flag", "not flag", "2 - id == 1", "id % 0 == 1", "f % 2 == 0", "id + i8 == 3",
       's > j["x"]', "not id in [1]", 'id like "1%"', "j[k] > 3", "exists id", "a[-1] == 1",
       'array_contains(a, "x")', "array_contains_all(a, 3)", "id > 1 garbage", "id > 1 And id < 3", "s == 'it''s'",
       "1 < id > 9", "9 < id < 1", "absent_field", "id in {nothing}", "((((", 'id > "x"']


@pytest.mark.parametrize("text", BAD)
def test_bad_filters_are_explained(rows, text):
    client, name = rows
    with pytest.raises(MilvusException) as refused:
        client.query(name, filter=text, output_fields=["id"])
    assert "failed to create query plan" in str(refused.value)
