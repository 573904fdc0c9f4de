/** What a commit makes of a shard's manifest. */
import type { IndexBuildState, SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { ManifestCommit } from "@elanus/model/contract/coordinator";
import type { CollectionId, IndexId, SegmentId, ShardId } from "@elanus/model/id";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";

export function emptyManifest(shard: ShardId): ShardManifest {
  return { shard, version: 0, checkpoint: 0n, checkpointAt: 0n as Timestamp, segments: [] };
}

/**
 * The next manifest; the same one when the commit is in it already (a repeated call whose answer was lost).
 * `sources` are the metas that a compaction read: deletes that reached their files since are not in its result,
 * so it is refused and done again.
 */
export function committed(
  manifest: ShardManifest,
  commit: ManifestCommit,
  sources: readonly SealedSegmentMeta[] = [],
): Outcome<ShardManifest> {
  invariant(commit.shard === manifest.shard, "a commit goes to its own shard");
  const present = new Map(manifest.segments.map((segment) => [segment.id, segment]));
  if (isRepeated(commit, present, manifest)) return succeed(manifest);
  const gone = [...commit.remove, ...commit.deletes.map((entry) => entry.segment)].find((id) => !present.has(id));
  if (gone !== undefined) return refuse(manifest.shard, `segment ${gone} is no longer in the manifest`);
  // A commit that was long under way may bring an older delete file than a later one has brought.
  const older = commit.deletes.find((entry) => entry.deletedCount < (present.get(entry.segment)?.deletedCount ?? 0));
  if (older !== undefined) return refuse(manifest.shard, `segment ${older.segment} has newer deletes`);
  const doubled = commit.add.find((segment) => present.has(segment.id));
  if (doubled !== undefined) return refuse(manifest.shard, `segment ${doubled.id} is in the manifest already`);
  const changed = sources.find((source) => !sameFiles(source, present.get(source.id)));
  if (changed !== undefined) return refuse(manifest.shard, `segment ${changed.id} has changed`);
  // A flush moves the checkpoint. One that does not was made before, and a compaction has taken its segments since:
  // adding them again would show their rows twice.
  if (commit.checkpoint !== undefined && commit.checkpoint.position <= manifest.checkpoint) {
    return refuse(manifest.shard, "the log up to its checkpoint is in the manifest already");
  }
  const removed = new Set(commit.remove);
  const kept = manifest.segments
    .filter((segment) => !removed.has(segment.id))
    .map((segment) => withDeletes(segment, commit));
  return succeed({
    shard: manifest.shard,
    version: manifest.version + 1,
    checkpoint: commit.checkpoint?.position ?? manifest.checkpoint,
    checkpointAt: commit.checkpoint?.at ?? manifest.checkpointAt,
    segments: [...kept, ...commit.add],
  });
}

function isRepeated(
  commit: ManifestCommit,
  present: ReadonlyMap<SegmentId, SealedSegmentMeta>,
  manifest: ShardManifest,
): boolean {
  const changes = commit.add.length + commit.remove.length + commit.deletes.length;
  if (changes === 0) return commit.checkpoint === undefined || commit.checkpoint.position === manifest.checkpoint;
  return (
    commit.add.every((segment) => present.has(segment.id)) &&
    commit.remove.every((segment) => !present.has(segment)) &&
    commit.deletes.every((entry) => present.get(entry.segment)?.files.some((file) => file.key === entry.file.key)) &&
    (commit.add.length > 0 || commit.deletes.length > 0) &&
    (commit.checkpoint === undefined || commit.checkpoint.position <= manifest.checkpoint)
  );
}

function withDeletes(segment: SealedSegmentMeta, commit: ManifestCommit): SealedSegmentMeta {
  const entry = commit.deletes.find((candidate) => candidate.segment === segment.id);
  if (entry === undefined) return segment;
  const files = [...segment.files.filter((file) => file.role !== "deletes"), entry.file];
  return { ...segment, files, deletedCount: entry.deletedCount };
}

function sameFiles(left: SealedSegmentMeta, right: SealedSegmentMeta | undefined): boolean {
  if (right === undefined || left.files.length !== right.files.length) return false;
  const keys = new Set(right.files.map((file) => file.key));
  return left.files.every((file) => keys.has(file.key));
}

/** The manifest with one index' state changed; undefined when the segment is gone or nothing changes. */
export function withIndexState(
  manifest: ShardManifest,
  segment: SegmentId,
  index: IndexId,
  state: IndexBuildState,
): ShardManifest | undefined {
  const found = manifest.segments.find((candidate) => candidate.id === segment);
  if (found === undefined) return undefined;
  const others = found.indexes.filter((entry) => entry.index !== index);
  const changed = { ...found, indexes: [...others, { index, state }] };
  return {
    ...manifest,
    version: manifest.version + 1,
    segments: manifest.segments.map((candidate) => (candidate.id === segment ? changed : candidate)),
  };
}

/** The manifest without index files that no definition wants any more; undefined when there are none. */
export function withoutIndexes(manifest: ShardManifest, wanted: ReadonlySet<IndexId>): ShardManifest | undefined {
  if (!manifest.segments.some((segment) => segment.indexes.some((entry) => !wanted.has(entry.index)))) return undefined;
  return {
    ...manifest,
    version: manifest.version + 1,
    segments: manifest.segments.map((segment) => ({
      ...segment,
      indexes: segment.indexes.filter((entry) => wanted.has(entry.index)),
    })),
  };
}

/** The manifest without the segments of dropped partitions; undefined when there are none. */
export function withoutPartition(
  manifest: ShardManifest,
  kept: (segment: SealedSegmentMeta) => boolean,
): ShardManifest | undefined {
  if (manifest.segments.every(kept)) return undefined;
  return { ...manifest, version: manifest.version + 1, segments: manifest.segments.filter(kept) };
}

/** Keys of every object the segment needs. */
export function objectsOf(segment: SealedSegmentMeta): string[] {
  const indexes = segment.indexes.flatMap((entry) => (entry.state.kind === "finished" ? [entry.state.file.key] : []));
  return [...segment.files.map((file) => file.key), ...indexes];
}

/** `unique` keeps a retried commit from writing other bytes under the key of a lost one. */
export function manifestKey(collection: CollectionId, shard: ShardId, version: number, unique: bigint): string {
  return `manifests/${collection}/${shard}/${version}-${unique}`;
}

function refuse(shard: ShardId, why: string): ReturnType<typeof fail> {
  return fail({ kind: "overtaken", message: `manifest commit of ${shard} refused: ${why}` });
}
