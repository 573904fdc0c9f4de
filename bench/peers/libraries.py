"""The peers, each in its best known setting. A library is imported only by the worker that measures it.

A class gives `build(base, threads)`, after which it searches with one thread, and `search(query, k, at)`, where `at` is
the setting that trades speed for recall (`points` are the ones to measure). `rows(found)` makes row numbers of what
`search` gave and is not timed. `group` says which index types of Elanus it is compared with.
"""

import json
import os
import shutil
import tempfile

import numpy as np

M = 16
EF_CONSTRUCTION = 200
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400]
NPROBES = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128]


class Library:
    group = "graph"
    points = EFS
    batch = 1

    def rows(self, found):
        return found


class Hnswlib(Library):
    def build(self, base, threads):
        import hnswlib

        self.index = hnswlib.Index(space="l2", dim=base.shape[1])
        self.index.init_index(max_elements=len(base), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add_items(base, num_threads=threads)
        self.index.set_num_threads(1)

    def search(self, query, k, at):
        self.index.set_ef(max(at, k))
        return self.index.knn_query(query, k=k)[0][0]


class Usearch(Library):
    def __init__(self, dtype):
        self.dtype = dtype

    def build(self, base, threads):
        from usearch.index import Index

        self.index = Index(
            ndim=base.shape[1], metric="l2sq", dtype=self.dtype, connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.index.add(np.arange(len(base)), base, threads=threads)

    def search(self, query, k, at):
        self.index.expansion_search = max(at, k)
        return self.index.search(query, k, threads=1).keys


class Faiss(Library):
    """Any index that FAISS's factory makes; `refine` re-ranks that many times k candidates by full rows."""

    def __init__(self, factory, group="graph", refine=0, batch=1):
        self.factory, self.group, self.refine, self.batch = factory, group, refine, batch
        self.points = {"graph": EFS, "flat": [0], "flat-batch": [0]}.get(group, NPROBES)

    def build(self, base, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        lists = 1024 if len(base) >= 40_000 else 64
        name = self.factory.format(lists=lists, eighth=base.shape[1] // 8, half=base.shape[1] // 2)
        self.inner = faiss.index_factory(base.shape[1], name)
        self.index = faiss.IndexRefineFlat(self.inner) if self.refine else self.inner
        if "HNSW" in name:
            faiss.downcast_index(self.inner).hnsw.efConstruction = EF_CONSTRUCTION
        self.index.train(base)
        self.index.add(base)
        faiss.omp_set_num_threads(1)
        self.settings = faiss.ParameterSpace()
        self.at = None

    def search(self, query, k, at):
        if at != self.at:
            if self.points is EFS:
                self.settings.set_index_parameter(self.inner, "efSearch", max(at, k))
            elif self.points is NPROBES:
                self.settings.set_index_parameter(self.inner, "nprobe", at)
            if self.refine:
                self.index.k_factor = self.refine
            self.at = at
        return self.index.search(query.reshape(self.batch, -1), k)[1].reshape(-1)


class Svs(Library):
    """Vamana over floats, or over locally adaptive codes (LVQ) of `bits` (first level, residual)."""

    def __init__(self, bits=None):
        self.bits = bits

    def build(self, base, threads):
        import svs

        folder = tempfile.mkdtemp()
        try:
            data = np.ascontiguousarray(base)
            if self.bits is not None:
                svs.write_vecs(data, f"{folder}/base.fvecs")
                svs.convert_vecs_to_svs(f"{folder}/base.fvecs", f"{folder}/base.svs", dtype=svs.DataType.float32)
                floats = svs.VectorDataLoader(f"{folder}/base.svs", svs.DataType.float32, dims=base.shape[1])
                data = svs.LVQLoader(floats, primary=self.bits[0], residual=self.bits[1])
            how = svs.VamanaBuildParameters(
                alpha=1.2, graph_max_degree=2 * M, window_size=EF_CONSTRUCTION, max_candidate_pool_size=750
            )
            self.index = svs.Vamana.build(how, data, svs.DistanceType.L2, num_threads=threads)
        finally:
            shutil.rmtree(folder)
        self.index.num_threads = 1

    def search(self, query, k, at):
        self.index.search_window_size = max(at, k)
        return self.index.search(query.reshape(1, -1), k)[0][0]


class Vsag(Library):
    """HGraph: 8-bit codes in the graph, full rows for the last ordering."""

    def __init__(self, codes):
        self.codes = codes

    def build(self, base, threads):
        import pyvsag

        index = {
            "base_quantization_type": self.codes,
            "max_degree": 2 * M,
            "ef_construction": EF_CONSTRUCTION,
            "build_thread_count": threads,
        }
        if self.codes != "fp32":
            index |= {"use_reorder": True, "precise_quantization_type": "fp32"}
        how = {"dtype": "float32", "metric_type": "l2", "dim": base.shape[1], "index_param": index}
        self.index = pyvsag.Index("hgraph", json.dumps(how))
        ids = np.arange(len(base), dtype=np.int64)
        # A copy: the binding ends the process over an array that it may not write to.
        self.index.build(np.array(base).reshape(-1), ids, len(base), base.shape[1])

    def search(self, query, k, at):
        return self.index.knn_search(query, k, f'{{"hgraph":{{"ef_search":{max(at, k)}}}}}')[0]


class Zvec(Library):
    def __init__(self, codes=None):
        self.codes = codes

    def build(self, base, threads):
        import zvec

        zvec.init(query_threads=1, optimize_threads=threads, log_level=zvec.LogLevel.ERROR)
        self.folder = tempfile.mkdtemp()
        codes = {"quantize_type": getattr(zvec.QuantizeType, self.codes)} if self.codes else {}
        index = zvec.HnswIndexParam(
            metric_type=zvec.MetricType.L2, m=M, ef_construction=EF_CONSTRUCTION, use_contiguous_memory=True, **codes
        )
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, base.shape[1], index)
        path = os.path.join(self.folder, "data")
        collection = zvec.create_and_open(path, zvec.CollectionSchema("peer", vectors=[vector]))
        for start in range(0, len(base), 1_000):
            part = base[start : start + 1_000]
            collection.insert([zvec.Doc(id=str(start + i), vectors={"vector": row}) for i, row in enumerate(part)])
        collection.optimize(zvec.OptimizeOption(concurrency=threads))
        collection.close()
        self.collection = zvec.open(path, zvec.CollectionOption(read_only=True, enable_mmap=True))
        self.zvec = zvec

    def search(self, query, k, at):
        how = self.zvec.HnswQueryParam(ef=max(at, k), is_using_refiner=self.codes is not None)
        return self.collection.query_internal_ids(self.zvec.Query("vector", vector=query, param=how), topk=k)

    def rows(self, found):
        return [int(key) for key in self.collection.resolve_internal_ids(found) if key is not None]


class Numpy(Library):
    """Brute force as one writes it by hand: one matrix product, then a partial sort."""

    group = "flat"
    points = [0]

    def build(self, base, threads):
        self.base = np.array(base)
        self.norms = (self.base * self.base).sum(1)

    def search(self, query, k, at):
        distances = self.norms - 2 * (self.base @ query.reshape(-1))
        best = np.argpartition(distances, k)[:k]
        return best[np.argsort(distances[best])]


SYSTEMS = {
    "hnswlib": lambda: Hnswlib(),
    "faiss HNSW": lambda: Faiss("HNSW16,Flat"),
    "faiss HNSW_SQ8": lambda: Faiss("HNSW16_SQ8", refine=2),
    "usearch f32": lambda: Usearch("f32"),
    "usearch bf16": lambda: Usearch("bf16"),
    "svs f32": lambda: Svs(),
    "svs LVQ8": lambda: Svs((8, 0)),
    "svs LVQ4x8": lambda: Svs((4, 8)),
    "vsag fp32": lambda: Vsag("fp32"),
    "vsag sq8": lambda: Vsag("sq8_uniform"),
    "zvec f32": lambda: Zvec(),
    "zvec int8": lambda: Zvec("INT8"),
    "faiss Flat": lambda: Faiss("Flat", group="flat"),
    "numpy": lambda: Numpy(),
    "faiss Flat x64": lambda: Faiss("Flat", group="flat-batch", batch=64),
    "faiss IVF_FLAT": lambda: Faiss("IVF{lists},Flat", group="ivf-flat"),
    "faiss IVF_SQ8": lambda: Faiss("IVF{lists},SQ8", group="ivf-sq8"),
    "faiss IVF_PQ": lambda: Faiss("IVF{lists},PQ{eighth}", group="ivf-pq"),
    "faiss IVF_RaBitQ": lambda: Faiss("IVF{lists},RaBitQ", group="ivf-rabitq", refine=10),
    "faiss IVF_PQ4fs": lambda: Faiss("IVF{lists},PQ{half}x4fs", group="scann", refine=10),
}
