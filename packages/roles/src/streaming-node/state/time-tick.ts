/**
 * When a channel may promise a moment. The tick T promises: every record with a timestamp <= T is applied,
 * and none will come. Appends get their timestamps in order and are applied in that order, so the oldest one
 * that is not applied tells whether a moment is settled.
 */
import { invariant } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";

/** What a reader waits for: an allocation that was on its way when it came could still bring an earlier time. */
export interface TickRequest {
  readonly guarantee: Timestamp;
  readonly allocation: number;
}

export class TimeTick {
  /** Timestamps given out and not applied yet, ascending. */
  readonly #unapplied: Timestamp[] = [];
  #allocationsBegun = 0;
  #allocationsEnded = 0;
  #now: Timestamp;

  constructor(start: Timestamp) {
    this.#now = start;
  }

  get now(): Timestamp {
    return this.#now;
  }

  beginAllocation(): void {
    invariant(this.#allocationsBegun === this.#allocationsEnded, "one allocation of timestamps at a time");
    this.#allocationsBegun += 1;
  }

  /** Empty when the allocation failed. Timestamps at or below a promise must have been refused before. */
  endAllocation(timestamps: readonly Timestamp[]): void {
    this.#allocationsEnded += 1;
    invariant(this.#allocationsBegun === this.#allocationsEnded, "an allocation ends once");
    for (const at of timestamps) {
      const last = this.#unapplied.at(-1) ?? this.#now;
      invariant(at > last, "timestamps of a channel rise");
      this.#unapplied.push(at);
    }
  }

  /** The oldest append is applied. */
  applied(at: Timestamp): void {
    invariant(this.#unapplied[0] === at, "records are applied in the order of their timestamps");
    this.#unapplied.shift();
    this.#now = at;
  }

  /** The append is known not to be in the log. */
  abandoned(at: Timestamp): void {
    const index = this.#unapplied.indexOf(at);
    invariant(index >= 0, "an abandoned append was under way");
    this.#unapplied.splice(index, 1);
  }

  /** A record of an earlier owner is applied, or reflected in a manifest. */
  replayed(at: Timestamp): void {
    if (at > this.#now) this.#now = at;
  }

  request(guarantee: Timestamp): TickRequest {
    return { guarantee, allocation: this.#allocationsBegun };
  }

  isSettled(request: TickRequest): boolean {
    if (request.guarantee <= this.#now) return true;
    if (this.#allocationsEnded < request.allocation) return false;
    const oldest = this.#unapplied[0];
    return oldest === undefined || oldest > request.guarantee;
  }

  /** Moves the tick to a settled moment: no later append may get a timestamp at or below it. */
  promise(request: TickRequest): Timestamp {
    invariant(this.isSettled(request), "only a settled moment is promised");
    if (request.guarantee > this.#now) this.#now = request.guarantee;
    return this.#now;
  }
}
