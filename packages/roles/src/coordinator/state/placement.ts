/** Where shards go. */
import type { ChannelName, NodeId, ShardId } from "@elanus/model/id";
import { invariant } from "@elanus/model/outcome";
import { channelOf, type CollectionRecord } from "./catalog.ts";

/** Channels for the next shards: those with the fewest shards first. */
export function channelsByLoad(
  channels: readonly ChannelName[],
  collections: Iterable<CollectionRecord>,
): ChannelName[] {
  const counts = new Map<ChannelName, number>(channels.map((channel) => [channel, 0]));
  for (const collection of collections) {
    for (const shard of collection.shards) {
      const channel = channelOf(shard);
      const count = counts.get(channel);
      if (count !== undefined) counts.set(channel, count + 1);
    }
  }
  return [...counts].sort(([, left], [, right]) => left - right).map(([channel]) => channel);
}

/** The node that serves a shard's sealed segments: stable for a given list of nodes. */
export function queryNodeOf(shard: ShardId, nodes: readonly NodeId[]): NodeId {
  invariant(nodes.length > 0, "there is a query node");
  let hash = 0;
  for (let at = 0; at < shard.length; at++) hash = (Math.imul(hash, 31) + shard.charCodeAt(at)) >>> 0;
  const node = nodes[hash % nodes.length];
  invariant(node !== undefined, "hash within the nodes");
  return node;
}
