/** Every bound of the database in one place; configuration may lower or raise those of `Limits`. */
export const MiB: number = 1024 * 1024;

export interface Limits {
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
  /** nq, topk and offset + limit. */
  readonly topKMax: number;
  readonly nqMax: number;
  readonly fieldsMax: number;
  readonly vectorFieldsMax: number;
  readonly shardsMax: number;
  readonly partitionsMax: number;
  readonly databasesMax: number;
  readonly collectionsMax: number;
  /** Growing rows in memory, over all shards; above it inserts get a retriable refusal. */
  readonly growingBytesMax: number;
  /** A shard's growing generation is sealed at this size. */
  readonly segmentBytesMax: number;
  /** A growing generation that holds rows is sealed at this age. */
  readonly segmentAgeMsMax: number;
  /** Appends that wait for the log, per streaming node. */
  readonly appendQueueLengthMax: number;
  /** Segments with fewer rows are searched by brute force and never indexed. */
  readonly indexRowsMin: number;
  /** Rows deleted longer ago than this are dropped by compaction; reads may go back this far. */
  readonly retentionMs: number;
  /** A pinned read view that is not released is dropped after this. */
  readonly pinMsMax: number;
  readonly logSegmentBytesMax: number;
}

export const defaultLimits: Limits = {
  requestBytesMax: 256 * MiB,
  responseBytesMax: 256 * MiB,
  topKMax: 16_384,
  nqMax: 16_384,
  fieldsMax: 64,
  vectorFieldsMax: 10,
  shardsMax: 16,
  partitionsMax: 1_024,
  databasesMax: 64,
  collectionsMax: 65_536,
  growingBytesMax: 2_048 * MiB,
  segmentBytesMax: 512 * MiB,
  segmentAgeMsMax: 600_000,
  appendQueueLengthMax: 4_096,
  indexRowsMin: 1_024,
  retentionMs: 600_000,
  pinMsMax: 60_000,
  logSegmentBytesMax: 64 * MiB,
};
