import { describe, expect, it } from "vitest";
import type { SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { CollectionId, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import type { Timestamp } from "@elanus/model/time";
import { fullCompaction, nextCompaction } from "./compaction.ts";

const MiB = 1024 * 1024;
const policy = {
  segmentBytesMax: 512 * MiB,
  dropBefore: 1_000n as Timestamp,
  expired: (collection: CollectionId) => (collection === 7n ? 500n : 0n) as Timestamp,
};

function segment(
  id: number,
  bytes: number,
  more: {
    readonly partition?: number;
    readonly deleted?: number;
    readonly collection?: number;
    readonly time?: readonly [number, number];
  } = {},
): SealedSegmentMeta {
  return {
    id: BigInt(id),
    collection: BigInt(more.collection ?? 1),
    partition: BigInt(more.partition ?? 1),
    timestampMin: BigInt(more.time?.[0] ?? 0),
    timestampMax: BigInt(more.time?.[1] ?? 0),
    bytes,
    rowCount: 100,
    deletedCount: more.deleted ?? 0,
    files: [],
    indexes: [],
  } as unknown as SealedSegmentMeta;
}

function manifest(...segments: readonly SealedSegmentMeta[]): ShardManifest {
  return { shard: "p0_1v0" as ShardId, version: 1, checkpoint: 0n, checkpointAt: 0n as Timestamp, segments };
}

function planned(
  segments: readonly SealedSegmentMeta[],
  deadSince: ReadonlyMap<SegmentId, Timestamp> = new Map(),
): unknown {
  return nextCompaction([manifest(...segments)], policy, deadSince)?.sources.map((source) => Number(source.id));
}

describe("automatic compaction", () => {
  it("merges four of a like size, smallest tier first", () => {
    expect(planned([1, 2, 3].map((id) => segment(id, MiB)))).toBeUndefined();
    expect(planned([1, 2, 3, 4, 5].map((id) => segment(id, MiB)))).toEqual([1, 2, 3, 4]);
    const large = [11, 12, 13, 14].map((id) => segment(id, 20 * MiB));
    expect(planned([...large, ...[1, 2, 3, 4].map((id) => segment(id, 100))])).toEqual([1, 2, 3, 4]);
    expect(planned([...large, segment(1, 100)])).toEqual([11, 12, 13, 14]);
  });

  it("keeps partitions apart and segments within their size", () => {
    expect(planned([1, 2, 3, 4].map((id) => segment(id, MiB, { partition: id % 2 })))).toBeUndefined();
    expect(planned([1, 2, 3, 4].map((id) => segment(id, 200 * MiB)))).toBeUndefined();
  });

  it("rewrites a segment of tombstones once they are old enough to be dropped", () => {
    const dead = segment(1, 100 * MiB, { deleted: 30 });
    expect(planned([dead])).toBeUndefined();
    expect(planned([dead], new Map([[dead.id, 1_001n as Timestamp]]))).toBeUndefined();
    expect(planned([dead], new Map([[dead.id, 1_000n as Timestamp]]))).toEqual([1]);
    const fewer = segment(2, 100 * MiB, { deleted: 10 });
    expect(planned([fewer], new Map([[fewer.id, 0n as Timestamp]]))).toBeUndefined();
  });
});

describe("compaction of what has expired", () => {
  it.each([
    ["the last row has", [100, 500], true],
    ["a fifth of its time has", [400, 900], true],
    ["only its first rows have", [450, 1_000], false],
    ["no row has", [501, 600], false],
  ] as const)("rewrites a segment when %s: %j", (_what, time, rewritten) => {
    expect(planned([segment(1, 100 * MiB, { collection: 7, time })])).toEqual(rewritten ? [1] : undefined);
    expect(planned([segment(1, 100 * MiB, { collection: 8, time })])).toBeUndefined();
  });
});

describe("full compaction", () => {
  it("covers every segment once, even a single one, within the size limit", () => {
    const segments = [1, 2, 3, 4, 5].map((id) => segment(id, id * 100 * MiB, { partition: id === 5 ? 2 : 1 }));
    const plans = fullCompaction(manifest(...segments), policy.segmentBytesMax);
    expect(plans.map((plan) => plan.sources.map((source) => Number(source.id)))).toEqual([[1, 2], [3], [4], [5]]);
    expect(plans.map((plan) => plan.partition)).toEqual([1n, 1n, 1n, 2n].map((id) => id as PartitionId));
    expect(fullCompaction(manifest(), policy.segmentBytesMax)).toEqual([]);
  });
});
