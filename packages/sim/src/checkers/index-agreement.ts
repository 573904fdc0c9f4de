/** I12: scan, key access, filters and vector index show one key set. */
import type { Checker, History } from "../history.ts";

export const indexAgreement: Checker = {
  invariant: "I12",
  name: "index agreement",
  check(history: History): readonly string[] {
    const found: string[] = [];
    for (const group of history.accessPaths) {
      const [first, ...others] = group;
      if (first === undefined) continue;
      const expected = sortedText(first.keys);
      for (const path of others) {
        const keys = sortedText(path.keys);
        if (keys !== expected)
          found.push(`${path.collection}: ${path.name} shows [${keys}], ${first.name} shows [${expected}]`);
      }
    }
    return found;
  },
};

function sortedText(keys: readonly string[]): string {
  return [...keys].sort().join(" ");
}
