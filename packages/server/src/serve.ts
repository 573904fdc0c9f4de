/** A standalone server: the database, its front door and its metrics port. */
import { readFileSync } from "node:fs";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { loadAddon } from "@elanus/engine/load";
import { nodeTransport } from "@elanus/platform/drivers/transport/http2";
import { nativeTransport } from "@elanus/platform/drivers/transport/native";
import type { Listener, TlsFiles, Transport, TransportHandlers } from "@elanus/platform/ports/transport";
import { createWire } from "@elanus/wire/wire";
import type { Config } from "./config.ts";
import { type Monitor, startMonitor } from "./monitor.ts";
import { type Database, startDatabase } from "./standalone.ts";

export interface RunningServer {
  readonly database: Database;
  readonly port: number;
  readonly metricsPort: number;
  /** Stops taking calls, lets running ones finish for a second, and closes the folder. Idempotent. */
  stop(): Promise<void>;
}

const graceMs = 1_000;
/** A thread of the front door serves as many requests as the searches of several cores can answer. */
const CORES_PER_DOOR_THREAD = 8;

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
  const doors = await openDoors(config, database.value, wireOf(config, database.value));
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

export async function openDoors(config: Config, database: Database, wire: TransportHandlers): Promise<Outcome<Doors>> {
  const tls = readTls(config);
  if (!tls.ok) return tls;
  const listener = await transportOf(config, database).listen(
    {
      host: config.host,
      port: config.port,
      requestBytesMax: config.limits.requestBytesMax,
      responseBytesMax: config.limits.responseBytesMax,
      ...(tls.value === undefined ? {} : { tls: tls.value }),
    },
    wire,
  );
  if (!listener.ok) return listener;
  let healthy = true;
  const facts = { listener: listener.value, startedMs: Date.now(), healthy: () => healthy };
  const monitor = await openMonitor(config, database, facts);
  if (!monitor.ok) {
    await listener.value.close(0);
    return monitor;
  }
  const close = async (): Promise<void> => {
    healthy = false;
    await listener.value.close(graceMs);
    await monitor.value.close();
  };
  return succeed({ port: listener.value.port, metricsPort: monitor.value.port, close });
}

function transportOf(config: Config, database: Database): Transport {
  const { clock } = database.world;
  if (config.transport === "node") return nodeTransport({ clock });
  const threads = Math.ceil(config.threads / CORES_PER_DOOR_THREAD);
  return nativeTransport({ clock, NativeListener: loadAddon().Listener, threads });
}

function readTls({ tlsCert, tlsKey }: Config): Outcome<TlsFiles | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return succeed(undefined);
  try {
    return succeed({ certificate: readFileSync(tlsCert), key: readFileSync(tlsKey) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return fail({ kind: "ioFailed", message: `cannot read the TLS certificate or key: ${reason}` });
  }
}

export function wireOf(config: Config, database: Database): TransportHandlers {
  return createWire({
    proxy: database.proxy,
    clock: database.world.clock,
    random: database.world.random,
    telemetry: database.telemetry,
    limits: config.limits,
    version: config.reportedVersion,
  });
}

interface MonitorFacts {
  readonly listener: Listener;
  readonly startedMs: number;
  healthy(): boolean;
}

async function openMonitor(config: Config, database: Database, facts: MonitorFacts): Promise<Outcome<Monitor>> {
  try {
    const monitor = await startMonitor(config.host, config.metricsPort, {
      healthy: facts.healthy,
      metrics: () => metricsOf(database),
      status: () => statusOf(config, database, facts),
    });
    return succeed(monitor);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return fail({ kind: "ioFailed", message: `cannot listen on metrics port ${config.metricsPort}: ${reason}` });
  }
}

async function metricsOf(database: Database): Promise<string> {
  const use = database.memoryUse();
  const native = Object.entries(use).map(([kind, bytes]) => `elanus_native_memory_bytes{kind="${kind}"} ${bytes}\n`);
  const { rss, heapUsed } = process.memoryUsage();
  return [
    await database.telemetry.metricsText(),
    "# HELP elanus_native_memory_bytes Memory of the native engine; mapped files are not counted.\n",
    "# TYPE elanus_native_memory_bytes gauge\n",
    ...native,
    "# HELP process_resident_memory_bytes Resident memory of the process.\n",
    "# TYPE process_resident_memory_bytes gauge\n",
    `process_resident_memory_bytes ${rss}\n`,
    "# HELP elanus_javascript_heap_bytes Heap used by JavaScript.\n# TYPE elanus_javascript_heap_bytes gauge\n",
    `elanus_javascript_heap_bytes ${heapUsed}\n`,
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
    "gRPC and REST": `${facts.listener.host}:${facts.listener.port}`,
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
