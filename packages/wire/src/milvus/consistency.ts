/** From the three fields of a read to one level and one guarantee (contract 7.2). */
import type { Consistency } from "@elanus/model/contract/proxy";
import type { ConsistencyLevel, Timestamp } from "@elanus/model/time";

const levels: readonly ConsistencyLevel[] = ["strong", "session", "bounded", "eventually", "customized"];
/** Marker of old clients: read at what is visible within the grace period. */
const LEGACY_BOUNDED = 2n;

export function levelOf(number: number): ConsistencyLevel | undefined {
  return levels[number];
}

export function numberOfLevel(level: ConsistencyLevel): number {
  return levels.indexOf(level);
}

export interface ConsistencyFields {
  readonly consistencyLevel: number;
  readonly useDefaultConsistency: boolean;
  readonly guaranteeTimestamp: bigint;
}

export function consistencyOf(fields: ConsistencyFields): Consistency {
  const guarantee = fields.guaranteeTimestamp as Timestamp;
  if (fields.useDefaultConsistency) return { level: undefined, guarantee };
  if (fields.consistencyLevel === 0 && guarantee > 0n) {
    return guarantee === LEGACY_BOUNDED ? { level: "bounded", guarantee } : { level: "customized", guarantee };
  }
  return { level: levelOf(fields.consistencyLevel) ?? "strong", guarantee };
}
