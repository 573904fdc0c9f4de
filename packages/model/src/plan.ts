/** What a read asks of a node, after the proxy has checked it. */
import type { Metric } from "./catalog.ts";
import type { Encoding } from "./contract/proxy.ts";
import type { CollectionId, FieldId, PartitionId, PinId, ShardId } from "./id.ts";
import type { CollectionSchema } from "./schema.ts";
import type { Timestamp } from "./time.ts";

/** Where and when a read looks. */
export interface ReadScope {
  readonly collection: CollectionId;
  readonly shards: readonly ShardId[];
  readonly partitions: "all" | readonly PartitionId[];
  /** The shard must have applied every record up to here before it answers. */
  readonly guarantee: Timestamp;
  /** Read exactly here; absent: at the shards' common applied tick. */
  readonly snapshot?: Timestamp | undefined;
  readonly ignoreGrowing: boolean;
  /** Keep the view for a later `retrieve`, until `release`. */
  readonly pin?: PinId | undefined;
  /** Absolute, by the world's clock. */
  readonly deadlineMs: number;
}

export interface SearchPlan {
  readonly field: FieldId;
  readonly metric: Metric;
  /** Milvus `PlaceholderGroup` message, as the client sent it. */
  readonly placeholders: Uint8Array;
  readonly nq: number;
  /** offset + limit. */
  readonly topK: number;
  /** Encoded filter program (docs/formats/filter-program.md); absent: all rows. */
  readonly filter?: Uint8Array | undefined;
  /** Index search parameters as checked JSON, for instance `{"ef":64}`. */
  readonly params: string;
  /** Outer bound, exclusive. */
  readonly radius?: number | undefined;
  /** Inner bound, inclusive. */
  readonly rangeFilter?: number | undefined;
  /** Search iterator: only hits strictly worse than this score. */
  readonly afterScore?: number | undefined;
  readonly groupBy?: GroupBy | undefined;
  /** Try the filter on what an index finds, instead of on every row before. */
  readonly filterLate?: boolean | undefined;
  /** Compare every row that has no index yet, however many there are. */
  readonly exact?: boolean | undefined;
  /** Rows inserted at or before it are not there any more. */
  readonly expired?: Timestamp | undefined;
  /** Say what was done where. */
  readonly explain?: boolean | undefined;
  /** Whoever holds all that is searched answers in this shape instead of with hits. */
  readonly answer?: AnswerShape | undefined;
  /** With `answer`: nothing else was asked of the proxy, so that a quick search need not leave its thread. */
  readonly alone?: boolean | undefined;
  /** With `answer`: the caller on another thread of this process whom the answer goes to, past those in between. */
  readonly deliverTo?: number | undefined;
}

/** How the hits of a search become its encoded answer. */
export interface AnswerShape {
  readonly schema: CollectionSchema;
  readonly encoding: Encoding;
  readonly metric: Metric;
  /** Hits of each query to skip, and how many to keep after them. */
  readonly offset: number;
  readonly limit: number;
  /** As the answer names it. */
  readonly topK: number;
  /** Columns to fetch and encode, in this order. */
  readonly fields: readonly FieldId[];
  /** The names to echo. */
  readonly outputFields: readonly string[];
  /** Keys of the dynamic field to keep; empty: all. */
  readonly dynamicKeys: readonly string[];
  /** Digits of a score; -1: all. */
  readonly roundDecimal: number;
}

/** Hits come in groups of equal values; `topK` counts groups then. */
export interface GroupBy {
  readonly field: FieldId;
  /** Most hits of one group. */
  readonly size: number;
  /** Go on until every group is full or no more rows are left. */
  readonly strict: boolean;
}

export interface QueryPlan {
  readonly filter?: Uint8Array;
  /** offset + limit; absent: every match, bounded by `responseBytesMax`. */
  readonly limit?: number;
  readonly fields: readonly FieldId[];
  /** Rows inserted at or before it are not there any more. */
  readonly expired?: Timestamp;
  /** Say what was done where. */
  readonly explain?: boolean;
}
