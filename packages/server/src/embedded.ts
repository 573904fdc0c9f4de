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
 *
 * Vectors may be typed arrays everywhere. Searches by `Float32Array` and inserts of columns pass no text at all.
 */
import type { DbError } from "@elanus/model/error";
import type { Outcome } from "@elanus/model/outcome";
import type { TransportHandlers } from "@elanus/platform/ports/transport";
import { IDsCodec } from "@elanus/wire/gen/schema";
import { decode } from "@elanus/wire/protobuf/runtime";
import { dataFailure } from "@elanus/wire/rest/entities";
import { failed, type RestOutcome } from "@elanus/wire/rest/failure";
import { type Config, type ConfigInput, readConfig } from "./config.ts";
import { directSearch, directWrite, refOf } from "./direct-calls.ts";
import type {
  CollectionName,
  ColumnsRequest,
  CreateCollectionRequest,
  FilterRequest,
  GetRequest,
  QueryRequest,
  Row,
  SearchRequest,
  WriteRequest,
} from "./embedded-requests.ts";
import { wireOf } from "./front-door.ts";
import { type Doors, openDoors } from "./serve.ts";
import { type Database, explain, startDatabase } from "./standalone.ts";

export type * from "./embedded-requests.ts";

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
  async insert(
    request: WriteRequest | ColumnsRequest,
  ): Promise<{ insertCount: number; insertIds: (number | string)[] }> {
    if (!("columns" in request)) return this.call("entities/insert", request);
    const { count, ids } = await this.#write("insert", request);
    return { insertCount: count, insertIds: ids };
  }
  async upsert(
    request: WriteRequest | ColumnsRequest,
  ): Promise<{ upsertCount: number; upsertIds: (number | string)[] }> {
    if (!("columns" in request)) return this.call("entities/upsert", request);
    const { count, ids } = await this.#write("upsert", request);
    return { upsertCount: count, upsertIds: ids };
  }
  async delete(request: FilterRequest): Promise<void> {
    await this.call("entities/delete", request);
  }
  /** Hits of all query vectors, one after the other, best first; the score is in `distance`. */
  async search(request: SearchRequest): Promise<Row[]> {
    const direct = directSearch(request);
    if (direct === undefined) return this.call("entities/search", request);
    const { proxy } = this.#database;
    const found = valueOf(await proxy.search(valueOf(direct), "json", this.#deadlineMs()));
    return (JSON.parse(Buffer.from(found.body).toString("utf8")) as Row[][]).flat();
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
      body: Buffer.from(JSON.stringify(request, (_key, value: unknown) => plainValue(value))),
      signal: new AbortController().signal,
    });
    const text = Buffer.concat(answer.body).toString("utf8");
    if (answer.status === 404) throw new ElanusError(404, `there is no call ${path}`);
    const { code, message, data } = JSON.parse(text) as { code: number; message?: string; data?: T };
    if (code !== 0) throw new ElanusError(code, message ?? text);
    return data as T;
  }

  async #write(
    verb: "insert" | "upsert",
    request: ColumnsRequest,
  ): Promise<{ count: number; ids: (number | string)[] }> {
    const { proxy } = this.#database;
    const info = valueOf(await proxy.catalog.describeCollection(valueOf(refOf(request))));
    const write = valueOf(directWrite(request, info.schema));
    const written = await proxy[verb](write, this.#deadlineMs());
    const { ids, count } = written.ok ? written.value : valueOf(dataFailure(written.error));
    return { count, ids: idsOf(ids) };
  }

  #deadlineMs(): number {
    return this.#database.world.clock.nowMs() + TIMEOUT_MS;
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

/** As the REST API's calls. */
const TIMEOUT_MS = 30_000;

/** JSON has neither 64-bit integers nor typed arrays. */
function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as unknown as number[]) : value;
}

function idsOf(message: Uint8Array): (number | string)[] {
  const ids = decode(IDsCodec, message);
  return ids.strId === undefined ? (ids.intId?.data ?? []).map(Number) : [...ids.strId.data];
}

/** The value, or the refusal with the code that a REST call would answer. */
function valueOf<T>(outcome: Outcome<T> | RestOutcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { code, message } = "failure" in outcome ? outcome.failure : failed(outcome.error).failure;
  throw new ElanusError(code, message);
}

function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { error }: { error: DbError } = outcome;
  throw new ElanusError(1, explain(error));
}
