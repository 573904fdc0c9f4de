/** A segment's way through the gate: growing, its groups as files, sealed, indexed, merged; equal answers all along. */
import type { FieldId } from "@elanus/model/id";
import type { CollectionSchema } from "@elanus/model/schema";
import { DataType } from "@elanus/model/schema";
import { describe, expect, it } from "vitest";
import type { NativeFile, NativeSegment } from "./addon.ts";
import { loadAddon } from "./load.ts";
import { attempt } from "./native-error.ts";
import { compileSchema } from "./rows.ts";

const addon = loadAddon();
const plain = {
  description: "",
  autoId: false,
  partitionKey: false,
  clusteringKey: false,
  primaryKey: false,
  nullable: false,
  dynamic: false,
  typeParams: {},
};
const collection: CollectionSchema = {
  name: "c",
  description: "",
  fields: [
    { ...plain, id: 100 as FieldId, name: "id", type: DataType.varChar, lengthMax: 20, primaryKey: true },
    { ...plain, id: 101 as FieldId, name: "rank", type: DataType.int32, nullable: true },
    { ...plain, id: 102 as FieldId, name: "vec", type: DataType.floatVector, dim: 4 },
    { ...plain, id: 103 as FieldId, name: "$meta", type: DataType.json, nullable: true, dynamic: true },
  ],
  dynamicFieldEnabled: true,
  version: 0,
};
const schema = compileSchema(addon, collection);
const pool = new addon.Pool(2);
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const sine = (seed: number): number => Math.sin(seed * 12.9898) * 10;

function growing(): NativeSegment {
  const segment = addon.Segment.growing(schema, 5n);
  const rows = Array.from({ length: 300 }, (_, i) => ({
    id: `k${i}`,
    rank: i % 3 === 0 ? null : i,
    vec: [0, 1, 2, 3].map((axis) => sine(i * 4 + axis)),
    colour: i % 2 === 0 ? "red" : "blue",
  }));
  segment.append(addon.Rows.fromJson(schema, json(rows), { upsert: false, allowInsertAutoId: false }).encode(), 10n);
  segment.delete(addon.encodeKeys(["k7", "k8", "nobody"]), 20n);
  return segment;
}

async function filesOf(segment: NativeSegment): Promise<NativeFile[]> {
  const files: NativeFile[] = [];
  for (const role of segment.groups()) {
    const content = await segment.encodeGroup(pool, role);
    files.push({ role, crc32c: addon.crc32c(content), bytes: content.length, content });
  }
  const deletes = segment.exportDeletes().bytes;
  files.push({ role: "deletes", crc32c: addon.crc32c(deletes), bytes: deletes.length, content: deletes });
  return files;
}

async function answers(segment: NativeSegment): Promise<unknown> {
  const placeholders = addon.placeholdersFromJson(
    schema,
    102,
    json([
      [1, 2, 3, 4],
      [-5, 0, 5, 0],
    ]),
  );
  const request = {
    segments: [segment],
    field: 102,
    metric: "COSINE",
    placeholders,
    topK: 5,
    snapshot: 30n,
    params: "{}",
  };
  const hits = await addon.search(pool, request);
  const rows = await addon.retrieve(pool, [segment], hits, [101, 102, 103]);
  const options = {
    fields: [101, 102, 103],
    outputFields: [],
    dynamicKeys: [],
    metric: "COSINE",
    roundDecimal: 4,
    topK: 5,
    int64AsText: false,
  };
  const searched: unknown = JSON.parse(Buffer.from(addon.encodeSearchJson(schema, hits, [rows], options)).toString());
  const all = await addon.query(pool, { segments: [segment], snapshot: 30n, fields: [100, 101, 103], bytesMax: 1e9 });
  const cut = { fields: [100, 101, 103], dynamicKeys: [], offset: 2, limit: 6, int64AsText: false };
  const queried: unknown = JSON.parse(Buffer.from(addon.encodeQueryJson(schema, [all], cut)).toString());
  return { searched, queried, count: await addon.count(pool, { segments: [segment], snapshot: 30n }) };
}

describe("a segment", () => {
  it("answers the same growing, sealed, indexed and merged", async () => {
    const source = growing();
    const wanted = await answers(source);
    const sealed = await addon.Segment.open(pool, schema, 5n, await filesOf(source));
    expect(await answers(sealed)).toEqual(wanted);
    expect([sealed.id, sealed.rowCount, sealed.deletedCount]).toEqual([5n, 300, 2]);
    const progress = new addon.Progress();
    const content = await addon.buildIndex(
      pool,
      sealed,
      { field: 102, type: "FLAT", metric: "COSINE", params: "{}", threads: 1 },
      progress,
    );
    await sealed.attachIndex(pool, 9n, {
      role: "index:9",
      crc32c: addon.crc32c(content),
      bytes: content.length,
      content,
      field: 102,
    });
    expect(progress.fraction).toBe(1);
    expect(sealed.indexes()).toEqual([9n]);
    expect(await answers(sealed)).toEqual(wanted);
    const written = await filesOf(await addon.Segment.merge(pool, schema, 6n, [sealed], 25n, 0n));
    const merged = await addon.Segment.open(pool, schema, 6n, written);
    expect([merged.id, merged.rowCount, merged.deletedCount]).toEqual([6n, 298, 0]);
    expect(await answers(merged)).toEqual(wanted);
  });

  it("answers a prepared search as a plain one, into the caller's bytes", async () => {
    const terms = { segments: [growing()], field: 102, metric: "COSINE", topK: 5, snapshot: 30n, params: "{}" };
    const prepared = new addon.PreparedSearch(terms);
    const out = new Uint8Array(4_096);
    for (const vectors of [
      [[1, 2, 3, 4]],
      [
        [-5, 0, 5, 0],
        [4, 3, 2, 1],
      ],
    ]) {
      const placeholders = addon.placeholdersFromJson(schema, 102, json(vectors));
      const wanted = await addon.search(pool, { ...terms, placeholders });
      expect(out.slice(0, prepared.search(placeholders, out))).toEqual(wanted);
      const short = new Uint8Array(wanted.length - 1);
      expect(prepared.search(placeholders, short)).toBe(wanted.length);
      expect(short.every((byte) => byte === 0)).toBe(true);
    }
    const refused = (placeholders: Uint8Array) => () => prepared.search(placeholders, out);
    expect(refused(Uint8Array.of(1))).toThrow(expect.objectContaining({ code: "invalidParameter" }));
    prepared.close();
    prepared.close();
    expect(refused(out)).toThrow(expect.objectContaining({ code: "internal" }));
  });

  it("refuses a file with a flipped bit and names it", async () => {
    const files = await filesOf(growing());
    for (const [at, file] of files.entries()) {
      const content = Uint8Array.from(file.content ?? []);
      content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 4;
      const damaged = files.with(at, { ...file, content });
      const opened = await attempt(() => addon.Segment.open(pool, schema, 5n, damaged));
      expect(opened).toMatchObject({ ok: false, error: { kind: "fileCorrupt", file: file.role } });
    }
  });

  it("says that it is closed", () => {
    const segment = growing();
    segment.close();
    expect(() => segment.rowCount).toThrow("the segment is closed");
  });
});
