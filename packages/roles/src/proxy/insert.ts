/** Insert and upsert: rows become native columns, are routed, and go to the log in one append per owner. */
import type { Insert, MutationAnswer } from "@elanus/model/contract/proxy";
import type { LogEntry } from "@elanus/model/log-record";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { PartitionId, ShardId } from "@elanus/model/id";
import { primaryKeyOf } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { readRows } from "@elanus/engine/rows";
import { attemptNow } from "@elanus/segment/native-engine";
import type { CatalogCache, KnownCollection } from "./catalog-cache.ts";
import type { ProxyEngine, ProxyWorld } from "./config.ts";
import { writePartitions } from "./state/partitions.ts";

type Rows = ReturnType<ProxyEngine["addon"]["Rows"]["decode"]>;

/** Bytes of the shortest row in a JSON text, `{},`: bounds how many rows it can hold. */
const JSON_ROW_BYTES_MIN = 3;

export class WriteTask {
  readonly #world: ProxyWorld;
  readonly #engine: ProxyEngine;
  readonly #cache: CatalogCache;

  constructor(world: ProxyWorld, engine: ProxyEngine, cache: CatalogCache) {
    this.#world = world;
    this.#engine = engine;
    this.#cache = cache;
  }

  async write(request: Insert, upsert: boolean, deadlineMs: number): Promise<Outcome<MutationAnswer>> {
    const found = await this.#cache.collection(request);
    if (!found.ok) return found;
    const collection = found.value;
    const { info } = collection;
    if (request.schemaTimestamp !== 0n && request.schemaTimestamp !== info.updatedAt) {
      return fail({ kind: "collectionSchemaMismatch", collection: request.name });
    }
    const partitions = writePartitions(info, request.partition);
    if (!partitions.ok) return partitions;
    const rows = await this.#columnise(request, collection, upsert);
    if (!rows.ok) return rows;
    const prepared = this.#prepare(collection, rows.value, partitions.value, upsert);
    // Native memory is given back before the append, which may wait.
    rows.value.close();
    if (!prepared.ok) return prepared;
    const { entries, ids, count } = prepared.value;
    const at = await this.append(collection, entries, deadlineMs);
    if (!at.ok) return at;
    // Durable and applied, so nobody looks at the bytes any more; the garbage collector would let them pile up.
    for (const entry of entries) if (entry.kind === "insert") this.#engine.addon.release(entry.rows.buffer);
    return succeed({ ids, count, at: at.value });
  }

  #prepare(
    collection: KnownCollection,
    rows: Rows,
    partitions: readonly PartitionId[],
    upsert: boolean,
  ): Outcome<{ entries: readonly LogEntry[]; ids: Uint8Array; count: number }> {
    const ids = attemptNow(() => rows.ids());
    if (!ids.ok) return ids;
    const entries = this.#entries(collection, rows, partitions, upsert);
    return entries.ok ? succeed({ entries: entries.value, ids: ids.value, count: rows.rowCount }) : entries;
  }

  /** One record per owner and channel; standalone: one record, so the whole write is atomic. */
  async append(
    collection: KnownCollection,
    entries: readonly LogEntry[],
    deadlineMs: number,
  ): Promise<Outcome<Timestamp>> {
    const appends = collection.owners.flatMap(({ node, shards }) => {
      const own = new Set<ShardId>(shards);
      const part = entries.filter((entry) => own.has(entry.shard));
      return part.length === 0 ? [] : [this.#world.peers.streamingNode(node).append(part, deadlineMs)];
    });
    invariant(appends.length > 0, "a write goes somewhere");
    let newest = 0n as Timestamp;
    for (const appended of await Promise.all(appends)) {
      if (!appended.ok) return appended;
      if (appended.value.at > newest) newest = appended.value.at;
    }
    return succeed(newest);
  }

  /** Entries that delete encoded keys, by shard. */
  deletions(
    collection: KnownCollection,
    keys: Uint8Array,
    partition: PartitionId | undefined,
  ): Outcome<readonly LogEntry[]> {
    const { shards } = collection.info;
    const routed = attemptNow(() => this.#engine.addon.routeKeys(keys, shards.length));
    if (!routed.ok) return routed;
    return succeed(
      routed.value.flatMap((part, ordinal): LogEntry[] => {
        const shard = shards[ordinal];
        return part === undefined || shard === undefined ? [] : [{ kind: "delete", shard, partition, keys: part }];
      }),
    );
  }

  async #columnise(request: Insert, collection: KnownCollection, upsert: boolean): Promise<Outcome<Rows>> {
    const { rows } = request;
    if (rows.kind === "fieldData" && rows.rowCount <= 0) {
      return fail({
        kind: "invalidParameter",
        message: "num_rows should be greater than 0",
        expected: "> 0",
        actual: String(rows.rowCount),
      });
    }
    const options = await this.#options(request, collection, upsert);
    if (!options.ok) return options;
    const made = readRows(this.#engine.addon, collection.compiled, rows, options.value);
    if (made.ok && made.value.rowCount === 0) {
      return fail({
        kind: "invalidParameter",
        message: "num_rows should be greater than 0",
        expected: "> 0",
        actual: "0",
      });
    }
    return made;
  }

  async #options(
    request: Insert,
    collection: KnownCollection,
    upsert: boolean,
  ): Promise<Outcome<{ firstAutoId?: bigint; upsert: boolean; allowInsertAutoId: boolean }>> {
    const allowed = /^(1|t|true)$/i.test(collection.info.properties["allow_insert_auto_id"] ?? "false");
    const options = { upsert, allowInsertAutoId: allowed };
    if (!primaryKeyOf(collection.schema).autoId) return succeed(options);
    const count =
      request.rows.kind === "json"
        ? Math.ceil((request.rows.rows.length + 1) / JSON_ROW_BYTES_MIN)
        : request.rows.rowCount;
    const ids = await this.#world.peers.coordinator.allocateIds(count);
    return ids.ok ? succeed({ ...options, firstAutoId: ids.value.first }) : ids;
  }

  #entries(
    collection: KnownCollection,
    rows: Rows,
    partitions: readonly PartitionId[],
    upsert: boolean,
  ): Outcome<readonly LogEntry[]> {
    const { shards } = collection.info;
    const routed = attemptNow(() => rows.route(shards.length, partitions.length));
    if (!routed.ok) return routed;
    const inserts = routed.value.map((part): LogEntry => {
      const shard = shards[part.shard];
      const partition = partitions[part.partition];
      invariant(shard !== undefined && partition !== undefined, "rows are routed to shards and partitions that exist");
      return { kind: "insert", shard, partition, rows: part.rows };
    });
    const replaced = upsert ? attemptNow(() => rows.replacedKeys()) : succeed(undefined);
    if (!replaced.ok) return replaced;
    if (replaced.value === undefined) return succeed(inserts);
    // An upsert with automatic ids writes new ids; the keys that were sent die in the same record.
    const [only] = partitions;
    const deletions = this.deletions(collection, replaced.value, partitions.length === 1 ? only : undefined);
    return deletions.ok ? succeed([...deletions.value, ...inserts]) : deletions;
  }
}
