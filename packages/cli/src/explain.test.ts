import { expect, test } from "vitest";
import { queryTree, reportTree } from "./explain.ts";

test("the account of a search becomes a tree", () => {
  const segment = {
    segment: "7",
    rows: 100,
    visible: 90,
    filtering: "rows" as const,
    estimated: 0.2,
    actual: 0.25,
    filterMicros: 12,
    index: "HNSW",
    plans: ["collecting walk"],
    alternatives: [
      { plan: "exact scan", cost: 9_000 },
      { plan: "collecting walk", cost: 4_000 },
    ],
    visited: 40,
    codeDistances: 40,
    exactDistances: 30,
    reranked: 30,
    bytesRead: 5_000,
    searchMicros: 55,
  };
  const nodes = [{ shards: ["a", "b"], waitedMs: 1, searchedMs: 2, reducedMs: 0, segments: [segment] }];
  const search = { field: "v", metric: "L2", topK: 5, queries: 1, nodes, reducedMs: 0 };
  const tree = reportTree({ searches: [search], plannedMs: 1, searchedMs: 3, retrievedMs: 1, totalMs: 5 });
  expect(tree.split("\n")).toEqual([
    "search: 5 ms (plan 1, search 3, fetch 1)",
    "└─ top 5 of v by L2, 1 query",
    "   └─ shards a, b: waited 1 ms, searched 2 ms, reduced 0 ms",
    "      └─ segment 7: 90 of 100 rows, HNSW",
    "         ├─ filter on rows: estimated 20.0 %, actual 25.0 %, 12 µs",
    "         └─ collecting walk: 55 µs",
    "            ├─ estimates: exact scan 9 µs, collecting walk 4 µs",
    "            └─ visited 40, distances 40 by code and 30 exact (30 re-ranked), 5000 bytes",
  ]);
});

test("the account of a query becomes a tree", () => {
  const segment = {
    segment: "7",
    rows: 100,
    visible: 90,
    filtering: "rows" as const,
    estimated: 0.2,
    filterMicros: 12,
    plans: ["rows by key until there are enough"],
    alternatives: [],
    visited: 10,
    codeDistances: 0,
    exactDistances: 0,
    reranked: 0,
    bytesRead: 0,
    searchMicros: 0,
  };
  const nodes = [{ shards: ["a"], waitedMs: 1, searchedMs: 2, reducedMs: 0, segments: [segment] }];
  const tree = queryTree({ limit: 10, nodes, plannedMs: 1, readMs: 3, encodedMs: 1, totalMs: 5 });
  expect(tree.split("\n")).toEqual([
    "query of the first 10: 5 ms (plan 1, read 3, encode 1)",
    "└─ shards a: waited 1 ms, searched 2 ms, reduced 0 ms",
    "   └─ segment 7: 90 of 100 rows",
    "      ├─ filter on rows: estimated 20.0 %, actual unknown, 12 µs",
    "      └─ rows by key until there are enough: 10 rows, 12 µs",
  ]);
});
