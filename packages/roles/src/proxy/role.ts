/**
 * The proxy: what clients ask for, checked and turned into appends and reads. It keeps nothing but a cache,
 * so any number of them may run.
 */
import type { CollectionRef, CoordinatorContract } from "@elanus/model/contract/coordinator";
import type {
  Delete,
  Encoding,
  HybridSearch,
  Insert,
  MutationAnswer,
  ProxyContract,
  Query,
  QueryResult,
  Search,
  SearchResult,
} from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { RunningRole } from "@elanus/platform/ports/world";
import { CatalogCache } from "./catalog-cache.ts";
import type { ProxyConfig, ProxyWorld } from "./config.ts";
import { DeleteTask } from "./delete.ts";
import { HybridTask } from "./hybrid.ts";
import { QueryTask } from "./query.ts";
import { ReadTask } from "./read.ts";
import { SearchTask } from "./search.ts";
import { WriteTask } from "./insert.ts";

export function startProxy(world: ProxyWorld, config: ProxyConfig): RunningRole<ProxyContract> {
  return { contract: new Proxy(world, config), stop: () => Promise.resolve() };
}

class Proxy implements ProxyContract {
  readonly catalog: CoordinatorContract;
  readonly #world: ProxyWorld;
  readonly #cache: CatalogCache;
  readonly #writes: WriteTask;
  readonly #deletes: DeleteTask;
  readonly #searches: SearchTask;
  readonly #hybrids: HybridTask;
  readonly #queries: QueryTask;

  constructor(world: ProxyWorld, config: ProxyConfig) {
    const { engine } = config;
    this.catalog = world.peers.coordinator;
    this.#world = world;
    this.#cache = new CatalogCache(world.peers.coordinator, engine);
    const reads = new ReadTask(world, config);
    this.#writes = new WriteTask(world, engine, this.#cache);
    this.#searches = new SearchTask(engine, this.#cache, reads, world.clock);
    this.#hybrids = new HybridTask(engine, this.#cache, reads, this.#searches, world.clock);
    this.#queries = new QueryTask(engine, this.#cache, reads, world.clock);
    this.#deletes = new DeleteTask({
      world,
      engine,
      cache: this.#cache,
      queries: this.#queries,
      writes: this.#writes,
    });
  }

  insert(request: Insert, deadlineMs: number): Promise<Outcome<MutationAnswer>> {
    return this.#writes.write(request, false, deadlineMs);
  }

  upsert(request: Insert, deadlineMs: number): Promise<Outcome<MutationAnswer>> {
    return this.#writes.write(request, true, deadlineMs);
  }

  delete(request: Delete, deadlineMs: number): Promise<Outcome<MutationAnswer>> {
    return this.#deletes.delete(request, deadlineMs);
  }

  search(request: Search, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    return this.#searches.search(request, encoding, deadlineMs);
  }

  hybridSearch(request: HybridSearch, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>> {
    return this.#hybrids.search(request, encoding, deadlineMs);
  }

  query(request: Query, encoding: Encoding, deadlineMs: number): Promise<Outcome<QueryResult>> {
    return this.#queries.query(request, encoding, deadlineMs);
  }

  flush: ProxyContract["flush"] = async (database, names) => {
    const answers = new Map<string, { at: Timestamp; flushed: readonly bigint[]; flushing: readonly bigint[] }>();
    for (const name of names) {
      const flushed = await this.#flushOne({ database, name });
      if (!flushed.ok) return flushed;
      answers.set(name, flushed.value);
    }
    return succeed(answers);
  };

  async rowCount(ref: CollectionRef, partition?: string): Promise<Outcome<number>> {
    const found = await this.#cache.collection(ref);
    if (!found.ok) return found;
    const { info, owners } = found.value;
    const chosen = partition === undefined ? undefined : info.partitions.find((one) => one.name === partition);
    if (partition !== undefined && chosen === undefined) return fail({ kind: "partitionNotFound", partition });
    // Growing first: a segment that is sealed in between is counted twice rather than not at all.
    let growing = 0;
    for (const { node, shards } of owners) {
      const count = await this.#world.peers.streamingNode(node).growingRowCount(shards, chosen?.id);
      if (!count.ok) return count;
      growing += count.value;
    }
    const sealed = await this.catalog.sealedRowCount(info.id, chosen?.id);
    return sealed.ok ? succeed(growing + sealed.value) : sealed;
  }

  async #flushOne(
    ref: CollectionRef,
  ): Promise<Outcome<{ at: Timestamp; flushed: readonly bigint[]; flushing: readonly bigint[] }>> {
    const found = await this.#cache.collection(ref);
    if (!found.ok) return found;
    const fresh: bigint[] = [];
    let at = 0n as Timestamp;
    for (const { node, shards } of found.value.owners) {
      const done = await this.#world.peers.streamingNode(node).flush(shards);
      if (!done.ok) return done;
      fresh.push(...done.value.segments);
      if (done.value.at > at) at = done.value.at;
    }
    const segments = await this.catalog.listSegments(ref);
    if (!segments.ok) return segments;
    const sealed = new Set<bigint>([...segments.value.map((segment) => segment.id), ...fresh]);
    return succeed({ at, flushed: [...sealed], flushing: [] });
  }
}
