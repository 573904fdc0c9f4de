/** What a read asks of a node, after the proxy has checked it. */
import type { Metric } from "./catalog.ts";
import type { CollectionId, FieldId, PartitionId, PinId, ShardId } from "./id.ts";
import type { Timestamp } from "./time.ts";

/** Where and when a read looks. */
export interface ReadScope {
  readonly collection: CollectionId;
  readonly shards: readonly ShardId[];
  readonly partitions: "all" | readonly PartitionId[];
  /** The shard must have applied every record up to here before it answers. */
  readonly guarantee: Timestamp;
  /** Read exactly here; absent: at the shards' common applied tick. */
  readonly snapshot?: Timestamp;
  readonly ignoreGrowing: boolean;
  /** Keep the view for a later `retrieve`, until `release`. */
  readonly pin?: PinId;
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
  readonly filter?: Uint8Array;
  /** Index search parameters as checked JSON, for instance `{"ef":64}`. */
  readonly params: string;
  /** Outer bound, exclusive. */
  readonly radius?: number;
  /** Inner bound, inclusive. */
  readonly rangeFilter?: number;
  /** Search iterator: only hits strictly worse than this score. */
  readonly afterScore?: number;
  readonly groupBy?: GroupBy;
  /** Try the filter on what an index finds, instead of on every row before. */
  readonly filterLate?: boolean;
  /** Say what was done where. */
  readonly explain?: boolean;
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
}
