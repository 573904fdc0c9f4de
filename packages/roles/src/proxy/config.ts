/** What the proxy is told at its start. */
import type { ProxyPeers } from "@elanus/model/peers";
import type { World } from "@elanus/platform/ports/world";
import type { NativeEngine } from "@elanus/segment/native-engine";

/** All that a proxy touches of the world: it keeps nothing, so it needs no store. */
export interface ProxyWorld extends Pick<World, "clock" | "timers" | "random"> {
  readonly peers: ProxyPeers;
}

/** A proxy reads and writes bytes, and never a segment. */
export type ProxyEngine = Pick<NativeEngine, "addon">;

export interface ProxyConfig {
  readonly engine: ProxyEngine;
  /** How old a read at bounded consistency may be. */
  readonly stalenessMsMax: number;
}

export const defaultProxy: Omit<ProxyConfig, "engine"> = { stalenessMsMax: 5_000 };
