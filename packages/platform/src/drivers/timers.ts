/** The event loop's timers. */
import type { Timers } from "../ports/world.ts";

/** Longest delay that `setTimeout` takes before it wraps to 1 ms. */
const DELAY_MS_MAX = 2_147_483_647;

export const systemTimers: Timers = {
  sleep(ms, signal) {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, bounded(ms));
      signal?.addEventListener("abort", finish, { once: true });
    });
  },
  after(ms, task) {
    const timer = setTimeout(task, bounded(ms));
    return () => {
      clearTimeout(timer);
    };
  },
};

function bounded(ms: number): number {
  return Math.min(Math.max(ms, 0), DELAY_MS_MAX);
}
