/** I13: after the grace time the store holds exactly what manifests name. */
import type { Checker, History } from "../history.ts";

export const noLeak: Checker = {
  invariant: "I13",
  name: "no leak",
  check(history: History): readonly string[] {
    const found: string[] = [];
    for (const { stored, referenced } of history.storage) {
      const there = new Set(stored);
      const wanted = new Set(referenced);
      for (const key of wanted) if (!there.has(key)) found.push(`${key} is referenced and gone`);
      for (const key of there) if (!wanted.has(key)) found.push(`${key} is garbage that nobody collects`);
    }
    return found;
  },
};
