/** Cluster-wide numbers for collections, segments, rows and jobs: unique over restarts, always growing. */
import { invariant } from "@elanus/model/outcome";

export interface IdRange {
  readonly next: bigint;
  /** Durable; numbers below it may be handed out. */
  readonly bound: bigint;
}

/** Numbers made durable at once; at most this many are lost by a crash. */
export const ID_BLOCK = 1_000_000n;
/** Small numbers stay free for fixed things such as the default database. */
export const ID_FIRST = 1_000n;

export interface IdDecision {
  readonly first?: bigint;
  readonly range: IdRange;
  readonly extendTo?: bigint;
}

export function takeIds(range: IdRange, count: number): IdDecision {
  invariant(count >= 0 && Number.isInteger(count), "an id range has a whole size");
  invariant(range.next <= range.bound, "no id above the durable bound");
  const end = range.next + BigInt(count);
  if (end > range.bound) return { range, extendTo: end + ID_BLOCK };
  const low = range.bound - end < ID_BLOCK / 4n;
  return { first: range.next, range: { next: end, bound: range.bound }, ...(low ? { extendTo: end + ID_BLOCK } : {}) };
}

export function extendedIds(range: IdRange, bound: bigint): IdRange {
  return bound > range.bound ? { next: range.next, bound } : range;
}
