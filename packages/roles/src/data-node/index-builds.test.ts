import { loadAddon } from "@elanus/engine/load";
import type { IndexInfo, SealedSegmentMeta } from "@elanus/model/catalog";
import type { BuildIndexJob } from "@elanus/model/contract/data-node";
import type {
  BuildId,
  CollectionId,
  FieldId,
  IndexId,
  NodeId,
  PartitionId,
  SegmentId,
  ShardId,
} from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import { type CollectionSchema, DataType } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { memoryLog } from "@elanus/platform/drivers/log/memory";
import { memoryMeta } from "@elanus/platform/drivers/meta/memory";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import { silentTelemetry } from "@elanus/platform/drivers/telemetry/silent";
import type { World } from "@elanus/platform/ports/world";
import { expect, it } from "vitest";
import { startDataNode } from "./role.ts";

const addon = loadAddon();
const engine = { addon, pool: new addon.Pool(0) };

const schema: CollectionSchema = {
  name: "points",
  description: "",
  fields: [100, 101].map((id) => ({
    id: id as FieldId,
    name: id === 100 ? "id" : "at",
    description: "",
    type: id === 100 ? DataType.int64 : DataType.floatVector,
    ...(id === 101 ? { dim: 2 } : {}),
    primaryKey: id === 100,
    autoId: false,
    partitionKey: false,
    clusteringKey: false,
    nullable: false,
    dynamic: false,
    typeParams: {},
  })),
  dynamicFieldEnabled: false,
  version: 0,
};

/** A build whose files are missing fails by itself; what matters here is when each build ends, and how. */
function jobOf(build: number): BuildIndexJob {
  const segment: SealedSegmentMeta = {
    id: 1n as SegmentId,
    collection: 2n as CollectionId,
    partition: 3n as PartitionId,
    shard: "p0_2v0" as ShardId,
    rowCount: 1,
    deletedCount: 0,
    bytes: 1,
    timestampMin: 1n as Timestamp,
    timestampMax: 1n as Timestamp,
    files: [{ key: "segments/2/0/1/scalars.parquet", role: "scalars", bytes: 1, crc32c: 0 }],
    indexes: [],
    sorted: false,
  };
  const index: IndexInfo = {
    id: 9n as IndexId,
    name: "at",
    field: 101 as FieldId,
    type: "FLAT",
    metric: "L2",
    params: {},
    userParams: [],
    createdAt: 1n as Timestamp,
  };
  return { build: BigInt(build) as BuildId, schema, segment, index };
}

/** Reads of objects wait until they are let through, so that a build can be watched. */
function heldWorld(): { readonly world: World; readonly letThrough: () => void } {
  const waiting: (() => void)[] = [];
  const objects = memoryObjects();
  const get: typeof objects.get = async (key) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return objects.get(key);
  };
  const world: World = {
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    timers: { sleep: () => Promise.resolve(), after: () => () => {} },
    random: { next: () => 0, bits64: () => 0n },
    log: memoryLog(),
    meta: memoryMeta(),
    objects: {
      put: (key, chunks) => objects.put(key, chunks),
      get,
      list: (prefix) => objects.list(prefix),
      delete: (key) => objects.delete(key),
      localPath: () => undefined,
      stage: () => undefined,
    },
    peers: new DirectPeers(),
    executor: { threads: 0 },
    telemetry: silentTelemetry,
    limits: defaultLimits,
  };
  return { world, letThrough: () => waiting.shift()?.() };
}

it("builds one index at a time, cancels one that waits, and names a missing file", async () => {
  const { world, letThrough } = heldWorld();
  const node = startDataNode(world, { node: 1 as NodeId, engine });
  const first = node.contract.buildIndex(jobOf(1));
  const second = node.contract.buildIndex(jobOf(2));
  const third = node.contract.buildIndex(jobOf(3));
  expect(node.contract.buildIndex(jobOf(1))).toBeInstanceOf(Promise);
  expect(node.contract.buildProgress(2n as BuildId)).toBe(0);
  node.contract.cancelBuild(2n as BuildId);
  expect(await second).toMatchObject({ ok: false, error: { kind: "cancelled" } });
  expect(node.contract.buildProgress(2n as BuildId)).toBeUndefined();
  letThrough();
  const missing = { kind: "fileCorrupt", file: "segments/2/0/1/scalars.parquet" };
  expect(await first).toMatchObject({ ok: false, error: missing });
  letThrough();
  expect(await third).toMatchObject({ ok: false, error: missing });
  expect(node.contract.buildProgress(3n as BuildId)).toBeUndefined();
});

it("refuses work once it stops, and ends what waits", async () => {
  const { world } = heldWorld();
  const node = startDataNode(world, { node: 1 as NodeId, engine });
  void node.contract.buildIndex(jobOf(1));
  const waiting = node.contract.buildIndex(jobOf(2));
  await node.stop();
  expect(await waiting).toMatchObject({ ok: false, error: { kind: "cancelled" } });
  expect(await node.contract.buildIndex(jobOf(3))).toMatchObject({ ok: false, error: { kind: "notReady" } });
});
