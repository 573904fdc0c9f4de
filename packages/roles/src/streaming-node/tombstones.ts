/** Deletes on their way to segments: from log entries, and kept aside while segments are being opened. */
import type { PartitionId } from "@elanus/model/id";
import type { LogEntry } from "@elanus/model/log-record";
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import { attemptNow, type NativeEngine, type NativeSchema } from "@elanus/segment/native-engine";

/** Rows of these keys with an earlier timestamp die at `at`. */
export interface Tombstone {
  readonly keys: Uint8Array;
  readonly at: Timestamp;
  /** Undefined: in every partition. */
  readonly partition: PartitionId | undefined;
}

export interface TombstoneSource {
  readonly engine: NativeEngine;
  readonly nativeSchema: NativeSchema;
  /** Inserted rows replace older ones of their keys, unless their keys are always new. */
  readonly insertsReplace: boolean;
}

/** The tombstone of an entry; undefined when it kills nothing. */
export function tombstoneOf(source: TombstoneSource, entry: LogEntry, at: Timestamp): Outcome<Tombstone | undefined> {
  if (entry.kind === "delete") return succeed({ keys: entry.keys, at, partition: entry.partition });
  if (entry.kind !== "insert" || !source.insertsReplace) return succeed(undefined);
  const { addon } = source.engine;
  const keys = attemptNow(() => addon.keysOfBatch(source.nativeSchema, entry.rows));
  return keys.ok ? succeed({ keys: keys.value, at, partition: undefined }) : keys;
}

export function reaches(tombstone: Tombstone, partition: PartitionId): boolean {
  return tombstone.partition === undefined || tombstone.partition === partition;
}

/** Collects what is applied while segments are opened, so that they can catch up. */
export class TombstoneJournal {
  #tombstones: Tombstone[] = [];

  add(tombstone: Tombstone): void {
    this.#tombstones.push(tombstone);
  }

  take(): readonly Tombstone[] {
    const taken = this.#tombstones;
    this.#tombstones = [];
    return taken;
  }
}
