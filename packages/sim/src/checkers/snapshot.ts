/**
 * I4: one request sees one timestamp, over all keys, both phases and all pages. Acknowledged writes tell their
 * timestamps, so a full read must be the state at one of them.
 */
import { type Checker, type History, type Read, type Write, sightsOf, writesByKey } from "../history.ts";

export const snapshot: Checker = {
  invariant: "I4",
  name: "snapshot reads",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const read of history.reads) {
      if (read.keys !== "all" || (read.via !== "scan" && read.via !== "iterator")) continue;
      const keys = timelines(read, writes);
      if (keys.length > 0 && !hasTimestamp(keys)) {
        found.push(`${read.collection}: read ${read.id} (${read.via}) is the state at no timestamp`);
      }
    }
    return found;
  },
};

interface Timeline {
  readonly version: number | undefined;
  /** Acknowledged writes by timestamp. */
  readonly writes: readonly Write[];
}

/** Keys whose every write up to the end of the read has a known place in time. */
function timelines(read: Read, writes: ReadonlyMap<string, readonly Write[]>): readonly Timeline[] {
  const lines: Timeline[] = [];
  for (const [key, version] of sightsOf(read, writes.keys())) {
    const ofKey = (writes.get(`${read.collection}/${key}`) ?? []).filter((write) => write.started < read.ended);
    if (ofKey.some((write) => write.at === undefined || !write.isAtomic)) continue;
    lines.push({ version, writes: [...ofKey].sort((a, b) => compare(a.at, b.at)) });
  }
  return lines;
}

function hasTimestamp(keys: readonly Timeline[]): boolean {
  const candidates = new Set<bigint>([0n]);
  for (const { writes } of keys) for (const { at } of writes) if (at !== undefined) candidates.add(at);
  for (const at of candidates) if (keys.every((line) => versionAt(line, at) === line.version)) return true;
  return false;
}

function versionAt(line: Timeline, at: bigint): number | undefined {
  let version: number | undefined;
  for (const write of line.writes) {
    if (write.at === undefined || write.at > at) break;
    version = write.kind === "set" ? write.version : undefined;
  }
  return version;
}

function compare(a: bigint | undefined, b: bigint | undefined): number {
  return Number((a ?? 0n) - (b ?? 0n));
}
