/** Branded identifiers: a swapped pair does not compile. */
type Brand<T, B extends string> = T & { readonly brand: B };

export type DatabaseId = Brand<bigint, "DatabaseId">;
export type CollectionId = Brand<bigint, "CollectionId">;
export type PartitionId = Brand<bigint, "PartitionId">;
export type SegmentId = Brand<bigint, "SegmentId">;
export type IndexId = Brand<bigint, "IndexId">;
export type BuildId = Brand<bigint, "BuildId">;
/** Milvus field number: system fields 0 and 1, user fields from 100. */
export type FieldId = Brand<number, "FieldId">;
export type NodeId = Brand<number, "NodeId">;
/** Virtual channel name of one shard, `CHANNEL_COLLECTIONIDvN`, as Milvus's tools parse it. */
export type ShardId = Brand<string, "ShardId">;
/** Physical log channel; many shards share one. */
export type ChannelName = Brand<string, "ChannelName">;
/** Epoch of a channel's ownership; grows with each new owner. */
export type Term = Brand<number, "Term">;
/** Sequence number of a record in its channel, from 1, without gaps. */
export type LogPosition = Brand<bigint, "LogPosition">;
/** Names one read's pinned view, see `StreamingNodeContract.release`. */
export type PinId = Brand<string, "PinId">;

export function shardIdOf(channel: ChannelName, collection: CollectionId, ordinal: number): ShardId {
  return `${channel}_${collection}v${ordinal}` as ShardId;
}
