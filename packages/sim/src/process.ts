/**
 * One simulated process: it runs, is frozen or is dead. Whatever reaches it from outside (a timer, an answer, the end
 * of an I/O call) goes through `deliver`; a dead process hears nothing, a frozen one hears it all when it thaws.
 */
import type { Clock, Timers } from "@elanus/platform/ports/world";
import type { Scheduler } from "./scheduler.ts";

/** Wall clock of the simulated world at its start. */
export const EPOCH_MS = 1_760_000_000_000;
/** A slow process wakes late, but by no more: a long timer set while it was slow must not outlast the slowness. */
const LATE_MS_MAX = 2_000;

export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  #state: "up" | "frozen" | "dead" = "up";
  #waiting: (() => void)[] = [];
  readonly #deathWatchers = new Set<() => void>();
  /** Wall clock minus true time; jumps and drifts. */
  clockOffsetMs = 0;
  clockRate = 1;
  /** Multiplies the duration of what the process does. */
  slowness = 1;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  get isFrozen(): boolean {
    return this.#state === "frozen";
  }

  deliver(task: () => void): void {
    if (this.#state === "up") task();
    else if (this.#state === "frozen") this.#waiting.push(task);
  }

  /** Runs `task` in this process after a while, unless it has died by then. */
  after(delayMs: number, label: string, task: () => void): () => void {
    const stretchedMs = Math.min(delayMs * this.slowness, delayMs + LATE_MS_MAX);
    return this.#scheduler.after(stretchedMs, `${this.name} ${label}`, () => this.deliver(task));
  }

  freeze(): void {
    if (this.#state === "up") this.#state = "frozen";
  }

  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "up";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) this.deliver(task);
  }

  die(): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#waiting = [];
    for (const watcher of this.#deathWatchers) watcher();
    this.#deathWatchers.clear();
  }

  /** Calls back when the process dies; the result takes the watch away. */
  onDeath(watcher: () => void): () => void {
    this.#deathWatchers.add(watcher);
    return () => this.#deathWatchers.delete(watcher);
  }

  get clock(): Clock {
    return {
      nowMs: () => Math.floor(EPOCH_MS + this.#scheduler.nowMs * this.clockRate + this.clockOffsetMs),
      monotonicMs: () => this.#scheduler.nowMs * this.clockRate,
    };
  }

  get timers(): Timers {
    return {
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted === true) return resolve();
          const cancel = this.after(ms / this.clockRate, "sleep", () => {
            signal?.removeEventListener("abort", abort);
            resolve();
          });
          const abort = (): void => {
            cancel();
            resolve();
          };
          signal?.addEventListener("abort", abort, { once: true });
        }),
      after: (ms, task) => this.after(ms / this.clockRate, "timer", task),
    };
  }
}
