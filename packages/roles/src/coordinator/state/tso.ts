/**
 * The timestamp oracle's decision. Every timestamp handed out is below a bound that was durable before, and
 * a restart begins at that bound, so time never goes back: not over a crash, not when the clock jumps.
 */
import { invariant } from "@elanus/model/outcome";
import { timestampOf, type Timestamp } from "@elanus/model/time";

export interface Oracle {
  /** The newest timestamp handed out. */
  readonly last: Timestamp;
  /** Durable; timestamps below it may be handed out. */
  readonly bound: Timestamp;
}

export interface OracleDecision {
  /** Absent: the bound must be made durable first, then ask again. */
  readonly first?: Timestamp;
  readonly oracle: Oracle;
  /** A bound to make durable; in the background when `first` is there. */
  readonly extendTo?: Timestamp;
}

/** How far the durable bound runs ahead of the clock. */
export const BOUND_AHEAD_MS = 3_000;
/** Half of it left: time to extend, so that a request rarely waits for it. */
const EXTEND_WHEN_LEFT_MS = 1_500;

export function restoredOracle(bound: Timestamp): Oracle {
  return { last: bound, bound };
}

export function allocateRange(oracle: Oracle, nowMs: number, count: number): OracleDecision {
  invariant(count > 0 && Number.isInteger(count), "a timestamp range has a positive whole size");
  invariant(oracle.last <= oracle.bound, "no timestamp above the durable bound");
  const now = timestampOf(nowMs);
  const next = oracle.last + 1n;
  const first = (now > next ? now : next) as Timestamp;
  const last = (first + BigInt(count) - 1n) as Timestamp;
  const ahead = (last + (timestampOf(BOUND_AHEAD_MS) as bigint)) as Timestamp;
  if (last >= oracle.bound) return { oracle, extendTo: ahead };
  const low = oracle.bound - last < timestampOf(EXTEND_WHEN_LEFT_MS);
  return { first, oracle: { last, bound: oracle.bound }, ...(low ? { extendTo: ahead } : {}) };
}

export function extended(oracle: Oracle, bound: Timestamp): Oracle {
  return bound > oracle.bound ? { last: oracle.last, bound } : oracle;
}
