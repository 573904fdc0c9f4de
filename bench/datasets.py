"""The data of the benchmarks: base vectors, held-out queries and their exact neighbours, kept under `bench/.cache`.

A data set is a folder of `base.npy` (rows x dim, f32), `queries.npy` (f32) and `truth.npy` (queries x 100 row numbers,
i64, nearest first by squared L2 distance). Vectors of text have unit length, so that L2, IP and COSINE rank alike.
"""

import pathlib

import faiss
import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
CACHE = ROOT / "bench/.cache/data"
QUERIES = 1_000
DEPTH = 100
SYNTHETIC = {"clustered-768": (100_000, 768), "clustered-128": (1_000_000, 128)}
# Best first: all of WordNet (fixtures/make_embeddings.py), the half that lies beside a checkout, the fixtures' sample.
EMBEDDINGS = [
    ROOT / "bench/.cache/wordnet.f16.npy",
    ROOT.parent / "shared/data/wordnet-minilm-384.f16.npy",
    ROOT / "fixtures/wordnet-10k.f16.npy",
]


def prepare(name, rows=None):
    """The folder of the data set `name`: `sentences`, one of SYNTHETIC, or a folder of one's own."""
    own = pathlib.Path(name)
    if own.is_dir():
        return own
    source = next(path for path in EMBEDDINGS if path.exists())
    label = f"{name}-{rows or 'all'}" + (f"-{source.stem}" if name == "sentences" else "")
    folder = CACHE / label
    if not (folder / "truth.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        vectors = sentences(source, rows) if name == "sentences" else clustered(name, rows)
        write(folder, vectors)
    return folder


def sentences(source, rows):
    vectors = np.load(source).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Shuffled: neighbours in WordNet's order are neighbours in meaning, which no user's inserts are.
    return np.random.default_rng(7).permutation(vectors)[: rows + QUERIES if rows else None]


def clustered(name, rows):
    """Rows around centres, each cluster in a random subspace of 32 dimensions with falling variance: like embeddings,
    and unlike Gaussian noise in all dimensions, where every neighbour is equally far."""
    full, dim = SYNTHETIC[name]
    count = (rows or full) + QUERIES
    random = np.random.default_rng(42)
    clusters, inner = max(16, count // 200), 32
    spread = (1 / np.arange(1, inner + 1) ** 0.5).astype(np.float32)
    owner = random.integers(0, clusters, count)
    vectors = np.empty((count, dim), np.float32)
    centres = random.standard_normal((clusters, dim), np.float32) * np.float32(0.25)
    for cluster in range(clusters):
        members = np.flatnonzero(owner == cluster)
        basis = random.standard_normal((inner, dim), np.float32)
        inside = random.standard_normal((len(members), inner), np.float32) * spread
        vectors[members] = centres[cluster] + inside @ basis * np.float32(0.2)
    return vectors + random.standard_normal((count, dim), np.float32) * np.float32(0.02)


def write(folder, vectors):
    base, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    exact = faiss.IndexFlatL2(base.shape[1])
    exact.add(base)
    _, truth = exact.search(queries, min(DEPTH, len(base)))
    np.save(folder / "base.npy", base)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", truth)
