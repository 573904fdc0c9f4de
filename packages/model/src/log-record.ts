/**
 * Records of the write-ahead log. A record is one frame of a channel: it is durable and applied as a
 * whole, so the entries of one request over several shards of the channel are atomic.
 *
 * Frame: magic u8 = 0xE1, version u8 = 1, kind u8, reserved u8, timestamp u64, term u32, entry count u32,
 * then the entries; all little-endian. Length and checksum belong to the log driver.
 */
import type { CollectionId, PartitionId, ShardId, Term } from "./id.ts";
import type { Timestamp } from "./time.ts";

export type LogEntry =
  /** Rows (encoded batch, docs/formats/row-batch.md). They replace older rows of the same keys. */
  | { readonly kind: "insert"; readonly shard: ShardId; readonly partition: PartitionId; readonly rows: Uint8Array }
  /** Keys (encoded, docs/formats/row-batch.md); rows with an earlier timestamp die. `partition` undefined: all. */
  | { readonly kind: "delete"; readonly shard: ShardId; readonly partition: PartitionId | undefined; readonly keys: Uint8Array }
  /** The shard begins; `schema` is `encodeSchema`'s text. Also written after a schema change. */
  | { readonly kind: "createShard"; readonly shard: ShardId; readonly collection: CollectionId; readonly schema: string }
  | { readonly kind: "dropShard"; readonly shard: ShardId }
  | { readonly kind: "dropPartition"; readonly shard: ShardId; readonly partition: PartitionId };

export interface LogRecord {
  readonly at: Timestamp;
  readonly term: Term;
  readonly entries: readonly LogEntry[];
}
