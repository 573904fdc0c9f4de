/** The node's own initiative: sealing by size, age and memory, opening and closing sealed segments, retries. */
import type { ShardManifest } from "@elanus/model/catalog";
import type { ChannelName, SegmentId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Channel } from "./channel.ts";
import { sealShard } from "./flush.ts";
import type { NodeContext } from "./node-context.ts";
import type { Shard } from "./shard.ts";
import { memoryIsShort, sealReason } from "./state/generation.ts";
import { isWanted } from "./state/view.ts";
import { isFullyOpen, synchronise } from "./synchronise.ts";

const INTERVAL_MS = 1_000;
/** A released shard's segments, opened for a flush, are closed after this long without a write. */
const IDLE_MS = 60_000;
/** A flush that a client waits for gives up after this many failures; the node itself goes on trying. */
const FLUSH_FAILURES_MAX = 5;

export class Housekeeping {
  readonly #context: NodeContext;
  readonly #channels: ReadonlyMap<ChannelName, Channel>;
  readonly #sealing = new Set<Shard>();
  readonly #synchronising = new Set<Shard>();
  #cancelTimer: () => void = () => {};

  constructor(context: NodeContext, channels: ReadonlyMap<ChannelName, Channel>) {
    this.#context = context;
    this.#channels = channels;
  }

  start(): void {
    this.#startTimer();
    void this.#reopenLost();
  }

  #startTimer(): void {
    if (this.#context.stopping) return;
    this.#cancelTimer = this.#context.world.timers.after(INTERVAL_MS, () => {
      this.#lookAround();
      this.#startTimer();
    });
  }

  /** Readers wait for lost segments, so they are not left to the next look around. */
  async #reopenLost(): Promise<void> {
    while (!this.#context.stopping) {
      await this.#context.attention.wait();
      for (const channel of this.#channels.values()) {
        for (const shard of channel.shards.values()) {
          if (shard.needsSynchronising) this.synchroniseSoon(channel, shard);
        }
      }
    }
  }

  stop(): void {
    this.#cancelTimer();
  }

  #lookAround(): void {
    const { world, growingBytes } = this.#context;
    const isShort = memoryIsShort(growingBytes, world.limits);
    const largest = isShort ? this.#largestShard() : undefined;
    this.#report();
    const nowMs = world.clock.monotonicMs();
    for (const channel of this.#channels.values()) {
      for (const shard of channel.shards.values()) {
        const bytes = shard.currentBytes;
        const state = { unflushed: shard.unflushed, bytes, nowMs, memoryIsShort: shard === largest };
        const isWaiting = shard.oldestSealing() !== undefined;
        if (isWaiting || sealReason(state, world.limits) !== undefined) this.#sealSoon(channel, shard);
        const isIdle = nowMs - shard.appliedAtMs > IDLE_MS && shard.unflushed === undefined;
        if (shard.needsSynchronising || (isIdle && this.#hasUnwanted(shard))) this.synchroniseSoon(channel, shard);
      }
    }
  }

  #report(): void {
    const { metrics, growingBytes, queuedBytes } = this.#context;
    metrics.growingBytes.set(growingBytes);
    metrics.queuedBytes.set(queuedBytes);
    let shards = 0;
    for (const channel of this.#channels.values()) shards += channel.shards.size;
    metrics.shards.set(shards);
  }

  #largestShard(): Shard | undefined {
    let largest: Shard | undefined;
    for (const channel of this.#channels.values()) {
      for (const shard of channel.shards.values()) {
        if (largest === undefined || shard.growingBytes > largest.growingBytes) largest = shard;
      }
    }
    return largest;
  }

  #hasUnwanted(shard: Shard): boolean {
    return shard.view.sealed.some((entry) => entry.live && !isWanted(shard.load, entry.meta.partition));
  }

  // Sealing

  /** Seals for a client that waits. */
  async seal(channel: Channel, shard: Shard): Promise<Outcome<readonly SegmentId[]>> {
    for (let failures = 1; ; failures += 1) {
      const sealed = await sealShard(this.#context, channel, shard);
      if (sealed.ok || sealed.error.kind === "fenced" || this.#context.stopping) return sealed;
      const level = sealed.error.kind === "overtaken" ? "debug" : "warn";
      this.#context.world.telemetry.log(level, "flush failed", { shard: shard.id, error: sealed.error });
      if (failures >= FLUSH_FAILURES_MAX) return sealed;
      await this.#context.sleepBeforeRetry(failures);
    }
  }

  #sealSoon(channel: Channel, shard: Shard): void {
    if (this.#sealing.has(shard)) return;
    this.#sealing.add(shard);
    void this.seal(channel, shard).finally(() => this.#sealing.delete(shard));
  }

  // Sealed segments

  /** Learns what of the shard is loaded; until then its reads are refused. */
  learnLoadState(channel: Channel, shard: Shard): void {
    void (async () => {
      for (let failures = 1; !this.#context.stopping && !shard.dropped; failures += 1) {
        const learned = await this.refreshLoadState(channel, shard);
        if (learned.ok) return;
        await this.#context.sleepBeforeRetry(failures);
      }
    })();
  }

  /**
   * Asks the coordinator, one question at a time, so that the newest answer is the last one. What a message said
   * is not taken at its word: it may have been long under way and be older than one that came before it.
   */
  refreshLoadState(channel: Channel, shard: Shard): Promise<Outcome<void>> {
    return shard.loadQuestions.run(async () => {
      const info = await this.#context.world.peers.coordinator.describeCollectionById(shard.collection);
      if (!info.ok) return info.error.kind === "collectionNotFound" ? succeed(undefined) : info;
      shard.load = info.value.load;
      shard.indexes = info.value.indexes;
      shard.changed.notify();
      this.synchroniseSoon(channel, shard);
      return succeed(undefined);
    });
  }

  /** At most one waits behind the one that runs: it will see the newest wishes. */
  synchroniseSoon(channel: Channel, shard: Shard): void {
    if (this.#synchronising.has(shard)) return;
    this.#synchronising.add(shard);
    shard.needsSynchronising = false;
    void shard.maintenance.run(() => {
      this.#synchronising.delete(shard);
      return this.#synchronise(channel, shard);
    });
  }

  async #synchronise(channel: Channel, shard: Shard): Promise<void> {
    if (shard.dropped || this.#context.stopping) return;
    const done = await synchronise(this.#context, shard, { channel: channel.name, open: "wanted" });
    if (done.ok) return;
    shard.needsSynchronising = true;
    this.#context.world.telemetry.log("warn", "sealed segments not opened", { shard: shard.id, error: done.error });
  }

  /** Takes over a manifest that the coordinator changed. */
  adopt(channel: Channel, shard: Shard, manifest: ShardManifest): Promise<Outcome<void>> {
    return shard.maintenance.run(async () => {
      if (shard.dropped || this.#context.stopping) {
        return fail({ kind: "notReady", message: `shard ${shard.id} is closing` });
      }
      if (manifest.version <= shard.manifest.version) return succeed(undefined);
      shard.manifest = manifest;
      await this.#synchronise(channel, shard);
      return succeed(undefined);
    });
  }

  /** Share of the wanted sealed rows that are open with the indexes that exist for them. */
  loadedPercent(shards: readonly Shard[]): number {
    let wanted = 0;
    let open = 0;
    for (const shard of shards) {
      for (const meta of shard.manifest.segments) {
        if (!isWanted(shard.load, meta.partition)) continue;
        wanted += meta.rowCount;
        const isGrowing = shard.view.growing.some((segment) => segment.identity.id === meta.id);
        if (isGrowing || isFullyOpen(shard, meta)) open += meta.rowCount;
      }
    }
    return wanted === 0 ? 100 : Math.floor((open * 100) / wanted);
  }
}
