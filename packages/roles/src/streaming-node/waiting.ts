/** Waiting that ends: for a condition to change, and no longer than the caller's deadline. */
import { fail, type Outcome } from "@elanus/model/outcome";
import type { World } from "@elanus/platform/ports/world";

/** Longest delay that timers take. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** Wakes everybody who waits whenever something changed; they look again themselves. */
export class Signal {
  #wake: () => void = () => {};
  #next: Promise<void> = this.#renew();

  wait(): Promise<void> {
    return this.#next;
  }

  notify(): void {
    const wake = this.#wake;
    this.#next = this.#renew();
    wake();
  }

  #renew(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The outcome of `work`, or `deadlineExceeded` when it comes too late; the work itself goes on. */
export function within<T>(
  world: World,
  deadlineMs: number,
  work: Promise<Outcome<T>>,
  what: string,
): Promise<Outcome<T>> {
  const leftMs = Math.min(deadlineMs - world.clock.nowMs(), DELAY_MS_MAX);
  const late = (): Outcome<never> => fail({ kind: "deadlineExceeded", message: `${what} did not finish in time` });
  if (leftMs <= 0) return Promise.resolve(late());
  return new Promise((resolve, reject) => {
    const cancel = world.timers.after(leftMs, () => resolve(late()));
    const ended = (outcome: Outcome<T>): void => {
      cancel();
      resolve(outcome);
    };
    const broken = (cause: unknown): void => {
      cancel();
      reject(cause);
    };
    work.then(ended, broken);
  });
}
