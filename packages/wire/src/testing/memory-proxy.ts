/** A proxy for tests: a catalog in memory, writes that only count, reads that answer what they are told. */
import type { CollectionInfo, DatabaseInfo, IndexInfo } from "@elanus/model/catalog";
import type {
  CollectionRef,
  CoordinatorContract,
  CreateCollection,
  CreateIndex,
  IndexProgress,
} from "@elanus/model/contract/coordinator";
import type { ProxyContract, QueryResult, SearchResult } from "@elanus/model/contract/proxy";
import type { DbError } from "@elanus/model/error";
import type { CollectionId, DatabaseId, IndexId, PartitionId, ShardId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, primaryKeyOf } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { IDsCodec, SearchResultDataCodec } from "../gen/schema.ts";
import { encode } from "../protobuf/runtime.ts";

const done: Outcome<void> = succeed(undefined);

/** Fuzzed requests claim billions of rows. */
const ROWS_MAX = 1_000;

export interface RecordedCall {
  readonly verb: string;
  readonly args: readonly unknown[];
}

export class MemoryProxy {
  readonly calls: RecordedCall[] = [];
  /** When set, every verb fails with it. */
  failure: DbError | undefined;
  /** When set, every verb throws it: a bug below. */
  thrown: Error | undefined;
  /** What the next reads give; built when absent. */
  searchBody: Uint8Array | undefined;
  queryColumns: readonly Uint8Array[] = [];
  readonly #databases = new Map<string, DatabaseInfo>();
  readonly #collections = new Map<string, CollectionInfo>();
  #next = 1_000n;

  constructor() {
    this.#databases.set("default", { id: 1n as DatabaseId, name: "default", createdAt: this.#tick(), properties: {} });
  }

  /** The contract as wire gets it; every call is recorded, and fails when `failure` is set. */
  get contract(): ProxyContract {
    const catalog = this.#recording(this.#catalog());
    return this.#recording<ProxyContract>({ ...this.#data(), catalog });
  }

  lastCall(verb: string): readonly unknown[] | undefined {
    return this.calls.findLast((c) => c.verb === verb)?.args;
  }

  /** What the last call of a verb asked for. */
  lastRequest<T>(verb: string): T {
    const args = this.lastCall(verb);
    if (args === undefined) throw new Error(`${verb} was not called`);
    return args[0] as T;
  }

  #recording<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (own, name) => {
        const member = Reflect.get(own, name) as unknown;
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          this.calls.push({ verb: String(name), args });
          if (this.thrown !== undefined) throw this.thrown;
          if (this.failure !== undefined) return fail(this.failure);
          return (member as (...args: unknown[]) => unknown)(...args);
        };
      },
    });
  }

  #tick(): Timestamp {
    this.#next += 1n;
    return ((1_700_000_000_000n << 18n) + this.#next) as Timestamp;
  }

  #find(ref: CollectionRef): Outcome<CollectionInfo> {
    if (!this.#databases.has(ref.database)) return fail({ kind: "databaseNotFound", database: ref.database });
    const found =
      this.#collections.get(`${ref.database}/${ref.name}`) ??
      [...this.#collections.values()].find((c) => c.database === ref.database && c.aliases.includes(ref.name));
    return found === undefined
      ? fail({ kind: "collectionNotFound", database: ref.database, collection: ref.name })
      : succeed(found);
  }

  #change(ref: CollectionRef, change: (info: CollectionInfo) => CollectionInfo): Outcome<void> {
    const found = this.#find(ref);
    if (!found.ok) return found;
    this.#collections.set(`${found.value.database}/${found.value.schema.name}`, change(found.value));
    return done;
  }

  #create(request: CreateCollection): Outcome<CollectionInfo> {
    const database = this.#databases.get(request.database);
    if (database === undefined) return fail({ kind: "databaseNotFound", database: request.database });
    const id = (this.#next += 1n) as CollectionId;
    const at = this.#tick();
    const info: CollectionInfo = {
      id,
      database: database.name,
      databaseId: database.id,
      schema: request.schema,
      shards: [`p0_${id}v0` as ShardId],
      partitions: [{ id: (this.#next += 1n) as PartitionId, name: "_default", createdAt: at }],
      aliases: [],
      indexes: [],
      consistency: request.consistency,
      properties: request.properties,
      createdAt: at,
      updatedAt: at,
      load: { kind: "released" },
    };
    this.#collections.set(`${request.database}/${request.name}`, info);
    return succeed(info);
  }

  #index(request: CreateIndex): Outcome<void> {
    return this.#change(request, (info) => {
      const field = info.schema.fields.find((f) => f.name === request.field) ?? primaryKeyOf(info.schema);
      const index: IndexInfo = {
        id: (this.#next += 1n) as IndexId,
        name: request.index === "" ? request.field : request.index,
        field: field.id,
        type: request.type,
        ...(request.metric === undefined ? {} : { metric: request.metric }),
        params: request.params,
        userParams: request.userParams,
        createdAt: this.#tick(),
      };
      return { ...info, indexes: [...info.indexes, index] };
    });
  }

  #describeIndexes(ref: CollectionRef, name: string): Outcome<readonly IndexProgress[]> {
    const found = this.#find(ref);
    if (!found.ok) return found;
    const wanted = found.value.indexes.filter((i) => name === "" || i.name === name);
    if (wanted.length === 0) return fail({ kind: "indexNotFound", collection: ref.name, index: name });
    return succeed(
      wanted.map((index) => ({
        index,
        totalRows: 0,
        indexedRows: 0,
        pendingRows: 0,
        state: "finished",
        failReason: "",
      })),
    );
  }

  #catalog(): CoordinatorContract {
    return { ...this.#definitions(), ...this.#parts() } as CoordinatorContract;
  }

  #definitions(): Partial<CoordinatorContract> {
    return {
      allocateTimestamps: async (count) => succeed({ first: this.#tick(), count }),
      catalogVersion: async () => succeed(1),
      createDatabase: async (name, properties) => {
        if (this.#databases.has(name))
          return fail({ kind: "invalidParameter", message: `database already exist: ${name}` });
        this.#databases.set(name, { id: (this.#next += 1n) as DatabaseId, name, createdAt: this.#tick(), properties });
        return done;
      },
      dropDatabase: async (name) =>
        this.#databases.delete(name) ? done : fail({ kind: "databaseNotFound", database: name }),
      alterDatabase: async () => done,
      listDatabases: async () => succeed([...this.#databases.values()]),
      describeDatabase: async (name) => {
        const found = this.#databases.get(name);
        return found === undefined ? fail({ kind: "databaseNotFound", database: name }) : succeed(found);
      },
      createCollection: async (request) => this.#create(request),
      dropCollection: async (ref) => {
        const found = this.#find(ref);
        if (!found.ok) return found;
        this.#collections.delete(`${ref.database}/${ref.name}`);
        return done;
      },
      describeCollection: async (ref) => this.#find(ref),
      describeCollectionById: async (id) => {
        const found = [...this.#collections.values()].find((c) => c.id === id);
        return found === undefined
          ? fail({ kind: "collectionNotFound", database: "", collection: String(id) })
          : succeed(found);
      },
      listCollections: async (database) =>
        succeed([...this.#collections.values()].filter((c) => c.database === database)),
      renameCollection: async () => done,
      alterCollection: async (ref, set) =>
        this.#change(ref, (info) => ({ ...info, properties: { ...info.properties, ...set } })),
    };
  }

  #parts(): Partial<CoordinatorContract> {
    return {
      createPartition: async (ref, name) =>
        this.#change(ref, (info) => ({
          ...info,
          partitions: [...info.partitions, { id: (this.#next += 1n) as PartitionId, name, createdAt: this.#tick() }],
        })),
      dropPartition: async (ref, name) =>
        this.#change(ref, (info) => ({ ...info, partitions: info.partitions.filter((p) => p.name !== name) })),
      createAlias: async (ref, alias) => this.#change(ref, (info) => ({ ...info, aliases: [...info.aliases, alias] })),
      alterAlias: async () => done,
      dropAlias: async () => done,
      describeAlias: async (database, alias) => {
        const found = this.#find({ database, name: alias });
        return found.ok
          ? succeed({ alias, collection: found.value.schema.name })
          : fail({ kind: "aliasNotFound", database, alias });
      },
      listAliases: async (database, name) => {
        const found = this.#find({ database, name });
        return found.ok ? succeed(found.value.aliases) : found;
      },
      createIndex: async (request) => this.#index(request),
      dropIndex: async (ref, name) =>
        this.#change(ref, (info) => ({ ...info, indexes: info.indexes.filter((i) => i.name !== name) })),
      alterIndex: async (ref) => this.#change(ref, (info) => info),
      describeIndexes: async (ref, name) => this.#describeIndexes(ref, name),
      load: async (ref) => this.#change(ref, (info) => ({ ...info, load: { kind: "loaded", partitions: "all" } })),
      release: async (ref) => this.#change(ref, (info) => ({ ...info, load: { kind: "released" } })),
      loadProgress: async (ref) => {
        const found = this.#find(ref);
        if (!found.ok) return found;
        return succeed(
          found.value.load.kind === "released" ? { state: "notLoaded", percent: 0 } : { state: "loaded", percent: 100 },
        );
      },
      listSegments: async (ref) => {
        const found = this.#find(ref);
        return found.ok ? succeed([]) : found;
      },
      compact: async () => succeed({ compaction: 7n, plans: 1 }),
      compactionState: async () => succeed({ done: true, plans: [] }),
    };
  }

  #data(): Omit<ProxyContract, "catalog"> {
    const write: ProxyContract["insert"] = async (request) => {
      const found = this.#find(request);
      if (!found.ok) return found;
      const count = request.rows.kind === "fieldData" ? request.rows.rowCount : 1;
      if (count > ROWS_MAX) return fail({ kind: "invalidParameter", message: "too many rows" });
      const ids = encode(IDsCodec, { intId: { data: Array.from({ length: count }, (_, at) => BigInt(at)) } });
      return succeed({ ids, count, at: this.#tick() });
    };
    return {
      insert: write,
      upsert: write,
      delete: async (request) => {
        const found = this.#find(request);
        return found.ok ? succeed({ ids: new Uint8Array(0), count: 1, at: this.#tick() }) : found;
      },
      search: async (request) => this.#searched(request),
      hybridSearch: async (request) => this.#searched(request),
      query: async (request) => this.#queried(request),
      flush: async (database, names) => {
        for (const name of names) {
          const found = this.#find({ database, name });
          if (!found.ok) return found;
        }
        return succeed(new Map(names.map((name) => [name, { at: this.#tick(), flushed: [], flushing: [] }])));
      },
      rowCount: async (ref) => {
        const found = this.#find(ref);
        return found.ok ? succeed(0) : found;
      },
    };
  }

  #searched(ref: CollectionRef): Outcome<SearchResult> {
    const found = this.#find(ref);
    if (!found.ok) return found;
    const body =
      this.searchBody ??
      encode(SearchResultDataCodec, { numQueries: 1n, topks: [0n], primaryFieldName: nameOfKey(found.value.schema) });
    return succeed({ body, collection: found.value, metric: "L2", sessionTimestamp: 0n as Timestamp });
  }

  #queried(ref: CollectionRef): Outcome<QueryResult> {
    const found = this.#find(ref);
    if (!found.ok) return found;
    const primaryField = nameOfKey(found.value.schema);
    return succeed({
      columns: this.queryColumns,
      outputFields: [primaryField],
      primaryField,
      collection: found.value,
      sessionTimestamp: 0n as Timestamp,
    });
  }
}

function nameOfKey(schema: CollectionSchema): string {
  return primaryKeyOf(schema).name;
}
