/** All roles over in-memory ports, with native calls on the calling thread: a whole database for a test. */
import { loadAddon } from "@elanus/engine/load";
import type { Consistency, FilterInput, ProxyContract } from "@elanus/model/contract/proxy";
import type { ChannelName, FieldId, NodeId } from "@elanus/model/id";
import { defaultLimits, type Limits } from "@elanus/model/limits";
import type { Outcome } from "@elanus/model/outcome";
import { DataType, type FieldSchema } from "@elanus/model/schema";
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
  options: { readonly streamingNodes?: number; readonly limits?: Partial<Limits> } = {},
): Promise<SmallDatabase> {
  const addon = loadAddon();
  const engine = { addon, pool: new addon.Pool(0) };
  const peers = new DirectPeers();
  const world: World = {
    ...stores,
    peers,
    clock: systemClock,
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
    const role = startStreamingNode(world, { node, engine });
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
  return {
    id: 0 as FieldId,
    name,
    description: "",
    type,
    primaryKey: false,
    autoId: false,
    partitionKey: false,
    clusteringKey: false,
    nullable: false,
    dynamic: false,
    typeParams: {},
    ...more,
  };
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
