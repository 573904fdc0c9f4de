/** Background jobs over sealed segments. Results are files; the coordinator commits them. */
import type { IndexInfo, SealedSegmentMeta, SegmentFile } from "../catalog.ts";
import type { BuildId, SegmentId } from "../id.ts";
import type { Outcome } from "../outcome.ts";
import type { CollectionSchema } from "../schema.ts";
import type { Timestamp } from "../time.ts";

export interface BuildIndexJob {
  readonly build: BuildId;
  readonly schema: CollectionSchema;
  readonly segment: SealedSegmentMeta;
  readonly index: IndexInfo;
}

export interface CompactJob {
  readonly target: SegmentId;
  readonly schema: CollectionSchema;
  readonly sources: readonly SealedSegmentMeta[];
  /** Rows that died at or before this are dropped; younger tombstones are kept. */
  readonly dropBefore: Timestamp;
  /** Rows inserted at or before this are dropped; 0n: none. */
  readonly expired: Timestamp;
}

export interface DataNodeContract {
  buildIndex(job: BuildIndexJob): Promise<Outcome<SegmentFile>>;
  /** Fraction 0..1 of a running build; undefined when it is not running here. */
  buildProgress(build: BuildId): number | undefined;
  cancelBuild(build: BuildId): void;
  compact(job: CompactJob): Promise<Outcome<SealedSegmentMeta | undefined>>;
}
