import * as fc from "fast-check";
import { expect, test } from "vitest";
import { InboundBudget, type Share } from "./inbound-budget.ts";

const MAX = 100;

test("what is let in never exceeds the budget, but for one that is alone", () => {
  const steps = fc.array(
    fc.oneof(fc.record({ ask: fc.integer({ min: 1, max: 150 }) }), fc.record({ release: fc.nat() })),
  );
  fc.assert(
    fc.property(steps, (actions) => {
      const budget = new InboundBudget(MAX);
      const shares: Share[] = [];
      for (const action of actions) {
        if ("ask" in action) shares.push(budget.ask(action.ask, () => {}));
        else if (shares.length > 0) budget.release(shares.splice(action.release % shares.length, 1)[0] as Share);
        const held = shares.filter((share) => share.held);
        const bytes = held.reduce((sum, share) => sum + share.bytes, 0);
        expect(budget.taken).toBe(bytes);
        expect(bytes <= MAX || held.length === 1).toBe(true);
      }
      for (const share of shares) budget.release(share);
      expect(budget.taken).toBe(0);
    }),
  );
});

test("the first in line is served first, even when a smaller one would fit", () => {
  const budget = new InboundBudget(MAX);
  const order: string[] = [];
  const first = budget.ask(80, () => order.push("first"));
  const large = budget.ask(90, () => order.push("large"));
  const small = budget.ask(10, () => order.push("small"));
  expect(order).toEqual(["first"]);
  budget.release(first);
  expect(order).toEqual(["first", "large", "small"]);
  for (const share of [large, small, small]) budget.release(share);
  expect(budget.taken).toBe(0);
});

test("one that leaves the line makes way", () => {
  const budget = new InboundBudget(MAX);
  const order: string[] = [];
  budget.ask(80, () => order.push("first"));
  const large = budget.ask(90, () => order.push("large"));
  budget.ask(10, () => order.push("small"));
  budget.release(large);
  expect(order).toEqual(["first", "small"]);
});
