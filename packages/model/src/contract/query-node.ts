/** Serves sealed segments. It knows segments by id; which of them a read sees is the delegator's matter. */
import type { IndexInfo, SealedSegmentMeta } from "../catalog.ts";
import type { SegmentReport } from "../explain.ts";
import type { FieldId, SegmentId } from "../id.ts";
import type { Outcome } from "../outcome.ts";
import type { QueryPlan, SearchPlan } from "../plan.ts";
import type { CollectionSchema } from "../schema.ts";
import type { Timestamp } from "../time.ts";

export interface LoadSegment {
  readonly schema: CollectionSchema;
  readonly meta: SealedSegmentMeta;
  readonly indexes: readonly IndexInfo[];
  /** Carry tombstones newer than the compaction's snapshot over from its sources, if they are loaded here. */
  readonly carryFrom: readonly SegmentId[];
  /**
   * The caller believes it open and up to date: attach only. `notReady` when it is not open, because a segment opened
   * anew lacks the tombstones that are only in the log. With `order`, reads of it are refused before this message.
   */
  readonly refresh?: boolean;
  /**
   * Place of this message among the shard's loads and releases, growing over owners too. A late message of an
   * earlier place is refused (`fenced`): it would reopen or close what a newer one has decided.
   */
  readonly order?: bigint;
}

export interface FoundHits {
  /** Encoded hits (docs/formats/hits.md). */
  readonly hits: Uint8Array;
  /** When the plan asks to explain: an account of each segment. */
  readonly reports?: readonly SegmentReport[];
}

export interface FoundRows {
  /** Encoded retrieved rows (docs/formats/hits.md). */
  readonly rows: Uint8Array;
  readonly reports?: readonly SegmentReport[];
}

export interface CountedRows {
  readonly count: bigint;
  readonly reports?: readonly SegmentReport[];
}

/** What a count looks for. */
export type CountPlan = Pick<QueryPlan, "filter" | "explain">;

export interface QueryNodeContract {
  /** Opens, verifies and maps a segment; again with new indexes or delete files: attaches those. Idempotent. */
  load(request: LoadSegment): Promise<Outcome<void>>;
  /** `order` as in `LoadSegment`; segments for which a newer message came stay open. */
  release(segments: readonly SegmentId[], order?: bigint): Promise<Outcome<void>>;
  /** Rows of these keys with an earlier timestamp die at `at`. Returns how many did, per segment. */
  applyDeletes(segments: readonly SegmentId[], keys: Uint8Array, at: Timestamp): Promise<Outcome<readonly number[]>>;
  /** The segment's tombstones as a delete file, when there are newer ones than the last export. */
  exportDeletes(
    segment: SegmentId,
  ): Promise<Outcome<{ bytes: Uint8Array; deletedCount: number; newest: Timestamp } | undefined>>;
  search(segments: readonly SegmentId[], plan: SearchPlan, snapshot: Timestamp): Promise<Outcome<FoundHits>>;
  query(segments: readonly SegmentId[], plan: QueryPlan, snapshot: Timestamp): Promise<Outcome<FoundRows>>;
  count(segments: readonly SegmentId[], plan: CountPlan, snapshot: Timestamp): Promise<Outcome<CountedRows>>;
  retrieve(segments: readonly SegmentId[], hits: Uint8Array, fields: readonly FieldId[]): Promise<Outcome<Uint8Array>>;
}
