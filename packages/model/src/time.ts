/**
 * Hybrid timestamps, as Milvus writes them: physical milliseconds since 1970 << 18 | logical counter.
 * They fit 64 bits and are compared as integers.
 */
export type Timestamp = bigint & { readonly brand: "Timestamp" };

export const LOGICAL_BITS = 18n;
export const LOGICAL_MAX: bigint = (1n << LOGICAL_BITS) - 1n;

export function timestampOf(physicalMs: number, logical = 0n): Timestamp {
  return ((BigInt(Math.floor(physicalMs)) << LOGICAL_BITS) | logical) as Timestamp;
}

/** Milliseconds since 1970. */
export function physicalMsOf(at: Timestamp): number {
  return Number(at >> LOGICAL_BITS);
}

export type ConsistencyLevel = "strong" | "session" | "bounded" | "eventually" | "customized";
