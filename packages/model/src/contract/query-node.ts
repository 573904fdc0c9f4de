/** Serves sealed segments. It knows segments by id; which of them a read sees is the delegator's matter. */
import type { IndexInfo, SealedSegmentMeta } from "../catalog.ts";
import type { SegmentReport } from "../explain.ts";
import type { FieldId, SegmentId, Term } from "../id.ts";
import type { Outcome } from "../outcome.ts";
import type { QueryPlan, SearchPlan } from "../plan.ts";
import type { CollectionSchema } from "../schema.ts";
import type { Timestamp } from "../time.ts";

/**
 * Segments of one shard, as the owner of that term has opened them. Another owner's opening lacks tombstones of this
 * one: an owner that was thought dead may be the first to open a segment on a node that was started anew.
 */
export interface OwnedSegments {
  readonly ids: readonly SegmentId[];
  readonly term: Term;
}

export interface LoadSegment {
  readonly schema: CollectionSchema;
  readonly meta: SealedSegmentMeta;
  readonly indexes: readonly IndexInfo[];
  /** Carry tombstones newer than the compaction's snapshot over from its sources, if they are loaded here. */
  readonly carryFrom: readonly SegmentId[];
  /**
   * The caller has opened it and brought it up to date: attach only, and let it be read from here on. `notReady` when
   * it is not open or was opened by another owner, because it then lacks tombstones that are only in the log.
   */
  readonly refresh: boolean;
  /** Of the owner; a load without `refresh` makes the segment this owner's. */
  readonly term: Term;
  /**
   * Place of this message among the shard's loads and releases, growing over owners too. A late message of an
   * earlier place is refused (`fenced`): it would reopen or close what a newer one has decided.
   */
  readonly order: bigint;
}

export interface FoundHits {
  /** Encoded hits (docs/formats/hits.md). */
  readonly hits: Uint8Array;
  /** In place of the hits, when the plan asks for an answer: the encoded one. */
  readonly answer?: Uint8Array;
  /** In place of both: the answer goes to the caller whom the plan names. */
  readonly delivered?: boolean;
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

/** A segment in memory that node and asker share: a handle, which no message between processes could carry. */
export interface SegmentHandle {
  readonly id: bigint;
}

/** What a count looks for. */
export type CountPlan = Pick<QueryPlan, "filter" | "expired" | "explain">;

/** Where a term is asked for, `notReady` says that a segment is not open, not caught up or another owner's. */
export interface QueryNodeContract {
  /** Opens, verifies and maps a segment; again with new indexes or delete files: attaches those. Idempotent. */
  load(request: LoadSegment): Promise<Outcome<void>>;
  /** `order` as in `LoadSegment`; segments for which a newer message came stay open. */
  release(segments: readonly SegmentId[], order: bigint): Promise<Outcome<void>>;
  /** Rows of these keys with an earlier timestamp die at `at`. Returns how many did, per segment. */
  applyDeletes(segments: OwnedSegments, keys: Uint8Array, at: Timestamp): Promise<Outcome<readonly number[]>>;
  /** The segment's tombstones as a delete file, when there are newer ones than the last export. */
  exportDeletes(
    segment: SegmentId,
    term: Term,
  ): Promise<Outcome<{ bytes: Uint8Array; deletedCount: number; newest: Timestamp } | undefined>>;
  /** `growing`: the asker's own segments, searched together with the node's, where both are one process. */
  search(
    segments: readonly OwnedSegments[],
    plan: SearchPlan,
    snapshot: Timestamp,
    growing?: readonly SegmentHandle[],
  ): Promise<Outcome<FoundHits>>;
  query(segments: readonly OwnedSegments[], plan: QueryPlan, snapshot: Timestamp): Promise<Outcome<FoundRows>>;
  count(segments: readonly OwnedSegments[], plan: CountPlan, snapshot: Timestamp): Promise<Outcome<CountedRows>>;
  /** Rows never change, so any opening will do. */
  retrieve(segments: readonly SegmentId[], hits: Uint8Array, fields: readonly FieldId[]): Promise<Outcome<Uint8Array>>;
}
