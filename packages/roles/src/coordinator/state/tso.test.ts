import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { invariant } from "@elanus/model/outcome";
import { timestampOf, type Timestamp } from "@elanus/model/time";
import { allocateRange, extended, restoredOracle, type Oracle } from "./tso.ts";

type Step =
  | { readonly kind: "allocate"; readonly count: number }
  | { readonly kind: "clock"; readonly jumpMs: number }
  | { readonly kind: "persist" }
  | { readonly kind: "crash" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("allocate" as const), count: fc.integer({ min: 1, max: 400_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("clock" as const), jumpMs: fc.integer({ min: -600_000, max: 600_000 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "persist" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
);

describe("timestamp oracle", () => {
  it("never hands out a timestamp twice or goes back: not over crashes, not over clock jumps", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let nowMs = 1_700_000_000_000;
        let durable = 0n as Timestamp;
        let wanted: Timestamp | undefined;
        let oracle: Oracle = restoredOracle(durable);
        let newest = -1n;
        for (const one of steps) {
          if (one.kind === "clock") nowMs = Math.max(0, nowMs + one.jumpMs);
          if (one.kind === "persist" && wanted !== undefined) {
            durable = wanted;
            oracle = extended(oracle, wanted);
            wanted = undefined;
          }
          if (one.kind === "crash") {
            oracle = restoredOracle(durable);
            wanted = undefined;
          }
          if (one.kind !== "allocate") continue;
          const decision = allocateRange(oracle, nowMs, one.count);
          oracle = decision.oracle;
          if (decision.extendTo !== undefined) wanted = decision.extendTo;
          if (decision.first === undefined) continue;
          expect(decision.first).toBeGreaterThan(newest);
          newest = decision.first + BigInt(one.count) - 1n;
          // What was handed out is below what a restart begins with.
          expect(newest).toBeLessThan(durable);
        }
      }),
    );
  });

  it("follows the clock when it can", () => {
    const oracle = extended(restoredOracle(0n as Timestamp), timestampOf(10_000));
    expect(allocateRange(oracle, 5_000, 1).first).toBe(timestampOf(5_000));
  });

  it("asks for the bound before it hands out anything, and early again when the bound is near", () => {
    const fresh = allocateRange(restoredOracle(0n as Timestamp), 5_000, 1);
    expect(fresh.first).toBeUndefined();
    invariant(fresh.extendTo !== undefined, "asks for a bound");
    const ready = extended(fresh.oracle, fresh.extendTo);
    expect(allocateRange(ready, 5_000, 1).extendTo).toBeUndefined();
    const late = allocateRange(ready, 7_500, 1);
    expect(late.first).toBeDefined();
    expect(late.extendTo).toBeDefined();
  });
});
