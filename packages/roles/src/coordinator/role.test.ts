/** The coordinator over in-memory stores and nodes that only remember what they were told. */
import { describe, expect, it } from "vitest";
import type { SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { CoordinatorContract, ManifestCommit } from "@elanus/model/contract/coordinator";
import type { CompactJob, DataNodeContract } from "@elanus/model/contract/data-node";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type {
  ChannelName,
  CollectionId,
  FieldId,
  LogPosition,
  NodeId,
  SegmentId,
  ShardId,
  Term,
} from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import type { LogEntry } from "@elanus/model/log-record";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import { plainField, DataType, type FieldSchema } from "@elanus/model/schema";
import { describeError } from "@elanus/model/error";
import type { Timestamp } from "@elanus/model/time";
import { memoryLog } from "@elanus/platform/drivers/log/memory";
import { memoryMeta } from "@elanus/platform/drivers/meta/memory";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import { silentTelemetry } from "@elanus/platform/drivers/telemetry/silent";
import type { MetaStore } from "@elanus/platform/ports/meta";
import type { Timers, World } from "@elanus/platform/ports/world";
import { standaloneCoordinator } from "./config.ts";
import { startCoordinator } from "./role.ts";

function must<T>(outcome: Outcome<T>): T {
  invariant(outcome.ok, `success, not ${outcome.ok ? "" : describeError(outcome.error)}`);
  return outcome.value;
}

function field(name: string, type: DataType, more: Partial<FieldSchema>): FieldSchema {
  return plainField({ id: 0 as FieldId, name, type, ...more });
}

const GRACE_MS = 5_000;
const ref = { database: "default", name: "c" };
const schema = {
  name: "c",
  description: "",
  dynamicFieldEnabled: false,
  version: 0,
  fields: [field("id", DataType.int64, { primaryKey: true }), field("v", DataType.floatVector, { dim: 2 })],
};
const creation = { ...ref, schema, shards: 1, consistency: "bounded" as const, properties: {} };
const indexRequest = {
  ...ref,
  field: "v",
  index: "",
  type: "HNSW",
  metric: "L2" as const,
  params: { M: 8, efConstruction: 16 },
  userParams: [],
};

/** Timers whose time passes as fast as the loop turns. */
class QuickTimers implements Timers {
  nowMs = 1_700_000_000_000;
  isStopped = false;

  after(ms: number, task: () => void): () => void {
    let cancelled = false;
    setImmediate(() => {
      if (cancelled || this.isStopped) return;
      this.nowMs += ms;
      task();
    });
    return () => {
      cancelled = true;
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      this.after(ms, resolve);
      signal?.addEventListener("abort", () => resolve());
    });
  }
}

class Nodes {
  readonly appended: LogEntry[] = [];
  readonly loads: string[] = [];
  readonly changes: ShardManifest[] = [];
  readonly compactions: CompactJob[] = [];
  appendFails = false;
  beforeCompactionEnds: () => Promise<void> = () => Promise.resolve();

  streaming(): StreamingNodeContract {
    return {
      append: (entries: readonly LogEntry[]) => {
        if (this.appendFails) return Promise.resolve(fail({ kind: "ioFailed", message: "no log" }));
        this.appended.push(...entries);
        return Promise.resolve(succeed({ at: 1n as Timestamp }));
      },
      setLoad: (_collection: unknown, _shards: unknown, load: { kind: string }) => {
        this.loads.push(load.kind);
        return Promise.resolve(succeed(undefined));
      },
      manifestChanged: (manifest: ShardManifest) => {
        this.changes.push(manifest);
        return Promise.resolve(succeed(undefined));
      },
      loadedPercent: () => Promise.resolve(succeed(100)),
    } as unknown as StreamingNodeContract;
  }

  data(): DataNodeContract {
    return {
      buildIndex: (job: { segment: SealedSegmentMeta; index: { id: bigint } }) =>
        Promise.resolve(
          succeed({
            key: `segments/index-${job.segment.id}`,
            role: `index:${job.index.id}`,
            bytes: 1,
            crc32c: 1,
          }),
        ),
      compact: async (job: CompactJob) => {
        this.compactions.push(job);
        await this.beforeCompactionEnds();
        return succeed(segment(job.target, { shard: job.sources[0]?.shard, rowCount: 10 }));
      },
    } as unknown as DataNodeContract;
  }
}

function collectionOf(shard: ShardId): CollectionId {
  return BigInt(shard.slice(shard.indexOf("_") + 1, shard.lastIndexOf("v"))) as CollectionId;
}

function segment(id: bigint, more: Partial<Record<keyof SealedSegmentMeta, unknown>> = {}): SealedSegmentMeta {
  return {
    id,
    collection: 1n,
    partition: 1n,
    shard: "",
    rowCount: 2_000,
    deletedCount: 0,
    bytes: 1_000,
    timestampMin: 1n,
    timestampMax: 2n,
    files: [{ key: `segments/${id}`, role: "scalars", bytes: 1, crc32c: 1 }],
    indexes: [],
    sorted: true,
    ...more,
  } as unknown as SealedSegmentMeta;
}

interface Started {
  readonly coordinator: CoordinatorContract;
  readonly nodes: Nodes;
  readonly world: World;
  readonly timers: QuickTimers;
  /** What `onCatalogVersion` was told. */
  readonly versions: readonly number[];
  /** The process dies; what it had in flight goes nowhere. */
  kill(): void;
  stop(): Promise<void>;
}

async function start(stores: Pick<World, "meta" | "objects">, autoCompaction = false): Promise<Started> {
  const timers = new QuickTimers();
  const nodes = new Nodes();
  const versions: number[] = [];
  const peers = new DirectPeers();
  peers.addStreamingNode(1 as NodeId, nodes.streaming());
  peers.setDataNode(nodes.data());
  const world: World = {
    ...stores,
    peers,
    timers,
    log: memoryLog(),
    executor: { threads: 0 },
    telemetry: silentTelemetry,
    limits: defaultLimits,
    clock: { nowMs: () => timers.nowMs, monotonicMs: () => timers.nowMs },
    random: { next: () => 0.5, bits64: () => 1n },
  };
  const role = must(
    await startCoordinator(world, {
      ...standaloneCoordinator,
      jobIntervalMs: 10,
      garbageGraceMs: GRACE_MS,
      autoCompaction,
      onCatalogVersion: (version) => versions.push(version),
    }),
  );
  peers.setCoordinator(role.contract);
  const kill = (): void => {
    timers.isStopped = true;
  };
  return { coordinator: role.contract, nodes, world, timers, versions, kill, stop: () => role.stop() };
}

function stores(): Pick<World, "meta" | "objects"> & { meta: MetaStore } {
  return { meta: memoryMeta(), objects: memoryObjects() };
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (await done()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("never came true");
}

async function shardOf(coordinator: CoordinatorContract): Promise<ShardId> {
  const [shard] = must(await coordinator.describeCollection(ref)).shards;
  invariant(shard !== undefined, "a collection has a shard");
  return shard;
}

describe("DDL", () => {
  it("tells of every version before the change is answered, and of the stored one at the start", async () => {
    const kept = stores();
    const { coordinator, versions, kill } = await start(kept);
    const told = async (): Promise<void> => expect(versions.at(-1)).toBe(must(await coordinator.catalogVersion()));
    await told();
    const before = versions.at(-1) ?? Number.NaN;
    must(await coordinator.createCollection(creation));
    await told();
    must(await coordinator.createAlias(ref, "other"));
    await told();
    expect(versions.at(-1)).toBe(before + 2);
    kill();
    const after = await start(kept);
    expect(after.versions[0]).toBe(before + 2);
    await after.stop();
  });

  it("keeps a collection, its load and its index over a restart", async () => {
    const kept = stores();
    const before = await start(kept);
    const created = must(await before.coordinator.createCollection(creation));
    must(await before.coordinator.createIndex(indexRequest));
    must(await before.coordinator.load(ref, "all"));
    before.kill();
    const after = await start(kept);
    const found = must(await after.coordinator.describeCollection(ref));
    expect(found).toMatchObject({
      id: created.id,
      updatedAt: created.updatedAt,
      load: { kind: "loading", partitions: "all" },
    });
    expect(found.indexes.map((index) => index.name)).toEqual(["v"]);
    await until(async () => must(await after.coordinator.describeCollection(ref)).load.kind === "loaded");
    await after.stop();
  });

  it("finishes after a restart what a crash left between the catalog and the log", async () => {
    const kept = stores();
    const before = await start(kept);
    before.nodes.appendFails = true;
    expect(await before.coordinator.createCollection(creation)).toMatchObject({
      ok: false,
      error: { kind: "ioFailed" },
    });
    before.kill();
    const after = await start(kept);
    await until(() => after.nodes.appended.length > 0);
    expect(after.nodes.appended).toMatchObject([{ kind: "createShard", shard: await shardOf(after.coordinator) }]);
    // The client's repeated call finds its collection.
    must(await after.coordinator.createCollection(creation));
    expect(after.nodes.appended).toHaveLength(1);
    await after.stop();
  });

  it("answers a repeated creation only when its log entries are written", async () => {
    const started = await start(stores());
    started.nodes.appendFails = true;
    expect((await started.coordinator.createCollection(creation)).ok).toBe(false);
    expect((await started.coordinator.createCollection(creation)).ok).toBe(false);
    started.nodes.appendFails = false;
    must(await started.coordinator.createCollection(creation));
    expect(started.nodes.appended).toHaveLength(1);
    await started.stop();
  });

  it("a change that concerns no log does not wait for one", async () => {
    const started = await start(stores());
    started.nodes.appendFails = true;
    expect((await started.coordinator.createCollection(creation)).ok).toBe(false);
    must(await started.coordinator.createAlias(ref, "a"));
    expect((await started.coordinator.createPartition(ref, "p")).ok).toBe(true);
    expect((await started.coordinator.dropPartition(ref, "p")).ok).toBe(false);
    started.nodes.appendFails = false;
    await until(() => started.nodes.appended.length === 2);
    expect(started.nodes.appended.map((entry) => entry.kind)).toEqual(["createShard", "dropPartition"]);
    await started.stop();
  });

  it("a coordinator that was replaced changes nothing any more", async () => {
    const kept = stores();
    const old = await start(kept);
    must(await old.coordinator.createCollection(creation));
    const next = await start(kept);
    expect(await old.coordinator.createAlias(ref, "a")).toMatchObject({ ok: false, error: { kind: "notReady" } });
    must(await next.coordinator.createAlias(ref, "a"));
    old.kill();
    await next.stop();
  });

  it("a transaction whose outcome is unknown is looked up before the next decision", async () => {
    const kept = stores();
    let lie = false;
    const meta: MetaStore = {
      get: (key) => kept.meta.get(key),
      list: (prefix) => kept.meta.list(prefix),
      close: () => kept.meta.close(),
      transact: async (conditions, ops) => {
        const done = await kept.meta.transact(conditions, ops);
        return lie && ops.some((op) => op.key.startsWith("collection/"))
          ? fail({ kind: "ioFailed", message: "lost answer" })
          : done;
      },
    };
    const started = await start({ ...kept, meta });
    lie = true;
    expect((await started.coordinator.createCollection(creation)).ok).toBe(false);
    lie = false;
    must(await started.coordinator.createCollection(creation));
    expect(started.nodes.appended).toHaveLength(1);
    await started.stop();
  });

  it("timestamps and ids go on after a crash and after a clean stop", async () => {
    const kept = stores();
    let newest = 0n;
    let newestId = 0n;
    for (const clean of [false, true, false]) {
      const started = await start(kept);
      const time = must(await started.coordinator.allocateTimestamps(1_000_000));
      const ids = must(await started.coordinator.allocateIds(10));
      expect(time.first).toBeGreaterThan(newest);
      expect(ids.first).toBeGreaterThan(newestId);
      newest = time.first + 999_999n;
      newestId = ids.first + 9n;
      if (clean) await started.stop();
      else started.kill();
    }
  });
});

async function claim(coordinator: CoordinatorContract): ReturnType<CoordinatorContract["claimChannels"]> {
  return coordinator.claimChannels(1 as NodeId, must(await coordinator.allocateTimestamps(1)).first);
}

async function claimed(kept = stores(), autoCompaction = false): Promise<Started & { shard: ShardId; term: Term }> {
  const started = await start(kept, autoCompaction);
  must(await started.coordinator.createCollection(creation));
  const [channel] = must(await claim(started.coordinator));
  invariant(channel !== undefined, "node 1 owns a channel");
  return { ...started, shard: await shardOf(started.coordinator), term: channel.term };
}
function add(started: { shard: ShardId; term: Term }, ...segments: SealedSegmentMeta[]): ManifestCommit {
  return {
    shard: started.shard,
    term: started.term,
    remove: [],
    deletes: [],
    add: segments.map((one) => ({ ...one, shard: started.shard, collection: collectionOf(started.shard) })),
  };
}

async function partitionOf(coordinator: CoordinatorContract): Promise<bigint | undefined> {
  const described: Outcome<{ partitions: readonly { id: bigint }[] }> = await coordinator.describeCollection(ref);
  return must(described).partitions[0]?.id;
}

describe("manifests", () => {
  it("a claim that was long under way does not take the channels from the one that came after it", async () => {
    const started = await start(stores(), false);
    const late = must(await started.coordinator.allocateTimestamps(1)).first;
    const [channel] = must(await claim(started.coordinator));
    const refused = await started.coordinator.claimChannels(1 as NodeId, late);
    expect(refused).toMatchObject({ ok: false, error: { kind: "fenced", channel: "p0" } });
    const [again] = must(await claim(started.coordinator));
    expect(again?.term).toBe((channel?.term ?? 0) + 1);
    await started.stop();
  });

  it("survive a restart with everything that was committed", async () => {
    const kept = stores();
    const before = await claimed(kept);
    const partition = must(await before.coordinator.describeCollection(ref)).partitions[0]?.id;
    const checkpoint = { position: 7n as LogPosition, at: 9n as Timestamp };
    must(
      await before.coordinator.commitManifest({
        ...add(before, segment(5n, { partition, shard: before.shard })),
        checkpoint,
      }),
    );
    before.kill();
    const after = await start(kept);
    const [channel] = must(await claim(after.coordinator));
    expect(channel).toMatchObject({ channel: "p0" as ChannelName, term: before.term + 1 });
    expect(channel?.shards[0]?.manifest).toMatchObject({ version: 1, checkpoint: 7n, segments: [{ id: 5n }] });
    await after.stop();
  });

  it("refuse an older term, a vanished segment and a checkpoint that goes back; take a repeated commit", async () => {
    const started = await claimed();
    const { coordinator, shard, term } = started;
    const first = {
      ...add(started, segment(5n, { partition: await partitionOf(coordinator) })),
      checkpoint: { position: 7n as LogPosition, at: 9n as Timestamp },
    };
    must(await coordinator.commitManifest(first));
    expect(must(await coordinator.commitManifest(first)).version).toBe(1);
    const old = { ...add(started, segment(6n)), term: (term - 1) as Term };
    expect(await coordinator.commitManifest(old)).toMatchObject({
      ok: false,
      error: { kind: "fenced", term },
    });
    const gone = { shard, term, add: [segment(7n)], remove: [99n as SegmentId], deletes: [] };
    expect(await coordinator.commitManifest(gone)).toMatchObject({ ok: false, error: { kind: "overtaken" } });
    const back = { ...add(started, segment(8n)), checkpoint: { position: 6n as LogPosition, at: 8n as Timestamp } };
    expect((await coordinator.commitManifest(back)).ok).toBe(false);
    expect(must(await coordinator.manifest(shard)).version).toBe(1);
    await started.stop();
  });

  it("do not outlive their collection: a commit that the drop overtakes is refused and leaves no pointer", async () => {
    const kept = stores();
    const started = await claimed(kept);
    const { coordinator } = started;
    const commit = add(started, segment(5n, { partition: await partitionOf(coordinator) }));
    const { put } = kept.objects;
    kept.objects.put = async (...call) => {
      must(await coordinator.dropCollection(ref));
      return put.apply(kept.objects, call);
    };
    expect((await coordinator.commitManifest(commit)).ok).toBe(false);
    expect(must(await kept.meta.list("manifest/"))).toEqual([]);
    await started.stop();
  });

  it("take no index of a bad name", async () => {
    const started = await claimed();
    const refused = await started.coordinator.createIndex({ ...indexRequest, index: "1" });
    expect(refused).toMatchObject({ ok: false, error: { message: expect.stringContaining("Invalid index name: 1") } });
    await started.stop();
  });

  it("get their indexes built, and progress says so", async () => {
    const started = await claimed();
    const { coordinator } = started;
    const partition = await partitionOf(coordinator);
    must(await coordinator.createIndex(indexRequest));
    must(
      await coordinator.commitManifest(
        add(started, segment(5n, { partition, timestampMin: 0n }), segment(6n, { partition, rowCount: 3 })),
      ),
    );
    await until(
      async () => must(await coordinator.describeIndexes(ref, "v", 0n as Timestamp))[0]?.state === "finished",
    );
    expect(must(await coordinator.describeIndexes(ref, "", 0n as Timestamp))).toMatchObject([
      { totalRows: 2_003, indexedRows: 2_003, pendingRows: 0 },
    ]);
    // Three rows are searched by brute force.
    const built = must(await coordinator.manifest(started.shard)).segments.flatMap((one) => one.indexes);
    expect(built).toMatchObject([{ state: { kind: "finished" } }]);
    await until(() => started.nodes.changes.at(-1)?.version === 2);
    must(await coordinator.dropIndex(ref, "v"));
    await until(async () =>
      must(await coordinator.manifest(started.shard)).segments.every((one) => one.indexes.length === 0),
    );
    await started.stop();
  });

  it("a compaction whose source got new deletes meanwhile is done again with them", async () => {
    const started = await claimed();
    const { coordinator, nodes, shard, term } = started;
    const partition = await partitionOf(coordinator);
    must(await coordinator.commitManifest(add(started, segment(5n, { partition, rowCount: 10 }))));
    const deletes = { key: "segments/5-deletes", role: "deletes", bytes: 1, crc32c: 1 };
    let interrupted = false;
    nodes.beforeCompactionEnds = async () => {
      if (interrupted) return;
      interrupted = true;
      must(
        await coordinator.commitManifest({
          shard,
          term,
          add: [],
          remove: [],
          deletes: [{ segment: 5n as SegmentId, file: deletes, deletedCount: 1 }],
        }),
      );
    };
    const planned = must(await coordinator.compact(ref));
    expect(planned.plans).toBe(1);
    await until(async () => must(await coordinator.compactionState(planned.compaction)).done);
    expect(nodes.compactions).toHaveLength(2);
    expect(nodes.compactions[1]?.sources[0]?.files.map((file) => file.key)).toContain(deletes.key);
    const [merged] = must(await coordinator.compactionState(planned.compaction)).plans;
    expect(must(await coordinator.manifest(shard)).segments.map((one) => one.id)).toEqual([merged?.target]);
    await started.stop();
  });

  it("small segments of a partition are merged by themselves", async () => {
    const started = await claimed(stores(), true);
    const partition = await partitionOf(started.coordinator);
    const small = [1n, 2n, 3n, 4n].map((id) => segment(id, { partition, rowCount: 10 }));
    must(await started.coordinator.commitManifest(add(started, ...small)));
    await until(async () => must(await started.coordinator.manifest(started.shard)).segments.length === 1);
    expect(started.nodes.compactions[0]?.sources).toHaveLength(4);
    await started.stop();
  });

  it("objects that nobody references are deleted after the grace time, referenced ones never", async () => {
    const kept = stores();
    const started = await claimed(kept);
    const partition = await partitionOf(started.coordinator);
    must(await kept.objects.put("segments/5", [new Uint8Array(1)]));
    must(await kept.objects.put("segments/orphan", [new Uint8Array(1)]));
    must(await started.coordinator.commitManifest(add(started, segment(5n, { partition, rowCount: 10 }))));
    await until(async () => must(await kept.objects.get("segments/orphan")) === undefined);
    expect(must(await kept.objects.get("segments/5"))).toBeDefined();
    expect(started.timers.nowMs - 1_700_000_000_000).toBeGreaterThanOrEqual(GRACE_MS);
    const late = add(
      started,
      segment(6n, {
        partition,
        rowCount: 10,
        files: [{ key: "segments/orphan", role: "scalars", bytes: 1, crc32c: 1 }],
      }),
    );
    expect((await started.coordinator.commitManifest(late)).ok).toBe(false);
    // Written again it is as good as any other.
    must(await kept.objects.put("segments/orphan", [new Uint8Array(1)]));
    must(await started.coordinator.commitManifest(late));
    await started.stop();
  });
});
