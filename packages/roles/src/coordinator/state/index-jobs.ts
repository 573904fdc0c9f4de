/** Which index build comes next, and how far a segment's indexes are. */
import type { IndexBuildState, IndexInfo, SealedSegmentMeta, ShardManifest } from "@elanus/model/catalog";
import type { IndexId, SegmentId } from "@elanus/model/id";
import type { CollectionRecord } from "./catalog.ts";

/** Builds that run or have failed since the start; finished ones stand in the manifest. */
export type Attempts = ReadonlyMap<string, Extract<IndexBuildState, { kind: "building" | "failed" }>>;

export function attemptKey(segment: SegmentId, index: IndexId): string {
  return `${segment}/${index}`;
}

export function indexStateOf(
  segment: SealedSegmentMeta,
  index: IndexId,
  attempts: Attempts,
  indexRowsMin: number,
): IndexBuildState {
  const stored = segment.indexes.find((entry) => entry.index === index)?.state;
  if (stored !== undefined && stored.kind !== "unissued" && stored.kind !== "building") return stored;
  if (segment.rowCount < indexRowsMin) return { kind: "notNeeded" };
  return attempts.get(attemptKey(segment.id, index)) ?? { kind: "unissued" };
}

export interface IndexJob {
  readonly collection: CollectionRecord;
  readonly segment: SealedSegmentMeta;
  readonly index: IndexInfo;
}

/** The first build that is wanted and neither done nor tried; oldest segments first. */
export function nextIndexJob(
  collections: Iterable<CollectionRecord>,
  manifestOf: (collection: CollectionRecord) => readonly ShardManifest[],
  attempts: Attempts,
  indexRowsMin: number,
): IndexJob | undefined {
  for (const collection of collections) {
    if (collection.indexes.length === 0) continue;
    for (const segment of manifestOf(collection).flatMap((manifest) => manifest.segments)) {
      const index = collection.indexes.find(
        (wanted) => indexStateOf(segment, wanted.id, attempts, indexRowsMin).kind === "unissued",
      );
      if (index !== undefined) return { collection, segment, index };
    }
  }
  return undefined;
}
