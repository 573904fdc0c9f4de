/** The commit gate: a fixed list of seeds for one composition, and the first of them replayed. */
import { loadAddon } from "@elanus/engine/load";
import { describe, expect, test } from "vitest";
import type { Composition } from "./composition.ts";
import { runSeed } from "./run-seed.ts";

const SEEDS_PER_TEST = 25;

export function seedTests(composition: Composition, count: number): void {
  describe(`simulation of ${composition}`, () => {
    for (let from = 1; from <= count; from += SEEDS_PER_TEST) {
      const to = Math.min(from + SEEDS_PER_TEST - 1, count);
      test(`seeds ${from} to ${to} keep every invariant`, { timeout: 300_000 }, async () => {
        const failing: string[] = [];
        for (let seed = from; seed <= to; seed += 1) {
          const { violations } = await runSeed({ seed, composition, addon: loadAddon() });
          const replay = `--seeds 1 --from ${seed} --composition ${composition} --verbose`;
          for (const { invariant, message } of violations) {
            failing.push(`${invariant}: ${message} (node packages/sim/dist/main.js ${replay})`);
          }
        }
        expect(failing).toEqual([]);
      });
    }

    test("the same seed has the same trace", { timeout: 60_000 }, async () => {
      for (const seed of [1, 2, 3]) {
        const first = await runSeed({ seed, composition, addon: loadAddon() });
        const second = await runSeed({ seed, composition, addon: loadAddon() });
        expect(second.traceHash).toBe(first.traceHash);
        expect(second.events).toBe(first.events);
      }
      const other = await runSeed({ seed: 4, composition, addon: loadAddon() });
      const another = await runSeed({ seed: 5, composition, addon: loadAddon() });
      expect(other.traceHash).not.toBe(another.traceHash);
    });
  });
}
