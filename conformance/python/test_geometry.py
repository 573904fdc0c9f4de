"""Geometry fields: WKT in and out, the ST_* predicates with and without an RTREE index, nulls, defaults, refusals."""

import json
import random
import urllib.request

import pytest
from pymilvus import DataType, MilvusClient, MilvusException

ROWS = 1200
GRID = 40
SQUARE = "POLYGON ((10 10, 20 10, 20 20, 10 20, 10 10))"


def places():
    """Points on a grid; every tenth is null."""
    dice = random.Random(3)
    return [None if id % 10 == 0 else (dice.randint(0, GRID), dice.randint(0, GRID)) for id in range(ROWS)]


PLACES = places()


def where(test):
    return [id for id, place in enumerate(PLACES) if place is not None and test(*place)]


@pytest.fixture(scope="module")
def collection(server):
    client = MilvusClient(uri=server.uri)
    name = "geometries"
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("place", DataType.GEOMETRY, nullable=True)
    schema.add_field("area", DataType.GEOMETRY, nullable=True, default_value="POINT (7 7)")
    indexes = client.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")
    client.insert(
        name,
        [
            {"id": id, "v": [id, 1.0], "place": None if place is None else f"POINT ({place[0]} {place[1]})"}
            for id, place in enumerate(PLACES)
        ],
    )
    yield client, name
    client.drop_collection(name)
    client.close()


CASES = [
    (f"st_within(place, '{SQUARE}')", lambda x, y: 10 < x < 20 and 10 < y < 20),
    (f"ST_INTERSECTS(place, '{SQUARE}')", lambda x, y: 10 <= x <= 20 and 10 <= y <= 20),
    (f"st_touches(place, '{SQUARE}')", lambda x, y: 10 <= x <= 20 and 10 <= y <= 20 and (x in (10, 20) or y in (10, 20))),
    (f"not st_intersects(place, '{SQUARE}')", lambda x, y: not (10 <= x <= 20 and 10 <= y <= 20)),
    ("st_equals(place, 'POINT (4 5)')", lambda x, y: (x, y) == (4, 5)),
    ("st_contains(place, 'POINT (4 5)')", lambda x, y: (x, y) == (4, 5)),
    ("st_crosses(place, 'LINESTRING (0 0, 40 40)')", lambda x, y: False),
    ("st_overlaps(place, 'POINT (4 5)')", lambda x, y: False),
    ("st_isvalid(place)", lambda x, y: True),
    # 111.2 km a degree on the equator.
    ("st_dwithin(place, 'POINT (0 0)', 250000)", lambda x, y: x * x + y * y <= 5),
    (f"st_within(place, '{SQUARE}') and id < 600", None),
]


def check(client, name):
    for text, test in CASES:
        found = [row["id"] for row in client.query(name, filter=text, output_fields=["id"], limit=ROWS)]
        expected = [id for id in where(CASES[0][1]) if id < 600] if test is None else where(test)
        assert found == expected, text
    nulls = client.query(name, filter="place is null", output_fields=["count(*)"])
    assert nulls[0]["count(*)"] == ROWS // 10


def test_the_same_answers_growing_sealed_and_indexed(collection):
    client, name = collection
    check(client, name)
    client.flush(name)
    check(client, name)
    indexes = client.prepare_index_params()
    indexes.add_index("place", index_type="RTREE")
    client.create_index(name, indexes)
    check(client, name)
    assert client.describe_index(name, "place")["index_type"] == "RTREE"


def test_text_comes_back_and_upserts_replace_it(collection):
    client, name = collection
    client.upsert(name, [{"id": ROWS, "v": [0.5, 1.0], "place": "linestring(0 0,1 1.5)"}])
    row = client.get(name, ids=[ROWS], output_fields=["place", "area"])[0]
    assert (row["place"], row["area"]) == ("LINESTRING (0 0, 1 1.5)", "POINT (7 7)")
    client.upsert(name, [{"id": ROWS, "v": [0.5, 1.0], "place": "POLYGON((0 0,2 0,2 2,0 0))", "area": "POINT(1 2)"}])
    hits = client.search(name, [[0.5, 1.0]], limit=1, filter="st_contains(place, 'POINT (1.5 1)')", output_fields=["*"])
    assert hits[0][0]["entity"]["place"] == "POLYGON ((0 0, 2 0, 2 2, 0 0))"
    assert client.get(name, ids=[0], output_fields=["place"])[0]["place"] is None
    client.delete(name, ids=[ROWS])


def test_geometries_go_through_rest(collection, server):
    client, name = collection

    def post(verb, **body):
        body = {"collectionName": name, **body}
        request = urllib.request.Request(
            f"{server.uri}/v2/vectordb/entities/{verb}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request))

    row = {"id": ROWS + 1, "v": [0.5, 1.0], "place": "point(50 51)", "area": "POLYGON ((0 0, 1 0, 1 1, 0 0))"}
    assert post("insert", data=[row])["code"] == 0
    found = post("query", filter="st_equals(place, 'POINT (50 51)')", outputFields=["place", "area"])
    assert found["data"] == [{"id": ROWS + 1, "place": "POINT (50 51)", "area": row["area"]}]
    refused = post("insert", data=[{**row, "id": ROWS + 2, "place": "POINT (1)"}])
    assert refused["code"] != 0 and "POINT (1)" in refused["message"]
    client.delete(name, ids=[ROWS + 1])


@pytest.mark.parametrize(
    "text, words",
    [
        ("st_within(id, 'POINT (0 0)')", "STWithin operation are only supported on geometry fields"),
        ("st_within(place, 'POINT (0)')", "POINT (0)"),
        ("st_dwithin(place, 'POINT (0 0)', -1)", "distance must be non-negative"),
        ("st_dwithin(place, 'LINESTRING (0 0, 1 1)', 1)", "needs a POINT"),
        ("place == 'POINT (0 0)'", "cannot parse expression"),
    ],
)
def test_wrong_filters_are_refused(collection, text, words):
    client, name = collection
    with pytest.raises(MilvusException, match=words.replace("(", r"\(").replace(")", r"\)")):
        client.query(name, filter=text, output_fields=["id"], limit=1)


def test_wrong_geometries_are_refused(collection):
    client, name = collection
    with pytest.raises(MilvusException, match="invalid Geometry data"):
        client.insert(name, [{"id": 1, "v": [0.0, 0.0], "place": "POINT (1)"}])
    indexes = client.prepare_index_params()
    indexes.add_index("id", index_type="RTREE")
    with pytest.raises(MilvusException, match="RTREE index can only be built on geometry field"):
        client.create_index(name, indexes)
