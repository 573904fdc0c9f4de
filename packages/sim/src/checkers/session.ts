/**
 * I5: a session reads its own writes and never goes back; a bounded read is no older than its bound and a second.
 */
import { type Checker, type History, type Read, type Write, sightsOf, writesByKey } from "../history.ts";

const STALENESS_MS_MAX = 6_000;

export const session: Checker = {
  invariant: "I5",
  name: "session and bounded reads",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    const marks = new Map<string, bigint>();
    for (const read of [...history.reads].sort((a, b) => a.started - b.started)) {
      if (read.level === "session") found.push(...checkSession(read, writes, marks));
      if (read.level === "bounded" && !history.hasClockFaults) found.push(...checkBounded(read, writes));
    }
    return found;
  },
};

type Writes = ReadonlyMap<string, readonly Write[]>;

function checkSession(read: Read, writes: Writes, marks: Map<string, bigint>): string[] {
  const found: string[] = [];
  for (const [key, version] of sightsOf(read, writes.keys())) {
    const name = `${read.collection}/${key}`;
    const ofKey = writes.get(name) ?? [];
    const own = ofKey.filter(
      (write) => write.session === read.session && write.outcome === "acked" && write.ended < read.started,
    );
    found.push(...tooOld(read, name, version, { ofKey, floor: own.at(-1), why: "its own write" }));
    const seen = ofKey.find((write) => write.kind === "set" && write.version === version);
    const mark = `${read.session}/${name}`;
    const before = marks.get(mark);
    if (seen?.at === undefined) continue;
    if (before !== undefined && seen.at < before)
      found.push(`${name}: session ${read.session} went back in read ${read.id}`);
    if (before === undefined || seen.at > before) marks.set(mark, seen.at);
  }
  return found;
}

function checkBounded(read: Read, writes: Writes): string[] {
  const found: string[] = [];
  for (const [key, version] of sightsOf(read, writes.keys())) {
    const name = `${read.collection}/${key}`;
    const ofKey = writes.get(name) ?? [];
    const due = ofKey.filter((write) => write.outcome === "acked" && write.endedMs < read.startedMs - STALENESS_MS_MAX);
    found.push(...tooOld(read, name, version, { ofKey, floor: due.at(-1), why: "a write older than the bound" }));
  }
  return found;
}

/** The read shows a state from before `floor`, and nothing that came after explains it. */
function tooOld(
  read: Read,
  name: string,
  version: number | undefined,
  { ofKey, floor, why }: { ofKey: readonly Write[]; floor: Write | undefined; why: string },
): string[] {
  if (floor === undefined || floor.version === version) return [];
  const isLater = (write: Write): boolean => write.ended > floor.started && write.started < read.ended;
  const explained =
    version === undefined
      ? floor.kind === "delete" || ofKey.some((write) => write.kind === "delete" && isLater(write))
      : ofKey.some((write) => write.kind === "set" && write.version === version && isLater(write));
  return explained ? [] : [`${name}: ${read.level} read ${read.id} does not show ${why} (${floor.version})`];
}
