"""BM25 top 10 over at least half a million texts: Elanus's sparse index beside tantivy and bm25s, one thread each.

    python bench/sparse.py [--texts N] [--glosses FILE.jsonl.gz] [--peers tantivy,bm25s] [--json FILE]

Wants the PyPI packages numpy and, for the peers, tantivy, bm25s and numba; Elanus runs as the example `sparse_speed`
of native/index. All get the same words of the same texts and the same queries, one at a time. A text is a few
dictionary glosses in a row, a fifth of its words replaced by rare ones after Zipf's law, cut at 40 words: up to there
tantivy, too, keeps lengths exactly. A query is two to six words of a gloss, common ones left in. `equal` is the share
of queries for which a peer found the same ten scores. Prints one JSON object of figures.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import time

for name in ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"]:
    os.environ[name] = "1"

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOP_K = 10
WORDS_MAX = 40
K1, B = 1.2, 0.75
QUERIES = 500
ROUNDS = 3


def read_glosses(path):
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [re.findall(r"[a-z0-9]+", " ".join([*row["words"], row["gloss"]]).lower()) for row in rows]


def make_texts(glosses, count, random):
    """Texts as arrays of word numbers, and the number of words."""
    vocabulary = {}
    number = lambda word: vocabulary.setdefault(word, len(vocabulary))
    numbered = [np.array([number(word) for word in gloss], np.int64) for gloss in glosses]
    known, rare = len(vocabulary), 200_000
    texts = []
    for parts in random.integers(1, 7, count):
        text = np.concatenate([numbered[i] for i in random.integers(0, len(numbered), parts)])[:WORDS_MAX]
        replaced = random.random(len(text)) < 0.2
        text[replaced] = known + random.zipf(1.2, replaced.sum()) % rare
        texts.append(text)
    queries = []
    for gloss in random.choice(len(numbered), QUERIES, replace=False):
        words = np.unique(numbered[gloss])
        queries.append(random.permutation(words)[: random.integers(2, 7)])
    return texts, queries, known + rare


def statistics(texts, words):
    frequency = np.zeros(words, np.int64)
    for text in texts:
        frequency[np.unique(text)] += 1
    return frequency, sum(map(len, texts)) / len(texts)


def write_vectors(path, vectors):
    with open(path, "wb") as file:
        for dimensions, values in vectors:
            file.write(struct.pack("<I", len(dimensions)))
            pairs = np.empty(len(dimensions), np.dtype([("d", "<u4"), ("v", "<f4")]))
            pairs["d"], pairs["v"] = dimensions, values
            file.write(pairs.tobytes())


def run_elanus(texts, queries, words, folder):
    frequency, average = statistics(texts, words)
    idf = np.log1p((len(texts) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    write_vectors(folder / "rows.bin", (np.unique(text, return_counts=True) for text in texts))
    write_vectors(folder / "queries.bin", ((np.sort(query), idf[np.sort(query)]) for query in queries))
    command = ["cargo", "run", "--release", "-q", "-p", "elanus-index", "--example", "sparse_speed", "--", str(folder)]
    command += ["BM25", str(TOP_K), repr(average)]
    printed = subprocess.run(command, cwd=ROOT / "native", check=True, capture_output=True)
    hits, at, found = (folder / "hits.bin").read_bytes(), 0, []
    for _ in queries:
        (count,) = struct.unpack_from("<I", hits, at)
        found.append([struct.unpack_from("<If", hits, at + 4 + 8 * i)[1] for i in range(count)])
        at += 4 + 8 * count
    return json.loads(printed.stdout), found


def timed(queries, search):
    """Median rate of a few rounds, and the scores of the last."""
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = [search(query) for query in queries]
        rates.append(len(queries) / (time.perf_counter() - start))
    return sorted(rates)[ROUNDS // 2], found


def run_tantivy(texts, queries, words, folder):
    import tantivy

    schema = tantivy.SchemaBuilder().add_text_field("text", tokenizer_name="whitespace", index_option="freq").build()
    (folder / "tantivy").mkdir()
    index = tantivy.Index(schema, str(folder / "tantivy"))
    start = time.perf_counter()
    writer = index.writer(1 << 30, 1)
    for text in texts:
        document = tantivy.Document()
        document.add_text("text", " ".join(map(str, text.tolist())))
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    seconds = time.perf_counter() - start
    searcher = index.searcher()

    def clause(word):
        return tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", str(word), "freq")

    prepared = [tantivy.Query.boolean_query([clause(word) for word in query.tolist()]) for query in queries]
    qps, found = timed(prepared, lambda query: [score for score, _ in searcher.search(query, TOP_K, count=False).hits])
    size = sum(file.stat().st_size for file in (folder / "tantivy").iterdir())
    return {"qps": qps, "build_seconds": seconds, "index_bytes": size, "segments": searcher.num_segments}, found


def run_bm25s(texts, queries, words, folder):
    import bm25s

    retriever = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numba")
    vocabulary = {str(word): word for word in range(words)}
    corpus = bm25s.tokenization.Tokenized(ids=[text.tolist() for text in texts], vocab=vocabulary)
    start = time.perf_counter()
    retriever.index(corpus, show_progress=False)
    seconds = time.perf_counter() - start
    prepared = [bm25s.tokenization.Tokenized(ids=[query.tolist()], vocab=corpus.vocab) for query in queries]

    def search(query):
        result = retriever.retrieve(query, k=TOP_K, show_progress=False, n_threads=1)
        return [float(score) * (K1 + 1) for score in result.scores[0] if score > 0]

    search(prepared[0])
    qps, found = timed(prepared, search)
    return {"qps": qps, "build_seconds": seconds}, found


PEERS = {"tantivy": run_tantivy, "bm25s": run_bm25s}


def agree(ours, theirs):
    """Share of the queries whose ten scores are equal but for rounding."""
    same = [len(a) == len(b) and np.allclose(a, b, rtol=1e-4) for a, b in zip(ours, theirs, strict=True)]
    return sum(same) / len(same)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--texts", type=int, default=500_000)
    arguments.add_argument("--glosses", type=pathlib.Path, required=True)
    arguments.add_argument("--peers", default="tantivy,bm25s")
    arguments.add_argument("--json", type=pathlib.Path)
    arguments = arguments.parse_args()
    random = np.random.default_rng(7)
    texts, queries, words = make_texts(read_glosses(arguments.glosses), arguments.texts, random)
    postings = sum(len(np.unique(text)) for text in texts)
    figures = {"texts": len(texts), "postings": postings, "queries": len(queries), "top_k": TOP_K}
    with tempfile.TemporaryDirectory() as folder:
        own, found = run_elanus(texts, queries, words, pathlib.Path(folder))
        figures["elanus"] = own
        for peer in filter(None, arguments.peers.split(",")):
            measured, theirs = PEERS[peer](texts, queries, words, pathlib.Path(folder))
            ratio = own["qps"] / measured["qps"]
            figures[peer] = {**measured, "equal": agree(found, theirs), "elanus_faster": ratio}
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
