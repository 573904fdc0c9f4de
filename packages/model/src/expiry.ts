/** How long the rows of a collection live: its property `collection.ttl.seconds`. */
import type { Properties } from "./catalog.ts";
import { timestampOf, type Timestamp } from "./time.ts";

export const TTL_KEY = "collection.ttl.seconds";

/** Rows inserted at or before it have expired at `nowMs`; 0n when rows live for ever. */
export function expiredAt(properties: Properties, nowMs: number): Timestamp {
  const seconds = Number(properties[TTL_KEY] ?? 0);
  return seconds > 0 ? timestampOf(Math.max(0, nowMs - seconds * 1_000)) : (0n as Timestamp);
}
