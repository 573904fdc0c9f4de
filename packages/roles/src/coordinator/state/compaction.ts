/**
 * Which sealed segments to merge. Two reasons: too many small ones of a like size (size tiers, so that a row
 * is rewritten a logarithmic number of times), and segments that are mostly tombstones old enough to drop.
 */
import type { SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { CollectionId, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import { invariant } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";

export interface CompactionPlan {
  readonly shard: ShardId;
  readonly partition: PartitionId;
  readonly sources: readonly SealedSegmentMeta[];
}

export interface CompactionPolicy {
  /** A merged segment stays within it. */
  readonly segmentBytesMax: number;
  /** What died at or before this may be dropped. */
  readonly dropBefore: Timestamp;
  /** What was inserted into a collection at or before this may be dropped; 0n: nothing. */
  readonly expired: (collection: CollectionId) => Timestamp;
}

/** Segments of one tier that are merged together. */
const TIER_WIDTH = 4;
const TIER_BYTES_MIN = 1024 * 1024;
/** Share of dead rows from which a rewrite pays. */
const DELETED_SHARE_MIN = 0.2;
/** The same for expired rows, as the segment's timestamps let one guess. */
const EXPIRED_SHARE_MIN = 0.2;

/** For each segment with many dead rows a moment by which they were dead. */
export type DeadSince = ReadonlyMap<SegmentId, Timestamp>;

export function hasManyDead(segment: SealedSegmentMeta): boolean {
  return segment.rowCount > 0 && segment.deletedCount / segment.rowCount >= DELETED_SHARE_MIN;
}

export function nextCompaction(
  manifests: Iterable<ShardManifest>,
  policy: CompactionPolicy,
  deadSince: DeadSince,
): CompactionPlan | undefined {
  for (const manifest of manifests) {
    for (const [partition, segments] of byPartition(manifest.segments)) {
      const sources =
        tierToMerge(segments, policy.segmentBytesMax) ??
        deadToDrop(segments, policy.dropBefore, deadSince) ??
        expiredToDrop(segments, policy.expired);
      if (sources !== undefined) return { shard: manifest.shard, partition, sources };
    }
  }
  return undefined;
}

/** Plans that cover every segment once, as few targets as the size limit allows. */
export function fullCompaction(manifest: ShardManifest, segmentBytesMax: number): CompactionPlan[] {
  const plans: CompactionPlan[] = [];
  for (const [partition, segments] of byPartition(manifest.segments)) {
    let group: SealedSegmentMeta[] = [];
    let bytes = 0;
    for (const segment of bySize(segments)) {
      if (group.length > 0 && bytes + segment.bytes > segmentBytesMax) {
        plans.push({ shard: manifest.shard, partition, sources: group });
        group = [];
        bytes = 0;
      }
      group.push(segment);
      bytes += segment.bytes;
    }
    if (group.length > 0) plans.push({ shard: manifest.shard, partition, sources: group });
  }
  return plans;
}

function tierToMerge(segments: readonly SealedSegmentMeta[], segmentBytesMax: number): SealedSegmentMeta[] | undefined {
  const tiers = new Map<number, SealedSegmentMeta[]>();
  for (const segment of segments) {
    const tier = tierOf(segment.bytes);
    tiers.set(tier, [...(tiers.get(tier) ?? []), segment]);
  }
  for (const [, members] of [...tiers].sort(([left], [right]) => left - right)) {
    const merged = members.slice(0, TIER_WIDTH);
    const bytes = merged.reduce((sum, segment) => sum + segment.bytes, 0);
    if (merged.length === TIER_WIDTH && bytes <= segmentBytesMax) return merged;
  }
  return undefined;
}

function tierOf(bytes: number): number {
  invariant(bytes >= 0, "a segment has a size");
  return Math.floor(Math.log(Math.max(bytes, TIER_BYTES_MIN) / TIER_BYTES_MIN) / Math.log(TIER_WIDTH));
}

function deadToDrop(
  segments: readonly SealedSegmentMeta[],
  dropBefore: Timestamp,
  deadSince: DeadSince,
): SealedSegmentMeta[] | undefined {
  const ripe = segments.find((segment) => {
    const since = deadSince.get(segment.id);
    return hasManyDead(segment) && since !== undefined && since <= dropBefore;
  });
  return ripe === undefined ? undefined : [ripe];
}

/** A segment that many of the rows of have expired, if they came evenly over its time. */
function expiredToDrop(
  segments: readonly SealedSegmentMeta[],
  expired: CompactionPolicy["expired"],
): SealedSegmentMeta[] | undefined {
  const stale = segments.find(({ collection, timestampMin, timestampMax }) => {
    const until = expired(collection);
    if (until === 0n) return false;
    const share = Number(until - timestampMin) / Math.max(1, Number(timestampMax - timestampMin));
    return timestampMin <= until && (timestampMax <= until || share >= EXPIRED_SHARE_MIN);
  });
  return stale === undefined ? undefined : [stale];
}

function byPartition(segments: readonly SealedSegmentMeta[]): Map<PartitionId, SealedSegmentMeta[]> {
  const groups = new Map<PartitionId, SealedSegmentMeta[]>();
  for (const segment of segments) groups.set(segment.partition, [...(groups.get(segment.partition) ?? []), segment]);
  return groups;
}

function bySize(segments: readonly SealedSegmentMeta[]): SealedSegmentMeta[] {
  return [...segments].sort((left, right) => left.bytes - right.bytes || (left.id < right.id ? -1 : 1));
}
