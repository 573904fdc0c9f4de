/**
 * The native gate: what `native/addon` exports, written down once. Byte arguments are copied or borrowed
 * only for the call; byte results own their memory.
 *
 * Failures are thrown as `Error` with `code` = a `DbError` kind (`invalidParameter`, `fileCorrupt`,
 * `memoryLimit`, `internal`, …) and `message` = the text for the user, without Milvus's suffix. What the kind
 * holds besides (`expected`, `actual`, `file`) stands as JSON in `cause.message`. A panic inside native code
 * becomes `internal` for that call alone.
 *
 * `Native<T>` is a value when the pool has no threads (simulation) and a promise otherwise: always `await`.
 */
import type { OpenNativeEntrance, OpenNativeListener } from "@elanus/platform/ports/native-listener";

export type Native<T> = T | Promise<T>;

export interface Addon {
  Pool: new (threads: number) => NativePool;
  Schema: new (json: string) => NativeSchema;
  Rows: {
    /**
     * Checks and columnises Milvus `FieldData` messages (contract/grpc.md 5.1-5.5, 8.1): names, types, lengths,
     * ranges, nulls and defaults. `firstAutoId` fills an auto-id key that was not sent.
     */
    fromFieldData(
      schema: NativeSchema,
      fields: readonly Uint8Array[],
      rowCount: number,
      options: WriteOptions,
    ): NativeRows;
    /** The same from a JSON array of objects (or one object), by the rules of contract/rest.md 11. */
    fromJson(schema: NativeSchema, json: Uint8Array, options: WriteOptions): NativeRows;
    decode(schema: NativeSchema, bytes: Uint8Array): NativeRows;
  };
  Segment: {
    /** An empty growing segment. */
    growing(schema: NativeSchema, id: bigint): NativeSegment;
    /** Opens and verifies a sealed segment; heavy, so on the pool. */
    open(pool: NativePool, schema: NativeSchema, id: bigint, files: readonly NativeFile[]): Native<NativeSegment>;
    /**
     * A memory segment with the live rows of the sources sorted by key, ready for `encodeGroup`. Rows that died
     * at or before `dropBefore` and rows inserted at or before `expired` are gone, younger tombstones are kept.
     */
    merge(
      pool: NativePool,
      schema: NativeSchema,
      id: bigint,
      sources: readonly NativeSegment[],
      dropBefore: bigint,
      expired: bigint,
    ): Native<NativeSegment>;
  };
  search(pool: NativePool, request: NativeSearch): Native<Uint8Array>;
  /** The same, with an account of each segment: JSON of `SegmentReport[]` (model/explain). */
  explainSearch(pool: NativePool, request: NativeSearch): Native<{ hits: Uint8Array; report: string }>;
  AnswerShape: new (
    schema: NativeSchema,
    /** Hits of each query to skip, and how many to keep after them. */
    offset: number,
    limit: number,
    /** A text as `encodeSearchJson` gives it; otherwise a message as of `encodeSearchResult`. */
    json: boolean,
    options: EncodeOptions,
  ) => NativeAnswerShape;
  /**
   * Search, page, the page's fields and the encoded answer at once, where `segments` are all that is searched. `alone`:
   * nothing else waits, so that a search like others that were quick may run on the calling thread.
   */
  answerSearch(pool: NativePool, request: NativeSearch, shape: NativeAnswerShape, alone: boolean): Native<Uint8Array>;
  /** The same on a thread of the pool; the answer settles a promise of another thread's `Callers`. */
  deliverSearch(pool: NativePool, request: NativeSearch, shape: NativeAnswerShape, caller: number): void;
  Callers: new () => NativeCallers;
  /**
   * A search that will be asked with many vectors: what it asks besides is read once, where `search` reads it for each
   * call. It sees `snapshot` of the segments, and keeps their memory until it is closed or collected.
   */
  PreparedSearch: new (
    request: NativeSearchTerms,
  ) => NativePreparedSearch;
  query(pool: NativePool, request: NativeQuery): Native<Uint8Array>;
  /** The same, with an account of each segment. */
  explainQuery(pool: NativePool, request: NativeQuery): Native<{ rows: Uint8Array; report: string }>;
  count(pool: NativePool, request: NativeCount): Native<bigint>;
  explainCount(pool: NativePool, request: NativeCount): Native<{ count: bigint; report: string }>;
  /** Fields of those hits that lie in `segments` (docs/formats/hits.md). */
  retrieve(
    pool: NativePool,
    segments: readonly NativeSegment[],
    hits: Uint8Array,
    fields: readonly number[],
  ): Native<Uint8Array>;
  /** Builds an index file for one field of a sealed segment. */
  buildIndex(
    pool: NativePool,
    segment: NativeSegment,
    build: NativeBuild,
    progress: NativeProgress,
  ): Native<Uint8Array>;
  /** As `buildIndex`, but writes the file at `path`, which must not exist, and makes it durable. */
  buildIndexFile(
    pool: NativePool,
    segment: NativeSegment,
    build: NativeBuild,
    progress: NativeProgress,
    path: string,
  ): Native<NativeWritten>;
  Progress: new () => NativeProgress;
  Listener: OpenNativeListener;
  Entrance: OpenNativeEntrance;

  /** Merges hits of disjoint rows: best `topK` per query. */
  reduceHits(parts: readonly Uint8Array[], topK: number, metric: string): Uint8Array;
  /** Fuses hits of several searches over the same collection (hybrid search). */
  rankHits(parts: readonly Uint8Array[], rank: NativeRank): Uint8Array;
  /** Drops the first `offset` hits of each query and keeps at most `limit`. */
  sliceHits(hits: Uint8Array, offset: number, limit: number): Uint8Array;
  /** Of each query the groups that `grouping` names; the members of a group side by side, best first. */
  groupHits(hits: Uint8Array, grouping: NativeGrouping, metric: string): Uint8Array;
  hitCount(hits: Uint8Array): number;
  /** Score of the last hit of the first query; undefined when there is none. */
  lastScore(hits: Uint8Array): number | undefined;
  /** Milvus `SearchResultData` message. `rows` are the parts that `retrieve` gave. */
  encodeSearchResult(
    schema: NativeSchema,
    hits: Uint8Array,
    rows: readonly Uint8Array[],
    options: EncodeOptions,
  ): Uint8Array;
  encodeSearchJson(
    schema: NativeSchema,
    hits: Uint8Array,
    rows: readonly Uint8Array[],
    options: EncodeOptions,
  ): Uint8Array;
  /** Merges query answers by key, cuts offset and limit, and gives one Milvus `FieldData` message per field. */
  encodeQueryResult(schema: NativeSchema, rows: readonly Uint8Array[], options: QueryEncodeOptions): Uint8Array[];
  encodeQueryJson(schema: NativeSchema, rows: readonly Uint8Array[], options: QueryEncodeOptions): Uint8Array;
  /** One Int64 `FieldData` message of one row (`count(*)`). */
  encodeCount(name: string, count: bigint): Uint8Array;
  /** Encoded keys of query answers that hold the primary key; and how many. */
  keysOfRows(schema: NativeSchema, rows: readonly Uint8Array[]): { keys: Uint8Array; count: number };
  /** Encoded keys of encoded rows. */
  keysOfBatch(schema: NativeSchema, rows: Uint8Array): Uint8Array;
  /** Frees bytes that a call gave before the garbage collector would; what still looks at them sees nothing. */
  release(bytes: ArrayBufferLike): void;
  /** Encoded keys from literals: all bigint or all string. */
  encodeKeys(values: readonly (bigint | string)[]): Uint8Array;
  /** Encoded keys split by shard (index = shard ordinal); undefined where a shard has none. */
  routeKeys(keys: Uint8Array, shardCount: number): (Uint8Array | undefined)[];
  /** How many vectors a Milvus `PlaceholderGroup` holds, once it is checked against the field. */
  checkPlaceholders(schema: NativeSchema, field: number, message: Uint8Array): number;
  /** JSON vectors (array of arrays, sparse as objects) to a `PlaceholderGroup` message for the field. */
  placeholdersFromJson(schema: NativeSchema, field: number, json: Uint8Array): Uint8Array;
  /** Partition ordinals (0..count) that the partition-key values hash to. */
  partitionsOfKeys(values: readonly (bigint | string)[], partitionCount: number): number[];

  crc32c(bytes: Uint8Array): number;
  /** Takes an exclusive lock on a file until the handle is closed or the process dies; `ioFailed` when held. */
  lockFile(path: string): { close(): void };
  /** Bytes held by native memory, by kind: growing, sealed, index. Mapped bytes are not counted. */
  memoryUse(): { growing: number; sealed: number; index: number };
  /** For instance `avx512vnni`, `avx2`, `neon`, `scalar`. */
  isa(): string;
  /** Panics in native code on purpose: tests prove with it that a panic is one call's failure. */
  rehearsePanic(pool: NativePool): Native<void>;
}

/**
 * Threads for native work. Merges, index builds and group encodings have half as many threads of their own, so
 * that no reader waits for them.
 */
export interface NativePool {
  readonly threads: number;
  close(): void;
}
export interface NativeSchema {
  readonly fieldCount: number;
}

export interface WriteOptions {
  /** First id of a range of `rowCount` when the key is automatic and was not sent. */
  readonly firstAutoId?: bigint;
  /** Upsert: the key must be sent, and must not repeat. */
  readonly upsert: boolean;
  /** Keep keys the client sent although the key is automatic. */
  readonly allowInsertAutoId: boolean;
}

export interface NativeRows {
  readonly rowCount: number;
  readonly byteSize: number;
  encode(): Uint8Array;
  /** Milvus `IDs` message, in row order. */
  ids(): Uint8Array;
  /** Encoded keys (docs/formats/row-batch.md). */
  keys(): Uint8Array;
  /**
   * Upsert into a collection with automatic keys, with `firstAutoId`: the keys that the client sent, encoded.
   * `ids` and `keys` are the new ones.
   */
  replacedKeys(): Uint8Array | undefined;
  /**
   * Rows by shard (hash of the key) and partition (hash of the partition key; ordinal 0 without one), encoded.
   * A key that stands twice keeps its last row only.
   */
  route(shardCount: number, partitionCount: number): { shard: number; partition: number; rows: Uint8Array }[];
  /** Frees the rows at once; without it the garbage collector does. Later calls fail with `internal`. */
  close(): void;
}

export interface NativeFile {
  readonly role: string;
  readonly crc32c: number;
  readonly bytes: number;
  /** One of the two: a file to map, or its content. */
  readonly path?: string;
  readonly content?: Uint8Array;
  /** For `index:<id>`: what it was built for. */
  readonly field?: number;
}

export interface NativeSegment {
  readonly id: bigint;
  readonly rowCount: number;
  readonly byteSize: number;
  readonly deletedCount: number;
  readonly timestampMin: bigint;
  readonly timestampMax: bigint;
  /** Growing only. Rows replace older rows of the same keys in this segment. */
  append(rows: Uint8Array, at: bigint): void;
  /** Rows of these keys with a timestamp < `at` die at `at`; returns how many did. Idempotent. */
  delete(keys: Uint8Array, at: bigint): number;
  /** Names of the column groups to write when sealing, in order: `scalars`, `vector:<field>`, …, `statistics`. */
  groups(): string[];
  encodeGroup(pool: NativePool, group: string): Native<Uint8Array>;
  /** All tombstones as a delete file; `newest` 0n when there are none. */
  exportDeletes(): { bytes: Uint8Array; deletedCount: number; newest: bigint };
  /** Applies another delete file (same segment). */
  importDeletes(bytes: Uint8Array): void;
  /** Tombstones with a timestamp > `after` of `source`, for rows that also live here (compaction). */
  carryDeletes(source: NativeSegment, after: bigint): number;
  /** Attaches an index file; the old one of the same field is dropped when no search uses it. */
  attachIndex(pool: NativePool, indexId: bigint, file: NativeFile): Native<void>;
  detachIndex(indexId: bigint): void;
  /** Ids of attached indexes. */
  indexes(): bigint[];
  /** Frees the memory once no running call uses it. Later calls fail with `internal`. */
  close(): void;
}

export interface NativePreparedSearch {
  /**
   * Asks with the vectors of a Milvus `PlaceholderGroup`, on the calling thread, and writes the hits
   * (docs/formats/hits.md) to the start of `out`. Gives the bytes that they take; when `out` has fewer, nothing was
   * written. Nothing is allocated for the caller, so one `out` can serve all calls.
   */
  search(placeholders: Uint8Array, out: Uint8Array): number;
  /** Lets go of the segments. Later calls fail with `internal`. */
  close(): void;
}

export interface NativeSearch extends NativeSearchTerms {
  /** Milvus `PlaceholderGroup` message: the query vectors. */
  readonly placeholders: Uint8Array;
}

/** What a search asks besides its vectors. */
export interface NativeSearchTerms {
  readonly segments: readonly NativeSegment[];
  readonly field: number;
  readonly metric: string;
  readonly topK: number;
  readonly snapshot: bigint;
  readonly filter?: Uint8Array | undefined;
  readonly params: string;
  readonly radius?: number | undefined;
  readonly rangeFilter?: number | undefined;
  readonly afterScore?: number | undefined;
  readonly groupBy?: { readonly field: number; readonly size: number; readonly strict: boolean } | undefined;
  readonly filterLate?: boolean | undefined;
  /** Compare every row of growing segments, however many there are. */
  readonly exact?: boolean | undefined;
  /** Rows inserted at or before it are not seen. */
  readonly expired?: bigint | undefined;
}

/** Promises of this thread that `deliverSearch` settles from another one. */
export interface NativeCallers {
  /** The caller gives numbers from here on, each once. */
  readonly first: number;
  promise(id: number): Promise<Uint8Array | undefined>;
  /** The answer comes another way: the promise resolves to undefined, unless a search has it. */
  forget(id: number): void;
}

/** How hits become an answer, compiled once. */
export interface NativeAnswerShape {
  readonly limit: number;
}

export interface NativeQuery {
  readonly segments: readonly NativeSegment[];
  readonly snapshot: bigint;
  readonly expired?: bigint;
  readonly filter?: Uint8Array;
  readonly limit?: number;
  readonly fields: readonly number[];
  /** Refuse (`parameterTooLarge`) above this many bytes. */
  readonly bytesMax: number;
}

export interface NativeCount {
  readonly segments: readonly NativeSegment[];
  readonly snapshot: bigint;
  readonly expired?: bigint;
  readonly filter?: Uint8Array;
}

export interface NativeBuild {
  readonly field: number;
  readonly type: string;
  readonly metric?: string;
  /** Checked build parameters as JSON. */
  readonly params: string;
  readonly threads: number;
}

/** A file that native code has written. */
export interface NativeWritten {
  readonly bytes: number;
  readonly crc32c: number;
}

export interface NativeProgress {
  /** 0..1. */
  readonly fraction: number;
  cancel(): void;
}

export interface NativeRank {
  readonly kind: "rrf" | "weighted";
  readonly k?: number;
  readonly weights?: readonly number[];
  readonly normalise?: boolean;
  readonly metrics: readonly string[];
  readonly topK: number;
  /** Groups the fused hits; `topK` does not apply then. */
  readonly grouping?: NativeGrouping;
}

export interface NativeGrouping {
  /** Groups to skip, and groups to keep after them. */
  readonly offset: number;
  readonly limit: number;
  /** Members to keep of each. */
  readonly size: number;
  /** How a group's score comes from its members'. */
  readonly scorer: "max" | "sum" | "avg";
}

export interface EncodeOptions {
  /** Field ids to output, in the order of the columns. */
  readonly fields: readonly number[];
  /** The client's names, echoed; dynamic keys are among them. */
  readonly outputFields: readonly string[];
  /** Keys to pick from `$meta`; empty with `$meta` in `fields`: the whole object. */
  readonly dynamicKeys: readonly string[];
  readonly metric: string;
  /** -1: none. */
  readonly roundDecimal: number;
  /** `SearchResultData.top_k`. */
  readonly topK: number;
  /** JSON: name of the score key and whether int64 are text. */
  readonly int64AsText: boolean;
  readonly iterator?: { readonly token: string; readonly lastBound: number } | undefined;
  /** The field whose values grouped the hits. */
  readonly groupField?: number | undefined;
}

export interface QueryEncodeOptions {
  readonly fields: readonly number[];
  readonly dynamicKeys: readonly string[];
  readonly offset: number;
  readonly limit?: number;
  readonly int64AsText: boolean;
}
