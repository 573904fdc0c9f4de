import type { CollectionSchema } from "@elanus/model/schema";
import { DataType } from "@elanus/model/schema";
import type { FieldId } from "@elanus/model/id";
import { describe, expect, it } from "vitest";
import type { NativePool, NativeSegment } from "./addon.ts";
import { loadAddon } from "./load.ts";
import { attempt } from "./native-error.ts";
import { compileSchema } from "./rows.ts";

const addon = loadAddon();
const plain = {
  description: "",
  autoId: false,
  partitionKey: false,
  clusteringKey: false,
  nullable: false,
  dynamic: false,
  typeParams: {},
};
const collection: CollectionSchema = {
  name: "c",
  description: "",
  fields: [
    { ...plain, id: 100 as FieldId, name: "id", type: DataType.int64, primaryKey: true },
    { ...plain, id: 101 as FieldId, name: "vec", type: DataType.floatVector, dim: 2, primaryKey: false },
  ],
  dynamicFieldEnabled: false,
  version: 0,
};
const schema = compileSchema(addon, collection);
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

function filled(rowCount: number): NativeSegment {
  const segment = addon.Segment.growing(schema, 9n);
  const rows = Array.from({ length: rowCount }, (_, id) => ({ id, vec: [id, 0] }));
  segment.append(addon.Rows.fromJson(schema, json(rows), { upsert: false, allowInsertAutoId: false }).encode(), 10n);
  return segment;
}

function nearest(pool: NativePool, segment: NativeSegment, to: number): Promise<Uint8Array> | Uint8Array {
  const placeholders = addon.placeholdersFromJson(schema, 101, json([[to, 0]]));
  return addon.search(pool, {
    segments: [segment],
    field: 101,
    metric: "L2",
    placeholders,
    topK: 1,
    snapshot: 10n,
    params: "{}",
  });
}

function keyOf(hits: Uint8Array): unknown {
  const options = {
    fields: [],
    outputFields: [],
    dynamicKeys: [],
    metric: "L2",
    roundDecimal: -1,
    topK: 1,
    int64AsText: false,
  };
  return JSON.parse(Buffer.from(addon.encodeSearchJson(schema, hits, [], options)).toString())[0][0].id;
}

describe("a pool with threads", () => {
  it("answers many calls at once, each its own", async () => {
    const pool = new addon.Pool(4);
    const segment = filled(500);
    const asked = Array.from({ length: 400 }, (_, i) => (i * 7) % 500);
    const found = await Promise.all(asked.map((to) => nearest(pool, segment, to)));
    expect(found.map(keyOf)).toEqual(asked);
    pool.close();
  });

  it("reads one snapshot while rows are appended and deleted", async () => {
    const pool = new addon.Pool(2);
    const segment = filled(200);
    const counts: Promise<bigint>[] = [];
    for (let i = 0; i < 100; i += 1) {
      counts.push(Promise.resolve(addon.count(pool, { segments: [segment], snapshot: 10n })));
      segment.append(
        addon.Rows.fromJson(schema, json([{ id: 1_000 + i, vec: [0, 1] }]), {
          upsert: false,
          allowInsertAutoId: false,
        }).encode(),
        20n,
      );
      segment.delete(addon.encodeKeys([BigInt(i)]), 30n);
    }
    expect(new Set(await Promise.all(counts))).toEqual(new Set([200n]));
    expect(await addon.count(pool, { segments: [segment], snapshot: 20n })).toBe(300n);
    expect(await addon.count(pool, { segments: [segment], snapshot: 30n })).toBe(200n);
    pool.close();
  });

  it("keeps a panic inside the one call", async () => {
    const pool = new addon.Pool(2);
    const segment = filled(10);
    const [first, second, panicked] = await Promise.all([
      attempt(() => nearest(pool, segment, 3)),
      attempt(() => nearest(pool, segment, 4)),
      attempt(() => addon.rehearsePanic(pool)),
    ]);
    expect(panicked).toMatchObject({
      ok: false,
      error: { kind: "internal", message: "native code panicked: rehearsed" },
    });
    expect([first, second].map((outcome) => outcome.ok && keyOf(outcome.value))).toEqual([3, 4]);
    for (let i = 0; i < 8; i += 1) await attempt(() => addon.rehearsePanic(pool));
    expect(keyOf(await nearest(pool, segment, 5))).toBe(5);
    pool.close();
  });

  it("finishes what it was given before it closes, and takes no more", async () => {
    const pool = new addon.Pool(1);
    const segment = filled(50);
    const asked = Array.from({ length: 20 }, () => nearest(pool, segment, 7));
    segment.close();
    pool.close();
    expect((await Promise.all(asked)).map(keyOf)).toEqual(asked.map(() => 7));
    const late = await attempt(() => nearest(pool, filled(1), 0));
    expect(late).toMatchObject({ ok: false, error: { kind: "cancelled" } });
  });
});

describe("a pool without threads", () => {
  it("answers with values at once", () => {
    const pool = new addon.Pool(0);
    const answer = nearest(pool, filled(10), 6);
    expect(answer).toBeInstanceOf(Uint8Array);
    expect(() => addon.rehearsePanic(pool)).toThrow("rehearsed");
  });
});

describe("absent members", () => {
  it("may be spelled undefined", () => {
    const pool = new addon.Pool(0);
    const request = { segments: [filled(10)], snapshot: 10n, fields: [100], bytesMax: 1e6 };
    const write = { upsert: false, allowInsertAutoId: false };
    // The compiler forbids it in our own code; callers in plain JavaScript do it all the same.
    for (const name of ["filter", "limit"]) Reflect.set(request, name, undefined);
    Reflect.set(write, "firstAutoId", undefined);
    expect(addon.count(pool, request)).toBe(10n);
    expect(addon.keysOfRows(schema, [addon.query(pool, request) as Uint8Array]).count).toBe(10);
    expect(addon.Rows.fromJson(schema, json([{ id: 1, vec: [1, 2] }]), write).rowCount).toBe(1);
  });

  it("wrong ones are refused by name", () => {
    const pool = new addon.Pool(0);
    const wrong = { segments: [filled(1)], snapshot: 10n, fields: [100], bytesMax: -1 };
    expect(() => addon.query(pool, wrong)).toThrow("bytesMax is not a count");
    expect(() => addon.count(pool, { segments: [], snapshot: -1n })).toThrow(
      "snapshot is not an unsigned 64-bit integer",
    );
  });
});
