"""DuckDB's half of bench/filters.mjs: the rows per second of the same predicates on one thread, as JSON."""

import json
import sys
import time

import duckdb

ROWS = 1 << 20
ROUNDS = 7
PREDICATES = {
    "int64 range": "a BETWEEN 100 AND 200",
    "int32 <": "b < 500",
    "double >": "d > 500",
    "int64 in 100": "a IN (" + ",".join(str(i * 7) for i in range(100)) + ")",
    "varchar ==": "s = 'category-77'",
    "varchar like %x%": "s LIKE '%y-7%'",
    "json ==": "CAST(j ->> 'size' AS INT) = 7",
}


def main():
    database = duckdb.connect()
    database.execute("SET threads = 1")
    database.execute("SELECT setseed(0.5)")
    database.execute(
        "CREATE TABLE t AS SELECT v a, CAST(v AS INT) b, CAST(v AS DOUBLE) d, 'category-' || v s, "
        "CAST('{\"colour\":\"red\",\"size\":' || v || ',\"tags\":[\"a\",\"b\"],\"deep\":{\"x\":' || v || '}}' AS JSON) j "
        f"FROM (SELECT CAST(floor(random() * 1000) AS BIGINT) v FROM range({ROWS}))"
    )
    speeds = {}
    for name, predicate in PREDICATES.items():
        best = float("inf")
        for _ in range(ROUNDS):
            start = time.perf_counter()
            database.execute(f"SELECT count(*) FROM t WHERE {predicate}").fetchall()
            best = min(best, time.perf_counter() - start)
        speeds[name] = ROWS / best
    json.dump({"version": duckdb.__version__, "rowsPerSecond": speeds}, sys.stdout)


main()
