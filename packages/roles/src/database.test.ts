/** Requests through the proxy over the real roles and the real engine. */
import type { Search } from "@elanus/model/contract/proxy";
import { DataType } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import {
  create,
  field,
  forever,
  idField,
  ids,
  insert,
  json,
  memoryStores,
  must,
  noFilter,
  openSmall,
  parsed,
  query,
  ref,
  type Row,
  search,
  type SmallDatabase,
  strong,
  vector,
} from "./testing/small-database.ts";
import { afterEach, describe, expect, it } from "vitest";

const opened: SmallDatabase[] = [];
afterEach(async () => {
  for (const database of opened.splice(0)) await database.stop();
});

async function open(...args: Parameters<typeof openSmall>): Promise<SmallDatabase> {
  const database = await openSmall(...args);
  opened.push(database);
  return database;
}

const rowOf = (id: number): Row => ({ id, v: [id, 1], t: `t${id}`, color: id });

async function expectTwoRows(database: SmallDatabase): Promise<void> {
  expect(await search(database, [[0, 0]], { outputFields: ["t", "color"] })).toEqual([
    [
      { id: 1, distance: 0, t: "a", color: "red" },
      { id: 2, distance: 25, t: "b" },
    ],
  ]);
  expect(await query(database, "id in [2, 9]", ["t"])).toEqual([{ id: 2, t: "b" }]);
  expect(await query(database, 'color == "red"', ["*"])).toEqual([{ id: 1, v: [0, 0], t: "a", color: "red" }]);
  expect(await query(database, "", ["count(*)"])).toEqual([{ "count(*)": 2 }]);
}

function rankedSearch(field: string): Search {
  return {
    ...ref,
    partitions: [],
    filter: noFilter,
    nq: 1,
    placeholders: { kind: "json", vectors: json([[1, 0]]) },
    outputFields: [],
    params: new Map([
      ["anns_field", field],
      ["topk", "3"],
    ]),
    consistency: strong,
  };
}

describe("writes and reads", () => {
  it("finds rows by vector, key and filter: growing, sealed, and after a crash", async () => {
    const stores = memoryStores();
    const before = await openSmall(stores);
    await create(before, [idField, vector, field("t", DataType.varChar, { lengthMax: 20 })], { dynamic: true });
    await insert(before, [
      { id: 1, v: [0, 0], t: "a", color: "red" },
      { id: 2, v: [3, 4], t: "b" },
    ]);
    await expectTwoRows(before);
    must(await before.proxy.flush("default", ["c"]));
    await expectTwoRows(before);
    await insert(before, [{ id: 3, v: [9, 9], t: "c" }]);
    must(
      await before.proxy.delete(
        { ...ref, partition: "", filter: { text: "id == 3", templates: new Map() }, consistency: strong },
        forever,
      ),
    );
    // Not stopped: what it acknowledged is all that the next one gets.
    const after = await open(stores);
    await expectTwoRows(after);
    expect(must(await after.proxy.rowCount(ref))).toBe(3);
    await before.stop();
  });

  it("answers one query over growing and sealed rows as it answers many", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector, field("t", DataType.varChar, { lengthMax: 20 })]);
    const rows = Array.from({ length: 60 }, (_, id) => ({ id, v: [(id * 37) % 60, 0], t: `t${id}` }));
    await insert(database, rows.slice(0, 30));
    must(await database.proxy.flush("default", ["c"]));
    // Later rows of the same keys: what they replace is dead in the sealed segment.
    await insert(database, [...rows.slice(30), { id: 0, v: [7.5, 0], t: "moved" }]);
    const asked = [0, 7.2, 20, 33.4, 59].map((x) => [x, 0]);
    for (const how of [{}, { filter: "id % 3 == 0", params: { offset: "2" } }, { params: { radius: "9" } }]) {
      const more = { outputFields: ["t"], ...how };
      const together = await search(database, asked, more);
      const single = await Promise.all(asked.map((query) => search(database, [query], more)));
      expect(single.flat()).toEqual(together);
    }
    expect((await search(database, [[7.45, 0]], { outputFields: ["t"] }))[0]?.[0]).toMatchObject({ id: 0, t: "moved" });
  });

  it("spreads rows over nodes and shards and reads them at one snapshot", async () => {
    const database = await open(memoryStores(), { streamingNodes: 3 });
    await create(database, [idField, vector], { shards: 5 });
    const rows = Array.from({ length: 100 }, (_, at) => ({ id: at, v: [at, 0] }));
    await insert(database, rows);
    expect(ids(await query(database, "id >= 0", [], { params: { limit: "4", offset: "2" } }))).toEqual([2, 3, 4, 5]);
    expect(await query(database, "", ["count(*)"])).toEqual([{ "count(*)": 100 }]);
    const [first, second] = await search(
      database,
      [
        [0, 0],
        [50.1, 0],
      ],
      { outputFields: ["v"] },
    );
    expect(first).toEqual([0, 1, 2].map((at) => ({ id: at, v: [at, 0], distance: at * at })));
    expect(ids(second ?? [])).toEqual([50, 51, 49]);
    must(await database.proxy.flush("default", ["c"]));
    const removed = must(
      await database.proxy.delete(
        { ...ref, partition: "", filter: { text: "id < 10", templates: new Map() }, consistency: strong },
        forever,
      ),
    );
    expect(removed.count).toBe(10);
    expect(await query(database, "", ["count(*)"])).toEqual([{ "count(*)": 90 }]);
  });

  it("answers the same whether one node encodes it or the proxy does", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector, field("t", DataType.varChar, { lengthMax: 20 })], { dynamic: true });
    const asked = (explain: string): Promise<Row[][]> =>
      search(database, [[0.33, 0]], { params: { offset: "1", topk: "4", explain }, outputFields: ["t", "color"] });
    const agree = async (count: number): Promise<void> => {
      const whole = await asked("false");
      expect(whole).toEqual(await asked("true"));
      expect(whole[0]).toHaveLength(count);
    };
    await agree(0);
    await insert(database, [1, 2, 3].map(rowOf));
    await agree(2);
    must(await database.proxy.flush("default", ["c"]));
    await agree(2);
    await insert(database, [4, 5, 6].map(rowOf));
    await agree(4);
  });

  it("upserts: keys replace their rows, automatic keys get new ones", async () => {
    const database = await open(memoryStores());
    await create(database, [{ ...idField, autoId: true }, vector]);
    await insert(database, [{ v: [1, 0] }, { v: [2, 0] }]);
    const [one, two] = ids(await query(database, "id > 0", []));
    must(
      await database.proxy.upsert(
        {
          ...ref,
          partition: "",
          schemaTimestamp: 0n as Timestamp,
          rows: { kind: "json", rows: json([{ id: one, v: [7, 0] }]) },
        },
        forever,
      ),
    );
    const left = await query(database, "id > 0", ["v"]);
    expect(left).toHaveLength(2);
    expect(left.map((row) => row["v"])).toEqual([
      [2, 0],
      [7, 0],
    ]);
    expect(ids(left)[0]).toBe(two);
    expect(ids(left)).not.toContain(one);
  });

  it("keeps partitions apart and prunes by partition key", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector]);
    must(await database.proxy.catalog.createPartition(ref, "p"));
    await insert(database, [{ id: 1, v: [1, 0] }]);
    await insert(database, [{ id: 2, v: [2, 0] }], "p");
    expect(ids(await query(database, "id > 0", [], { partitions: ["p"] }))).toEqual([2]);
    expect(must(await database.proxy.rowCount(ref, "p"))).toBe(1);
    must(
      await database.proxy.delete(
        { ...ref, partition: "p", filter: { text: "id in [1, 2]", templates: new Map() }, consistency: strong },
        forever,
      ),
    );
    expect(ids(await query(database, "id > 0", []))).toEqual([1]);
    must(await database.proxy.catalog.dropCollection(ref));
    await create(database, [idField, vector, field("k", DataType.varChar, { lengthMax: 10, partitionKey: true })], {
      partitions: 4,
    });
    await insert(
      database,
      ["a", "b", "c", "d"].map((k, at) => ({ id: at, v: [at, 0], k })),
    );
    expect(ids(await query(database, 'k == "c"', []))).toEqual([2]);
    expect(ids(await query(database, 'k in ["a", "d"] and id >= 0', []))).toEqual([0, 3]);
  });
});

describe("life of sealed rows", () => {
  it("merges small segments and builds indexes while reads stay the same", async () => {
    const database = await open(memoryStores(), { limits: { indexRowsMin: 5 } });
    await create(database, [idField, vector], { index: "HNSW" });
    const expected: number[] = [];
    for (let round = 0; round < 6; round++) {
      await insert(
        database,
        Array.from({ length: 10 }, (_, at) => ({ id: round * 10 + at, v: [round * 10 + at, 1] })),
      );
      must(
        await database.proxy.delete(
          {
            ...ref,
            partition: "",
            filter: { text: `id == ${round * 10 + 3}`, templates: new Map() },
            consistency: strong,
          },
          forever,
        ),
      );
      expected.push(...[0, 1, 2, 4, 5, 6, 7, 8, 9].map((at) => round * 10 + at));
      must(await database.proxy.flush("default", ["c"]));
      expect(ids(await query(database, "id >= 0", []))).toEqual(expected);
    }
    await until(async () => must(await database.proxy.catalog.listSegments(ref)).length <= 3);
    await until(
      async () => must(await database.proxy.catalog.describeIndexes(ref, "v", 0n as Timestamp))[0]?.pendingRows === 0,
    );
    expect(ids(await query(database, "id >= 0", []))).toEqual(expected);
    expect(ids((await search(database, [[30, 1]]))[0] ?? [])).toEqual([30, 29, 31]);
    const forced = must(await database.proxy.catalog.compact(ref));
    await until(async () => must(await database.proxy.catalog.compactionState(forced.compaction)).done);
    expect(must(await database.proxy.catalog.listSegments(ref))).toHaveLength(1);
    expect(ids(await query(database, "id >= 0", []))).toEqual(expected);
  });

  it("refuses to change the schema of live shards", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector]);
    const altered = await database.proxy.catalog.alterCollection(ref, { "dynamicfield.enabled": "true" }, []);
    expect(altered).toMatchObject({ ok: false, error: { kind: "notImplemented" } });
  });

  it("is gone once released, and back once loaded", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector]);
    await insert(database, [{ id: 1, v: [1, 0] }]);
    must(await database.proxy.flush("default", ["c"]));
    must(await database.proxy.catalog.release(ref, "all"));
    await expect(search(database, [[0, 0]])).rejects.toThrow("collectionNotLoaded");
    await expect(query(database, "id > 0", [])).rejects.toThrow("collectionNotLoaded");
    // Keys can be deleted all the same.
    must(
      await database.proxy.delete(
        { ...ref, partition: "", filter: { text: "id == 1", templates: new Map() }, consistency: strong },
        forever,
      ),
    );
    must(await database.proxy.catalog.load(ref, "all"));
    expect(await query(database, "id > 0", [])).toEqual([]);
  });
});

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve));
}

describe("iterators, ranges and ranks", () => {
  it("pages through every row once at one snapshot, ties included", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector]);
    // Ten rows at each of seven distances.
    await insert(
      database,
      Array.from({ length: 70 }, (_, at) => ({ id: at, v: [at % 7, 0] })),
    );
    const seen: number[] = [];
    let guarantee = 0n as Timestamp;
    let more: Record<string, string> = {};
    for (let page = 0; page < 30; page++) {
      const answer = must(
        await database.proxy.search(
          {
            ...ref,
            partitions: [],
            filter: noFilter,
            nq: 1,
            placeholders: { kind: "json", vectors: json([[0, 0]]) },
            outputFields: [],
            params: new Map(
              Object.entries({
                iterator: "True",
                search_iter_v2: "True",
                search_iter_batch_size: "4",
                topk: "4",
                ...more,
              }),
            ),
            consistency: { level: "strong", guarantee },
          },
          "message",
          forever,
        ),
      );
      const { token, lastBound, hits } = readIteratorPage(answer.body);
      if (page === 0) {
        guarantee = answer.sessionTimestamp;
        expect(guarantee).toBeGreaterThan(2n);
        await insert(database, [{ id: 1000, v: [0, 0] }]);
      } else {
        expect(answer.sessionTimestamp).toBe(0n);
      }
      if (hits.length === 0) break;
      seen.push(...hits);
      more = { search_iter_id: token, search_iter_last_bound: String(lastBound) };
    }
    expect([...seen].sort((left, right) => left - right)).toEqual(Array.from({ length: 70 }, (_, at) => at));
  });

  it("keeps a range search within its bounds", async () => {
    const database = await open(memoryStores());
    await create(database, [idField, vector]);
    await insert(
      database,
      Array.from({ length: 10 }, (_, at) => ({ id: at, v: [at, 0] })),
    );
    const params = { topk: "10", params: JSON.stringify({ radius: 25, range_filter: 4 }) };
    expect(ids((await search(database, [[0, 0]], { params }))[0] ?? [])).toEqual([2, 3, 4]);
  });

  it("fuses searches by rank and by weight", async () => {
    const database = await open(memoryStores(), { streamingNodes: 2 });
    await create(database, [idField, vector, { ...vector, name: "w" }], { metric: "IP", shards: 2 });
    await insert(
      database,
      Array.from({ length: 6 }, (_, at) => ({ id: at, v: [at, 0], w: [5 - at, 0] })),
    );
    const hybrid = async (rank: Record<string, string>): Promise<Row[]> => {
      const answer = must(
        await database.proxy.hybridSearch(
          {
            ...ref,
            partitions: [],
            requests: [rankedSearch("v"), rankedSearch("w")],
            rankParams: new Map(Object.entries(rank)),
            outputFields: ["v"],
            consistency: strong,
          },
          "json",
          forever,
        ),
      );
      return (parsed(answer.body) as Row[][])[0] ?? [];
    };
    const byRank = await hybrid({ strategy: "rrf", params: '{"k":60}', limit: "6" });
    expect(ids(byRank)).toEqual([0, 5, 1, 4, 2, 3]);
    expect(byRank[1]).toMatchObject({ v: [5, 0] });
    expect(byRank[0]?.["distance"]).toBeCloseTo(1 / 61, 6);
    const byWeight = await hybrid({ strategy: "weighted", params: '{"weights":[1,0.1]}', limit: "2" });
    expect(ids(byWeight)).toEqual([5, 4]);
  });
});

/** The few fields of `SearchResultData` that the test needs: int64 ids (5) and iterator results (11). */
function readIteratorPage(body: Uint8Array): { token: string; lastBound: number; hits: number[] } {
  let token = "";
  let lastBound = Number.NaN;
  const hits: number[] = [];
  for (const [number, bytes] of fieldsOf(body)) {
    if (number === 5) {
      for (const [, longs] of fieldsOf(bytes)) for (const [, packed] of fieldsOf(longs)) hits.push(...varints(packed));
    }
    if (number === 11) {
      for (const [inner, content] of fieldsOf(bytes)) {
        if (inner === 1) token = new TextDecoder().decode(content);
        else lastBound = new DataView(content.buffer, content.byteOffset).getFloat32(0, true);
      }
    }
  }
  return { token, lastBound, hits };
}

function* fieldsOf(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    const start = wire === 2 ? undefined : at;
    const length = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : 0;
    if (wire === 0) varint();
    else at += length;
    yield [tag >>> 3, bytes.subarray(start ?? at - length, at)];
  }
}

function varints(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let value = 0;
  let shift = 0;
  for (const byte of bytes) {
    value += (byte & 0x7f) * 2 ** shift;
    shift += 7;
    if (byte < 128) {
      values.push(value);
      value = 0;
      shift = 0;
    }
  }
  return values;
}
