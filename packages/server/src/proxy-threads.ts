/**
 * Proxies on threads of their own, over the roles of this one. The data stay here: a search crosses as a request and
 * comes back as an encoded answer.
 */
import { MessageChannel, Worker } from "node:worker_threads";
import { loadAddon } from "@elanus/engine/load";
import { type Outcome, succeed } from "@elanus/model/outcome";
import { servePeers } from "@elanus/platform/drivers/peers/port";
import { PortCalls } from "@elanus/platform/drivers/peers/port-calls";
import { openEntrance } from "@elanus/platform/drivers/transport/native";
import { inFlightBytesMax } from "@elanus/platform/drivers/transport/inbound-budget";
import type { ListenOptions } from "@elanus/platform/ports/transport";
import type { Config } from "./config.ts";
import type { ProxyThread, ProxyThreadSetup, ThreadFigures } from "./proxy-thread.ts";
import type { Database } from "./standalone.ts";

/** An open front door, on however many threads. */
export interface FrontDoor {
  readonly host: string;
  readonly port: number;
  /** What the threads of its own have counted. */
  figures(): Promise<readonly ThreadFigures[]>;
  /** Takes no new calls, lets running ones finish for at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Starts `config.proxies` of them behind one port and waits until all take connections. */
export async function startProxyThreads(
  config: Config,
  database: Database,
  listen: ListenOptions,
  doorThreads: number,
): Promise<Outcome<FrontDoor>> {
  const { Entrance } = loadAddon();
  const entrance = openEntrance(Entrance, listen.host, listen.port);
  if (!entrance.ok) return entrance;
  const { id, port } = entrance.value;
  const share = shareOf(listen, config.proxies);
  const threads = Array.from({ length: config.proxies }, () =>
    startThread(database, {
      config,
      listen: share,
      entrance: id,
      doorThreads: Math.ceil(doorThreads / config.proxies),
      catalogVersion: database.catalogVersion.memory,
    }),
  );
  const close = async (graceMs: number): Promise<void> => {
    entrance.value.close();
    await Promise.all(threads.map((thread) => thread.close(graceMs)));
  };
  const opened = await Promise.all(threads.map((thread) => thread.open()));
  const failed = opened.find((outcome) => !outcome.ok);
  if (failed !== undefined && !failed.ok) {
    await close(0);
    return failed;
  }
  const figures = (): Promise<readonly ThreadFigures[]> => Promise.all(threads.map((thread) => thread.figures()));
  return succeed({ host: listen.host, port, figures, close });
}

/** All listeners together hold no more bytes of requests than one would. */
function shareOf(listen: ListenOptions, proxies: number): ListenOptions {
  const share = Math.max(Math.floor(inFlightBytesMax(listen) / proxies), listen.requestBytesMax);
  return { ...listen, inFlightBytesMax: share };
}

function startThread(database: Database, setup: Omit<ProxyThreadSetup, "peers">): ProxyThread {
  const { port1: own, port2: peers } = new MessageChannel();
  servePeers(own, database.world.peers, loadAddon().release);
  const workerData: ProxyThreadSetup = { ...setup, peers };
  const worker = new Worker(new URL("./proxy-thread.js", import.meta.url), { workerData, transferList: [peers] });
  let closing = false;
  // Half a front door answers some clients and leaves others waiting: as when the only thread dies, the process ends.
  worker.on("error", (cause) => {
    throw new Error("the thread of a proxy has died", { cause });
  });
  const ended = new Promise<void>((resolve) => {
    worker.on("exit", (code) => {
      if (!closing) throw new Error(`the thread of a proxy has ended with code ${code}`);
      own.close();
      resolve();
    });
  });
  const calls = new PortCalls<undefined>(worker);
  return {
    open: () => calls.ask(undefined, "open", []) as ReturnType<ProxyThread["open"]>,
    figures: () => calls.ask(undefined, "figures", []) as ReturnType<ProxyThread["figures"]>,
    close(graceMs) {
      closing = true;
      calls.tell(undefined, "close", [graceMs]);
      return ended;
    },
  };
}
