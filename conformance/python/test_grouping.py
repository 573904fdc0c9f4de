"""Grouping search against brute force, its refusals, and what EXPLAIN answers."""

import json
import urllib.request

import grpc
import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusException, RRFRanker
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

STRONG = {"consistency_level": "Strong"}
ROWS, DIM = 3_000, 16


def tag_of(row):
    return None if row % 11 == 0 else f"t{row % 37}"


@pytest.fixture
def vectors(random):
    return random.standard_normal((ROWS, DIM)).astype(np.float32)


def build(client, name, vectors, index_type="FLAT", flush=False):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("tag", DataType.VARCHAR, max_length=16, nullable=True)
    schema.add_field("kind", DataType.INT8)
    schema.add_field("even", DataType.BOOL)
    schema.add_field("weight", DataType.FLOAT)
    index = client.prepare_index_params()
    index.add_index("vector", index_type=index_type, metric_type="L2")
    client.create_collection(name, schema=schema)
    rows = [
        {"id": i, "vector": v, "tag": tag_of(i), "kind": i % 5, "even": i % 2 == 0, "weight": 0.5}
        for i, v in enumerate(vectors)
    ]
    for start in range(0, ROWS, 1000):
        client.insert(name, rows[start : start + 1000])
    if flush:
        client.flush(name)
    client.create_index(name, index)
    client.load_collection(name)


def grouped(vectors, query, group_of, groups, size, keep=lambda row: True):
    """(row, group) of the best groups, the members of one side by side."""
    scores = ((vectors - query) ** 2).sum(axis=1)
    members = {}
    for row in np.argsort(scores, kind="stable"):
        if keep(row):
            members.setdefault(group_of(row), []).append(int(row))
    return [(row, group) for group, rows in list(members.items())[:groups] for row in rows[:size]]


@pytest.mark.parametrize("index_type,flush", [("FLAT", False), ("FLAT", True), ("HNSW", True), ("IVF_FLAT", True)])
def test_groups_are_those_of_brute_force(client, name, random, vectors, index_type, flush):
    build(client, name, vectors, index_type, flush)
    queries = random.standard_normal((5, DIM)).astype(np.float32)
    fields = [("tag", tag_of), ("kind", lambda row: row % 5), ("even", lambda row: row % 2 == 0)]
    for field, group_of in fields:
        for groups, size in [(2, 1), (4, 3), (50, 2)]:
            answers = client.search(
                name, list(queries), limit=groups, group_by_field=field, group_size=size, strict_group_size=True,
                output_fields=[field], filter="id >= 300", search_params={"params": {"ef": 200, "nprobe": 128}}, **STRONG,
            )
            found = wanted = 0
            for query, hits in zip(queries, answers, strict=True):
                expected = grouped(vectors, query, group_of, groups, size, lambda row: row >= 300)
                got = [(hit["id"], hit["entity"][field]) for hit in hits]
                assert all(group_of(row) == group for row, group in got)
                assert len(got) == len(expected)
                if index_type == "FLAT":
                    assert got == expected
                found += len(set(got) & set(expected))
                wanted += len(expected)
            assert found >= 0.95 * wanted, (field, groups, size)


def test_offset_and_limit_count_groups(client, name, vectors):
    build(client, name, vectors)
    expected = grouped(vectors, vectors[5], tag_of, 7, 2)[4:]
    hits = client.search(
        name, [vectors[5]], limit=5, offset=2, group_by_field="tag", group_size=2, strict_group_size=True, **STRONG
    )[0]
    assert [hit["id"] for hit in hits] == [row for row, _ in expected]


def test_hybrid_search_groups_what_it_has_fused(client, name, vectors):
    build(client, name, vectors)
    parts = [AnnSearchRequest([vectors[i]], "vector", {}, 20) for i in (3, 4)]
    hits = client.hybrid_search(
        name, parts, RRFRanker(), limit=3, group_by_field="kind", group_size=2, output_fields=["kind"], **STRONG
    )[0]
    kinds = [hit["entity"]["kind"] for hit in hits]
    assert len(hits) == 6 and kinds[0::2] == kinds[1::2] and len(set(kinds)) == 3
    assert {hits[0]["id"], hits[2]["id"]} == {3, 4}


@pytest.mark.parametrize(
    "wrong,message",
    [({"group_by_field": "no"}, "groupBy field not found in schema"),
     ({"group_by_field": "weight"}, "unsupported data type Float for group by operator"),
     ({"group_by_field": "kind", "group_size": 11}, "input group size:11 exceeds configured max group size:10"),
     ({"group_by_field": "kind", "group_size": -1}, "input group size:-1 is negative"),
     ({"group_by_field": "kind", "search_params": {"params": {"radius": 3}}},
      "Not allowed to do range-search when doing search-group-by")],
)
def test_what_cannot_group_is_refused(client, name, vectors, wrong, message):
    build(client, name, vectors)
    with pytest.raises(MilvusException, match=message):
        client.search(name, [vectors[0]], limit=3, **wrong)


def test_explain_tells_what_a_search_did(client, name, vectors, server):
    build(client, name, vectors, "HNSW", True)
    explained = client.search(
        name, [vectors[0]], limit=3, filter="kind == 1", search_params={"params": {"explain": True}}, **STRONG
    )
    assert explained.extra["cost"] > 0
    plain = client.search(name, [vectors[0]], limit=3, filter="kind == 1", **STRONG)
    assert [hit["id"] for hit in plain[0]] == [hit["id"] for hit in explained[0]]
    body = {"collectionName": name, "data": [vectors[0].tolist()], "annsField": "vector", "limit": 3}
    body |= {"filter": "kind == 1", "explain": True, "consistencyLevel": "Strong"}
    request = urllib.request.Request(
        server.uri + "/v2/vectordb/entities/search", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request))
    (node,) = answer["explain"]["searches"][0]["nodes"]
    (segment,) = [segment for segment in node["segments"] if segment["rows"] > 0]
    assert segment["rows"] == segment["visible"] == ROWS and segment["actual"] == pytest.approx(0.2)
    assert segment["estimated"] == pytest.approx(0.2, abs=0.05)
    assert segment["plans"] and segment["codeDistances"] + segment["exactDistances"] >= 3


def test_explain_tells_how_a_query_found_its_rows(client, name, vectors, server):
    build(client, name, vectors, flush=True)
    keys = sorted(row for row in range(ROWS) if row % 5 == 1)
    with grpc.insecure_channel(server.uri.removeprefix("http://")) as channel:
        stub = milvus_pb2_grpc.MilvusServiceStub(channel)

        def ask(fields, **params):
            pairs = [common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in params.items()]
            request = milvus_pb2.QueryRequest(
                collection_name=name, expr="kind == 1", output_fields=fields, query_params=pairs
            )
            answer = stub.Query(request)
            assert answer.status.code == 0, answer.status.reason
            return answer, json.loads(answer.status.extra_info["explain"] or "null")

        def scanned(report):
            (node,) = report["nodes"]
            (segment,) = [segment for segment in node["segments"] if segment["rows"] > 0]
            return segment

        plain, nothing = ask(["id"], limit=7)
        assert nothing is None
        rows, report = ask(["id"], limit=7, explain=True)
        assert rows.fields_data == plain.fields_data
        (ids,) = [field.scalars.long_data.data for field in rows.fields_data if field.field_name == "id"]
        assert list(ids) == keys[:7]
        assert (report["limit"], scanned(report)["visited"]) == (7, 7)
        assert report["totalMs"] >= report["readMs"]
        counted, report = ask(["count(*)"], explain=True)
        assert counted.fields_data[0].scalars.long_data.data == [len(keys)]
        segment = scanned(report)
        assert segment["visited"] == len(keys) and segment["actual"] == pytest.approx(0.2)
