/**
 * What the wire calls: Milvus's data verbs after decoding. Catalog verbs go through `catalog`, which is the
 * coordinator's contract behind the proxy's cache. Payloads stay the bytes that came in and go out.
 */
import type { CollectionInfo, Metric } from "../catalog.ts";
import type { QueryReport, SearchReport } from "../explain.ts";
import type { Outcome } from "../outcome.ts";
import type { ConsistencyLevel, Timestamp } from "../time.ts";
import type { CollectionRef, CoordinatorContract } from "./coordinator.ts";

/** Field data of a write: Milvus `FieldData` messages, or JSON rows (REST and embedded). */
export type RowsInput =
  | { readonly kind: "fieldData"; readonly fields: readonly Uint8Array[]; readonly rowCount: number }
  | { readonly kind: "json"; readonly rows: Uint8Array };

export interface Insert extends CollectionRef {
  readonly partition: string;
  readonly rows: RowsInput;
  /** 0n: unchecked. */
  readonly schemaTimestamp: Timestamp;
}

export interface MutationAnswer {
  /** Milvus `IDs` message, in request order; empty for deletes. */
  readonly ids: Uint8Array;
  readonly count: number;
  readonly at: Timestamp;
}

export type TemplateValue =
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "array"; readonly value: readonly TemplateValue[] };

export interface FilterInput {
  readonly text: string;
  readonly templates: ReadonlyMap<string, TemplateValue>;
}

export interface Consistency {
  /** undefined: the collection's own. */
  readonly level: ConsistencyLevel | undefined;
  readonly guarantee: Timestamp;
}

export interface Delete extends CollectionRef {
  readonly partition: string;
  readonly filter: FilterInput;
  readonly consistency: Consistency;
}

/** Flat key/value parameters as the client sent them (contract/grpc.md 6.2); the proxy checks them. */
export type SearchParams = ReadonlyMap<string, string>;

export interface Search extends CollectionRef {
  readonly partitions: readonly string[];
  readonly filter: FilterInput;
  /** Milvus `PlaceholderGroup` message, JSON vectors (REST and embedded), or the vectors themselves (embedded). */
  readonly placeholders:
    | { readonly kind: "message"; readonly bytes: Uint8Array }
    | { readonly kind: "json"; readonly vectors: Uint8Array }
    | { readonly kind: "floats"; readonly vectors: readonly Float32Array[] };
  /** 0: take it from the placeholders. */
  readonly nq: number;
  readonly outputFields: readonly string[];
  readonly params: SearchParams;
  readonly consistency: Consistency;
}

export interface HybridSearch extends CollectionRef {
  readonly requests: readonly Search[];
  readonly partitions: readonly string[];
  readonly rankParams: SearchParams;
  readonly outputFields: readonly string[];
  readonly consistency: Consistency;
}

export interface SearchResult {
  /** Milvus `SearchResultData` message (`encoding` "message") or JSON: an array with one array of rows per query. */
  readonly body: Uint8Array;
  readonly collection: CollectionInfo;
  readonly metric: Metric;
  /** When the request asks to explain. */
  readonly report?: SearchReport;
  /** Set on the first page of an iterator, else 0n. */
  readonly sessionTimestamp: Timestamp;
}

export interface Query extends CollectionRef {
  readonly partitions: readonly string[];
  readonly filter: FilterInput;
  readonly outputFields: readonly string[];
  readonly params: SearchParams;
  readonly consistency: Consistency;
}

export interface QueryResult {
  /** Milvus `FieldData` messages, one per column ("message"), or one JSON text of rows ("json"). */
  readonly columns: readonly Uint8Array[];
  readonly outputFields: readonly string[];
  readonly primaryField: string;
  readonly collection: CollectionInfo;
  /** When the request asks to explain. */
  readonly report?: QueryReport;
  readonly sessionTimestamp: Timestamp;
}

/** How results are encoded; "jsonText" is JSON with 64-bit integers as decimal text. */
export type Encoding = "message" | "json" | "jsonText";

export interface ProxyContract {
  readonly catalog: CoordinatorContract;
  insert(request: Insert, deadlineMs: number): Promise<Outcome<MutationAnswer>>;
  upsert(request: Insert, deadlineMs: number): Promise<Outcome<MutationAnswer>>;
  delete(request: Delete, deadlineMs: number): Promise<Outcome<MutationAnswer>>;
  search(request: Search, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>>;
  hybridSearch(request: HybridSearch, encoding: Encoding, deadlineMs: number): Promise<Outcome<SearchResult>>;
  query(request: Query, encoding: Encoding, deadlineMs: number): Promise<Outcome<QueryResult>>;
  flush(
    database: string,
    collections: readonly string[],
  ): Promise<Outcome<ReadonlyMap<string, { at: Timestamp; flushed: readonly bigint[]; flushing: readonly bigint[] }>>>;
  rowCount(ref: CollectionRef, partition?: string): Promise<Outcome<number>>;
}
