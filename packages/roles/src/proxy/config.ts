/** What the proxy is told at its start. */
import type { NativeEngine } from "@elanus/segment/native-engine";

export interface ProxyConfig {
  readonly engine: NativeEngine;
  /** How old a read at bounded consistency may be. */
  readonly stalenessMsMax: number;
}

export const defaultProxy: Omit<ProxyConfig, "engine"> = { stalenessMsMax: 5_000 };
