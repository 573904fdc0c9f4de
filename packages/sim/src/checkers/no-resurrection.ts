/** I7: what was deleted stays away unless it is written again. */
import { type Checker, type History, writesByKey } from "../history.ts";

export const noResurrection: Checker = {
  invariant: "I7",
  name: "no resurrection",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const read of history.reads) {
      if (read.level !== "strong") continue;
      for (const row of read.rows) {
        const name = `${read.collection}/${row.key}`;
        const ofKey = writes.get(name) ?? [];
        const set = ofKey.find((write) => write.kind === "set" && write.version === row.version);
        if (set === undefined) continue;
        const grave = ofKey.find(
          (write) =>
            write.kind === "delete" &&
            write.outcome === "acked" &&
            write.started > set.ended &&
            write.ended < read.started,
        );
        if (grave !== undefined) {
          found.push(`${name}: read ${read.id} (${read.via}) shows version ${row.version}, deleted by ${grave.id}`);
        }
      }
    }
    return found;
  },
};
