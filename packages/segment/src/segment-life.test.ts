/** One segment through its whole life with the real engine: what is read never depends on where the rows lie. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeSegment } from "@elanus/engine/addon";
import { loadAddon } from "@elanus/engine/load";
import type { IndexInfo, SealedSegmentMeta } from "@elanus/model/catalog";
import type { BuildId, CollectionId, FieldId, IndexId, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import type { Outcome } from "@elanus/model/outcome";
import { type CollectionSchema, DataType, encodeSchema, type FieldSchema } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { nodeDisk } from "@elanus/platform/drivers/disk/node";
import { openFileObjects } from "@elanus/platform/drivers/objects/file";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildIndex } from "./build-index.ts";
import { compactSegments } from "./compact.ts";
import { GrowingSegment } from "./growing.ts";
import { compileSchema, type NativeEngine } from "./native-engine.ts";
import { attachIndexes, openSealed } from "./sealed.ts";
import { querySegments, reduceHits, searchSegments } from "./search.ts";

const addon = loadAddon();
const engine: NativeEngine = { addon, pool: new addon.Pool(0) };

function field(part: Partial<FieldSchema> & Pick<FieldSchema, "name" | "type">, id: number): FieldSchema {
  const plain = { description: "", primaryKey: false, autoId: false, partitionKey: false, clusteringKey: false };
  return { ...plain, id: id as FieldId, nullable: false, dynamic: false, typeParams: {}, ...part };
}

const schema: CollectionSchema = {
  name: "points",
  description: "",
  fields: [
    field({ name: "id", type: DataType.int64, primaryKey: true }, 100),
    field({ name: "at", type: DataType.floatVector, dim: 2 }, 101),
  ],
  dynamicFieldEnabled: false,
  version: 0,
};
const native = compileSchema(engine, schema);
const VECTOR = 101 as FieldId;
const index: IndexInfo = {
  id: 5n as IndexId,
  name: "at",
  field: VECTOR,
  type: "FLAT",
  metric: "L2",
  params: {},
  userParams: [],
  createdAt: 1n as Timestamp,
};

function must<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.kind);
  return outcome.value;
}

function moment(value: number): Timestamp {
  return BigInt(value) as Timestamp;
}

function growing(id: number): GrowingSegment {
  return new GrowingSegment(engine, native, {
    id: BigInt(id) as SegmentId,
    collection: 7n as CollectionId,
    partition: 8n as PartitionId,
    shard: "p0_7v0" as ShardId,
  });
}

function put(segment: GrowingSegment, ids: readonly number[], at: number): void {
  const json = new TextEncoder().encode(JSON.stringify(ids.map((id) => ({ id, at: [id, at] }))));
  const rows = addon.Rows.fromJson(native, json, { upsert: false, allowInsertAutoId: false });
  must(segment.append(rows.encode(), moment(at)));
}

function remove(segment: { delete(keys: Uint8Array, at: bigint): unknown }, ids: readonly number[], at: number): void {
  segment.delete(addon.encodeKeys(ids.map(BigInt)), moment(at));
}

async function idsAt(segments: readonly NativeSegment[], snapshot: number): Promise<readonly number[]> {
  const scope = { segments, snapshot: moment(snapshot) };
  const rows = must(await querySegments(engine, scope, { fields: [100 as FieldId] }, 1e6)).rows;
  const options = { fields: [100], dynamicKeys: [], offset: 0, int64AsText: false };
  const json = JSON.parse(new TextDecoder().decode(addon.encodeQueryJson(native, [rows], options))) as { id: number }[];
  return json.map((row) => row.id);
}

async function nearest(segments: readonly NativeSegment[], topK: number): Promise<Uint8Array> {
  const placeholders = addon.placeholdersFromJson(native, VECTOR, new TextEncoder().encode("[[2, 0]]"));
  const plan = { field: VECTOR, metric: "L2", placeholders, nq: 1, topK, params: "{}" } as const;
  const scope = { segments, snapshot: moment(99) };
  return must(reduceHits(engine, [must(await searchSegments(engine, scope, plan)).hits], topK, "L2"));
}

describe("a segment", () => {
  it("reads the same growing and sealed, at every timestamp", async () => {
    const objects = memoryObjects();
    const source = growing(1);
    put(source, [1, 2, 3], 10);
    put(source, [3, 4], 20);
    remove(source, [1], 30);
    const meta = must(await source.seal(engine, objects));
    expect(meta).toMatchObject({ rowCount: 5, deletedCount: 2, timestampMin: 10n, timestampMax: 20n, sorted: false });
    const sealed = must(await openSealed(engine, objects, native, meta));
    for (const snapshot of [5, 10, 20, 25, 30, 40]) {
      expect(await idsAt([sealed], snapshot)).toEqual(await idsAt([source.native], snapshot));
    }
    expect(await idsAt([sealed], 10)).toEqual([1, 2, 3]);
    expect(await idsAt([sealed], 30)).toEqual([2, 3, 4]);
  });

  it("loses dead rows in a compaction, keeps young tombstones, and reads the same otherwise", async () => {
    const objects = memoryObjects();
    const [first, second] = [growing(1), growing(2)];
    put(first, [1, 2, 3, 4], 10);
    put(second, [5, 6], 20);
    remove(first, [1], 25);
    remove(first, [2], 35);
    const sources = [must(await first.seal(engine, objects)), must(await second.seal(engine, objects))];
    const job = { target: 9n as SegmentId, schema, sources, dropBefore: moment(30), expired: moment(0) };
    const meta = must(await compactSegments(engine, objects, job));
    expect(meta).toMatchObject({ id: 9n, rowCount: 5, deletedCount: 1, sorted: true });
    const merged = must(await openSealed(engine, objects, native, meta as SealedSegmentMeta));
    expect(await idsAt([merged], 32)).toEqual([2, 3, 4, 5, 6]);
    expect(await idsAt([merged], 40)).toEqual([3, 4, 5, 6]);
  });

  it("vanishes when a compaction finds no row alive", async () => {
    const objects = memoryObjects();
    const source = growing(1);
    put(source, [1], 10);
    remove(source, [1], 20);
    const sources = [must(await source.seal(engine, objects))];
    const job = { target: 9n as SegmentId, schema, sources, dropBefore: moment(30), expired: moment(0) };
    expect(must(await compactSegments(engine, objects, job))).toBeUndefined();
  });

  it("finds the same with an index, and again after the index is gone", async () => {
    const objects = memoryObjects();
    const source = growing(1);
    put(source, [1, 2, 3, 4, 5, 6, 7, 8], 1);
    const meta = must(await source.seal(engine, objects));
    const job = { build: 3n as BuildId, schema, segment: meta, index };
    const file = must(await buildIndex(engine, objects, job, { threads: 1, progress: new addon.Progress() }));
    expect(file.key).toBe("segments/7/0/1/index-5-3.index");
    const bare = { native: must(await openSealed(engine, objects, native, meta)), attached: new Map() };
    const expected = await nearest([bare.native], 3);
    const state = { kind: "finished", build: job.build, file } as const;
    const indexed = { ...meta, indexes: [{ index: index.id, state }] };
    const attached = must(await attachIndexes(engine, objects, bare, { meta: indexed, indexes: [index] }));
    expect(bare.native.indexes()).toEqual([5n]);
    expect(await nearest([bare.native], 3)).toEqual(expected);
    must(await attachIndexes(engine, objects, attached, { meta: indexed, indexes: [] }));
    expect(bare.native.indexes()).toEqual([]);
    expect(await nearest([bare.native], 3)).toEqual(expected);
  });

  it("builds an index straight into a store of plain files, and leaves nothing of a build that failed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "elanus-staged-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const objects = must(await openFileObjects(nodeDisk(folder), "objects"));
    const source = growing(1);
    put(source, [1, 2, 3, 4, 5, 6, 7, 8], 1);
    const meta = must(await source.seal(engine, objects));
    const job = { build: 3n as BuildId, schema, segment: meta, index };
    const file = must(await buildIndex(engine, objects, job, { threads: 1, progress: new addon.Progress() }));
    const bytes = must(await objects.get(file.key)) ?? new Uint8Array();
    expect([bytes.length, addon.crc32c(bytes)]).toEqual([file.bytes, file.crc32c]);
    const progress = new addon.Progress();
    progress.cancel();
    const failed = await buildIndex(engine, objects, { ...job, build: 4n as BuildId }, { threads: 1, progress });
    expect(failed).toMatchObject({ ok: false });
    expect(readdirSync(join(folder, "objects/.tmp"))).toEqual([]);
  });

  it("is refused by name when a file is changed, cut or missing", async () => {
    const objects = memoryObjects();
    const source = growing(1);
    put(source, [1, 2, 3], 1);
    const meta = must(await source.seal(engine, objects));
    for (const { key } of meta.files) {
      const whole = must(await objects.get(key)) ?? new Uint8Array();
      const changed = whole.slice();
      changed[whole.length >> 1] = (changed[whole.length >> 1] ?? 0) ^ 1;
      for (const damaged of [changed, whole.subarray(0, whole.length - 1), undefined]) {
        if (damaged === undefined) await objects.delete(key);
        else must(await objects.put(key, [damaged]));
        const opened = await openSealed(engine, objects, native, meta);
        expect(opened).toMatchObject({ ok: false, error: { kind: "fileCorrupt", file: key } });
      }
      must(await objects.put(key, [whole]));
    }
    expect((await openSealed(engine, objects, native, meta)).ok).toBe(true);
  });
});

it("compiles what encodeSchema writes", () => {
  expect(new addon.Schema(encodeSchema(schema)).fieldCount).toBe(schema.fields.length);
});
