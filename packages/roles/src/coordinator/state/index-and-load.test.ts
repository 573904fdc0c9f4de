/** Index definitions and load wishes: contract/grpc.md 3.5, 3.7, 9.1, 9.3, 9.4. */
import { describe, expect, it } from "vitest";
import type { IndexInfo, SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { CreateIndex, LoadFields } from "@elanus/model/contract/coordinator";
import type { DatabaseId, IndexId, PartitionId } from "@elanus/model/id";
import { invariant, type Outcome } from "@elanus/model/outcome";
import { DataType } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { Catalog, type Change, type CollectionRecord, type LoadWish } from "./catalog.ts";
import { createIndex, describeIndexes, dropIndex } from "./index-ddl.ts";
import { load, loadProgress, release } from "./load-ddl.ts";

const ref = { database: "default", name: "c" };
const p0 = 10n as PartitionId;
const p1 = 11n as PartitionId;

function catalogOf(more: {
  readonly indexes?: readonly IndexInfo[];
  readonly load?: LoadWish;
  readonly keyed?: boolean;
}): Catalog {
  const record = {
    id: 1n,
    databaseId: 1n,
    shards: [],
    aliases: [],
    indexes: more.indexes ?? [],
    load: more.load ?? { kind: "released" },
    partitions: [
      { id: p0, name: "_default" },
      { id: p1, name: "p" },
    ],
    schema: {
      name: "c",
      fields: [
        {
          id: 100,
          name: "id",
          type: DataType.int64,
          primaryKey: true,
          partitionKey: more.keyed ?? false,
          typeParams: {},
        },
        { id: 101, name: "v", type: DataType.floatVector, typeParams: {} },
        { id: 102, name: "w", type: DataType.floatVector, typeParams: {} },
        { id: 103, name: "t", type: DataType.varChar, typeParams: {} },
      ],
    },
  } as unknown as CollectionRecord;
  const catalog = new Catalog();
  const database = { id: 1n as DatabaseId, name: "default", createdAt: 1n as Timestamp, properties: {} };
  catalog.apply({ putDatabases: [database], putCollections: [record] });
  return catalog;
}

function index(name: string, field: number, more: Partial<IndexInfo> = {}): IndexInfo {
  return {
    id: BigInt(field) as IndexId,
    name,
    field: field as IndexInfo["field"],
    type: "HNSW",
    metric: "L2",
    params: { M: 8 },
    userParams: [{ key: "metric_type", value: "L2" }],
    createdAt: 50n as Timestamp,
    ...more,
  };
}

function request(more: Partial<CreateIndex>): CreateIndex {
  const { type, metric, params, userParams } = index("", 101);
  invariant(metric !== undefined, "the sample has a metric");
  return { ...ref, field: "v", index: "", type, metric, params, userParams, ...more };
}

const both = [index("v", 101), index("w", 102)];

function some(names: readonly string[]): LoadFields {
  return { names, skipDynamic: false };
}

/** The wish that a change leaves; "same" when it changes nothing. */
function wish(decided: Outcome<Change>): unknown {
  if (!decided.ok) return decided.error;
  return decided.value.putCollections?.[0]?.load ?? "same";
}

function create(catalog: Catalog, more: Partial<CreateIndex>): unknown {
  const decided = createIndex(catalog, request(more), 9n as IndexId, 60n as Timestamp);
  return decided.ok ? (decided.value.putCollections?.[0]?.indexes.map((one) => one.name) ?? "same") : decided.error;
}

function segment(id: bigint, more: Partial<SealedSegmentMeta>): SealedSegmentMeta {
  return { id, rowCount: 2_000, timestampMin: 1n, indexes: [], ...more } as unknown as SealedSegmentMeta;
}

describe("index definitions", () => {
  it("take the field's name, and are the same twice", () => {
    expect(create(catalogOf({}), {})).toEqual(["v"]);
    expect(create(catalogOf({ indexes: both.slice(0, 1) }), {})).toBe("same");
    expect(create(catalogOf({ indexes: both.slice(0, 1) }), { params: { M: 8, "mmap.enabled": "true" } })).toBe("same");
  });

  it.each<[string, Partial<CreateIndex>, string]>([
    ["unknown field", { field: "x" }, "cannot create index on non-exist field: x"],
    ["other parameters", { params: { M: 9 } }, "at most one distinct index is allowed per field"],
    ["other metric", { metric: "IP" }, "at most one distinct index is allowed per field"],
    ["other name", { index: "v2" }, "CreateIndex failed: creating multiple indexes on same field is not supported"],
    ["taken name", { index: "v", field: "w" }, "at most one distinct index is allowed per field"],
  ])("refuse %s", (_what, more, text) => {
    expect(create(catalogOf({ indexes: both.slice(0, 1) }), more)).toMatchObject({
      message: expect.stringContaining(text),
    });
  });

  it("are dropped by name, vectors only while released", () => {
    const loaded = catalogOf({ indexes: [...both, index("t", 103)], load: { kind: "wanted", partitions: "all" } });
    expect(dropIndex(loaded, ref, "nothing")).toEqual({ ok: true, value: {} });
    expect(dropIndex(loaded, ref, "")).toMatchObject({ ok: false, error: { kind: "indexDuplicate" } });
    expect(dropIndex(loaded, ref, "v")).toMatchObject({
      ok: false,
      error: { message: "vector index cannot be dropped on loaded collection: 1" },
    });
    expect(dropIndex(loaded, ref, "t").ok).toBe(true);
  });

  it("tell their progress over sealed rows; segments younger than the index do not hold it back", () => {
    const [record] = catalogOf({ indexes: both }).collections.values();
    invariant(record !== undefined, "the collection is there");
    const built = {
      index: 101n as IndexId,
      state: { kind: "finished" },
    } as unknown as SealedSegmentMeta["indexes"][number];
    const describeWith = (segments: readonly SealedSegmentMeta[], name: string): unknown =>
      describeIndexes({
        record,
        name,
        at: 0n as Timestamp,
        manifests: [{ segments } as unknown as ShardManifest],
        attempts: new Map(),
        indexRowsMin: 1_024,
      });
    const segments = [
      segment(1n, { indexes: [built] }),
      segment(2n, { timestampMin: 90n as Timestamp }),
      segment(3n, { rowCount: 5 }),
    ];
    expect(describeWith(segments, "v")).toMatchObject({
      value: [{ totalRows: 4_005, indexedRows: 2_005, pendingRows: 2_000, state: "finished" }],
    });
    expect(describeWith(segments, "w")).toMatchObject({ value: [{ pendingRows: 4_000, state: "inProgress" }] });
    expect(describeWith([], "")).toMatchObject({ value: [{ state: "finished" }, { state: "finished" }] });
    expect(describeWith([], "x")).toMatchObject({ error: { kind: "indexNotFound", index: "x" } });
  });
});

describe("loading", () => {
  it("needs an index on every vector field", () => {
    expect(wish(load(catalogOf({}), ref, "all"))).toMatchObject({ kind: "indexNotFound", collection: "c" });
    expect(wish(load(catalogOf({ indexes: [index("t", 103)] }), ref, "all"))).toMatchObject({
      message: "there is no vector index on field: [v w], please create index firstly",
    });
  });

  it("adds partitions, and all beats some", () => {
    expect(wish(load(catalogOf({ indexes: both }), ref, "all"))).toEqual({ kind: "wanted", partitions: "all" });
    const one = catalogOf({ indexes: both, load: { kind: "wanted", partitions: [p0] } });
    expect(wish(load(one, ref, ["_default"]))).toBe("same");
    expect(wish(load(one, ref, ["p"]))).toEqual({ kind: "wanted", partitions: [p0, p1] });
    expect(wish(load(one, ref, "all"))).toEqual({ kind: "wanted", partitions: "all" });
    expect(wish(load(one, ref, ["x"]))).toMatchObject({ kind: "partitionNotFound" });
    expect(wish(load(one, ref, []))).toMatchObject({ kind: "invalidParameter" });
    expect(wish(load(catalogOf({ indexes: both, keyed: true }), ref, ["p"]))).toMatchObject({
      kind: "invalidParameter",
    });
  });

  it("takes a list of fields, which needs no index on the others and cannot change while loaded", () => {
    const one = catalogOf({ indexes: both.slice(0, 1) });
    const first = wish(load(one, ref, "all", some(["id", "v"])));
    expect(first).toMatchObject({ kind: "wanted", partitions: "all", fields: [100, 101] });
    const loaded = catalogOf({ indexes: both.slice(0, 1), load: first as LoadWish });
    expect(wish(load(loaded, ref, "all", some(["v", "id"])))).toBe("same");
    expect(wish(load(loaded, ref, "all", some(["id", "v", "t"])))).toMatchObject({
      message: "can't change the load field list for loaded collection",
    });
    for (const [names, text] of [
      [["v"], "load field list [v] does not contain primary key field id"],
      [["id", "t"], "load field list [id t] does not contain vector field"],
      [["id", "v", "x"], "failed to get field schema by name: fieldName(x) not found"],
      [["id", "v", "w"], "there is no vector index on field: [w], please create index firstly"],
    ] as const) {
      expect(wish(load(one, ref, "all", some(names)))).toMatchObject({ message: text });
    }
  });

  it("releases one by one; the last one releases the collection", () => {
    const all = catalogOf({ indexes: both, load: { kind: "wanted", partitions: "all" } });
    expect(wish(release(all, ref, ["p"]))).toEqual({ kind: "wanted", partitions: [p0] });
    expect(wish(release(all, ref, ["p", "_default"]))).toEqual({ kind: "released" });
    expect(wish(release(all, ref, "all"))).toEqual({ kind: "released" });
    expect(wish(release(catalogOf({}), ref, "all"))).toBe("same");
  });

  it("tells how far it is", () => {
    const half = catalogOf({ indexes: both, load: { kind: "wanted", partitions: [p0] } });
    expect(loadProgress(half, { ...ref, name: "x" }, [], 0)).toMatchObject({ value: { state: "notExist" } });
    expect(loadProgress(half, ref, ["p"], 100)).toMatchObject({ value: { state: "notLoaded" } });
    expect(loadProgress(half, ref, [], 99.9)).toMatchObject({ value: { state: "loading", percent: 99 } });
    expect(loadProgress(half, ref, ["_default"], 100)).toMatchObject({ value: { state: "loaded", percent: 100 } });
    expect(loadProgress(half, ref, ["x"], 100)).toMatchObject({ error: { kind: "partitionNotFound" } });
  });
});
