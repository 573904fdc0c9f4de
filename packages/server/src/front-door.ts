/** The front door: the port that clients speak to, served by this thread or by proxies on threads of their own. */
import { readFileSync } from "node:fs";
import { loadAddon } from "@elanus/engine/load";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { nodeTransport } from "@elanus/platform/drivers/transport/http2";
import { nativeTransport } from "@elanus/platform/drivers/transport/native";
import type { ListenOptions, TlsFiles, Transport, TransportHandlers } from "@elanus/platform/ports/transport";
import { createWire } from "@elanus/wire/wire";
import type { Config } from "./config.ts";
import { type FrontDoor, startProxyThreads } from "./proxy-threads.ts";
import type { Database } from "./standalone.ts";

/** A thread of the front door serves as many requests as the searches of several cores can answer. */
const CORES_PER_DOOR_THREAD = 8;

/** `wire`: the caller's own, where this thread is to serve the door. */
export async function openFrontDoor(
  config: Config,
  database: Database,
  wire?: TransportHandlers,
): Promise<Outcome<FrontDoor>> {
  const tls = readTls(config);
  if (!tls.ok) return tls;
  const options: ListenOptions = {
    host: config.host,
    port: config.port,
    requestBytesMax: config.limits.requestBytesMax,
    responseBytesMax: config.limits.responseBytesMax,
    ...(tls.value === undefined ? {} : { tls: tls.value }),
  };
  const doorThreads = Math.ceil(config.threads / CORES_PER_DOOR_THREAD);
  if (config.proxies > 1) return startProxyThreads(config, database, options, doorThreads);
  const transport = transportOf(config, database, doorThreads);
  const listener = await transport.listen(options, wire ?? wireOf(config, database));
  if (!listener.ok) return listener;
  const { host, port } = listener.value;
  const close = (graceMs: number): Promise<void> => listener.value.close(graceMs);
  return succeed({ host, port, figures: () => Promise.resolve([]), close });
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

function transportOf(config: Config, database: Database, threads: number): Transport {
  const { clock } = database.world;
  if (config.transport === "node") return nodeTransport({ clock });
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
