/**
 * Runs DDL: one decision and one transaction at a time, then the log entries. The lock covers decision and
 * transaction only; log entries and calls to nodes happen outside it.
 */
import type { DatabaseInfo } from "@elanus/model/catalog";
import type { CollectionId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { MetaOp } from "@elanus/platform/ports/meta";
import type { Broadcaster } from "./broadcast.ts";
import { Serial } from "../serial.ts";
import { DEFAULT_DATABASE, type Catalog, type Change, type LogIntent } from "./state/catalog.ts";
import { changeOps, firstDatabase, manifestPointerKey, type CoordinatorStore, type StoredCatalog } from "./store.ts";
import type { OracleTask } from "./oracle.ts";

export interface Decision<T> {
  readonly change: Change;
  readonly result: T;
  /** Answer only once this collection's earlier log entries are written. */
  readonly logged?: CollectionId;
}

export class DdlTask {
  readonly #store: CoordinatorStore;
  readonly #broadcaster: Broadcaster;
  readonly #queue = new Serial();
  #catalog: Catalog;
  readonly #onVersion: (version: number) => void;
  #version: number;
  /** A transaction failed with an unknown outcome: the catalog is read anew before the next decision. */
  #doubtful = false;
  /** Called when the catalog was read anew: what follows a change may have been left undone. */
  onReload: () => void = () => {};

  /** `onVersion` hears of the stored version at once, and of every new one as soon as it holds. */
  constructor(
    store: CoordinatorStore,
    broadcaster: Broadcaster,
    stored: StoredCatalog,
    onVersion: (version: number) => void = () => {},
  ) {
    this.#store = store;
    this.#broadcaster = broadcaster;
    this.#catalog = stored.catalog;
    this.#version = stored.version;
    this.#onVersion = onVersion;
    onVersion(stored.version);
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  get version(): number {
    return this.#version;
  }

  /** Creates what a new data folder begins with. */
  async ensureDefaults(oracle: OracleTask): Promise<Outcome<void>> {
    if (this.#catalog.database(DEFAULT_DATABASE).ok) return succeed(undefined);
    const at = await oracle.now();
    if (!at.ok) return at;
    const database: DatabaseInfo = firstDatabase(at.value);
    const done = await this.run(() => succeed({ change: { putDatabases: [database] }, result: undefined }));
    return done.ok ? succeed(undefined) : done;
  }

  /** Decides on the newest catalog and makes the change durable and, if it concerns the logs, logged. */
  async run<T>(decide: (catalog: Catalog) => Outcome<Decision<T>>): Promise<Outcome<T>> {
    const committed = await this.#queue.run(() => this.#decideAndCommit(decide));
    if (!committed.ok) return committed;
    const { change, result, logged } = committed.value;
    const collection = change.entries?.collection ?? logged;
    const sent = collection === undefined ? succeed(undefined) : await this.#broadcaster.finish(collection);
    return sent.ok ? succeed(result) : sent;
  }

  /** The same for decisions that answer nothing. */
  change(decide: (catalog: Catalog) => Outcome<Change>): Promise<Outcome<void>> {
    return this.run((catalog) => {
      const decided = decide(catalog);
      return decided.ok ? succeed({ change: decided.value, result: undefined }) : decided;
    });
  }

  /** Runs `read` when no decision is half done. */
  settled<T>(read: (catalog: Catalog) => Promise<T>): Promise<T> {
    return this.#queue.run(() => read(this.#catalog));
  }

  async #decideAndCommit<T>(decide: (catalog: Catalog) => Outcome<Decision<T>>): Promise<Outcome<Decision<T>>> {
    const current = await this.#reloadIfDoubtful();
    if (!current.ok) return current;
    const decided = decide(this.#catalog);
    if (!decided.ok) return decided;
    const { change } = decided.value;
    if (Object.keys(change).length === 0) return decided;
    const intent = this.#intentOf(change);
    const version = this.#version + 1;
    const ops = [...changeOps(change, intent, version), ...this.#manifestOps(change)];
    const done = await this.#store.transact(ops);
    if (!done.ok) {
      this.#doubtful = true;
      return done;
    }
    if (!done.value) return fail({ kind: "internal", message: "a catalog transaction without conditions was refused" });
    this.#catalog.apply(change);
    this.#moveTo(version);
    if (intent !== undefined) this.#broadcaster.add(intent);
    return decided;
  }

  #moveTo(version: number): void {
    this.#version = version;
    this.#onVersion(version);
  }

  #intentOf(change: Change): LogIntent | undefined {
    if (change.entries === undefined) return undefined;
    return { sequence: this.#broadcaster.nextSequence(), ...change.entries };
  }

  #manifestOps(change: Change): MetaOp[] {
    return (change.removeCollections ?? []).flatMap((id) =>
      (this.#catalog.collections.get(id)?.shards ?? []).map(
        (shard): MetaOp => ({ kind: "delete", key: manifestPointerKey(shard) }),
      ),
    );
  }

  async #reloadIfDoubtful(): Promise<Outcome<void>> {
    if (!this.#doubtful) return succeed(undefined);
    const stored = await this.#store.loadCatalog();
    if (!stored.ok) return stored;
    this.#catalog = stored.value.catalog;
    this.#moveTo(Math.max(stored.value.version, this.#version + 1));
    this.#broadcaster.restore(stored.value.intents);
    this.#doubtful = false;
    this.onReload();
    return succeed(undefined);
  }
}
