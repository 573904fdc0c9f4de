/**
 * The catalog as the active coordinator holds it, and the changes that DDL decisions make to it. A decision
 * returns a `Change`; it becomes real when its transaction is durable, and only then is it applied here.
 */
import type {
  CollectionInfo,
  DatabaseInfo,
  IndexInfo,
  LoadedParts,
  LoadState,
  PartitionInfo,
} from "@elanus/model/catalog";
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import type { DbError } from "@elanus/model/error";
import type { ChannelName, CollectionId, DatabaseId, PartitionId, ShardId } from "@elanus/model/id";
import type { LogEntry } from "@elanus/model/log-record";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";

export const DEFAULT_DATABASE = "default";
export const DEFAULT_DATABASE_ID: DatabaseId = 1n as DatabaseId;
export const DEFAULT_PARTITION = "_default";

/** What a client asked to have loaded; how far that is lives in the streaming nodes. */
export type LoadWish = { readonly kind: "released" } | ({ readonly kind: "wanted" } & LoadedParts);

/** A collection as it is stored. */
export interface CollectionRecord extends Omit<CollectionInfo, "load" | "database"> {
  readonly load: LoadWish;
}

/** Log entries that a DDL still has to write; stored with it, removed once they are durable in the log. */
export interface LogIntent {
  readonly sequence: number;
  readonly collection: CollectionId;
  readonly entries: readonly DdlEntry[];
}
export type DdlEntry = Extract<LogEntry, { kind: "createShard" | "dropShard" | "dropPartition" }>;

export interface Change {
  readonly putDatabases?: readonly DatabaseInfo[];
  readonly removeDatabases?: readonly DatabaseId[];
  readonly putCollections?: readonly CollectionRecord[];
  readonly removeCollections?: readonly CollectionId[];
  readonly entries?: { readonly collection: CollectionId; readonly entries: readonly DdlEntry[] };
}

/** The verb is legal but changes nothing. */
export const NO_CHANGE: Change = {};

export class Catalog {
  readonly databases: Map<DatabaseId, DatabaseInfo> = new Map<DatabaseId, DatabaseInfo>();
  readonly collections: Map<CollectionId, CollectionRecord> = new Map<CollectionId, CollectionRecord>();
  readonly #databaseByName = new Map<string, DatabaseId>();
  /** `databaseId/name` to collection. */
  readonly #collectionByName = new Map<string, CollectionId>();
  readonly #collectionByAlias = new Map<string, CollectionId>();

  database(name: string): Outcome<DatabaseInfo> {
    const id = this.#databaseByName.get(name);
    const found = id === undefined ? undefined : this.databases.get(id);
    return found === undefined ? fail({ kind: "databaseNotFound", database: name }) : succeed(found);
  }

  /** By real name or alias. */
  resolve(ref: CollectionRef): Outcome<CollectionRecord> {
    const database = this.database(ref.database);
    if (!database.ok) return database;
    const found = this.named(database.value.id, ref.name) ?? this.aliased(database.value.id, ref.name);
    return found === undefined ? fail(collectionMissing(ref)) : succeed(found);
  }

  named(database: DatabaseId, name: string): CollectionRecord | undefined {
    return this.#found(this.#collectionByName, database, name);
  }

  aliased(database: DatabaseId, alias: string): CollectionRecord | undefined {
    return this.#found(this.#collectionByAlias, database, alias);
  }

  inDatabase(database: DatabaseId): CollectionRecord[] {
    return [...this.collections.values()].filter((collection) => collection.databaseId === database);
  }

  apply(change: Change): void {
    for (const id of change.removeDatabases ?? []) this.#dropDatabase(id);
    for (const database of change.putDatabases ?? []) {
      this.#dropDatabase(database.id);
      this.databases.set(database.id, database);
      this.#databaseByName.set(database.name, database.id);
    }
    for (const id of change.removeCollections ?? []) this.#dropCollection(id);
    const puts = change.putCollections ?? [];
    // All old names go first: an alias or a name may move from one collection to another in one change.
    for (const collection of puts) this.#dropCollection(collection.id);
    for (const collection of puts) this.#addCollection(collection);
  }

  #found(index: ReadonlyMap<string, CollectionId>, database: DatabaseId, name: string): CollectionRecord | undefined {
    const id = index.get(nameKey(database, name));
    return id === undefined ? undefined : this.collections.get(id);
  }

  #dropDatabase(id: DatabaseId): void {
    const old = this.databases.get(id);
    if (old === undefined) return;
    this.databases.delete(id);
    this.#databaseByName.delete(old.name);
  }

  #dropCollection(id: CollectionId): void {
    const old = this.collections.get(id);
    if (old === undefined) return;
    this.collections.delete(id);
    this.#collectionByName.delete(nameKey(old.databaseId, old.schema.name));
    for (const alias of old.aliases) this.#collectionByAlias.delete(nameKey(old.databaseId, alias));
  }

  #addCollection(record: CollectionRecord): void {
    const key = nameKey(record.databaseId, record.schema.name);
    invariant(!this.#collectionByName.has(key), `one collection per name: ${key}`);
    invariant(!this.#collectionByAlias.has(key), `no collection named like an alias: ${key}`);
    this.collections.set(record.id, record);
    this.#collectionByName.set(key, record.id);
    for (const alias of record.aliases) {
      const aliasKey = nameKey(record.databaseId, alias);
      invariant(!this.#collectionByName.has(aliasKey), `no alias named like a collection: ${aliasKey}`);
      invariant(!this.#collectionByAlias.has(aliasKey), `one target per alias: ${aliasKey}`);
      this.#collectionByAlias.set(aliasKey, record.id);
    }
  }
}

export function collectionMissing(ref: CollectionRef): DbError {
  return { kind: "collectionNotFound", database: ref.database, collection: ref.name };
}

/** The channel a shard lies on, from its name (`CHANNEL_COLLECTIONIDvN`). */
export function channelOf(shard: ShardId): ChannelName {
  const cut = shard.lastIndexOf("_");
  invariant(cut > 0, `shard name holds its channel: ${shard}`);
  return shard.slice(0, cut) as ChannelName;
}

export function partitionNamed(collection: CollectionRecord, name: string): PartitionInfo | undefined {
  return collection.partitions.find((partition) => partition.name === name);
}

/** Partitions follow the key's hash; clients cannot name them. */
export function usesPartitionKey(collection: Pick<CollectionInfo, "schema">): boolean {
  return collection.schema.fields.some((field) => field.partitionKey);
}

export function isLoaded(collection: CollectionRecord, partition: PartitionId): boolean {
  if (collection.load.kind === "released") return false;
  return collection.load.partitions === "all" || collection.load.partitions.includes(partition);
}

export function indexNamed(collection: Pick<CollectionInfo, "indexes">, name: string): IndexInfo | undefined {
  return collection.indexes.find((index) => index.name === name);
}

/** The collection as clients see it; `percent` is how much of the wish is open. */
export function collectionInfo(record: CollectionRecord, database: string, percent: number): CollectionInfo {
  return { ...record, database, load: loadState(record.load, percent) };
}

export function loadState(wish: LoadWish, percent: number): LoadState {
  if (wish.kind === "released") return wish;
  const { kind: _, ...parts } = wish;
  return percent >= 100 ? { kind: "loaded", ...parts } : { kind: "loading", ...parts, percent };
}

/** Touched now: what clients compare as `schema_timestamp`. */
export function touched(record: CollectionRecord, at: Timestamp): CollectionRecord {
  return { ...record, updatedAt: at > record.updatedAt ? at : ((record.updatedAt + 1n) as Timestamp) };
}

function nameKey(database: DatabaseId, name: string): string {
  return `${database}/${name}`;
}
