/**
 * What clients asked and what they were answered: all that checkers know. The simulator fills it; a live test against
 * real processes can fill it as well. Order is by ticket, one for each start and end; times are for bounds only.
 */
import type { AuditedRecord } from "./log-audit.ts";

export interface Cell {
  readonly key: string;
  /** Unique per write; `-1` where a key was deleted. */
  readonly version: number;
}

export interface Write {
  readonly id: number;
  readonly session: number;
  readonly collection: string;
  readonly kind: "set" | "delete";
  readonly keys: readonly string[];
  readonly version: number;
  readonly started: number;
  readonly startedMs: number;
  /** Infinite until answered; an unknown outcome may still take effect at any later time. */
  ended: number;
  endedMs: number;
  outcome: "acked" | "refused" | "unknown";
  /** The timestamp of the answer. */
  at: bigint | undefined;
  /** All keys got this one timestamp. */
  readonly isAtomic: boolean;
}

export type ReadLevel = "strong" | "session" | "bounded" | "eventually";

export interface SeenRow {
  readonly key: string;
  readonly version: number;
  /** Its fields are what the write of this version sent, byte for byte. */
  readonly isSound: boolean;
  readonly distance?: number;
}

export interface Read {
  readonly id: number;
  readonly session: number;
  readonly collection: string;
  readonly via: "scan" | "get" | "search" | "count" | "iterator";
  readonly level: ReadLevel;
  readonly started: number;
  readonly startedMs: number;
  ended: number;
  /** The keys that the read would show if they were there. */
  readonly keys: "all" | readonly string[];
  rows: readonly SeenRow[];
  /** Only of counts. */
  count?: number;
  /** Only of searches: rows asked for and, in quiet, the distances that exact search gives. */
  topK?: number;
  exact?: readonly number[];
}

/** Ways into the same data, asked in quiet: they must show the same keys. */
export interface AccessPath {
  readonly collection: string;
  readonly name: string;
  readonly keys: readonly string[];
}

export interface StorageAudit {
  readonly stored: readonly string[];
  readonly referenced: readonly string[];
}

export interface Recovery {
  readonly what: string;
  readonly tookMs: number;
  readonly limitMs: number;
  readonly failure?: string;
}

export interface History {
  readonly writes: readonly Write[];
  /** Answered reads. */
  readonly reads: readonly Read[];
  readonly records: readonly AuditedRecord[];
  readonly accessPaths: readonly (readonly AccessPath[])[];
  readonly storage: readonly StorageAudit[];
  readonly recoveries: readonly Recovery[];
  /** Wall clocks were wrong during the run: bounds in milliseconds do not hold. */
  readonly hasClockFaults: boolean;
}

export interface Violation {
  readonly invariant: string;
  readonly message: string;
}

export interface Checker {
  readonly invariant: string;
  readonly name: string;
  check(history: History): readonly string[];
}

/** Writes of one key, in order of their start. */
export function writesByKey(history: History): ReadonlyMap<string, readonly Write[]> {
  const map = new Map<string, Write[]>();
  for (const write of history.writes) {
    if (write.outcome === "refused") continue;
    for (const key of write.keys) {
      const name = `${write.collection}/${key}`;
      const writes = map.get(name);
      if (writes === undefined) map.set(name, [write]);
      else writes.push(write);
    }
  }
  return map;
}

/** What a read saw of one key. */
export interface Sight {
  readonly read: Read;
  /** undefined: the key was not there. */
  readonly version: number | undefined;
}

/** Strong sights by key; a read shows absence of every key that it asked for and did not return. */
export function strongSights(history: History): ReadonlyMap<string, readonly Sight[]> {
  const known = writesByKey(history);
  const map = new Map<string, Sight[]>();
  for (const read of history.reads) {
    if (read.level !== "strong") continue;
    for (const [key, version] of sightsOf(read, known.keys())) {
      const name = `${read.collection}/${key}`;
      const sights = map.get(name);
      const sight = { read, version };
      if (sights === undefined) map.set(name, [sight]);
      else sights.push(sight);
    }
  }
  return map;
}

/** Key and version pairs that a read tells of; a search tells nothing of what it left out. */
export function sightsOf(read: Read, known: Iterable<string>): ReadonlyMap<string, number | undefined> {
  const sights = new Map<string, number | undefined>();
  if (read.via === "count") return sights;
  if (read.via !== "search") {
    const prefix = `${read.collection}/`;
    if (read.keys !== "all") for (const key of read.keys) sights.set(key, undefined);
    else for (const name of known) if (name.startsWith(prefix)) sights.set(name.slice(prefix.length), undefined);
  }
  for (const row of read.rows) sights.set(row.key, row.version);
  return sights;
}

/** Collects a history while a run goes on. */
export class Recorder {
  readonly writes: Write[] = [];
  readonly reads: Read[] = [];
  readonly accessPaths: AccessPath[][] = [];
  readonly storage: StorageAudit[] = [];
  readonly recoveries: Recovery[] = [];
  readonly #nowMs: () => number;
  #tickets = 0;
  #ids = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A number that no other write or read of the run has. */
  newId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  startWrite(asked: Pick<Write, "id" | "session" | "collection" | "kind" | "keys" | "version" | "isAtomic">): Write {
    const write: Write = {
      ...asked,
      started: this.#ticket(),
      startedMs: this.#nowMs(),
      ended: Number.POSITIVE_INFINITY,
      endedMs: Number.POSITIVE_INFINITY,
      outcome: "unknown",
      at: undefined,
    };
    this.writes.push(write);
    return write;
  }

  acknowledge(write: Write, at: bigint): void {
    write.ended = this.#ticket();
    write.endedMs = this.#nowMs();
    write.outcome = "acked";
    write.at = at;
  }

  refuse(write: Write): void {
    write.ended = this.#ticket();
    write.outcome = "refused";
  }

  startRead(asked: Pick<Read, "session" | "collection" | "via" | "level" | "keys">): Read {
    return {
      ...asked,
      id: this.newId(),
      started: this.#ticket(),
      startedMs: this.#nowMs(),
      ended: Number.POSITIVE_INFINITY,
      rows: [],
    };
  }

  endRead(read: Read): void {
    read.ended = this.#ticket();
    this.reads.push(read);
  }

  #ticket(): number {
    this.#tickets += 1;
    return this.#tickets;
  }
}
