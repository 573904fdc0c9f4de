/** When a shard's growing rows are sealed, and how far its log may be cut. */
import type { LogPosition } from "@elanus/model/id";
import type { Limits } from "@elanus/model/limits";
import type { Timestamp } from "@elanus/model/time";

export interface RecordMark {
  readonly position: LogPosition;
  readonly at: Timestamp;
}

/** The records whose effect is not in the manifest yet, from the first to the last. */
export interface Unflushed {
  readonly first: RecordMark;
  readonly last: RecordMark;
  /** Monotonic time of the first one's application. */
  readonly sinceMs: number;
}

export function noteRecord(unflushed: Unflushed | undefined, mark: RecordMark, nowMs: number): Unflushed {
  return unflushed === undefined ? { first: mark, last: mark, sinceMs: nowMs } : { ...unflushed, last: mark };
}

export type SealReason = "size" | "age" | "memory";

export interface SealState {
  readonly unflushed: Unflushed | undefined;
  readonly bytes: number;
  readonly nowMs: number;
  /** This shard holds the most growing rows of a node that is short of memory. */
  readonly memoryIsShort: boolean;
}

export function sealReason(state: SealState, limits: Limits): SealReason | undefined {
  if (state.unflushed === undefined) return undefined;
  if (state.bytes >= limits.segmentBytesMax) return "size";
  if (state.nowMs - state.unflushed.sinceMs >= limits.segmentAgeMsMax) return "age";
  return state.memoryIsShort && state.bytes > 0 ? "memory" : undefined;
}

/** Share of `growingBytesMax` above which the largest shard is sealed to make room. */
const MEMORY_SHORT_SHARE = 0.7;

export function memoryIsShort(growingBytes: number, limits: Limits): boolean {
  return growingBytes >= limits.growingBytesMax * MEMORY_SHORT_SHARE;
}

/** Records at or below it are needed by nobody: everything applied, but for what a shard has not flushed. */
export function truncatablePosition(applied: LogPosition, unflushed: readonly (Unflushed | undefined)[]): LogPosition {
  let position = applied;
  for (const shard of unflushed) {
    if (shard !== undefined && shard.first.position <= position) position = (shard.first.position - 1n) as LogPosition;
  }
  return position;
}

/** Delay before the next attempt: doubles from 50 ms to 5 s. */
export function retryDelayMs(failures: number): number {
  return Math.min(5_000, 50 * 2 ** Math.min(failures - 1, 10));
}
