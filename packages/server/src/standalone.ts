/**
 * Standalone: all five roles in one process over one data folder. This file only wires; it starts what others
 * wrote in the order they need each other and stops it the other way round.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ProxyContract } from "@elanus/model/contract/proxy";
import { describeError } from "@elanus/model/error";
import type { NodeId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { loadAddon } from "@elanus/engine/load";
import { lockFile } from "@elanus/engine/lock";
import { systemClock } from "@elanus/platform/drivers/clock";
import { nodeDisk } from "@elanus/platform/drivers/disk/node";
import { fileLog } from "@elanus/platform/drivers/log/file";
import { openLmdbMeta } from "@elanus/platform/drivers/meta/lmdb";
import { openFileObjects } from "@elanus/platform/drivers/objects/file";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import { SharedVersion } from "@elanus/platform/drivers/peers/shared-version";
import { systemRandom } from "@elanus/platform/drivers/random";
import { type SystemTelemetry, systemTelemetry } from "@elanus/platform/drivers/telemetry/system";
import { systemTimers } from "@elanus/platform/drivers/timers";
import type { World } from "@elanus/platform/ports/world";
import { standaloneCoordinator } from "@elanus/roles/coordinator/config";
import { startCoordinator } from "@elanus/roles/coordinator/role";
import { startDataNode } from "@elanus/roles/data-node/role";
import { defaultProxy } from "@elanus/roles/proxy/config";
import { startProxy } from "@elanus/roles/proxy/role";
import { startQueryNode } from "@elanus/roles/query-node/role";
import { startStreamingNode } from "@elanus/roles/streaming-node/role";
import type { Config } from "./config.ts";

/** A started database, with or without doors. */
export interface Database {
  readonly proxy: ProxyContract;
  readonly world: World;
  /** Of the catalog, for proxies on other threads. */
  readonly catalogVersion: SharedVersion;
  readonly telemetry: SystemTelemetry;
  /** Vector instructions the engine chose, for instance `avx512vnni`. */
  readonly isa: string;
  memoryUse(): { growing: number; sealed: number; index: number };
  stop(): Promise<void>;
}

const node = 1 as NodeId;

/** Starts the roles over `config.data` and waits until the log is replayed. */
export async function startDatabase(config: Config): Promise<Outcome<Database>> {
  const folder = resolve(config.data);
  const made = makeFolder(folder);
  if (!made.ok) return made;
  const locked = lockFile(join(folder, "LOCK"));
  if (!locked.ok) return fail({ kind: "notReady", message: inUse(config.data) });
  const closers: (() => Promise<void> | void)[] = [() => locked.value.close()];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  const started = await startRoles(config, folder, closers);
  if (!started.ok) {
    await stop();
    return started;
  }
  return succeed({ ...started.value, stop });
}

type Roles = Omit<Database, "stop">;

async function startRoles(
  config: Config,
  folder: string,
  closers: (() => Promise<void> | void)[],
): Promise<Outcome<Roles>> {
  const addon = loadAddon();
  const pool = new addon.Pool(config.threads);
  closers.push(() => pool.close());
  const telemetry = systemTelemetry({ level: config.logLevel });
  const disk = nodeDisk(folder);
  const meta = await openLmdbMeta(join(folder, "catalog"));
  if (!meta.ok) return meta;
  closers.push(() => meta.value.close());
  const objects = await openFileObjects(disk, "objects");
  if (!objects.ok) return objects;
  const peers = new DirectPeers();
  const world: World = {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    log: fileLog(disk, "log", { segmentBytesMax: config.limits.logSegmentBytesMax }),
    meta: meta.value,
    objects: objects.value,
    peers,
    executor: { threads: config.threads },
    telemetry,
    limits: config.limits,
  };

  const catalogVersion = new SharedVersion();
  const onCatalogVersion = (version: number): void => {
    catalogVersion.value = version;
  };
  const coordinator = await startCoordinator(world, { ...standaloneCoordinator, onCatalogVersion });
  if (!coordinator.ok) return coordinator;
  closers.push(() => coordinator.value.stop());
  peers.setCoordinator(coordinator.value.contract);

  const engine = { addon, pool };
  const queryNode = startQueryNode(world, { node, engine });
  closers.push(() => queryNode.stop());
  peers.addQueryNode(node, queryNode.contract);
  const dataNode = startDataNode(world, { node, engine });
  closers.push(() => dataNode.stop());
  peers.setDataNode(dataNode.contract);

  const streamingNode = startStreamingNode(world, { node, engine, sharesMemory: true });
  closers.push(() => streamingNode.stop());
  peers.addStreamingNode(node, streamingNode.contract);
  const recovered = await streamingNode.ready;
  if (!recovered.ok) return recovered;

  const proxy = startProxy(world, { ...defaultProxy, engine });
  closers.push(() => proxy.stop());
  telemetry.log("info", "recovered", { data: folder, threads: config.threads, isa: addon.isa() });
  return succeed({
    proxy: proxy.contract,
    world,
    catalogVersion,
    telemetry,
    isa: addon.isa(),
    memoryUse: () => addon.memoryUse(),
  });
}

function makeFolder(folder: string): Outcome<void> {
  try {
    mkdirSync(folder, { recursive: true });
    return succeed(undefined);
  } catch (cause) {
    return fail({ kind: "ioFailed", message: `cannot use the data folder ${folder}: ${messageOf(cause)}` });
  }
}

function inUse(data: string): string {
  return (
    `the data folder ${data} is in use by another Elanus process. ` +
    "Stop that process first, or choose another folder with --data"
  );
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

export function explain(error: Parameters<typeof describeError>[0]): string {
  return "message" in error && error.message !== undefined ? error.message : describeError(error);
}
