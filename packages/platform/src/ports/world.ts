/**
 * Everything a role may touch outside its own memory. In production the drivers stand behind it, in `sim` a
 * seeded world does, so that one seed replays a whole cluster.
 */
import type { Limits } from "@elanus/model/limits";
import type { Peers } from "@elanus/model/peers";
import type { LogStore } from "./log.ts";
import type { MetaStore } from "./meta.ts";
import type { ObjectStore } from "./objects.ts";

export interface World {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: LogStore;
  readonly meta: MetaStore;
  readonly objects: ObjectStore;
  readonly peers: Peers;
  readonly executor: Executor;
  readonly telemetry: Telemetry;
  readonly limits: Limits;
}

export interface Clock {
  /** Milliseconds since 1970; may jump. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary start; for durations. */
  monotonicMs(): number;
}

export interface Timers {
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `task` once after `ms`; the returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform 64-bit. */
  bits64(): bigint;
}

/** Threads for native work; 0 runs it inline on the calling thread (simulation). */
export interface Executor {
  readonly threads: number;
}

export interface Counter {
  add(value: number): void;
}
export interface Gauge {
  set(value: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

export interface Telemetry {
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  gauge(name: string, help: string, labels?: Readonly<Record<string, string>>): Gauge;
  histogram(name: string, help: string, labels?: Readonly<Record<string, string>>): Histogram;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A started role. `stop` ends its work in order and is idempotent. */
export interface RunningRole<Contract> {
  readonly contract: Contract;
  stop(): Promise<void>;
}
