/**
 * The catalog store as the coordinator uses it: every transaction carries the epoch that this coordinator took
 * at its start, so a predecessor that still lives can change nothing any more.
 */
import type { DatabaseInfo } from "@elanus/model/catalog";
import type { CollectionId, ShardId } from "@elanus/model/id";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { MetaCondition, MetaOp, MetaStore } from "@elanus/platform/ports/meta";
import {
  Catalog,
  DEFAULT_DATABASE,
  DEFAULT_DATABASE_ID,
  type Change,
  type CollectionRecord,
  type LogIntent,
} from "./state/catalog.ts";
import { decodeRecord, encodeRecord } from "./state/record-text.ts";

const EPOCH_KEY = "coordinator/epoch";
const VERSION_KEY = "catalog/version";
const DATABASES = "database/";
const COLLECTIONS = "collection/";
const INTENTS = "intent/";

export interface StoredCatalog {
  readonly catalog: Catalog;
  readonly version: number;
  readonly intents: readonly LogIntent[];
}

export class CoordinatorStore {
  readonly #meta: MetaStore;
  readonly #epoch: Uint8Array;
  #isClosed = false;

  private constructor(meta: MetaStore, epoch: Uint8Array) {
    this.#meta = meta;
    this.#epoch = epoch;
  }

  /** Takes the epoch; another coordinator that held it is fenced from here on. */
  static async open(meta: MetaStore): Promise<Outcome<CoordinatorStore>> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const old = await meta.get(EPOCH_KEY);
      if (!old.ok) return old;
      const number = old.value === undefined ? succeed(0) : decodeRecord<number>(EPOCH_KEY, old.value);
      if (!number.ok) return number;
      const epoch = encodeRecord(number.value + 1);
      const taken = await meta.transact(
        [{ key: EPOCH_KEY, value: old.value }],
        [{ kind: "put", key: EPOCH_KEY, value: epoch }],
      );
      if (!taken.ok) return taken;
      if (taken.value) return succeed(new CoordinatorStore(meta, epoch));
    }
    return fail({ kind: "notReady", message: "another coordinator keeps taking over" });
  }

  async read<T>(key: string): Promise<Outcome<T | undefined>> {
    const found = await this.#meta.get(key);
    if (!found.ok || found.value === undefined) return found.ok ? succeed(undefined) : found;
    return decodeRecord<T>(key, found.value);
  }

  async list<T>(prefix: string): Promise<Outcome<readonly { readonly key: string; readonly value: T }[]>> {
    const found = await this.#meta.list(prefix);
    if (!found.ok) return found;
    const entries: { key: string; value: T }[] = [];
    for (const { key, value } of found.value) {
      const decoded = decodeRecord<T>(key, value);
      if (!decoded.ok) return decoded;
      entries.push({ key, value: decoded.value });
    }
    return succeed(entries);
  }

  /** `false`: a condition did not hold. A lost epoch is `notReady`. */
  async transact(ops: readonly MetaOp[], conditions: readonly MetaCondition[] = []): Promise<Outcome<boolean>> {
    if (this.#isClosed) return fail({ kind: "notReady", message: "the coordinator has stopped" });
    const done = await this.#meta.transact([{ key: EPOCH_KEY, value: this.#epoch }, ...conditions], ops);
    if (!done.ok || done.value) return done;
    const epoch = await this.#meta.get(EPOCH_KEY);
    if (!epoch.ok) return epoch;
    const mine = epoch.value !== undefined && sameBytes(epoch.value, this.#epoch);
    if (mine) return succeed(false);
    return fail({ kind: "notReady", message: "another coordinator has taken over" });
  }

  /** Nothing is written from here on. */
  close(): void {
    this.#isClosed = true;
  }

  async loadCatalog(): Promise<Outcome<StoredCatalog>> {
    const version = await this.read<number>(VERSION_KEY);
    if (!version.ok) return version;
    const databases = await this.list<DatabaseInfo>(DATABASES);
    if (!databases.ok) return databases;
    const collections = await this.list<CollectionRecord>(COLLECTIONS);
    if (!collections.ok) return collections;
    const intents = await this.list<LogIntent>(INTENTS);
    if (!intents.ok) return intents;
    const catalog = new Catalog();
    catalog.apply({
      putDatabases: databases.value.map((entry) => entry.value),
      putCollections: collections.value.map((entry) => entry.value),
    });
    return succeed({ catalog, version: version.value ?? 0, intents: intents.value.map((entry) => entry.value) });
  }
}

/** The operations of a change, in one transaction with its intent and the catalog's new version. */
export function changeOps(change: Change, intent: LogIntent | undefined, version: number): MetaOp[] {
  invariant((intent === undefined) === (change.entries === undefined), "an intent for log entries and only then");
  return [
    ...(change.removeDatabases ?? []).map((id) => remove(`${DATABASES}${id}`)),
    ...(change.putDatabases ?? []).map((database) => put(`${DATABASES}${database.id}`, database)),
    ...(change.removeCollections ?? []).map((id) => remove(collectionKey(id))),
    ...(change.putCollections ?? []).map((record) => put(collectionKey(record.id), record)),
    ...(intent === undefined ? [] : [put(intentKey(intent.sequence), intent)]),
    put(VERSION_KEY, version),
  ];
}

function put(key: string, value: unknown): MetaOp {
  return { kind: "put", key, value: encodeRecord(value) };
}

function remove(key: string): MetaOp {
  return { kind: "delete", key };
}

export function collectionKey(id: CollectionId): string {
  return `${COLLECTIONS}${id}`;
}

export function intentKey(sequence: number): string {
  return `${INTENTS}${String(sequence).padStart(16, "0")}`;
}

export function manifestPointerKey(shard: ShardId): string {
  return `manifest/${shard}`;
}

/** What a new data folder begins with. */
export function firstDatabase(at: Timestamp): DatabaseInfo {
  return { id: DEFAULT_DATABASE_ID, name: DEFAULT_DATABASE, createdAt: at, properties: {} };
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
