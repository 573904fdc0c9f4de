/** Delete: by key without reading, by any other expression through a query for the keys. */
import type { Delete, MutationAnswer } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { attemptNow } from "@elanus/segment/native-engine";
import type { CatalogCache } from "./catalog-cache.ts";
import type { ProxyEngine, ProxyWorld } from "./config.ts";
import type { QueryTask } from "./query.ts";
import { checkedFilter } from "./read.ts";
import { deletePartition } from "./state/partitions.ts";
import type { WriteTask } from "./insert.ts";

export interface DeleteParts {
  readonly world: ProxyWorld;
  readonly engine: ProxyEngine;
  readonly cache: CatalogCache;
  readonly queries: QueryTask;
  readonly writes: WriteTask;
}

export class DeleteTask {
  readonly #parts: DeleteParts;

  constructor(parts: DeleteParts) {
    this.#parts = parts;
  }

  async delete(request: Delete, deadlineMs: number): Promise<Outcome<MutationAnswer>> {
    const { cache, writes, world } = this.#parts;
    const found = await cache.collection(request);
    if (!found.ok) return found;
    const collection = found.value;
    const partition = deletePartition(collection.info, request.partition);
    if (!partition.ok) return partition;
    const filter = checkedFilter(request.filter, collection, "delete");
    if (!filter.ok) return filter;
    if (filter.value.kind === "all" || filter.value.alwaysTrue) {
      return fail({
        kind: "invalidParameter",
        message: `delete plan can't be empty or always true : ${request.filter.text}`,
      });
    }
    const doomed =
      filter.value.keys === undefined
        ? await this.#parts.queries.keys(collection, {
            partitions: request.partition === "" ? [] : [request.partition],
            filter: filter.value,
            consistency: request.consistency,
            deadlineMs,
          })
        : this.#listed(filter.value.keys);
    if (!doomed.ok) return doomed;
    if (doomed.value.count === 0) {
      const now = await world.peers.coordinator.allocateTimestamps(1);
      return now.ok ? succeed({ ids: new Uint8Array(), count: 0, at: now.value.first }) : now;
    }
    const entries = writes.deletions(collection, doomed.value.keys, partition.value);
    if (!entries.ok) return entries;
    const at = await writes.append(collection, entries.value, deadlineMs);
    return at.ok ? succeed({ ids: new Uint8Array(), count: doomed.value.count, at: at.value }) : at;
  }

  /** Distinct keys that the filter lists, whether or not they exist. */
  #listed(keys: readonly (bigint | string)[]): Outcome<{ keys: Uint8Array; count: number }> {
    if (keys.length === 0) return succeed({ keys: new Uint8Array(), count: 0 });
    const encoded = attemptNow(() => this.#parts.engine.addon.encodeKeys(keys));
    return encoded.ok ? succeed({ keys: encoded.value, count: keys.length }) : encoded;
  }
}
