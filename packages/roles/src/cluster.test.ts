/**
 * The data roles together against a naive twin: random writes, deletes, flushes, compactions, loads and restarts
 * over in-memory ports, with native calls on the calling thread. Virtual time runs as fast as the event loop.
 */
import { loadAddon } from "@elanus/engine/load";
import type { CollectionInfo } from "@elanus/model/catalog";
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { ChannelName, FieldId, NodeId, PartitionId, PinId, ShardId } from "@elanus/model/id";
import { defaultLimits, type Limits } from "@elanus/model/limits";
import type { LogEntry } from "@elanus/model/log-record";
import type { Outcome } from "@elanus/model/outcome";
import type { Peers } from "@elanus/model/peers";
import type { QueryPlan, ReadScope, SearchPlan } from "@elanus/model/plan";
import { plainField, type CollectionSchema, DataType, encodeSchema, type FieldSchema } from "@elanus/model/schema";
import { type Timestamp, timestampOf } from "@elanus/model/time";
import { memoryLog } from "@elanus/platform/drivers/log/memory";
import { memoryMeta } from "@elanus/platform/drivers/meta/memory";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import { silentTelemetry } from "@elanus/platform/drivers/telemetry/silent";
import type { LogStore } from "@elanus/platform/ports/log";
import type { MetaStore } from "@elanus/platform/ports/meta";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import type { RunningRole, Timers, World } from "@elanus/platform/ports/world";
import { afterEach, describe, expect, it } from "vitest";
import { startCoordinator } from "./coordinator/role.ts";
import { startDataNode } from "./data-node/role.ts";
import { startQueryNode } from "./query-node/role.ts";
import { startStreamingNode } from "./streaming-node/role.ts";

const addon = loadAddon();
const pool = new addon.Pool(0);
const NODE = 1 as NodeId;
const FOREVER = Number.MAX_SAFE_INTEGER;

function must<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.error, (_k, v) => (typeof v === "bigint" ? `${v}` : v)));
  return outcome.value;
}

// Time

class VirtualTime {
  nowMs = 1_700_000_000_000;
  #timers: { dueMs: number; task: () => void }[] = [];
  #isRunning = true;

  constructor() {
    const step = (): void => {
      if (!this.#isRunning) return;
      this.#fireNext();
      setImmediate(step);
    };
    setImmediate(step);
  }

  #fireNext(): void {
    let next: { dueMs: number; task: () => void } | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    if (next === undefined) return;
    this.#timers.splice(this.#timers.indexOf(next), 1);
    this.nowMs = Math.max(this.nowMs, next.dueMs);
    next.task();
  }

  readonly timers: Timers = {
    after: (ms, task) => {
      const timer = { dueMs: this.nowMs + ms, task };
      this.#timers.push(timer);
      return () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      };
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const cancel = this.timers.after(ms, resolve);
        signal?.addEventListener("abort", () => {
          cancel();
          resolve();
        });
      }),
  };

  get isOver(): boolean {
    return !this.#isRunning;
  }

  /** The process dies: nothing of it runs again. */
  kill(): void {
    this.#isRunning = false;
    this.#timers = [];
  }
}

/** Pseudo-random numbers from a seed, so that a failure replays. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// A cluster in one process

interface Stores {
  readonly log: LogStore;
  readonly meta: MetaStore;
  readonly objects: ObjectStore;
}

interface Cluster {
  readonly coordinator: CoordinatorContract;
  readonly node: StreamingNodeContract;
  readonly world: World;
  readonly time: VirtualTime;
  stop(): Promise<void>;
  kill(): void;
  restartQueryNode(): Promise<void>;
}

function newStores(): Stores {
  return { log: memoryLog(), meta: memoryMeta(), objects: memoryObjects() };
}

const running = new Set<Cluster>();
afterEach(() => {
  for (const cluster of running) cluster.kill();
  running.clear();
});

interface ClusterOptions {
  readonly limits?: Partial<Limits>;
  readonly startMs?: number;
  readonly faults?: Faults;
}

/** What a dead process still has under way reaches nothing: its calls never return. */
function mortal<T extends object>(port: T, time: VirtualTime): T {
  return new Proxy(port, {
    get(target, name) {
      const member = target[name as keyof T];
      if (typeof member !== "function") return member;
      return (...call: unknown[]) => {
        if (time.isOver) return new Promise(() => {});
        const answer: unknown = member.apply(target, call);
        if (!(answer instanceof Promise)) return answer;
        return answer.then((value: unknown) => {
          if (time.isOver) return new Promise(() => {});
          const opened = (value as { value?: unknown } | undefined)?.value;
          const isWriter = typeof opened === "object" && opened !== null && "append" in opened;
          return isWriter ? { ok: true, value: mortal(opened, time) } : value;
        });
      };
    },
  });
}

async function openCluster(stored: Stores, options: ClusterOptions = {}): Promise<Cluster> {
  const { limits, startMs, faults } = options;
  const time = new VirtualTime();
  const { log, meta, objects } = stored;
  const sound = { log: mortal(log, time), meta: mortal(meta, time), objects: mortal(objects, time) };
  const stores = faults === undefined ? sound : faultyStores(sound, faults);
  if (startMs !== undefined) time.nowMs = startMs;
  const peers = new DirectPeers();
  const world: World = {
    clock: { nowMs: () => Math.floor(time.nowMs), monotonicMs: () => time.nowMs },
    timers: time.timers,
    random: { next: () => 0.5, bits64: () => 7n },
    ...stores,
    peers: peers as Peers,
    executor: { threads: 0 },
    telemetry: silentTelemetry,
    limits: { ...defaultLimits, retentionMs: 1e12, pinMsMax: 1e9, ...limits },
  };
  const channels = [{ channel: "p0" as ChannelName, node: NODE }];
  const coordinator = must(
    await startCoordinator(world, {
      channels,
      queryNodes: [NODE],
      jobIntervalMs: 500,
      garbageGraceMs: 900_000,
      autoCompaction: false,
    }),
  );
  peers.setCoordinator(faults === undefined ? coordinator.contract : faultyCoordinator(coordinator.contract, faults));
  const engine = { addon, pool };
  let queryNode = startQueryNode(world, { node: NODE, engine });
  peers.addQueryNode(NODE, queryNode.contract);
  const dataNode = startDataNode(world, { node: NODE, engine });
  peers.setDataNode(dataNode.contract);
  const node = startStreamingNode(world, { node: NODE, engine, sharesMemory: true });
  peers.addStreamingNode(NODE, node.contract);
  must(await node.ready);
  const roles = (): RunningRole<unknown>[] => [node, dataNode, queryNode, coordinator];
  const cluster: Cluster = {
    coordinator: coordinator.contract,
    node: node.contract,
    world,
    time,
    async stop() {
      for (const role of roles()) await role.stop();
      time.kill();
      running.delete(cluster);
    },
    kill() {
      time.kill();
      running.delete(cluster);
    },
    async restartQueryNode() {
      await queryNode.stop();
      queryNode = startQueryNode(world, { node: NODE, engine });
      peers.addQueryNode(NODE, queryNode.contract);
    },
  };
  running.add(cluster);
  return cluster;
}

// A collection: int64 key, a number, a small vector of whole numbers

function field(part: Partial<FieldSchema> & Pick<FieldSchema, "name" | "type">, id: number): FieldSchema {
  return plainField({ id: id as FieldId, ...part });
}

const schema: CollectionSchema = {
  name: "things",
  description: "",
  fields: [
    field({ name: "id", type: DataType.int64, primaryKey: true }, 100),
    field({ name: "value", type: DataType.int64 }, 101),
    field({ name: "place", type: DataType.floatVector, dim: 2 }, 102),
  ],
  dynamicFieldEnabled: false,
  version: 0,
};
const native = new addon.Schema(encodeSchema(schema));
const FIELDS = [100 as FieldId, 101 as FieldId, 102 as FieldId];
const ref = { database: "default", name: "things" };

interface Row {
  readonly id: number;
  readonly value: number;
  readonly place: readonly [number, number];
}

async function createThings(cluster: Cluster, shards = 2): Promise<CollectionInfo> {
  const request = { ...ref, schema, shards, consistency: "strong", properties: {} } as const;
  return must(await cluster.coordinator.createCollection(request));
}

async function indexAndLoad(cluster: Cluster): Promise<void> {
  must(
    await cluster.coordinator.createIndex({
      ...ref,
      field: "place",
      index: "place",
      type: "FLAT",
      metric: "L2",
      params: {},
      userParams: [],
    }),
  );
  await load(cluster);
}

async function load(cluster: Cluster): Promise<void> {
  must(await cluster.coordinator.load(ref, "all"));
  await eventually(cluster, async () => must(await cluster.coordinator.loadProgress(ref, [])).state === "loaded");
}

async function eventually(cluster: Cluster, condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 2_000; attempt += 1) {
    if (await condition()) return;
    await cluster.world.timers.sleep(100);
  }
  throw new Error("the condition did not come true");
}

function insertEntries(info: CollectionInfo, rows: readonly Row[]): readonly LogEntry[] {
  const json = new TextEncoder().encode(JSON.stringify(rows));
  const batch = addon.Rows.fromJson(native, json, { upsert: false, allowInsertAutoId: false });
  return batch.route(info.shards.length, 1).map(({ shard, rows: bytes }) => ({
    kind: "insert",
    shard: info.shards[shard] as ShardId,
    partition: info.partitions[0]?.id as PartitionId,
    rows: bytes,
  }));
}

function deleteEntries(info: CollectionInfo, ids: readonly number[]): readonly LogEntry[] {
  const keys = addon.encodeKeys(ids.map((id) => BigInt(id)));
  const routed = addon.routeKeys(keys, info.shards.length);
  return routed.flatMap((part, shard): LogEntry[] =>
    part === undefined || part === null
      ? []
      : [{ kind: "delete", shard: info.shards[shard] as ShardId, partition: undefined, keys: part }],
  );
}

async function now(cluster: Cluster): Promise<Timestamp> {
  return must(await cluster.coordinator.allocateTimestamps(1)).first;
}

async function scopeAt(cluster: Cluster, info: CollectionInfo, extra: Partial<ReadScope> = {}): Promise<ReadScope> {
  return {
    collection: info.id,
    shards: info.shards,
    partitions: "all",
    guarantee: await now(cluster),
    ignoreGrowing: false,
    deadlineMs: FOREVER,
    ...extra,
  };
}

async function readAll(cluster: Cluster, info: CollectionInfo, snapshot?: Timestamp): Promise<readonly Row[]> {
  const scope = await scopeAt(cluster, info, snapshot === undefined ? {} : { snapshot, guarantee: snapshot });
  const plan: QueryPlan = { fields: FIELDS };
  const answer = must(await cluster.node.query(scope, plan));
  return decodeRows(answer.rows);
}

function decodeRows(parts: readonly Uint8Array[]): readonly Row[] {
  const json = addon.encodeQueryJson(native, parts, {
    fields: FIELDS,
    dynamicKeys: [],
    offset: 0,
    int64AsText: false,
  });
  return JSON.parse(new TextDecoder().decode(json)) as Row[];
}

async function countAll(cluster: Cluster, info: CollectionInfo): Promise<number> {
  return Number(must(await cluster.node.count(await scopeAt(cluster, info), {})).count);
}

/** `PlaceholderGroup` of one query vector. */
function placeholders(vector: readonly number[]): Uint8Array {
  return addon.placeholdersFromJson(native, 102, new TextEncoder().encode(JSON.stringify([vector])));
}

async function nearest(cluster: Cluster, info: CollectionInfo, place: readonly number[], topK: number): Promise<Row[]> {
  const pin = `pin-${Math.floor(cluster.time.nowMs)}-${topK}-${place.join()}` as PinId;
  const plan: SearchPlan = {
    field: 102 as FieldId,
    metric: "L2",
    placeholders: placeholders(place),
    nq: 1,
    topK,
    params: "{}",
  };
  const answer = must(await cluster.node.search(await scopeAt(cluster, info, { pin }), plan));
  const rows = must(await cluster.node.retrieve(pin, answer.hits, FIELDS));
  cluster.node.release(pin);
  const json = addon.encodeSearchJson(native, answer.hits, rows, {
    fields: FIELDS,
    outputFields: ["id", "value", "place"],
    dynamicKeys: [],
    metric: "L2",
    roundDecimal: -1,
    topK,
    int64AsText: false,
  });
  const [first] = JSON.parse(new TextDecoder().decode(json)) as Row[][];
  return first ?? [];
}

/** Holds back whoever waits until it is opened. */
class Gate {
  open: () => void = nothing;
  readonly opened: Promise<void> = new Promise((resolve) => {
    this.open = resolve;
  });
}

function nothing(): void {}

// Faults

interface Faults {
  /** Chance that a call fails; half of the failures come after the effect. */
  rate: number;
  readonly random: () => number;
}

const IO_FAILED = { ok: false, error: { kind: "ioFailed", message: "injected" } } as const;

async function faulty<T>(faults: Faults, call: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  if (faults.random() >= faults.rate) return call();
  if (faults.random() < 0.5) await call();
  return IO_FAILED;
}

function faultyStores(stores: Stores, faults: Faults): Stores {
  const log: LogStore = {
    read: (channel, after) => stores.log.read(channel, after),
    async open(channel, term) {
      const opened = await faulty(faults, () => stores.log.open(channel, term));
      if (!opened.ok) return opened;
      const writer = opened.value;
      let isBroken = false;
      let last: Promise<unknown> = Promise.resolve();
      const append: typeof writer.append = async (pieces) => {
        if (isBroken) return IO_FAILED;
        const appended = await faulty(faults, () => writer.append(pieces));
        isBroken ||= !appended.ok;
        return appended;
      };
      return {
        ok: true,
        value: {
          get last() {
            return writer.last;
          },
          // In call order, and nothing behind a failure, as a log has it.
          append(bytes) {
            const appended = last.then(() => append(bytes));
            last = appended;
            return appended;
          },
          confirm: () => writer.confirm(),
          truncate: (position) => faulty(faults, () => writer.truncate(position)),
          close: () => writer.close(),
        },
      };
    },
  };
  const objects: ObjectStore = {
    put: (key, chunks) => faulty(faults, () => stores.objects.put(key, chunks)),
    get: (key) => faulty(faults, () => stores.objects.get(key)),
    list: (prefix) => stores.objects.list(prefix),
    delete: (key) => stores.objects.delete(key),
    localPath: (key) => stores.objects.localPath(key),
    stage: () => undefined,
  };
  return { log, meta: stores.meta, objects };
}

/** A coordinator whose answers get lost, before or after the effect. */
function faultyCoordinator(coordinator: CoordinatorContract, faults: Faults): CoordinatorContract {
  const lossy = new Set<PropertyKey>(["allocateTimestamps", "allocateIds", "commitManifest", "manifest", "placement"]);
  return new Proxy(coordinator, {
    get(target, name) {
      const verb = target[name as keyof CoordinatorContract] as (...call: unknown[]) => Promise<Outcome<unknown>>;
      const bound = (...call: unknown[]) => verb.apply(target, call);
      return lossy.has(name) ? (...call: unknown[]) => faulty(faults, () => bound(...call)) : bound;
    },
  });
}

// The twin

class Twin {
  readonly #versions = new Map<number, { at: Timestamp; row: Row | undefined }[]>();

  put(row: Row, at: Timestamp): void {
    this.#push(row.id, { at, row });
  }

  delete(id: number, at: Timestamp): void {
    this.#push(id, { at, row: undefined });
  }

  #push(id: number, version: { at: Timestamp; row: Row | undefined }): void {
    this.#versions.set(id, [...(this.#versions.get(id) ?? []), version]);
  }

  rowsAt(snapshot: Timestamp): readonly Row[] {
    const rows: Row[] = [];
    for (const versions of this.#versions.values()) {
      const visible = versions.filter((version) => version.at <= snapshot);
      const newest = visible.reduce((a, b) => (b.at > a.at ? b : a), { at: -1n as Timestamp, row: undefined } as {
        at: Timestamp;
        row: Row | undefined;
      });
      if (newest.row !== undefined) rows.push(newest.row);
    }
    return rows.sort((a, b) => a.id - b.id);
  }
}

const END_OF_TIME = timestampOf(9e12);

describe("the data roles", () => {
  it("serve rows that were just inserted, and again after a flush and a crash", async () => {
    const stores = newStores();
    const cluster = await openCluster(stores);
    const info = await createThings(cluster);
    await indexAndLoad(cluster);
    const rows = Array.from({ length: 20 }, (_, id): Row => ({ id, value: id * 10, place: [id, 1] }));
    must(await cluster.node.append(insertEntries(info, rows), FOREVER));
    expect(await readAll(cluster, info)).toEqual(rows);
    expect(await countAll(cluster, info)).toBe(20);
    const flushed = must(await cluster.node.flush(info.shards));
    expect(flushed.segments.length).toBeGreaterThan(0);
    expect(await readAll(cluster, info)).toEqual(rows);
    expect((await nearest(cluster, info, [7, 1], 1))[0]).toMatchObject({ id: 7, value: 70 });
    must(await cluster.node.append(deleteEntries(info, [3]), FOREVER));
    const startMs = cluster.time.nowMs;
    cluster.kill();
    const again = await openCluster(stores, { startMs });
    expect(await readAll(again, info)).toEqual(rows.filter((row) => row.id !== 3));
    expect(await countAll(again, info)).toBe(19);
  });

  it.each(seeds(12))("agree with a naive twin, seed %i", async (seed) => {
    await runSeed(seed);
  });

  it.each(seeds(8))("agree with a naive twin while calls fail and query nodes restart, seed %i", async (seed) => {
    const random = seeded(seed ^ 0x5eed);
    await runSeed(seed, { rate: 0, random });
  });
});

describe("the streaming node", () => {
  const some = Array.from({ length: 10 }, (_, id): Row => ({ id, value: id, place: [id, 0] }));

  it("names a damaged file and serves everything else", async () => {
    const stores = newStores();
    const cluster = await openCluster(stores);
    const info = await createThings(cluster, 1);
    must(await cluster.coordinator.createPartition(ref, "other"));
    await indexAndLoad(cluster);
    const { partitions } = must(await cluster.coordinator.describeCollection(ref));
    const [first, second] = partitions.map((partition) => partition.id);
    const inPartition = (rows: readonly Row[], partition: PartitionId | undefined): readonly LogEntry[] =>
      insertEntries(info, rows).map((entry) => ({ ...entry, partition }) as LogEntry);
    must(await cluster.node.append(inPartition(some.slice(0, 5), first), FOREVER));
    must(await cluster.node.append(inPartition(some.slice(5), second), FOREVER));
    must(await cluster.node.flush(info.shards));
    const segments = must(await cluster.coordinator.listSegments(ref));
    const damaged = segments.find((segment) => segment.partition === second)?.files[0]?.key ?? "";
    await cluster.stop();
    const bytes = must(await stores.objects.get(damaged)) ?? new Uint8Array();
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
    must(await stores.objects.put(damaged, [bytes]));

    const again = await openCluster(stores, { startMs: cluster.time.nowMs });
    const all = await again.node.query(await scopeAt(again, info), { fields: FIELDS });
    expect(all).toMatchObject({ ok: false, error: { kind: "fileCorrupt", file: damaged } });
    const sound = await scopeAt(again, info, { partitions: [first as PartitionId] });
    expect(decodeRows(must(await again.node.query(sound, { fields: FIELDS })).rows)).toEqual(some.slice(0, 5));
    // Writes and flushes of the shard go on.
    must(await again.node.append(inPartition([{ id: 77, value: 1, place: [0, 0] }], first), FOREVER));
    must(await again.node.flush(info.shards));
    expect(
      decodeRows(must(await again.node.query({ ...sound, guarantee: await now(again) }, { fields: FIELDS })).rows),
    ).toHaveLength(6);
  });

  it("refuses inserts while growing memory is full, retriably, and takes them after a flush", async () => {
    const limits = { growingBytesMax: 400_000, segmentAgeMsMax: 1e15 };
    const cluster = await openCluster(newStores(), { limits });
    const info = await createThings(cluster, 1);
    await indexAndLoad(cluster);
    const batch = (from: number): readonly LogEntry[] =>
      insertEntries(
        info,
        Array.from({ length: 2_000 }, (_, i): Row => ({ id: from + i, value: i, place: [i, 0] })),
      );
    let written = 0;
    let refusal: Outcome<unknown> | undefined;
    for (let step = 0; step < 50 && refusal === undefined; step += 1) {
      const appended = await cluster.node.append(batch(step * 2_000), FOREVER);
      if (appended.ok) written += 2_000;
      else refusal = appended;
    }
    expect(refusal).toMatchObject({ error: { kind: "rateLimited" } });
    must(await cluster.node.flush(info.shards));
    must(await cluster.node.append(batch(1_000_000), FOREVER));
    expect(await countAll(cluster, info)).toBe(written + 2_000);
  });

  it("seals by itself when memory grows short and when rows grow old", async () => {
    const cluster = await openCluster(newStores(), { limits: { segmentAgeMsMax: 5_000 } });
    const info = await createThings(cluster, 1);
    await indexAndLoad(cluster);
    must(await cluster.node.append(insertEntries(info, some), FOREVER));
    await eventually(cluster, async () => must(await cluster.node.growingRowCount(info.shards)) === 0);
    expect(must(await cluster.coordinator.sealedRowCount(info.id))).toBe(10);
    expect(await readAll(cluster, info)).toEqual(some);
  });

  it("has nothing to flush twice", async () => {
    const cluster = await openCluster(newStores());
    const info = await createThings(cluster, 2);
    must(await cluster.node.append(insertEntries(info, some), FOREVER));
    expect(must(await cluster.node.flush(info.shards)).segments.length).toBeGreaterThan(0);
    expect(must(await cluster.node.flush(info.shards)).segments).toEqual([]);
  });

  it("drops partitions and shards in the order of the log", async () => {
    const stores = newStores();
    const cluster = await openCluster(stores);
    const info = await createThings(cluster, 1);
    must(await cluster.coordinator.createPartition(ref, "other"));
    await indexAndLoad(cluster);
    const { partitions } = must(await cluster.coordinator.describeCollection(ref));
    const other = partitions.find((partition) => partition.name === "other")?.id;
    const entries = insertEntries(info, some.slice(5)).map((entry) => ({ ...entry, partition: other }) as LogEntry);
    must(await cluster.node.append(entries, FOREVER));
    must(await cluster.node.append(insertEntries(info, some.slice(0, 5)), FOREVER));
    must(await cluster.node.flush(info.shards));
    expect(await readAll(cluster, info)).toEqual(some);
    must(await cluster.coordinator.release(ref, ["other"]));
    must(await cluster.coordinator.dropPartition(ref, "other"));
    await load(cluster);
    expect(await readAll(cluster, info)).toEqual(some.slice(0, 5));
    cluster.kill();
    const again = await openCluster(stores, { startMs: cluster.time.nowMs });
    expect(await readAll(again, info)).toEqual(some.slice(0, 5));
    must(await again.coordinator.release(ref, "all"));
    must(await again.coordinator.dropCollection(ref));
    await eventually(again, async () => {
      const appended = await again.node.append(insertEntries(info, some), FOREVER);
      return !appended.ok && appended.error.kind === "fenced";
    });
  });

  it("answers a strong read although a later write still waits for the log", async () => {
    const stores = newStores();
    const gate = new Gate();
    let isSlow = false;
    const log: LogStore = {
      read: (channel, after) => stores.log.read(channel, after),
      async open(channel, term) {
        const writer = must(await stores.log.open(channel, term));
        const append: typeof writer.append = async (pieces) => {
          if (isSlow) await gate.opened;
          return writer.append(pieces);
        };
        return { ok: true, value: { ...writer, last: writer.last, append } };
      },
    };
    const cluster = await openCluster({ ...stores, log });
    const info = await createThings(cluster, 1);
    await indexAndLoad(cluster);
    must(await cluster.node.append(insertEntries(info, some), FOREVER));
    const before = await now(cluster);
    isSlow = true;
    const slow = cluster.node.append(insertEntries(info, [{ id: 99, value: 9, place: [9, 9] }]), FOREVER);
    const scope = await scopeAt(cluster, info, { guarantee: before });
    expect(decodeRows(must(await cluster.node.query(scope, { fields: FIELDS })).rows)).toEqual(some);
    const late = await cluster.node.query(await scopeAt(cluster, info, { deadlineMs: cluster.time.nowMs + 50 }), {
      fields: FIELDS,
    });
    expect(late).toMatchObject({ error: { kind: "deadlineExceeded" } });
    gate.open();
    must(await slow);
    expect(await countAll(cluster, info)).toBe(11);
  });

  it("takes an old term's writer out of service", async () => {
    const stores = newStores();
    const cluster = await openCluster(stores);
    const info = await createThings(cluster, 1);
    const successor = await openCluster(stores, { startMs: cluster.time.nowMs });
    const refused = await cluster.node.append(insertEntries(info, some), FOREVER);
    expect(refused).toMatchObject({ ok: false, error: { kind: "fenced" } });
    must(await successor.node.append(insertEntries(info, some), FOREVER));
    const stale = await cluster.node.readTimestamp(info.shards, await now(cluster), FOREVER);
    expect(stale.ok).toBe(false);
  });

  it("gives a channel up when its commit meets a later claim, though that claimant never opened the log", async () => {
    const cluster = await openCluster(newStores());
    const info = await createThings(cluster, 1);
    must(await cluster.node.append(insertEntries(info, some), FOREVER));
    const moment = must(await cluster.coordinator.allocateTimestamps(1)).first;
    must(await cluster.coordinator.claimChannels(NODE, moment));
    const flushed = await cluster.node.flush(info.shards);
    expect(flushed).toMatchObject({ ok: false, error: { kind: "fenced" } });
    const refused = await cluster.node.append(insertEntries(info, some), FOREVER);
    expect(refused).toMatchObject({ ok: false, error: { kind: "fenced" } });
  });
});

/** `SEEDS` and `FIRST` run other ones. */
function seeds(count: number): readonly number[] {
  const length = Number(process.env["SEEDS"] ?? count);
  return Array.from({ length }, (_, index) => index + Number(process.env["FIRST"] ?? 1));
}

const FAULT_RATE = 0.05;

const OPERATIONS = [
  "put",
  "put",
  "put",
  "delete",
  "flush",
  "compact",
  "reload",
  "restart",
  "crash",
  "read",
  "read",
] as const;

async function runSeed(seed: number, faults?: Faults): Promise<void> {
  const random = seeded(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const stores = newStores();
  const twin = new Twin();
  const options = faults === undefined ? {} : { faults };
  let cluster = await openCluster(stores, options);
  const info = await createThings(cluster, 1 + pick(3));
  await indexAndLoad(cluster);
  if (faults !== undefined) faults.rate = FAULT_RATE;
  const moments: Timestamp[] = [];
  let value = 0;
  const put = async (): Promise<void> => {
    const ids = [...new Set(Array.from({ length: 1 + pick(8) }, () => pick(40)))];
    const rows = ids.map((id): Row => ({ id, value: (value += 1), place: [pick(9), pick(9)] }));
    const appended = await cluster.node.append(insertEntries(info, rows), FOREVER);
    // A write that failed is nowhere; without faults none may fail.
    if (!appended.ok && faults !== undefined) return;
    const { at } = must(appended);
    for (const row of rows) twin.put(row, at);
    moments.push(at);
  };
  const remove = async (): Promise<void> => {
    const ids = [...new Set(Array.from({ length: 1 + pick(5) }, () => pick(40)))];
    const appended = await cluster.node.append(deleteEntries(info, ids), FOREVER);
    if (!appended.ok && faults !== undefined) return;
    const { at } = must(appended);
    for (const id of ids) twin.delete(id, at);
    moments.push(at);
  };
  const check = async (): Promise<void> => {
    expect(await readAll(cluster, info)).toEqual(twin.rowsAt(END_OF_TIME));
    expect(await countAll(cluster, info)).toBe(twin.rowsAt(END_OF_TIME).length);
    const moment = moments[pick(moments.length)];
    if (moment !== undefined) expect(await readAll(cluster, info, moment)).toEqual(twin.rowsAt(moment));
    await checkSearch(cluster, info, twin, [pick(9), pick(9)]);
  };
  /** Reads see no faults of their own: what is checked is what the writes left behind. */
  const checkSoundly = async (): Promise<void> => {
    if (faults !== undefined) faults.rate = 0;
    await check();
    if (faults !== undefined) faults.rate = FAULT_RATE;
  };
  const flush = async (): Promise<void> => {
    const flushed = await cluster.node.flush(info.shards);
    if (faults === undefined) must(flushed);
  };
  for (let step = 0; step < 60; step += 1) {
    const operation = OPERATIONS[pick(OPERATIONS.length)] ?? "read";
    if (faults !== undefined && random() < 0.1) await cluster.restartQueryNode();
    switch (operation) {
      case "put":
        // Several at once: group commit, and writes beside whatever background work runs.
        await Promise.all(Array.from({ length: 1 + pick(3) }, put));
        break;
      case "delete":
        await remove();
        break;
      case "flush":
        await Promise.all([flush(), put(), remove()]);
        break;
      case "compact": {
        const { compaction } = must(await cluster.coordinator.compact(ref));
        await Promise.all([put(), remove(), flush()]);
        await eventually(cluster, async () => must(await cluster.coordinator.compactionState(compaction)).done);
        break;
      }
      case "reload":
        must(await cluster.coordinator.release(ref, "all"));
        await put();
        if (random() < 0.5) await flush();
        await load(cluster);
        break;
      case "restart":
      case "crash": {
        const startMs = cluster.time.nowMs;
        if (operation === "restart") await cluster.stop();
        else cluster.kill();
        if (faults !== undefined) faults.rate = 0;
        cluster = await openCluster(stores, { ...options, startMs });
        if (faults !== undefined) faults.rate = FAULT_RATE;
        break;
      }
      case "read":
        await Promise.all([checkSoundly(), flush()]);
        break;
      default:
        operation satisfies never;
    }
    await checkSoundly();
  }
}

async function checkSearch(cluster: Cluster, info: CollectionInfo, twin: Twin, place: [number, number]): Promise<void> {
  const distance = (row: Row): number => (row.place[0] - place[0]) ** 2 + (row.place[1] - place[1]) ** 2;
  const rows = twin.rowsAt(END_OF_TIME);
  const found = await nearest(cluster, info, place, 5);
  expect(found.map(distance)).toEqual(
    rows
      .map(distance)
      .sort((a, b) => a - b)
      .slice(0, 5),
  );
  expect(new Set(found.map((row) => row.id)).size).toBe(found.length);
  for (const row of found) expect(rows).toContainEqual({ id: row.id, value: row.value, place: row.place });
}
