/** Every planted bug is found, by the invariant that it breaks, within a few dozen seeds. */
import { loadAddon } from "@elanus/engine/load";
import { expect, test } from "vitest";
import { plantedBugs } from "./planted.ts";
import { runSeed } from "./run-seed.ts";

const SEEDS_MAX = 40;

test("at least fifteen bugs are planted, and every checker has one", () => {
  expect(plantedBugs.length).toBeGreaterThanOrEqual(15);
  const broken = new Set(plantedBugs.flatMap((bug) => bug.breaks));
  for (const invariant of ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I9", "I10", "I12", "I13", "I15"]) {
    expect(broken, invariant).toContain(invariant);
  }
});

for (const bug of plantedBugs) {
  test(`found: ${bug.name}`, { timeout: 120_000 }, async () => {
    const addon = loadAddon();
    let found: readonly string[] = [];
    for (let seed = 1; seed <= SEEDS_MAX && found.length === 0; seed += 1) {
      const { composition, faults } = bug;
      const result = await runSeed({ seed, composition, addon, faults, mutation: bug.plant() });
      found = result.violations.map(({ invariant }) => invariant).filter((invariant) => bug.breaks.includes(invariant));
    }
    expect(found).not.toEqual([]);
  });
}
