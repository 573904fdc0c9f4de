/**
 * Elanus inside your own process: the whole database without a socket. Requests have the shape of Milvus's RESTful
 * API v2, so what works here works against a server, and errors carry the same codes and words.
 *
 * ```ts
 * const db = await openEmbedded({ data: "./my-data" });
 * await db.createCollection({ collectionName: "notes", dimension: 4 });
 * await db.insert({ collectionName: "notes", data: [{ id: 1, vector: [1, 0, 0, 0] }] });
 * await db.close();
 * ```
 */
import type { DbError } from "@elanus/model/error";
import type { Outcome } from "@elanus/model/outcome";
import type { TransportHandlers } from "@elanus/platform/ports/transport";
import { type Config, type ConfigInput, readConfig } from "./config.ts";
import { wireOf } from "./front-door.ts";
import { type Doors, openDoors } from "./serve.ts";
import { type Database, explain, startDatabase } from "./standalone.ts";

export interface EmbeddedOptions {
  /** Data folder; created when absent, and one process may have it open at a time. */
  readonly data: string;
  /** Native threads; default: all cores. */
  readonly threads?: number;
  /** Default `warn`. */
  readonly logLevel?: Config["logLevel"];
}

export interface ListenOptions {
  /** Default 19530; 0 picks a free port. */
  readonly port?: number;
  /** Default 9091; 0 picks a free port. */
  readonly metricsPort?: number;
}

/** A refusal, with Milvus's code and words. */
export class ElanusError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = "ElanusError";
    this.code = code;
  }
}

export type Row = Readonly<Record<string, unknown>>;
export type Vector = readonly number[] | Readonly<Record<string, number>> | string;

export interface CollectionName {
  readonly collectionName: string;
  readonly dbName?: string;
}
export interface CreateCollectionRequest extends CollectionName {
  /** Quick form: an Int64 `id` and a `vector` of this dimension, indexed and loaded. */
  readonly dimension?: number;
  readonly metricType?: string;
  readonly idType?: "Int64" | "VarChar";
  readonly autoID?: boolean;
  readonly primaryFieldName?: string;
  readonly vectorFieldName?: string;
  /** Full form, as in Milvus's REST API. */
  readonly schema?: Row;
  readonly indexParams?: readonly Row[];
  readonly params?: Row;
}
export interface WriteRequest extends CollectionName {
  readonly data: readonly Row[];
  readonly partitionName?: string;
}
export interface FilterRequest extends CollectionName {
  readonly filter: string;
  readonly exprParams?: Row;
  readonly partitionName?: string;
}
export interface SearchRequest extends CollectionName {
  readonly data: readonly Vector[];
  readonly annsField?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly filter?: string;
  readonly outputFields?: readonly string[];
  readonly partitionNames?: readonly string[];
  readonly searchParams?: Row;
  readonly consistencyLevel?: string;
}
export interface QueryRequest extends CollectionName {
  readonly filter?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly outputFields?: readonly string[];
  readonly partitionNames?: readonly string[];
  readonly consistencyLevel?: string;
}
export interface GetRequest extends CollectionName {
  readonly id: readonly (number | string | bigint)[];
  readonly outputFields?: readonly string[];
}

/** Opens a data folder; waits until its log is replayed. */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const input: ConfigInput = {
    data: options.data,
    threads: options.threads?.toString(),
    logLevel: options.logLevel ?? "warn",
  };
  const config = unwrap(readConfig(input, {}));
  const database = unwrap(await startDatabase(config));
  return new EmbeddedDatabase(config, database);
}

export class EmbeddedDatabase {
  readonly #config: Config;
  readonly #database: Database;
  readonly #wire: TransportHandlers;
  #doors: Doors | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: Config, database: Database) {
    this.#config = config;
    this.#database = database;
    this.#wire = wireOf(config, database);
  }

  async createCollection(request: CreateCollectionRequest): Promise<void> {
    await this.call("collections/create", request);
  }
  async dropCollection(request: CollectionName): Promise<void> {
    await this.call("collections/drop", request);
  }
  async hasCollection(request: CollectionName): Promise<boolean> {
    return (await this.call<{ has: boolean }>("collections/has", request)).has;
  }
  listCollections(request: { readonly dbName?: string } = {}): Promise<string[]> {
    return this.call("collections/list", request);
  }
  describeCollection(request: CollectionName): Promise<Row> {
    return this.call("collections/describe", request);
  }
  async loadCollection(request: CollectionName): Promise<void> {
    await this.call("collections/load", request);
  }
  async releaseCollection(request: CollectionName): Promise<void> {
    await this.call("collections/release", request);
  }
  async createIndex(request: CollectionName & { readonly indexParams: readonly Row[] }): Promise<void> {
    await this.call("indexes/create", request);
  }
  insert(request: WriteRequest): Promise<{ insertCount: number; insertIds: (number | string)[] }> {
    return this.call("entities/insert", request);
  }
  upsert(request: WriteRequest): Promise<{ upsertCount: number; upsertIds: (number | string)[] }> {
    return this.call("entities/upsert", request);
  }
  async delete(request: FilterRequest): Promise<void> {
    await this.call("entities/delete", request);
  }
  /** Hits of all query vectors, one after the other, best first; the score is in `distance`. */
  search(request: SearchRequest): Promise<Row[]> {
    return this.call("entities/search", request);
  }
  query(request: QueryRequest): Promise<Row[]> {
    return this.call("entities/query", request);
  }
  get(request: GetRequest): Promise<Row[]> {
    return this.call("entities/get", request);
  }

  /**
   * Any other call of the REST API v2 by its path below `/v2/vectordb/`; gives its `data`.
   *
   * @throws ElanusError with Milvus's code.
   */
  async call<T>(path: string, request: object): Promise<T> {
    const answer = await this.#wire.http({
      method: "POST",
      path: `/v2/vectordb/${path}`,
      query: "",
      headers: new Map([["content-type", "application/json"]]),
      body: Buffer.from(
        JSON.stringify(request, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
      ),
      signal: new AbortController().signal,
    });
    const text = Buffer.concat(answer.body).toString("utf8");
    if (answer.status === 404) throw new ElanusError(404, `there is no call ${path}`);
    const { code, message, data } = JSON.parse(text) as { code: number; message?: string; data?: T };
    if (code !== 0) throw new ElanusError(code, message ?? text);
    return data as T;
  }

  /** Also serves gRPC, REST and metrics on loopback, over the same data, from this thread. */
  async listen(options: ListenOptions = {}): Promise<{ port: number; metricsPort: number }> {
    const config = { ...this.#config, port: options.port ?? 19_530, metricsPort: options.metricsPort ?? 9_091 };
    this.#doors = unwrap(await openDoors(config, this.#database, this.#wire));
    return { port: this.#doors.port, metricsPort: this.#doors.metricsPort };
  }

  /** Closes the doors and the folder. Acknowledged writes are durable already. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#doors?.close();
      await this.#database.stop();
    })();
    return this.#closing;
  }
}

function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { error }: { error: DbError } = outcome;
  throw new ElanusError(1, explain(error));
}
