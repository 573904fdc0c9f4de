"""Catalog verbs: collections, partitions, aliases, databases, load states, statistics."""

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient, MilvusException


def schema_of(client, **options):
    schema = client.create_schema(**options)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    return schema


def test_describe_shows_what_was_created(client, name):
    schema = client.create_schema(enable_dynamic_field=True, description="books")
    schema.add_field("isbn", DataType.VARCHAR, is_primary=True, max_length=20)
    schema.add_field("year", DataType.INT16, nullable=True, description="of print")
    schema.add_field("price", DataType.FLOAT, default_value=np.float32(9.5))
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=30)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection(name, schema=schema, num_shards=2)
    seen = client.describe_collection(name)
    fields = {field["name"]: field for field in seen["fields"]}
    assert seen["collection_name"] == name and seen["enable_dynamic_field"] is True
    assert seen["description"] == "books" and seen["num_shards"] == 2
    assert list(fields) == ["isbn", "year", "price", "tags", "vector"]
    assert fields["isbn"]["is_primary"] and fields["isbn"]["params"]["max_length"] == 20
    assert fields["year"]["type"] == DataType.INT16 and fields["year"]["nullable"]
    assert fields["tags"]["element_type"] == DataType.VARCHAR
    assert fields["vector"]["params"]["dim"] == 4


def test_has_list_rename_drop(client, name):
    client.create_collection(name, dimension=4)
    assert client.has_collection(name) and name in client.list_collections()
    client.rename_collection(name, f"{name}_new")
    assert not client.has_collection(name) and client.has_collection(f"{name}_new")
    client.rename_collection(f"{name}_new", name)
    client.drop_collection(name)
    client.drop_collection(name)
    assert not client.has_collection(name)


def test_unknown_collection_is_named(client):
    with pytest.raises(MilvusException, match="can't find collection.*nothing_here"):
        client.describe_collection("nothing_here")
    with pytest.raises(MilvusException, match="nothing_here"):
        client.insert("nothing_here", [{"id": 1, "vector": [0.0] * 4}])


@pytest.mark.parametrize("bad", ["1abc", "a-b", "a b", "ü", "a" * 256])
def test_bad_names_are_refused(client, bad):
    with pytest.raises(MilvusException, match="(?i)collection name"):
        client.create_collection(bad, dimension=4)


def test_same_definition_again_is_fine_another_is_not(client, name):
    client.create_collection(name, schema=schema_of(client))
    client.create_collection(name, schema=schema_of(client))
    with pytest.raises(MilvusException, match="create duplicate collection with different parameters"):
        client.create_collection(name, schema=schema_of(client, enable_dynamic_field=True))


def test_partitions(client, name):
    client.create_collection(name, dimension=4)
    client.create_partition(name, "p1")
    client.create_partition(name, "p1")
    assert set(client.list_partitions(name)) == {"_default", "p1"}
    assert client.has_partition(name, "p1") and not client.has_partition(name, "p2")
    client.insert(name, [{"id": 1, "vector": [1, 0, 0, 0]}], partition_name="p1")
    client.insert(name, [{"id": 2, "vector": [1, 0, 0, 0]}])
    strong = {"consistency_level": "Strong"}
    assert [row["id"] for row in client.query(name, filter="id > 0", partition_names=["p1"], **strong)] == [1]
    hits = client.search(name, [[1, 0, 0, 0]], limit=5, partition_names=["_default"], **strong)
    assert [hit["id"] for hit in hits[0]] == [2]
    with pytest.raises(MilvusException, match="p9"):
        client.search(name, [[1, 0, 0, 0]], limit=5, partition_names=["p9"])
    client.release_partitions(name, ["p1"])
    client.drop_partition(name, "p1")
    assert [row["id"] for row in client.query(name, filter="id > 0", **strong)] == [2]
    with pytest.raises(MilvusException, match="default partition cannot be deleted"):
        client.drop_partition(name, "_default")


def test_partition_key_spreads_and_prunes(client, name):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tenant", DataType.VARCHAR, max_length=20, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    assert len(client.list_partitions(name)) == 16
    client.insert(name, [{"id": i, "tenant": f"t{i % 7}", "vector": [i, 0, 0, 0]} for i in range(70)])
    rows = client.query(name, filter='tenant == "t3"', consistency_level="Strong")
    assert [row["id"] for row in rows] == list(range(3, 70, 7))
    with pytest.raises(MilvusException, match="partition key mode"):
        client.create_partition(name, "p1")


def test_aliases(client, name):
    client.create_collection(name, dimension=4)
    alias = f"{name}_alias"
    client.create_alias(name, alias)
    client.insert(alias, [{"id": 1, "vector": [1, 0, 0, 0]}])
    assert client.query(alias, filter="id == 1", consistency_level="Strong")[0]["id"] == 1
    assert client.describe_alias(alias)["collection_name"] == name
    assert alias in client.list_aliases(name)["aliases"]
    with pytest.raises(MilvusException, match="alias"):
        client.drop_collection(name)
    other = f"{name}_other"
    client.create_collection(other, dimension=4)
    client.alter_alias(other, alias)
    assert client.query(alias, filter="id == 1", consistency_level="Strong") == []
    client.drop_alias(alias)
    client.drop_alias(alias)
    client.drop_collection(other)


def test_databases_are_apart(server, client, name):
    client.create_database("books")
    other = MilvusClient(uri=server.uri, db_name="books")
    try:
        client.create_collection(name, dimension=4)
        assert not other.has_collection(name)
        other.create_collection(name, dimension=8)
        assert other.describe_collection(name)["fields"][1]["params"]["dim"] == 8
        with pytest.raises(MilvusException, match="not empty"):
            client.drop_database("books")
        other.drop_collection(name)
    finally:
        client.drop_database("books")
    assert "books" not in client.list_databases()
    with pytest.raises(MilvusException, match="database not found"):
        MilvusClient(uri=server.uri, db_name="books").list_collections()


def test_load_states_and_statistics(client, name):
    client.create_collection(name, dimension=4)
    assert str(client.get_load_state(name)["state"]) == "Loaded"
    client.insert(name, [{"id": i, "vector": [i, 0, 0, 0]} for i in range(25)])
    client.flush(name)
    assert int(client.get_collection_stats(name)["row_count"]) == 25
    client.release_collection(name)
    assert str(client.get_load_state(name)["state"]) == "NotLoad"
    with pytest.raises(MilvusException, match="not loaded"):
        client.search(name, [[0, 0, 0, 1]], limit=1)
    client.load_collection(name)
    rows = client.query(name, output_fields=["count(*)"], consistency_level="Strong")
    assert rows[0]["count(*)"] == 25
