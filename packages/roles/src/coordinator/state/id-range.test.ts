import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extendedIds, ID_FIRST, takeIds, type IdRange } from "./id-range.ts";

describe("id range", () => {
  it("gives every number once, over crashes too", () => {
    const step = fc.oneof(fc.integer({ min: 0, max: 600_000 }), fc.constant("crash" as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let durable = ID_FIRST;
        let range: IdRange = { next: durable, bound: durable };
        let newest = ID_FIRST - 1n;
        for (const one of steps) {
          if (one === "crash") {
            range = { next: durable, bound: durable };
            continue;
          }
          let decision = takeIds(range, one);
          if (decision.first === undefined) {
            durable = decision.extendTo ?? durable;
            range = extendedIds(decision.range, durable);
            decision = takeIds(range, one);
          }
          range = decision.range;
          expect(decision.first).toBeGreaterThan(newest);
          if (one > 0) newest = (decision.first ?? 0n) + BigInt(one) - 1n;
          expect(newest).toBeLessThan(durable > ID_FIRST ? durable : durable + 1n);
        }
      }),
    );
  });
});
