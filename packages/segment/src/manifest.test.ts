import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { IndexBuildState, SealedSegmentMeta, SegmentFile, ShardManifest } from "@elanus/model/catalog";
import type { BuildId, ChannelName, CollectionId, IndexId, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import { shardIdOf } from "@elanus/model/id";
import type { Timestamp } from "@elanus/model/time";
import { crc32c } from "./crc32c.ts";
import { decodeManifest, encodeManifest, segmentFileKey, shardOrdinalOf } from "./manifest.ts";

const id = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
const count = fc.nat();
const file: fc.Arbitrary<SegmentFile> = fc.record({
  key: fc.string({ unit: "grapheme" }),
  role: fc.string(),
  bytes: count,
  crc32c: count,
});
const state: fc.Arbitrary<IndexBuildState> = fc.oneof(
  fc.record({ kind: fc.constant("unissued" as const) }),
  fc.record({ kind: fc.constant("notNeeded" as const) }),
  fc.record({ kind: fc.constant("building" as const), fraction: fc.constantFrom(0, 0.25, 1) }),
  fc.record({ kind: fc.constant("finished" as const), build: id.map((n) => n as BuildId), file }),
  fc.record({ kind: fc.constant("failed" as const), reason: fc.string() }),
);
const segment: fc.Arbitrary<SealedSegmentMeta> = fc.record({
  id: id.map((n) => n as SegmentId),
  collection: id.map((n) => n as CollectionId),
  partition: id.map((n) => n as PartitionId),
  shard: fc.string().map((name) => name as ShardId),
  rowCount: count,
  deletedCount: count,
  bytes: count,
  timestampMin: id.map((n) => n as Timestamp),
  timestampMax: id.map((n) => n as Timestamp),
  files: fc.array(file, { maxLength: 3 }),
  indexes: fc.array(fc.record({ index: id.map((n) => n as IndexId), state }), { maxLength: 3 }),
  sorted: fc.boolean(),
});
const manifest: fc.Arbitrary<ShardManifest> = fc.record({
  shard: fc.string().map((name) => name as ShardId),
  version: count,
  checkpoint: id,
  checkpointAt: id.map((n) => n as Timestamp),
  segments: fc.array(segment, { maxLength: 3 }),
});

describe("stored metadata", () => {
  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(manifest, (value) => {
        expect(decodeManifest(encodeManifest(value), "m")).toEqual({ ok: true, value });
      }),
    );
  });

  it("refuses every changed byte and every cut, naming the file", () => {
    fc.assert(
      fc.property(manifest, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, position, change) => {
        const bytes = encodeManifest(value);
        const at = position % bytes.length;
        const cut = decodeManifest(bytes.subarray(0, at), "m");
        expect(cut).toMatchObject({ ok: false, error: { kind: "fileCorrupt", file: "m" } });
        bytes[at] = (bytes[at] ?? 0) ^ change;
        expect(decodeManifest(bytes, "m").ok).toBe(false);
      }),
    );
  });
});

it("keys name collection, shard, segment, role and version", () => {
  const shard = shardIdOf("p0" as ChannelName, 7n as CollectionId, 3);
  const owner = { collection: 7n as CollectionId, shard, id: 9n as SegmentId };
  expect(shardOrdinalOf(shard)).toBe(3);
  expect(segmentFileKey(owner, "scalars")).toBe("segments/7/3/9/scalars.parquet");
  expect(segmentFileKey(owner, "vector:102")).toBe("segments/7/3/9/vector-102.parquet");
  expect(segmentFileKey(owner, "deletes", "55-2")).toBe("segments/7/3/9/deletes-55-2.bin");
  expect(segmentFileKey(owner, "index:4", "6")).toBe("segments/7/3/9/index-4-6.index");
});

it("crc32c is the Castagnoli checksum", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});
