/** What the simulated clients ask of the proxy: plain verbs over JSON rows, as the REST door would ask them. */
import type { CollectionInfo } from "@elanus/model/catalog";
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import type { Consistency, FilterInput, MutationAnswer } from "@elanus/model/contract/proxy";
import type { FieldId } from "@elanus/model/id";
import { type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, DataType, type FieldSchema } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import type { Cluster } from "./cluster.ts";
import type { SeenRow } from "./history.ts";
import { DIM, type SimRow, seenRow } from "./rows.ts";

const DEADLINE_MS = 3_500;
const FIELDS = ["id", "version", "tag", "bucket", "vec"];
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const parsed = (bytes: Uint8Array | undefined): unknown => JSON.parse(new TextDecoder().decode(bytes));

export const strong: Consistency = { level: "strong", guarantee: 0n as Timestamp };

export interface Answer {
  readonly rows: readonly SeenRow[];
  readonly sessionTimestamp: Timestamp;
}

export class DatabaseClient {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  createCollection(name: string, shards: number): Promise<Outcome<CollectionInfo>> {
    const request = { ...ref(name), schema: schemaOf(name), shards, consistency: "bounded" as const, properties: {} };
    return this.#cluster.ask("createCollection", (proxy) => proxy.catalog.createCollection(request));
  }

  createIndex(name: string, type: string): Promise<Outcome<void>> {
    const params: Readonly<Record<string, string>> = type === "HNSW" ? { M: "8", efConstruction: "64" } : {};
    const request = {
      ...ref(name),
      field: "vec",
      index: "by_vec",
      type,
      metric: "L2" as const,
      params,
      userParams: [],
    };
    return this.#cluster.ask("createIndex", (proxy) => proxy.catalog.createIndex(request));
  }

  load(name: string): Promise<Outcome<void>> {
    return this.#cluster.ask("load", (proxy) => proxy.catalog.load(ref(name), "all"));
  }

  release(name: string): Promise<Outcome<void>> {
    return this.#cluster.ask("release", (proxy) => proxy.catalog.release(ref(name), "all"));
  }

  async isLoaded(name: string): Promise<Outcome<boolean>> {
    const progress = await this.#cluster.ask("loadProgress", (proxy) => proxy.catalog.loadProgress(ref(name), []));
    return progress.ok ? succeed(progress.value.state === "loaded") : progress;
  }

  drop(name: string): Promise<Outcome<void>> {
    return this.#cluster.ask("dropCollection", (proxy) => proxy.catalog.dropCollection(ref(name)));
  }

  flush(name: string): Promise<Outcome<unknown>> {
    return this.#cluster.ask("flush", (proxy) => proxy.flush("default", [name]));
  }

  compact(name: string): Promise<Outcome<{ compaction: bigint; plans: number }>> {
    return this.#cluster.ask("compact", (proxy) => proxy.catalog.compact(ref(name)));
  }

  async isCompacted(compaction: bigint): Promise<Outcome<boolean>> {
    const state = await this.#cluster.ask("compactionState", (proxy) => proxy.catalog.compactionState(compaction));
    return state.ok ? succeed(state.value.done) : state;
  }

  /** Keys of all files of the collection's sealed segments. */
  async files(name: string): Promise<Outcome<readonly string[]>> {
    const segments = await this.#cluster.ask("listSegments", (proxy) => proxy.catalog.listSegments(ref(name)));
    if (!segments.ok) return segments;
    const keys: string[] = [];
    for (const { files, indexes } of segments.value) {
      keys.push(...files.map((file) => file.key));
      for (const { state } of indexes) if (state.kind === "finished") keys.push(state.file.key);
    }
    return succeed([...new Set(keys)]);
  }

  write(name: string, rows: readonly SimRow[], verb: "insert" | "upsert"): Promise<Outcome<MutationAnswer>> {
    const request = {
      ...ref(name),
      partition: "",
      rows: { kind: "json" as const, rows: text(rows) },
      schemaTimestamp: 0n as Timestamp,
    };
    return this.#cluster.ask(verb, (proxy, nowMs) => proxy[verb](request, nowMs + DEADLINE_MS));
  }

  delete(name: string, keys: readonly string[]): Promise<Outcome<MutationAnswer>> {
    const request = { ...ref(name), partition: "", filter: filterOf(keysFilter(keys)), consistency: strong };
    return this.#cluster.ask("delete", (proxy, nowMs) => proxy.delete(request, nowMs + DEADLINE_MS));
  }

  /** Rows that match; `page` makes it a page of an iterator. */
  async query(
    name: string,
    filter: string,
    consistency: Consistency,
    page?: { readonly limit: number },
  ): Promise<Outcome<Answer>> {
    const params = new Map([["limit", String(page?.limit ?? 1_000)]]);
    if (page !== undefined) params.set("iterator", "True").set("reduce_stop_for_best", "True");
    const request = {
      ...ref(name),
      partitions: [],
      filter: filterOf(filter),
      outputFields: FIELDS,
      params,
      consistency,
    };
    const found = await this.#cluster.ask("query", (proxy, nowMs) => proxy.query(request, "json", nowMs + DEADLINE_MS));
    if (!found.ok) return found;
    const rows = (parsed(found.value.columns[0]) as unknown[]).map(seenRow);
    return succeed({ rows, sessionTimestamp: found.value.sessionTimestamp });
  }

  async count(name: string, consistency: Consistency): Promise<Outcome<number>> {
    const request = {
      ...ref(name),
      partitions: [],
      filter: filterOf(""),
      outputFields: ["count(*)"],
      params: new Map<string, string>(),
      consistency,
    };
    const found = await this.#cluster.ask("count", (proxy, nowMs) => proxy.query(request, "json", nowMs + DEADLINE_MS));
    if (!found.ok) return found;
    const [row] = parsed(found.value.columns[0]) as Record<string, number>[];
    return succeed(row?.["count(*)"] ?? Number.NaN);
  }

  async search(
    name: string,
    vector: readonly number[],
    limit: number,
    consistency: Consistency,
    filter = "",
  ): Promise<Outcome<readonly SeenRow[]>> {
    const request = {
      ...ref(name),
      partitions: [],
      filter: filterOf(filter),
      placeholders: { kind: "json" as const, vectors: text([vector]) },
      nq: 1,
      outputFields: FIELDS,
      params: new Map([
        ["topk", String(limit)],
        ["anns_field", "vec"],
        ["params", '{"ef":256}'],
      ]),
      consistency,
    };
    const found = await this.#cluster.ask("search", (proxy, nowMs) =>
      proxy.search(request, "json", nowMs + DEADLINE_MS),
    );
    if (!found.ok) return found;
    const [hits] = parsed(found.value.body) as unknown[][];
    return succeed((hits ?? []).map(seenRow));
  }
}

export function keysFilter(keys: readonly string[]): string {
  return `id in [${keys.join(", ")}]`;
}

function ref(name: string): CollectionRef {
  return { database: "default", name };
}

function filterOf(filter: string): { readonly text: string; readonly templates: FilterInput["templates"] } {
  return { text: filter, templates: new Map() };
}

function schemaOf(name: string): CollectionSchema {
  const plain = {
    description: "",
    primaryKey: false,
    autoId: false,
    partitionKey: false,
    clusteringKey: false,
    nullable: false,
    dynamic: false,
    typeParams: {},
  };
  const field = (index: number, own: Pick<FieldSchema, "name" | "type"> & Partial<FieldSchema>): FieldSchema => ({
    ...plain,
    id: (100 + index) as FieldId,
    ...own,
  });
  return {
    name,
    description: "",
    dynamicFieldEnabled: false,
    version: 0,
    fields: [
      field(0, { name: "id", type: DataType.int64, primaryKey: true }),
      field(1, { name: "version", type: DataType.int64 }),
      field(2, { name: "tag", type: DataType.varChar, lengthMax: 64, typeParams: { max_length: "64" } }),
      field(3, { name: "bucket", type: DataType.int64 }),
      field(4, { name: "vec", type: DataType.floatVector, dim: DIM, typeParams: { dim: String(DIM) } }),
    ],
  };
}
