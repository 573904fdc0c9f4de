import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Timestamp } from "@elanus/model/time";
import { TimeTick } from "./time-tick.ts";

const at = (value: number): Timestamp => BigInt(value) as Timestamp;

describe("TimeTick", () => {
  it("promises a moment only when no append could still be at or below it", () => {
    const tick = new TimeTick(at(0));
    tick.beginAllocation();
    const request = tick.request(at(5));
    expect(tick.isSettled(request)).toBe(false);
    tick.endAllocation([at(3), at(7)]);
    expect(tick.isSettled(request)).toBe(false);
    tick.applied(at(3));
    expect(tick.isSettled(request)).toBe(true);
    expect(tick.promise(request)).toBe(5n);
    expect(tick.now).toBe(5n);
  });

  it("does not wait for an allocation that began after the request", () => {
    const tick = new TimeTick(at(0));
    const request = tick.request(at(5));
    tick.beginAllocation();
    expect(tick.isSettled(request)).toBe(true);
  });

  it("forgets an append that never reached the log", () => {
    const tick = new TimeTick(at(0));
    tick.beginAllocation();
    tick.endAllocation([at(1), at(2)]);
    tick.abandoned(at(1));
    tick.applied(at(2));
    expect(tick.now).toBe(2n);
  });

  it("refuses timestamps at or below a promise", () => {
    const tick = new TimeTick(at(0));
    tick.promise(tick.request(at(9)));
    tick.beginAllocation();
    expect(() => tick.endAllocation([at(9)])).toThrow("rise");
  });

  it("never promises beyond an append that is not applied, whatever the order of events", () => {
    const events = fc.array(fc.constantFrom("allocate", "answer", "apply", "read"), { maxLength: 60 });
    fc.assert(
      fc.property(events, (script) => {
        const tick = new TimeTick(at(0));
        let oracle = 0;
        let onTheWay: number | undefined;
        const unapplied: number[] = [];
        for (const event of script) {
          if (event === "allocate" && onTheWay === undefined) {
            tick.beginAllocation();
            onTheWay = oracle += 1;
          } else if (event === "answer" && onTheWay !== undefined) {
            tick.endAllocation([at(onTheWay)]);
            unapplied.push(onTheWay);
            onTheWay = undefined;
          } else if (event === "apply" && unapplied[0] !== undefined) {
            tick.applied(at(unapplied.shift() ?? 0));
          } else if (event === "read") {
            const request = tick.request(at((oracle += 1)));
            if (tick.isSettled(request)) tick.promise(request);
          }
          const open = onTheWay === undefined ? unapplied : [...unapplied, onTheWay];
          for (const append of open) expect(tick.now < at(append)).toBe(true);
        }
      }),
    );
  });
});
