/** From what a client asks (contract/grpc.md 7.2) to the timestamp that a read must have reached. */
import type { Consistency } from "@elanus/model/contract/proxy";
import { timestampOf, type ConsistencyLevel, type Timestamp } from "@elanus/model/time";

export interface GuaranteeInput {
  readonly asked: Consistency;
  readonly collectionLevel: ConsistencyLevel;
  /** Last schema change: a read after it sees the new schema. */
  readonly updatedAt: Timestamp;
  readonly nowMs: number;
  readonly stalenessMsMax: number;
}

/** `now`: a fresh timestamp of the oracle is needed. */
export type Guarantee = { readonly kind: "now" } | { readonly kind: "at"; readonly at: Timestamp };

/** Markers that clients send in place of a timestamp. */
const NOW_MARKER = 0n;
const EVENTUALLY_MARKER = 1n;
const BOUNDED_MARKER = 2n;

export function guaranteeOf(input: GuaranteeInput): Guarantee {
  const { asked } = input;
  const level = asked.level ?? input.collectionLevel;
  // Old clients name no level (0, strong) and put their wish into the timestamp.
  if (asked.level === "strong" && asked.guarantee > 0n) return literal(input, asked.guarantee);
  switch (level) {
    case "strong":
      return { kind: "now" };
    case "session":
    case "customized":
      return raised(input, asked.guarantee > BOUNDED_MARKER ? asked.guarantee : (EVENTUALLY_MARKER as Timestamp));
    case "bounded":
      return bounded(input);
    case "eventually":
      return raised(input, EVENTUALLY_MARKER as Timestamp);
  }
}

function literal(input: GuaranteeInput, guarantee: Timestamp): Guarantee {
  if (guarantee === NOW_MARKER) return { kind: "now" };
  return guarantee === BOUNDED_MARKER ? bounded(input) : raised(input, guarantee);
}

function bounded(input: GuaranteeInput): Guarantee {
  return raised(input, timestampOf(Math.max(0, input.nowMs - input.stalenessMsMax)));
}

function raised(input: GuaranteeInput, at: Timestamp): Guarantee {
  return { kind: "at", at: at > input.updatedAt ? at : input.updatedAt };
}

/** A page of an iterator reads exactly where its first page did. */
export function iteratorSnapshot(guarantee: Timestamp): Timestamp | undefined {
  return guarantee > BOUNDED_MARKER ? guarantee : undefined;
}
