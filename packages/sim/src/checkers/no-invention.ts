/** I2: every row returned was written by some request that had begun by then, and its fields are what that sent. */
import { type Checker, type History, writesByKey } from "../history.ts";

export const noInvention: Checker = {
  invariant: "I2",
  name: "no invention",
  check(history: History): readonly string[] {
    const found: string[] = [];
    const writes = writesByKey(history);
    for (const read of history.reads) {
      for (const row of read.rows) {
        const of = `${read.collection}/${row.key} version ${row.version}`;
        const write = writes
          .get(`${read.collection}/${row.key}`)
          ?.find((candidate) => candidate.kind === "set" && candidate.version === row.version);
        if (write === undefined || write.started > read.ended)
          found.push(`${of}: nobody wrote what read ${read.id} shows`);
        else if (!row.isSound) found.push(`${of}: fields of read ${read.id} are not those written`);
        else if (read.keys !== "all" && !read.keys.includes(row.key))
          found.push(`${of}: read ${read.id} did not ask for it`);
      }
    }
    return found;
  },
};
