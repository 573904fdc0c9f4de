/** A standalone server: the database, its front door and its metrics port. */
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { TransportHandlers } from "@elanus/platform/ports/transport";
import type { Config } from "./config.ts";
import { openFrontDoor } from "./front-door.ts";
import { type Monitor, startMonitor } from "./monitor.ts";
import type { FrontDoor } from "./proxy-threads.ts";
import { type Database, startDatabase } from "./standalone.ts";

export interface RunningServer {
  readonly database: Database;
  readonly port: number;
  readonly metricsPort: number;
  /** Stops taking calls, lets running ones finish for a second, and closes the folder. Idempotent. */
  stop(): Promise<void>;
}

const graceMs = 1_000;

/** Both ports of an open database. */
export interface Doors {
  readonly port: number;
  readonly metricsPort: number;
  /** Takes no new calls, lets running ones finish for a second. */
  close(): Promise<void>;
}

export async function startServer(config: Config): Promise<Outcome<RunningServer>> {
  const database = await startDatabase(config);
  if (!database.ok) return database;
  const doors = await openDoors(config, database.value);
  if (!doors.ok) {
    await database.value.stop();
    return doors;
  }
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await doors.value.close();
    await database.value.stop();
  };
  return succeed({
    database: database.value,
    port: doors.value.port,
    metricsPort: doors.value.metricsPort,
    stop: () => (stopping ??= stop()),
  });
}

/** `wire`: the caller's own, for the front door of one thread. */
export async function openDoors(config: Config, database: Database, wire?: TransportHandlers): Promise<Outcome<Doors>> {
  const front = await openFrontDoor(config, database, wire);
  if (!front.ok) return front;
  let healthy = true;
  const facts = { front: front.value, startedMs: Date.now(), healthy: () => healthy };
  const monitor = await openMonitor(config, database, facts);
  if (!monitor.ok) {
    await front.value.close(0);
    return monitor;
  }
  const close = async (): Promise<void> => {
    healthy = false;
    await front.value.close(graceMs);
    await monitor.value.close();
  };
  return succeed({ port: front.value.port, metricsPort: monitor.value.port, close });
}

interface MonitorFacts {
  readonly front: FrontDoor;
  readonly startedMs: number;
  healthy(): boolean;
}

async function openMonitor(config: Config, database: Database, facts: MonitorFacts): Promise<Outcome<Monitor>> {
  try {
    const monitor = await startMonitor(config.host, config.metricsPort, {
      healthy: facts.healthy,
      metrics: () => metricsOf(database, facts.front),
      status: () => statusOf(config, database, facts),
    });
    return succeed(monitor);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return fail({ kind: "ioFailed", message: `cannot listen on metrics port ${config.metricsPort}: ${reason}` });
  }
}

async function metricsOf(database: Database, front: FrontDoor): Promise<string> {
  const threads = await front.figures();
  const use = database.memoryUse();
  const native = Object.entries(use).map(([kind, bytes]) => `elanus_native_memory_bytes{kind="${kind}"} ${bytes}\n`);
  const { rss, heapUsed } = process.memoryUsage();
  const heapBytes = threads.reduce((sum, thread) => sum + thread.heapBytes, heapUsed);
  return [
    await database.telemetry.metricsText(threads.map((thread) => thread.figures)),
    "# HELP elanus_native_memory_bytes Memory of the native engine; mapped files are not counted.\n",
    "# TYPE elanus_native_memory_bytes gauge\n",
    ...native,
    "# HELP process_resident_memory_bytes Resident memory of the process.\n",
    "# TYPE process_resident_memory_bytes gauge\n",
    `process_resident_memory_bytes ${rss}\n`,
    "# HELP elanus_javascript_heap_bytes Heap used by JavaScript.\n# TYPE elanus_javascript_heap_bytes gauge\n",
    `elanus_javascript_heap_bytes ${heapBytes}\n`,
  ].join("");
}

async function statusOf(
  config: Config,
  database: Database,
  facts: MonitorFacts,
): Promise<Readonly<Record<string, unknown>>> {
  const databases = await database.proxy.catalog.listDatabases();
  const collections = databases.ok
    ? await collectionsOf(
        database,
        databases.value.map((one) => one.name),
      )
    : [];
  return {
    version: config.reportedVersion,
    "up since": new Date(facts.startedMs).toISOString(),
    "gRPC and REST": `${facts.front.host}:${facts.front.port}`,
    proxies: config.proxies,
    threads: config.threads,
    "vector instructions": database.isa,
    "memory (bytes)": database.memoryUse(),
    collections,
  };
}

async function collectionsOf(database: Database, names: readonly string[]): Promise<unknown[]> {
  const listed = await Promise.all(names.map((name) => database.proxy.catalog.listCollections(name)));
  const infos = listed.flatMap((one) => (one.ok ? one.value : []));
  return Promise.all(
    infos.map(async (info) => {
      const rows = await database.proxy.rowCount({ database: info.database, name: info.schema.name });
      return {
        name: `${info.database}.${info.schema.name}`,
        rows: rows.ok ? rows.value : "unknown",
        state: info.load.kind,
        indexes: info.indexes.map((index) => `${index.name}: ${index.type}`),
      };
    }),
  );
}
