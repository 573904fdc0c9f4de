/**
 * What every read does first: find the collection, fix where and when it looks, ask the owners. A read over
 * one owner lets that owner choose the snapshot; over several, one snapshot is agreed on before.
 */
import type { Consistency, FilterInput } from "@elanus/model/contract/proxy";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { DbError } from "@elanus/model/error";
import type { PartitionId, PinId } from "@elanus/model/id";
import { expiredAt } from "@elanus/model/expiry";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { ReadScope } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import { parseFilter, prefixError, type CheckedFilter } from "@elanus/query/filter/parse-filter";
import { attemptNow } from "@elanus/segment/native-engine";
import type { KnownCollection, Owned } from "./catalog-cache.ts";
import type { ProxyConfig, ProxyEngine, ProxyWorld } from "./config.ts";
import { guaranteeOf } from "./state/consistency.ts";
import { loadedFields } from "./state/loaded-fields.ts";
import { readPartitions } from "./state/partitions.ts";

/** Pause before a node that is still loading is asked again. */
const RETRY_MS = 10;

export interface ReadWish {
  readonly partitions: readonly string[];
  readonly filter: CheckedFilter;
  readonly consistency: Consistency;
  readonly ignoreGrowing: boolean;
  /** Read exactly here. */
  readonly snapshot: Timestamp | undefined;
  /** Keep the view under this name for a second phase. */
  readonly pin: PinId | undefined;
  readonly deadlineMs: number;
}

/** A read as it goes to the owners; one scope each. */
export interface Reading {
  readonly collection: KnownCollection;
  readonly scope: Omit<ReadScope, "shards">;
  readonly pin: PinId | undefined;
}

export class ReadTask {
  readonly #world: ProxyWorld;
  readonly #engine: ProxyEngine;
  readonly #config: Omit<ProxyConfig, "engine">;
  readonly #pinPrefix: string;
  #pinCount = 0;

  constructor(world: ProxyWorld, config: ProxyConfig) {
    this.#world = world;
    this.#engine = config.engine;
    this.#config = config;
    this.#pinPrefix = world.random.bits64().toString(16);
  }

  async begin(collection: KnownCollection, wish: ReadWish): Promise<Outcome<Reading>> {
    const partitions = this.#partitions(collection, wish);
    if (!partitions.ok) return partitions;
    const guarantee = wish.snapshot === undefined ? await this.#guarantee(collection, wish) : succeed(wish.snapshot);
    if (!guarantee.ok) return guarantee;
    const { pin } = wish;
    const scope = {
      collection: collection.info.id,
      partitions: partitions.value,
      guarantee: guarantee.value,
      ignoreGrowing: wish.ignoreGrowing,
      deadlineMs: wish.deadlineMs,
      snapshot: wish.snapshot,
      pin,
    };
    if (collection.owners.length === 1 || wish.snapshot !== undefined) return succeed({ collection, scope, pin });
    const snapshot = await this.#agreed(collection, guarantee.value, wish.deadlineMs);
    return snapshot.ok ? succeed({ collection, scope: { ...scope, snapshot: snapshot.value }, pin }) : snapshot;
  }

  /** One timestamp for several reads: the guarantee is met at it, and every owner has reached it. */
  async snapshot(
    collection: KnownCollection,
    wish: Pick<ReadWish, "consistency" | "deadlineMs">,
  ): Promise<Outcome<Timestamp>> {
    const guarantee = await this.#guarantee(collection, wish);
    return guarantee.ok ? this.#agreed(collection, guarantee.value, wish.deadlineMs) : guarantee;
  }

  /** Rows inserted at or before it have outlived the collection's TTL; undefined without one. */
  expired(collection: KnownCollection): Timestamp | undefined {
    const at = expiredAt(collection.info.properties, this.#world.clock.nowMs());
    return at === 0n ? undefined : at;
  }

  newPin(): PinId {
    this.#pinCount += 1;
    return `${this.#pinPrefix}-${this.#pinCount}` as PinId;
  }

  /** Asks every owner. While the catalog says loaded, a node that is not ready yet is asked again. */
  async ask<T>(
    reading: Reading,
    call: (node: StreamingNodeContract, scope: ReadScope) => Promise<Outcome<T>>,
  ): Promise<Outcome<readonly T[]>> {
    const asked = reading.collection.owners.map((owned) => this.#askOwner(reading, owned, call));
    const [only] = asked;
    // Most collections have one owner; waiting for a list costs more.
    const answers = only !== undefined && asked.length === 1 ? [await only] : await Promise.all(asked);
    const values: T[] = [];
    for (const answer of answers) {
      if (!answer.ok) return answer;
      values.push(answer.value);
    }
    return succeed(values);
  }

  release(collection: KnownCollection, pin: PinId | undefined): void {
    if (pin === undefined) return;
    for (const { node } of collection.owners) this.#world.peers.streamingNode(node).release(pin);
  }

  async #askOwner<T>(
    reading: Reading,
    owned: Owned,
    call: (node: StreamingNodeContract, scope: ReadScope) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const scope = scopeOf(reading, owned.shards);
    for (;;) {
      const answer = await call(this.#world.peers.streamingNode(owned.node), scope);
      if (answer.ok || !isNotReady(answer.error)) return answer;
      if (this.#world.clock.nowMs() + RETRY_MS >= reading.scope.deadlineMs) return answer;
      await this.#world.timers.sleep(RETRY_MS);
      const { name } = reading.collection.schema;
      const now = await this.#world.peers.coordinator.describeCollectionById(reading.collection.info.id);
      if (!now.ok || now.value.load.kind === "released") return fail({ kind: "collectionNotLoaded", collection: name });
    }
  }

  #partitions(collection: KnownCollection, wish: ReadWish): Outcome<"all" | readonly PartitionId[]> {
    const keys = wish.filter.kind === "program" ? wish.filter.partitionKeys : undefined;
    if (keys === undefined) return readPartitions(collection.info, wish.partitions, undefined);
    const count = collection.info.partitions.length;
    const ordinals = attemptNow(() => this.#engine.addon.partitionsOfKeys(keys, count));
    return ordinals.ok ? readPartitions(collection.info, wish.partitions, ordinals.value) : ordinals;
  }

  async #agreed(collection: KnownCollection, guarantee: Timestamp, deadlineMs: number): Promise<Outcome<Timestamp>> {
    const ticks = await Promise.all(
      collection.owners.map(({ node, shards }) =>
        this.#world.peers.streamingNode(node).readTimestamp(shards, guarantee, deadlineMs),
      ),
    );
    // The greatest: an owner that lags is asked for its tick once more. With the least, a channel that was just
    // taken over and has nothing new would show a session a moment from before its last read.
    let greatest = guarantee;
    for (const tick of ticks) {
      if (!tick.ok) return tick;
      if (tick.value > greatest) greatest = tick.value;
    }
    return succeed(greatest);
  }

  async #guarantee(collection: KnownCollection, wish: Pick<ReadWish, "consistency">): Promise<Outcome<Timestamp>> {
    const guarantee = guaranteeOf({
      asked: wish.consistency,
      collectionLevel: collection.info.consistency,
      updatedAt: collection.info.updatedAt,
      nowMs: this.#world.clock.nowMs(),
      stalenessMsMax: this.#config.stalenessMsMax,
    });
    if (guarantee.kind === "at") return succeed(guarantee.at);
    const fresh = await this.#world.peers.coordinator.allocateTimestamps(1);
    return fresh.ok ? succeed(fresh.value.first) : fresh;
  }

  /** Text form of a random UUID. */
  newToken(): string {
    const hex = [this.#world.random.bits64(), this.#world.random.bits64()]
      .map((bits) => BigInt.asUintN(64, bits).toString(16).padStart(16, "0"))
      .join("");
    return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join(
      "-",
    );
  }
}

/** `what`: `query` or `delete`, as the refusal of a filter says. */
export function checkedFilter(
  input: FilterInput,
  { schema, info }: Pick<KnownCollection, "schema" | "info">,
  what: "query" | "delete",
): Outcome<CheckedFilter> {
  const parsed = parseFilter(input.text, schema, input.templates, loadedFields(info.load));
  return parsed.ok ? parsed : fail(prefixError(parsed.error, `failed to create ${what} plan: `));
}

function scopeOf({ scope }: Reading, shards: ReadScope["shards"]): ReadScope {
  const { collection, partitions, guarantee, snapshot, ignoreGrowing, pin, deadlineMs } = scope;
  return { collection, shards, partitions, guarantee, snapshot, ignoreGrowing, pin, deadlineMs };
}

function isNotReady(error: DbError): boolean {
  return (
    error.kind === "collectionNotLoaded" ||
    error.kind === "collectionNotFullyLoaded" ||
    error.kind === "notReady" ||
    error.kind === "partitionNotLoaded"
  );
}
