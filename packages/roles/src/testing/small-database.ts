/** A database of the real roles and the real engine in one process, over memory, and the requests of tests. */
import { loadAddon } from "@elanus/engine/load";
import type { Consistency, FilterInput, ProxyContract } from "@elanus/model/contract/proxy";
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import type { ChannelName, FieldId, NodeId } from "@elanus/model/id";
import { defaultLimits, type Limits } from "@elanus/model/limits";
import type { Outcome } from "@elanus/model/outcome";
import { plainField, DataType, type FieldSchema } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { systemClock } from "@elanus/platform/drivers/clock";
import { memoryLog } from "@elanus/platform/drivers/log/memory";
import { memoryMeta } from "@elanus/platform/drivers/meta/memory";
import { memoryObjects } from "@elanus/platform/drivers/objects/memory";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import { systemRandom } from "@elanus/platform/drivers/random";
import { silentTelemetry } from "@elanus/platform/drivers/telemetry/silent";
import { systemTimers } from "@elanus/platform/drivers/timers";
import type { World } from "@elanus/platform/ports/world";
import { standaloneCoordinator } from "../coordinator/config.ts";
import { startCoordinator } from "../coordinator/role.ts";
import { startDataNode } from "../data-node/role.ts";
import { defaultProxy } from "../proxy/config.ts";
import { startProxy } from "../proxy/role.ts";
import { startQueryNode } from "../query-node/role.ts";
import { startStreamingNode } from "../streaming-node/role.ts";

export type Stores = Pick<World, "log" | "meta" | "objects">;

export interface SmallDatabase {
  readonly proxy: ProxyContract;
  readonly world: World;
  stop(): Promise<void>;
}

export function memoryStores(): Stores {
  return { log: memoryLog(), meta: memoryMeta(), objects: memoryObjects() };
}

/** Starts a database over stores that may hold an earlier one's data. */
export async function openSmall(
  stores: Stores,
  options: {
    readonly streamingNodes?: number;
    readonly limits?: Partial<Limits>;
    readonly clock?: World["clock"];
  } = {},
): Promise<SmallDatabase> {
  const addon = loadAddon();
  const engine = { addon, pool: new addon.Pool(0) };
  const peers = new DirectPeers();
  const world: World = {
    ...stores,
    peers,
    clock: options.clock ?? systemClock,
    timers: systemTimers,
    random: systemRandom,
    executor: { threads: 0 },
    telemetry: silentTelemetry,
    limits: { ...defaultLimits, ...options.limits },
  };
  const nodes = Array.from({ length: options.streamingNodes ?? 1 }, (_, at) => (at + 1) as NodeId);
  const channels = nodes.map((node) => ({ node, channel: `p${node - 1}` as ChannelName }));
  const queryNode = 1 as NodeId;
  const coordinator = must(await startCoordinator(world, { ...standaloneCoordinator, channels, jobIntervalMs: 5 }));
  peers.setCoordinator(coordinator.contract);
  const query = startQueryNode(world, { node: queryNode, engine });
  peers.addQueryNode(queryNode, query.contract);
  const data = startDataNode(world, { node: queryNode, engine });
  peers.setDataNode(data.contract);
  const streaming = nodes.map((node) => {
    const role = startStreamingNode(world, { node, engine, sharesMemory: true });
    peers.addStreamingNode(node, role.contract);
    return role;
  });
  for (const role of streaming) must(await role.ready);
  const proxy = startProxy(world, { ...defaultProxy, engine });
  const stop = async (): Promise<void> => {
    for (const role of [proxy, ...streaming, data, query, coordinator]) await role.stop();
  };
  return { proxy: proxy.contract, world, stop };
}

export function must<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) {
    const text = JSON.stringify(outcome.error, (_key, value: unknown) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    throw new Error(text);
  }
  return outcome.value;
}

export function field(name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  return plainField({ id: 0 as FieldId, name, type, ...more });
}

export const idField: FieldSchema = field("id", DataType.int64, { primaryKey: true });
export const strong: Consistency = { level: "strong", guarantee: 0n as Timestamp };
export const noFilter: FilterInput = { text: "", templates: new Map() };

export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export function parsed(bytes: Uint8Array | undefined): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

export const ref: CollectionRef = { database: "default", name: "c" };
export const vector: FieldSchema = field("v", DataType.floatVector, { dim: 2 });
export const forever: number = Number.MAX_SAFE_INTEGER;
export type Row = Record<string, unknown>;

export async function create(
  database: SmallDatabase,
  fields: readonly FieldSchema[],
  more: {
    readonly shards?: number;
    readonly partitions?: number;
    readonly dynamic?: boolean;
    readonly metric?: "L2" | "IP";
    readonly index?: string;
  } = {},
): Promise<void> {
  const { catalog } = database.proxy;
  const schema = { name: "c", description: "", fields, dynamicFieldEnabled: more.dynamic ?? false, version: 0 };
  must(
    await catalog.createCollection({
      ...ref,
      schema,
      shards: more.shards ?? 1,
      consistency: "strong",
      properties: {},
      ...(more.partitions === undefined ? {} : { partitions: more.partitions }),
    }),
  );
  for (const one of fields.filter((candidate) => candidate.type >= 100)) {
    must(
      await catalog.createIndex({
        ...ref,
        field: one.name,
        index: "",
        type: more.index ?? "FLAT",
        metric: more.metric ?? "L2",
        params: {},
        userParams: [],
      }),
    );
  }
  must(await catalog.load(ref, "all"));
}

export async function insert(database: SmallDatabase, rows: readonly Row[], partition = ""): Promise<void> {
  must(
    await database.proxy.insert(
      { ...ref, partition, schemaTimestamp: 0n as Timestamp, rows: { kind: "json", rows: json(rows) } },
      forever,
    ),
  );
}

export async function query(
  database: SmallDatabase,
  text: string,
  outputFields: readonly string[],
  how: {
    readonly params?: Record<string, string>;
    readonly partitions?: readonly string[];
    readonly consistency?: Consistency;
  } = {},
): Promise<Row[]> {
  const answer = must(
    await database.proxy.query(
      {
        ...ref,
        filter: { text, templates: new Map() },
        outputFields,
        partitions: how.partitions ?? [],
        params: new Map(Object.entries(how.params ?? {})),
        consistency: how.consistency ?? strong,
      },
      "json",
      forever,
    ),
  );
  return parsed(answer.columns[0]) as Row[];
}

export async function search(
  database: SmallDatabase,
  vectors: readonly unknown[],
  how: {
    readonly params?: Record<string, string>;
    readonly filter?: string;
    readonly outputFields?: readonly string[];
  } = {},
): Promise<Row[][]> {
  const answer = must(
    await database.proxy.search(
      {
        ...ref,
        partitions: [],
        filter: { text: how.filter ?? "", templates: new Map() },
        nq: 0,
        placeholders: { kind: "json", vectors: json(vectors) },
        outputFields: how.outputFields ?? [],
        params: new Map(Object.entries({ topk: "3", ...how.params })),
        consistency: strong,
      },
      "json",
      forever,
    ),
  );
  return parsed(answer.body) as Row[][];
}

export const ids = (rows: readonly Row[]): unknown[] => rows.map((row) => row["id"]);
