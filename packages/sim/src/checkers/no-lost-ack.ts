/** I1: an acknowledged write is in every strong read that starts after it, until something else replaced it. */
import { type Checker, type History, type Write, strongSights, writesByKey } from "../history.ts";

export const noLostAck: Checker = {
  invariant: "I1",
  name: "no lost acknowledgement",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const [key, sights] of strongSights(history)) {
      const ofKey = writes.get(key) ?? [];
      for (const { read, version } of sights) {
        const newest = newestSettled(ofKey, read.started);
        if (newest === undefined || newest.version === version) continue;
        const seen = ofKey.find((write) => write.kind === "set" && write.version === version);
        const mayReplace = (write: Write): boolean => write.ended > newest.started && write.started < read.ended;
        const explained =
          version === undefined
            ? newest.kind === "delete" || ofKey.some((write) => write.kind === "delete" && mayReplace(write))
            : seen === undefined || mayReplace(seen);
        if (!explained) {
          const shown = version ?? "nothing";
          found.push(`${key}: read ${read.id} (${read.via}) shows ${shown}, ${newest.version} was acknowledged`);
        }
      }
    }
    return found;
  },
};

/** The acknowledged write that began last among those that ended before `ticket`. */
function newestSettled(writes: readonly Write[], ticket: number): Write | undefined {
  let newest: Write | undefined;
  for (const write of writes) {
    if (write.outcome !== "acked" || write.ended >= ticket) continue;
    if (newest === undefined || write.started > newest.started) newest = write;
  }
  return newest;
}
