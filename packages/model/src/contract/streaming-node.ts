/** The owner of shards: appends to the log, keeps growing data, answers reads as their delegator. */
import type { IndexInfo, LoadState, ShardManifest } from "../catalog.ts";
import type { NodeReport } from "../explain.ts";
import type { CountPlan } from "./query-node.ts";
import type { CollectionId, FieldId, PartitionId, PinId, SegmentId, ShardId } from "../id.ts";
import type { LogEntry } from "../log-record.ts";
import type { Outcome } from "../outcome.ts";
import type { QueryPlan, ReadScope, SearchPlan } from "../plan.ts";
import type { Timestamp } from "../time.ts";

export interface AppendResult {
  /** Timestamp of all entries; the write is durable and applied when this returns. */
  readonly at: Timestamp;
}

export interface SearchAnswer {
  /** Encoded hits (docs/formats/hits.md), best first, at most topK per query, reduced over the node's shards. */
  readonly hits: Uint8Array;
  /** In place of the hits, when the plan asks for an answer and one set of segments held everything. */
  readonly answer?: Uint8Array | undefined;
  /** In place of both: the answer goes to the caller whom the plan names. */
  readonly delivered?: boolean | undefined;
  /** 0n of an answer that was delivered. */
  readonly snapshot: Timestamp;
  /** When the plan asks to explain. */
  readonly report?: NodeReport;
}

export interface RowsAnswer {
  /** Parts of encoded retrieved rows (docs/formats/hits.md), each ascending by primary key, of disjoint rows. */
  readonly rows: readonly Uint8Array[];
  readonly snapshot: Timestamp;
  /** When the plan asks to explain. */
  readonly report?: NodeReport;
}

export interface CountAnswer {
  readonly count: bigint;
  readonly snapshot: Timestamp;
  /** When the plan asks to explain. */
  readonly report?: NodeReport;
}

export interface StreamingNodeContract {
  /**
   * One durable, atomic record; every shard must be owned here under one channel. Once it has succeeded, the bytes of
   * inserted rows are the caller's again.
   */
  append(entries: readonly LogEntry[], deadlineMs: number): Promise<Outcome<AppendResult>>;
  search(scope: ReadScope, plan: SearchPlan): Promise<Outcome<SearchAnswer>>;
  query(scope: ReadScope, plan: QueryPlan): Promise<Outcome<RowsAnswer>>;
  count(scope: ReadScope, plan: CountPlan): Promise<Outcome<CountAnswer>>;
  /** Output fields of the hits that lie in the pinned view's segments, in parts as `encodeSearchResult` takes them. */
  retrieve(pin: PinId, hits: Uint8Array, fields: readonly FieldId[]): Promise<Outcome<readonly Uint8Array[]>>;
  release(pin: PinId): void;
  /** A moment, at `guarantee` or later, up to which every one of the shards has applied its log. */
  readTimestamp(shards: readonly ShardId[], guarantee: Timestamp, deadlineMs: number): Promise<Outcome<Timestamp>>;

  /** Seals what was written before the call and waits until it is in the manifest. */
  flush(shards: readonly ShardId[]): Promise<Outcome<{ at: Timestamp; segments: readonly SegmentId[] }>>;
  growingRowCount(shards: readonly ShardId[], partition?: PartitionId): Promise<Outcome<number>>;

  // From the coordinator
  /**
   * The load state or the indexes have changed: whether the delegator keeps sealed segments of the partitions open
   * on query nodes. A hint: the node asks the coordinator, so that late messages do no harm.
   */
  setLoad(
    collection: CollectionId,
    shards: readonly ShardId[],
    load: LoadState,
    indexes: readonly IndexInfo[],
  ): Promise<Outcome<void>>;
  /** A compaction or an index build changed the manifest: switch the view to it atomically. */
  manifestChanged(manifest: ShardManifest): Promise<Outcome<void>>;
  /** Share of the wanted sealed rows that are open, 0..100, and whether all wanted indexes are attached. */
  loadedPercent(shards: readonly ShardId[]): Promise<Outcome<number>>;
}
