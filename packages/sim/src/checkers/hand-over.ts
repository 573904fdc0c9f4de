/** I6: growing, sealed, compacted or moved, each visible row counts once. */
import { type Checker, type History, type Read, type Write, writesByKey } from "../history.ts";

export const handOver: Checker = {
  invariant: "I6",
  name: "exactly-once hand-over",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const read of history.reads) {
      const keys = read.rows.map((row) => row.key);
      if (new Set(keys).size !== keys.length) {
        const twice = keys.find((key, index) => keys.indexOf(key) !== index);
        found.push(`${read.collection}/${twice}: read ${read.id} (${read.via}) shows the key twice`);
      }
      if (read.via === "count" && read.level === "strong") found.push(...checkCount(read, writes));
    }
    return found;
  },
};

function checkCount(read: Read, writes: ReadonlyMap<string, readonly Write[]>): string[] {
  const { least, most } = countBounds(read, writes);
  const count = read.count ?? 0;
  if (count >= least && count <= most) return [];
  return [`${read.collection}: count ${read.id} is ${count}, possible are ${least} to ${most}`];
}

/** How many keys are certainly and possibly visible to a strong read. */
export function countBounds(
  read: Read,
  writes: ReadonlyMap<string, readonly Write[]>,
): { readonly least: number; readonly most: number } {
  let least = 0;
  let most = 0;
  const prefix = `${read.collection}/`;
  for (const [name, ofKey] of writes) {
    if (!name.startsWith(prefix)) continue;
    if (isCertain(ofKey, read)) least += 1;
    if (isPossible(ofKey, read)) most += 1;
  }
  return { least, most };
}

function isCertain(writes: readonly Write[], read: Read): boolean {
  return writes.some(
    (set) =>
      set.kind === "set" &&
      set.outcome === "acked" &&
      set.ended < read.started &&
      !writes.some((other) => other.kind === "delete" && other.ended > set.started && other.started < read.ended),
  );
}

function isPossible(writes: readonly Write[], read: Read): boolean {
  return writes.some(
    (set) =>
      set.kind === "set" &&
      set.started < read.ended &&
      !writes.some(
        (other) =>
          other.kind === "delete" &&
          other.outcome === "acked" &&
          other.started > set.ended &&
          other.ended < read.started,
      ),
  );
}
