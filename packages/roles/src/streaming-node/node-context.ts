/** What all parts of a streaming node share. */
import type { NodeId, SegmentId } from "@elanus/model/id";
import type { World } from "@elanus/platform/ports/world";
import type { NativeEngine } from "@elanus/segment/native-engine";
import { Signal } from "./waiting.ts";
import { NodeMetrics } from "./node-metrics.ts";
import { retryDelayMs } from "./state/generation.ts";

export interface StreamingNodeConfig {
  readonly node: NodeId;
  readonly engine: NativeEngine;
  /** Query nodes run in this process, so that growing segments can be handed to them. */
  readonly sharesMemory: boolean;
}

const SEGMENT_IDS_AT_ONCE = 64;

export class NodeContext {
  readonly world: World;
  readonly engine: NativeEngine;
  readonly node: NodeId;
  readonly sharesMemory: boolean;
  readonly metrics: NodeMetrics;
  /** Bytes of growing rows of all shards, by the shards' own count. */
  growingBytes = 0;
  /** A shard lost sealed segments: they are opened again at once. */
  readonly attention: Signal = new Signal();
  /** Bytes of appends that are not applied yet. */
  queuedBytes = 0;
  readonly #stop = new AbortController();
  #segmentIds: SegmentId[] = [];
  #allocation: Promise<void> | undefined;

  constructor(world: World, config: StreamingNodeConfig) {
    this.world = world;
    this.engine = config.engine;
    this.node = config.node;
    this.sharesMemory = config.sharesMemory;
    this.metrics = new NodeMetrics(world);
  }

  get stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  stop(): void {
    this.#stop.abort();
    this.attention.notify();
  }

  sleep(ms: number): Promise<void> {
    return this.world.timers.sleep(ms, this.#stop.signal);
  }

  async sleepBeforeRetry(failures: number): Promise<void> {
    await this.sleep(retryDelayMs(failures));
  }

  /** An id no other segment has; waits for the coordinator. Undefined only when the node stops. */
  async nextSegmentId(): Promise<SegmentId | undefined> {
    while (!this.stopping) {
      const id = this.#segmentIds.shift();
      if (id !== undefined) return id;
      this.#allocation ??= this.#allocateIds().finally(() => {
        this.#allocation = undefined;
      });
      await this.#allocation;
    }
    return undefined;
  }

  async #allocateIds(): Promise<void> {
    for (let failures = 1; !this.stopping; failures += 1) {
      const ids = await this.world.peers.coordinator.allocateIds(SEGMENT_IDS_AT_ONCE);
      if (ids.ok) {
        const { first, count } = ids.value;
        this.#segmentIds = Array.from({ length: count }, (_, offset) => (first + BigInt(offset)) as SegmentId);
        return;
      }
      await this.sleepBeforeRetry(failures);
    }
  }
}
