/** Tells the streaming nodes what to keep open, until they have heard it, and knows how far they are. */
import type { CollectionId, NodeId, ShardId } from "@elanus/model/id";
import { succeed, type Outcome } from "@elanus/model/outcome";
import type { World } from "@elanus/platform/ports/world";
import { loadState, type Catalog, type CollectionRecord } from "./state/catalog.ts";

export class LoadTask {
  readonly #world: World;
  readonly #catalog: () => Catalog;
  readonly #nodeOf: (shard: ShardId) => NodeId | undefined;
  readonly #percent = new Map<CollectionId, number>();
  /** Collections whose wish or indexes a node has not confirmed yet. */
  readonly #unheard = new Set<CollectionId>();

  constructor(world: World, catalog: () => Catalog, nodeOf: (shard: ShardId) => NodeId | undefined) {
    this.#world = world;
    this.#catalog = catalog;
    this.#nodeOf = nodeOf;
  }

  /** Last known share of the wish that is open; never asks a node. */
  knownPercent(collection: CollectionId): number {
    return this.#percent.get(collection) ?? 0;
  }

  /** The wish has changed: announce it; failures are tried again by `settle`. */
  async announce(collection: CollectionId): Promise<Outcome<void>> {
    this.#unheard.add(collection);
    this.#percent.delete(collection);
    const record = this.#catalog().collections.get(collection);
    if (record === undefined) {
      this.#unheard.delete(collection);
      return succeed(undefined);
    }
    for (const [node, shards] of this.#byNode(record)) {
      const told = await this.#world.peers
        .streamingNode(node)
        .setLoad(record.id, shards, loadState(record.load, 0), record.indexes);
      if (!told.ok) return told;
    }
    // A change that came meanwhile announces itself again.
    if (this.#catalog().collections.get(collection) === record) this.#unheard.delete(collection);
    return succeed(undefined);
  }

  /** Nobody knows what the nodes have heard: `settle` tells them. */
  repeatAll(): void {
    for (const collection of this.#catalog().collections.keys()) this.#unheard.add(collection);
  }

  /** Asks the nodes. */
  async percent(record: CollectionRecord): Promise<Outcome<number>> {
    if (record.load.kind === "released") return succeed(0);
    // What a node has not heard it cannot be measured by.
    if (this.#unheard.has(record.id) && !(await this.announce(record.id)).ok) return succeed(0);
    let sum = 0;
    let shardCount = 0;
    for (const [node, shards] of this.#byNode(record)) {
      const share = await this.#world.peers.streamingNode(node).loadedPercent(shards);
      if (!share.ok) return share;
      sum += share.value * shards.length;
      shardCount += shards.length;
    }
    const percent = shardCount === 0 ? 100 : sum / shardCount;
    this.#percent.set(record.id, percent);
    return succeed(percent);
  }

  /** Background round: repeats lost announcements and looks how far loading is. True: something is unfinished. */
  async settle(): Promise<boolean> {
    for (const collection of Array.from(this.#unheard)) {
      const told = await this.announce(collection);
      if (!told.ok) this.#world.telemetry.log("warn", "load state not delivered", { collection, error: told.error });
    }
    let unfinished = this.#unheard.size > 0;
    for (const record of this.#catalog().collections.values()) {
      if (record.load.kind === "released" || this.knownPercent(record.id) >= 100) continue;
      const share = await this.percent(record);
      if (!share.ok || share.value < 100) unfinished = true;
    }
    return unfinished;
  }

  #byNode(record: CollectionRecord): Map<NodeId, ShardId[]> {
    const groups = new Map<NodeId, ShardId[]>();
    for (const shard of record.shards) {
      const node = this.#nodeOf(shard);
      if (node !== undefined) groups.set(node, [...(groups.get(node) ?? []), shard]);
    }
    return groups;
  }
}
