/** I10: a search returns min(k, visible rows) hits, sorted; in quiet exactly the distances of exact search. */
import { type Checker, type History, type Read, writesByKey } from "../history.ts";
import { countBounds } from "./hand-over.ts";

const TOLERANCE = 1e-4;

export const fullK: Checker = {
  invariant: "I10",
  name: "full k",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const read of history.reads) {
      if (read.via !== "search" || read.topK === undefined) continue;
      found.push(...checkOrder(read, read.topK));
      if (read.level !== "strong" || read.keys !== "all") continue;
      const least = Math.min(read.topK, countBounds(read, writes).least);
      if (read.rows.length < least)
        found.push(`search ${read.id} has ${read.rows.length} hits, at least ${least} are there`);
    }
    return found;
  },
};

function checkOrder(read: Read, topK: number): string[] {
  const found: string[] = [];
  const distances = read.rows.map((row) => row.distance ?? Number.NaN);
  if (distances.length > topK) found.push(`search ${read.id} has ${distances.length} hits for a limit of ${topK}`);
  for (const [index, distance] of distances.entries()) {
    const before = distances[index - 1];
    if (before !== undefined && !(distance >= before)) found.push(`search ${read.id} is not sorted at hit ${index}`);
  }
  const { exact } = read;
  if (exact === undefined) return found;
  const isEqual =
    exact.length === distances.length &&
    exact.every((distance, index) => Math.abs(distance - (distances[index] ?? Number.NaN)) < TOLERANCE);
  if (!isEqual) found.push(`search ${read.id} found ${distances.join(" ")}, exact search finds ${exact.join(" ")}`);
  return found;
}
