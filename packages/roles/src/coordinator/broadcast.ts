/**
 * Carries DDL to the shards' logs. The intent was stored with the DDL itself, so a crash between the two is
 * mended by doing it again: the entries are idempotent. On a channel they go out in the order of their DDL.
 */
import type { DbError } from "@elanus/model/error";
import type { ChannelName, CollectionId, NodeId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { World } from "@elanus/platform/ports/world";
import { Serial } from "../serial.ts";
import { channelOf, type DdlEntry, type LogIntent } from "./state/catalog.ts";
import { intentKey, type CoordinatorStore } from "./store.ts";

const APPEND_MS_MAX = 10_000;
const RETRY_MS = 200;

export class Broadcaster {
  readonly #world: World;
  readonly #store: CoordinatorStore;
  readonly #ownerOf: (channel: ChannelName) => NodeId | undefined;
  readonly #queue = new Serial();
  #pending: LogIntent[];
  #sequence = 0;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;

  constructor(
    world: World,
    store: CoordinatorStore,
    ownerOf: (channel: ChannelName) => NodeId | undefined,
    pending: readonly LogIntent[],
  ) {
    this.#world = world;
    this.#store = store;
    this.#ownerOf = ownerOf;
    this.#pending = [...pending];
  }

  /** Takes the next number; a gap is harmless. */
  nextSequence(): number {
    this.#sequence = Math.max(this.#sequence, this.#pending.at(-1)?.sequence ?? 0) + 1;
    return this.#sequence;
  }

  add(intent: LogIntent): void {
    this.#pending.push(intent);
  }

  /** After a transaction of unknown outcome: the stored intents that are not known here yet. */
  restore(stored: readonly LogIntent[]): void {
    const known = new Set(this.#pending.map((intent) => intent.sequence));
    const missed = stored.filter((intent) => !known.has(intent.sequence));
    this.#pending = [...this.#pending, ...missed].sort((left, right) => left.sequence - right.sequence);
  }

  /** Sends what is pending; called after a start, once streaming nodes may be there. */
  resume(): void {
    if (this.#pending.length > 0) void this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  /** Resolves when the collection's entries are in the logs, or with the reason why not; they are tried again. */
  async finish(collection: CollectionId): Promise<Outcome<void>> {
    const concerns = (intent: LogIntent): boolean => intent.collection === collection;
    if (!this.#pending.some(concerns)) return succeed(undefined);
    const failures = await this.#drain();
    const left = this.#pending.find(concerns);
    if (left === undefined) return succeed(undefined);
    return fail(failures.get(left) ?? { kind: "notReady", message: "the shards' logs have not taken the change yet" });
  }

  /** Sends what is pending. Channels wait for their own intents only; on one channel they keep their order. */
  #drain(): Promise<ReadonlyMap<LogIntent, DbError>> {
    return this.#queue.run(async () => {
      const failures = new Map<LogIntent, DbError>();
      const blocked = new Map<ChannelName, DbError>();
      for (const intent of Array.from(this.#pending)) {
        if (this.#stopped) break;
        const channels = [...byChannel(intent.entries).keys()];
        const error = channels.map((channel) => blocked.get(channel)).find((known) => known !== undefined);
        const sent = error === undefined ? await this.#send(intent) : fail(error);
        if (sent.ok) {
          this.#pending = this.#pending.filter((other) => other !== intent);
          continue;
        }
        failures.set(intent, sent.error);
        for (const channel of channels) blocked.set(channel, sent.error);
      }
      if (failures.size > 0) this.#retryLater();
      return failures;
    });
  }

  async #send(intent: LogIntent): Promise<Outcome<void>> {
    for (const [channel, entries] of byChannel(intent.entries)) {
      const node = this.#ownerOf(channel);
      if (node === undefined) return fail({ kind: "internal", message: `no streaming node for channel ${channel}` });
      const deadlineMs = this.#world.clock.nowMs() + APPEND_MS_MAX;
      const appended = await this.#world.peers.streamingNode(node).append(entries, deadlineMs);
      if (!appended.ok) return appended;
    }
    const removed = await this.#store.transact([{ kind: "delete", key: intentKey(intent.sequence) }]);
    return removed.ok ? succeed(undefined) : removed;
  }

  #retryLater(): void {
    if (this.#stopped) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#world.timers.after(RETRY_MS, () => void this.#drain());
  }
}

function byChannel(entries: readonly DdlEntry[]): Map<ChannelName, DdlEntry[]> {
  const groups = new Map<ChannelName, DdlEntry[]>();
  for (const entry of entries) {
    const channel = channelOf(entry.shard);
    groups.set(channel, [...(groups.get(channel) ?? []), entry]);
  }
  return groups;
}
