import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pageEnd } from "./iterator-page.ts";

const ranked = (scores: readonly number[]) => ({
  count: scores.length,
  scoreAt: (place: number) => scores[place] ?? Number.NaN,
});

describe("iterator page", () => {
  it("pages of any size give every hit exactly once", () => {
    const scores = fc
      .array(fc.integer({ min: 0, max: 6 }), { maxLength: 80 })
      .map((list) => [...list].sort((left, right) => left - right));
    fc.assert(
      fc.property(scores, fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 5 }), (all, batch, slack) => {
        const seen: number[] = [];
        let left = all;
        while (left.length > 0) {
          let fetched = batch + slack;
          let end: number | undefined;
          for (;;) {
            const hits = left.slice(0, fetched);
            end = pageEnd(ranked(hits), batch, hits.length < fetched);
            if (end !== undefined) break;
            fetched *= 2;
          }
          const page = left.slice(0, end);
          expect(page.length).toBeGreaterThan(0);
          seen.push(...page);
          const bound = page.at(-1) ?? 0;
          // What the next request asks for.
          left = all.filter((score) => score > bound);
        }
        expect(seen).toEqual(all);
      }),
    );
  });
});
