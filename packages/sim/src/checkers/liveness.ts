/** I15: once faults have stopped, requests succeed and load states settle within their limits. */
import type { Checker, History } from "../history.ts";

export const liveness: Checker = {
  invariant: "I15",
  name: "liveness",
  check(history: History): readonly string[] {
    return history.recoveries
      .filter(({ tookMs, limitMs, failure }) => failure !== undefined || tookMs > limitMs)
      .map(
        ({ what, tookMs, limitMs, failure }) =>
          `${what} took ${Math.round(tookMs)} of ${limitMs} ms: ${failure ?? "too late"}`,
      );
  },
};
