"""Scalar indexes of every type: the same answers before and after they are built, and the refusals."""

import random

import pytest
from pymilvus import DataType, MilvusException

ROWS = 1500


def rows():
    dice = random.Random(7)
    maybe = lambda value: None if dice.random() < 0.1 else value
    for id in range(ROWS):
        document = {"n": dice.randint(-9, 9), "s": dice.choice("abc") * dice.randint(0, 3), "tags": ["x", dice.randint(0, 3)]}
        if dice.random() < 0.3:
            document["n"] = dice.choice([None, True, "5", 2.5, {"m": 1}])
        yield {
            "id": id,
            "v": [dice.random(), dice.random()],
            "n": maybe(dice.randint(0, 9)),
            "f": maybe(dice.randint(0, 40) / 4),
            "b": maybe(dice.random() < 0.5),
            "s": maybe("".join(dice.choice("abcd") for _ in range(dice.randint(0, 6)))),
            "a": maybe([dice.randint(0, 5) for _ in range(dice.randint(0, 3))]),
            "j": maybe(document),
            "color": dice.choice(["red", "green", "blue"]),
        }


@pytest.fixture(scope="module")
def collection(module_client):
    client, name = module_client
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("n", DataType.INT32, nullable=True)
    schema.add_field("f", DataType.DOUBLE, nullable=True)
    schema.add_field("b", DataType.BOOL, nullable=True)
    schema.add_field("s", DataType.VARCHAR, max_length=64, nullable=True)
    schema.add_field("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8, nullable=True)
    schema.add_field("j", DataType.JSON, nullable=True)
    vectors = client.prepare_index_params()
    vectors.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=vectors, consistency_level="Strong")
    client.insert(name, list(rows()))
    client.flush(name)
    return client, name


@pytest.fixture(scope="module")
def module_client(server):
    from pymilvus import MilvusClient

    client = MilvusClient(uri=server.uri)
    name = "scalar_indexes"
    yield client, name
    client.drop_collection(name)
    client.close()


NUMBERS = ["n == 3", "n != 3", "n in [1, 4, 99]", "n not in [1, 4]", "2 < n <= 5", "n is null", "not (n > 4)"]
FLOATS = ["f >= 2.5", "f == 0.25", "f < 1.5 or f is null"]
TEXTS = ["s == 'ab'", "s like 'ab%'", "s like '%bc%'", "not (s like '%bc%')", "s like '%a_c%d'", "s > 'c'", "s in ['a', 'b']"]
ARRAYS = ["array_contains(a, 3)", "array_contains_any(a, [1, 2])", "array_contains_all(a, [1, 2])", "a is null"]
DOCUMENTS = ["j['n'] > 3", "j['n'] == 2.5", "j['n'] in [1, 2, 3]", "not (j['n'] < 0)", "exists j['n']", "j['n'] == '5'"]
JSON_TEXTS = ["j['s'] == 'aa'", "j['s'] like 'b%'", "j['s'] like '%cc%'", "exists j['s']", "j is null"]
KEYS = ["color == 'red'", "color in ['red', 'blue']", "color like 'gr%'", "exists color"]
FLAT = [*DOCUMENTS, *JSON_TEXTS, "json_contains(j['tags'], 2)", "j['tags'][0] == 'x'", "j['n']['m'] == 1"]


def cast(path, name, **more):
    return {"json_path": path, "json_cast_type": name, **more}


@pytest.mark.parametrize(
    ("field", "type", "params", "filters"),
    [
        *(("n", type, {}, NUMBERS) for type in ("INVERTED", "BITMAP", "STL_SORT", "AUTOINDEX")),
        *(("f", type, {}, FLOATS) for type in ("INVERTED", "STL_SORT", "")),
        *(("b", type, {}, ["b == true", "b != true", "b is null"]) for type in ("INVERTED", "BITMAP", "AUTOINDEX")),
        *(("s", type, {}, TEXTS) for type in ("INVERTED", "BITMAP", "STL_SORT", "Trie", "AUTOINDEX")),
        ("s", "NGRAM", {"min_gram": 2, "max_gram": 3}, TEXTS),
        *(("a", type, {}, ARRAYS) for type in ("INVERTED", "BITMAP", "AUTOINDEX")),
        *(("j", type, cast("j['n']", "DOUBLE"), DOCUMENTS) for type in ("INVERTED", "STL_SORT", "AUTOINDEX")),
        *(("j", type, cast("j['s']", "VARCHAR"), JSON_TEXTS) for type in ("INVERTED", "BITMAP")),
        ("j", "NGRAM", cast("j['s']", "VARCHAR", min_gram=1, max_gram=2), JSON_TEXTS),
        ("j", "INVERTED", cast("j['tags']", "ARRAY_DOUBLE"), ["json_contains(j['tags'], 2)"]),
        ("j", "INVERTED", cast("j", "JSON"), FLAT),
        ("color", "INVERTED", cast("color", "VARCHAR"), KEYS),
    ],
)
def test_an_index_changes_no_answer(collection, field, type, params, filters):
    client, name = collection
    client.load_collection(name)
    ask = lambda: [sorted(row["id"] for row in client.query(name, filter=text)) for text in filters]
    before = ask()
    assert any(before) and any(len(found) < ROWS for found in before)
    wanted = client.prepare_index_params()
    wanted.add_index(field, index_name="own", index_type=type, params=params)
    client.create_index(name, wanted)
    described = client.describe_index(name, "own")
    assert described["state"] == "Finished" and described["pending_index_rows"] == 0
    assert described.get("index_type", "") == type
    for key, value in params.items():
        assert described[key] == str(value)
    assert ask() == before
    client.release_collection(name)
    client.load_collection(name)
    assert ask() == before
    client.drop_index(name, "own")
    assert client.list_indexes(name) == ["v"]
    assert ask() == before


def test_json_fields_have_an_index_per_path(collection):
    client, name = collection
    wanted = client.prepare_index_params()
    for path, type in (("j['n']", "DOUBLE"), ("j['s']", "VARCHAR")):
        wanted.add_index("j", index_type="INVERTED", params=cast(path, type))
    client.create_index(name, wanted)
    names = sorted(client.list_indexes(name))
    assert names == ["j/n", "j/s", "v"]
    again = client.prepare_index_params()
    again.add_index("j", index_name="other", index_type="INVERTED", params=cast("j['n']", "VARCHAR"))
    with pytest.raises(MilvusException, match="index"):
        client.create_index(name, again)
    for own in names[:2]:
        client.drop_index(name, own)


@pytest.mark.parametrize(
    ("field", "type", "params", "text"),
    [
        ("id", "BITMAP", {}, "create bitmap index on primary key not supported"),
        ("f", "BITMAP", {}, "bitmap index are only supported on bool, int, string"),
        ("n", "Trie", {}, "TRIE are only supported on varchar field"),
        ("b", "STL_SORT", {}, "STL_SORT are only supported on numeric"),
        ("s", "NGRAM", {}, "Ngram index must specify both min_gram and max_gram"),
        ("s", "NGRAM", {"min_gram": 3, "max_gram": 2}, "invalid min_gram or max_gram value for Ngram index"),
        ("j", "INVERTED", {}, "json index must specify cast type"),
        ("j", "INVERTED", {"json_cast_type": "INT8"}, "json_cast_type INT8 is not supported"),
        ("s", "FM", {}, "invalid index type: FM"),
    ],
)
def test_refusals(collection, field, type, params, text):
    client, name = collection
    wanted = client.prepare_index_params()
    wanted.add_index(field, index_type=type, params=params)
    with pytest.raises(MilvusException, match=text):
        client.create_index(name, wanted)


def test_properties_of_an_index_change_while_released(collection):
    client, name = collection
    wanted = client.prepare_index_params()
    wanted.add_index("n", index_name="held", index_type="BITMAP")
    client.create_index(name, wanted)
    with pytest.raises(MilvusException, match="can't alter index on loaded collection"):
        client.alter_index_properties(name, "held", {"mmap.enabled": True})
    client.release_collection(name)
    client.alter_index_properties(name, "held", {"mmap.enabled": True, "indexoffsetcache.enabled": True})
    described = client.describe_index(name, "held")
    assert (described["mmap.enabled"], described["indexoffsetcache.enabled"]) == ("True", "True")
    client.drop_index_properties(name, "held", ["mmap.enabled"])
    assert "mmap.enabled" not in client.describe_index(name, "held")
    for properties, text in [
        ({"nlist": 3}, "nlist is not a configable index"),
        ({"mmap.enabled": "perhaps"}, "invalid mmap.enabled value: perhaps, expected: true, false"),
    ]:
        with pytest.raises(MilvusException, match=text):
            client.alter_index_properties(name, "held", properties)
    with pytest.raises(MilvusException, match="only bitmap index support"):
        client.alter_index_properties(name, "v", {"indexoffsetcache.enabled": True})
    client.load_collection(name)
    client.drop_index(name, "held")
