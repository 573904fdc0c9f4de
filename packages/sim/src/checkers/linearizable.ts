/**
 * I3: strong reads and writes of one key fit one order that agrees with time. Versions are unique, so it is enough to
 * compare clusters, a write with the reads that saw it (Gibbons and Korach, 1997): a cluster whose every part lies in
 * some span cannot overlap another such span, nor hold a whole other cluster inside it.
 */
import { type Checker, type History, type Sight, type Write, strongSights, writesByKey } from "../history.ts";

interface Cluster {
  readonly version: number;
  readonly writeStarted: number;
  /** By then the value had certainly been set. */
  readonly minEnd: number;
  /** Then the value was certainly still there. */
  readonly maxStart: number;
}

export const linearizable: Checker = {
  invariant: "I3",
  name: "linearizable per key",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const sights = strongSights(history);
    for (const [key, writes] of writesByKey(history)) {
      const ofKey = sights.get(key) ?? [];
      const clusters = clustersOf(writes, ofKey);
      found.push(...overlaps(key, clusters), ...absences(key, writes, ofKey, clusters));
    }
    return found;
  },
};

function clustersOf(writes: readonly Write[], sights: readonly Sight[]): readonly Cluster[] {
  const clusters: Cluster[] = [];
  for (const write of writes) {
    if (write.kind !== "set") continue;
    const readers = sights.filter((sight) => sight.version === write.version).map((sight) => sight.read);
    // An unknown write that nobody saw may never have happened.
    if (readers.length === 0 && write.outcome !== "acked") continue;
    clusters.push({
      version: write.version,
      writeStarted: write.started,
      minEnd: Math.min(write.ended, ...readers.map((read) => read.ended)),
      maxStart: Math.max(write.started, ...readers.map((read) => read.started)),
    });
  }
  return clusters;
}

function overlaps(key: string, clusters: readonly Cluster[]): string[] {
  const found: string[] = [];
  for (const [index, one] of clusters.entries()) {
    for (const other of clusters.slice(index + 1)) {
      const isForwardOne = one.minEnd < one.maxStart;
      const isForwardOther = other.minEnd < other.maxStart;
      const clash =
        (isForwardOne && isForwardOther && one.minEnd < other.maxStart && other.minEnd < one.maxStart) ||
        (isForwardOne && !isForwardOther && one.minEnd < other.maxStart && other.minEnd < one.maxStart) ||
        (!isForwardOne && isForwardOther && other.minEnd < one.maxStart && one.minEnd < other.maxStart);
      if (clash) found.push(`${key}: versions ${one.version} and ${other.version} alternate`);
    }
  }
  return found;
}

/** Absence needs a delete, or the start, that no value certainly came after. */
function absences(
  key: string,
  writes: readonly Write[],
  sights: readonly Sight[],
  clusters: readonly Cluster[],
): string[] {
  const found: string[] = [];
  const origins = writes
    .filter((write) => write.kind === "delete")
    .map(({ started, ended }) => ({ started, ended }))
    .concat({ started: -1, ended: -1 });
  for (const { read, version } of sights) {
    if (version !== undefined) continue;
    const isPossible = origins.some(
      (origin) =>
        origin.started < read.ended &&
        !clusters.some((cluster) => cluster.writeStarted > origin.ended && cluster.minEnd < read.started),
    );
    if (!isPossible) found.push(`${key}: read ${read.id} (${read.via}) misses the key although nothing removed it`);
  }
  return found;
}
