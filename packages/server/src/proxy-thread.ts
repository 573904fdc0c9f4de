/**
 * A proxy on a thread of its own: its share of the front door's connections, the wire and the proxy's role. All that
 * it asks of the other roles goes over a port to the main thread. `proxy-threads.ts` starts it, as a worker's entry.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { SearchAnswer } from "@elanus/model/contract/streaming-node";
import { invariant, type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { Addon } from "@elanus/engine/addon";
import { loadAddon } from "@elanus/engine/load";
import { systemClock } from "@elanus/platform/drivers/clock";
import { type Deliveries, PortPeers } from "@elanus/platform/drivers/peers/port";
import { answerCalls } from "@elanus/platform/drivers/peers/port-calls";
import { SharedVersion } from "@elanus/platform/drivers/peers/shared-version";
import { systemRandom } from "@elanus/platform/drivers/random";
import { type Figures, systemTelemetry } from "@elanus/platform/drivers/telemetry/system";
import { systemTimers } from "@elanus/platform/drivers/timers";
import { nativeTransport } from "@elanus/platform/drivers/transport/native";
import type { Listener, ListenOptions } from "@elanus/platform/ports/transport";
import type { Telemetry } from "@elanus/platform/ports/world";
import { defaultProxy } from "@elanus/roles/proxy/config";
import { startProxy } from "@elanus/roles/proxy/role";
import { NodeMetrics } from "@elanus/roles/streaming-node/node-metrics";
import { attempt } from "@elanus/segment/native-engine";
import { createWire } from "@elanus/wire/wire";
import type { Config } from "./config.ts";

/** What the thread is told at its start. */
export interface ProxyThreadSetup {
  readonly config: Config;
  readonly listen: ListenOptions;
  /** Number of the entrance that all proxies stand behind. */
  readonly entrance: number;
  /** Threads that read and write this proxy's sockets. */
  readonly doorThreads: number;
  /** Memory of a `SharedVersion`. */
  readonly catalogVersion: SharedArrayBuffer;
  /** To `servePeers`. */
  readonly peers: MessagePort;
}

/** What the main thread asks of it. */
export interface ProxyThread {
  /** Takes connections from here on. */
  open(): Promise<Outcome<void>>;
  figures(): Promise<ThreadFigures>;
  /** Takes no new calls, lets running ones finish for at most `graceMs`, then ends the thread. */
  close(graceMs: number): Promise<void>;
}

export interface ThreadFigures {
  readonly figures: Figures;
  readonly heapBytes: number;
}

invariant(parentPort !== null, "a proxy's thread has a parent");
const thread = proxyThread(workerData as ProxyThreadSetup);
answerCalls<undefined>(parentPort, (_, verb, [argument]) =>
  verb === "close" ? thread.close(argument as number) : thread[verb as "open" | "figures"](),
);

function proxyThread(setup: ProxyThreadSetup): ProxyThread {
  const { config, listen, entrance, doorThreads } = setup;
  const addon = loadAddon();
  const telemetry = systemTelemetry({ level: config.logLevel });
  const world = {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    peers: new PortPeers(setup.peers, new SharedVersion(setup.catalogVersion), deliveriesOf(addon, telemetry)),
  };
  const proxy = startProxy(world, { ...defaultProxy, engine: { addon } });
  const wire = createWire({
    proxy: proxy.contract,
    clock: world.clock,
    random: world.random,
    telemetry,
    limits: config.limits,
    version: config.reportedVersion,
  });
  const transport = nativeTransport({
    clock: world.clock,
    NativeListener: addon.Listener,
    threads: doorThreads,
    entrance,
  });
  let listener: Listener | undefined;
  return {
    async open() {
      const opened = await transport.listen(listen, wire);
      if (!opened.ok) return opened;
      listener = opened.value;
      return succeed(undefined);
    },
    async figures() {
      return { figures: await telemetry.figures(), heapBytes: process.memoryUsage().heapUsed };
    },
    async close(graceMs) {
      await listener?.close(graceMs);
      await proxy.stop();
      // In a worker this ends the thread, not the process; log lines that are under way are written first.
      process.exit(0);
    },
  };
}

/** Searches answer to this thread directly; how long they took is what the streaming node would have observed. */
function deliveriesOf(addon: Addon, telemetry: Telemetry): Deliveries {
  const callers = new addon.Callers();
  const metrics = new NodeMetrics({ clock: systemClock, telemetry });
  let next = callers.first;
  const received = async (id: number): Promise<Outcome<SearchAnswer>> => {
    const bytes = await attempt(() => callers.promise(id));
    if (!bytes.ok) return bytes;
    const answer = { hits: new Uint8Array(), answer: bytes.value, snapshot: 0n as Timestamp };
    return succeed(bytes.value === undefined ? { ...answer, delivered: true } : answer);
  };
  return {
    open() {
      next += 1;
      return { id: next, answer: metrics.timed("search", received(next)) };
    },
    forget: (id) => callers.forget(id),
  };
}
