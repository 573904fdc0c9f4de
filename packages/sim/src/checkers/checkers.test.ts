/** Each checker against small histories: sound ones pass, and one step beside them is told. */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import type { Timestamp } from "@elanus/model/time";
import { describe, expect, test } from "vitest";
import type { Checker, History, Read, ReadLevel, SeenRow, Write } from "../history.ts";
import type { AuditedRecord } from "../log-audit.ts";
import { allCheckers } from "./all.ts";
import { fullK } from "./full-k.ts";
import { handOver } from "./hand-over.ts";
import { indexAgreement } from "./index-agreement.ts";
import { linearizable } from "./linearizable.ts";
import { liveness } from "./liveness.ts";
import { noInvention } from "./no-invention.ts";
import { noLeak } from "./no-leak.ts";
import { noLostAck } from "./no-lost-ack.ts";
import { noResurrection } from "./no-resurrection.ts";
import { session } from "./session.ts";
import { snapshot } from "./snapshot.ts";
import { timeOrder } from "./time-order.ts";

/** A set of key "k" (or a delete, version -1) from ticket to ticket; without an end its outcome is unknown. */
function write(version: number, started: number, ended?: number, own: Partial<Write> = {}): Write {
  const isAcked = ended !== undefined;
  return {
    id: version,
    session: 1,
    collection: "c",
    kind: version < 0 ? "delete" : "set",
    keys: ["k"],
    version,
    started,
    startedMs: started,
    ended: ended ?? Number.POSITIVE_INFINITY,
    endedMs: ended ?? Number.POSITIVE_INFINITY,
    outcome: isAcked ? "acked" : "unknown",
    at: isAcked ? BigInt(started) : undefined,
    isAtomic: true,
    ...own,
  };
}

/** A scan that shows these versions of key "k". */
function read(versions: readonly number[], started: number, own: Partial<Read> = {}): Read {
  const rows: readonly SeenRow[] = versions.map((version) => ({ key: "k", version, isSound: true }));
  const level: ReadLevel = "strong";
  return {
    id: started,
    session: 1,
    collection: "c",
    via: "scan",
    level,
    started,
    startedMs: started,
    ended: started + 1,
    keys: "all",
    rows,
    ...own,
  };
}

function history(own: Partial<History>): History {
  return {
    writes: [],
    reads: [],
    records: [],
    accessPaths: [],
    storage: [],
    recoveries: [],
    hasClockFaults: false,
    ...own,
  };
}

function record(position: number, at: number, term: number): AuditedRecord {
  return {
    channel: "p0" as ChannelName,
    position: BigInt(position) as LogPosition,
    at: BigInt(at) as Timestamp,
    term: term as Term,
  };
}

interface Case {
  readonly checker: Checker;
  readonly what: string;
  readonly history: Partial<History>;
  readonly isSound: boolean;
}

const hits = (...distances: readonly number[]): readonly SeenRow[] =>
  distances.map((distance, index) => ({ key: String(index), version: 1, isSound: true, distance }));
const search = (own: Partial<Read>): Read => read([], 10, { via: "search", topK: 3, ...own });

const cases: readonly Case[] = [
  {
    checker: noLostAck,
    what: "the row is there",
    history: { writes: [write(1, 1, 2)], reads: [read([1], 3)] },
    isSound: true,
  },
  {
    checker: noLostAck,
    what: "the row is gone",
    history: { writes: [write(1, 1, 2)], reads: [read([], 3)] },
    isSound: false,
  },
  {
    checker: noLostAck,
    what: "an unknown delete may explain it",
    history: { writes: [write(1, 1, 2), write(-1, 3)], reads: [read([], 5)] },
    isSound: true,
  },
  {
    checker: noLostAck,
    what: "an older version is back",
    history: { writes: [write(1, 1, 2), write(2, 3, 4)], reads: [read([1], 5)] },
    isSound: false,
  },
  { checker: noInvention, what: "nobody wrote it", history: { reads: [read([7], 3)] }, isSound: false },
  {
    checker: noInvention,
    what: "other fields",
    history: { writes: [write(1, 1, 2)], reads: [read([], 3, { rows: [{ key: "k", version: 1, isSound: false }] })] },
    isSound: false,
  },
  {
    checker: noInvention,
    what: "written before the read ended",
    history: { writes: [write(1, 1)], reads: [read([1], 3)] },
    isSound: true,
  },
  {
    checker: linearizable,
    what: "an unknown write appears once and stays",
    history: { writes: [write(1, 1, 2), write(2, 3)], reads: [read([1], 5), read([2], 7), read([2], 9)] },
    isSound: true,
  },
  {
    checker: linearizable,
    what: "two versions alternate",
    history: { writes: [write(1, 1, 20), write(2, 2, 21)], reads: [read([1], 5), read([2], 7), read([1], 9)] },
    isSound: false,
  },
  {
    checker: linearizable,
    what: "absent between a write and any delete",
    history: { writes: [write(1, 1)], reads: [read([1], 3), read([], 5)] },
    isSound: false,
  },
  {
    checker: snapshot,
    what: "two keys of one moment",
    history: {
      writes: [write(1, 1, 2, { keys: ["k", "l"] }), write(2, 3, 4, { keys: ["k", "l"] })],
      reads: [
        read([], 2, {
          rows: [
            { key: "k", version: 1, isSound: true },
            { key: "l", version: 1, isSound: true },
          ],
        }),
      ],
    },
    isSound: true,
  },
  {
    checker: snapshot,
    what: "half of a batch",
    history: {
      writes: [write(1, 1, 2, { keys: ["k", "l"] }), write(2, 3, 4, { keys: ["k", "l"] })],
      reads: [
        read([], 4, {
          rows: [
            { key: "k", version: 1, isSound: true },
            { key: "l", version: 2, isSound: true },
          ],
        }),
      ],
    },
    isSound: false,
  },
  {
    checker: session,
    what: "its own write",
    history: { writes: [write(1, 1, 2)], reads: [read([1], 3, { level: "session" })] },
    isSound: true,
  },
  {
    checker: session,
    what: "without its own write",
    history: { writes: [write(1, 1, 2)], reads: [read([], 3, { level: "session" })] },
    isSound: false,
  },
  {
    checker: session,
    what: "back to an older version",
    history: {
      writes: [write(1, 1, 2, { session: 2 }), write(2, 3, 4, { session: 2 })],
      reads: [read([2], 5, { level: "session" }), read([1], 7, { level: "session" })],
    },
    isSound: false,
  },
  {
    checker: session,
    what: "older than the bound",
    history: { writes: [write(1, 1, 2)], reads: [read([], 3, { level: "bounded", startedMs: 10_000 })] },
    isSound: false,
  },
  {
    checker: handOver,
    what: "a key twice",
    history: { writes: [write(1, 1, 2)], reads: [read([1, 1], 3)] },
    isSound: false,
  },
  {
    checker: handOver,
    what: "a count within bounds",
    history: {
      writes: [write(1, 1, 2), write(2, 3, undefined, { keys: ["l"] })],
      reads: [read([], 5, { via: "count", count: 2 })],
    },
    isSound: true,
  },
  {
    checker: handOver,
    what: "a count too high",
    history: { writes: [write(1, 1, 2)], reads: [read([], 5, { via: "count", count: 2 })] },
    isSound: false,
  },
  {
    checker: noResurrection,
    what: "deleted and seen",
    history: { writes: [write(1, 1, 2), write(-1, 3, 4)], reads: [read([1], 5)] },
    isSound: false,
  },
  {
    checker: noResurrection,
    what: "deleted and written again",
    history: { writes: [write(1, 1, 2), write(-1, 3, 4), write(2, 5, 6)], reads: [read([2], 7)] },
    isSound: true,
  },
  {
    checker: timeOrder,
    what: "rising",
    history: { records: [record(1, 10, 1), record(2, 11, 1), record(3, 20, 2)] },
    isSound: true,
  },
  {
    checker: timeOrder,
    what: "time goes back",
    history: { records: [record(1, 10, 1), record(2, 9, 1)] },
    isSound: false,
  },
  {
    checker: timeOrder,
    what: "an older owner",
    history: { records: [record(1, 10, 2), record(2, 11, 1)] },
    isSound: false,
  },
  {
    checker: timeOrder,
    what: "a later write with an earlier timestamp",
    history: { writes: [write(1, 1, 2, { at: 9n }), write(2, 3, 4, { at: 8n })] },
    isSound: false,
  },
  { checker: fullK, what: "sorted", history: { reads: [search({ rows: hits(1, 2, 2) })] }, isSound: true },
  { checker: fullK, what: "unsorted", history: { reads: [search({ rows: hits(2, 1) })] }, isSound: false },
  { checker: fullK, what: "too many", history: { reads: [search({ rows: hits(1, 2, 3, 4) })] }, isSound: false },
  {
    checker: fullK,
    what: "too few",
    history: { writes: [write(1, 1, 2)], reads: [search({ rows: [] })] },
    isSound: false,
  },
  {
    checker: fullK,
    what: "not the nearest",
    history: { reads: [search({ rows: hits(1, 3), exact: [1, 2] })] },
    isSound: false,
  },
  {
    checker: indexAgreement,
    what: "equal sets",
    history: {
      accessPaths: [
        [
          { collection: "c", name: "scan", keys: ["2", "1"] },
          { collection: "c", name: "filter", keys: ["1", "2"] },
        ],
      ],
    },
    isSound: true,
  },
  {
    checker: indexAgreement,
    what: "a key too few",
    history: {
      accessPaths: [
        [
          { collection: "c", name: "scan", keys: ["2", "1"] },
          { collection: "c", name: "filter", keys: ["1"] },
        ],
      ],
    },
    isSound: false,
  },
  { checker: noLeak, what: "equal", history: { storage: [{ stored: ["a"], referenced: ["a"] }] }, isSound: true },
  {
    checker: noLeak,
    what: "garbage",
    history: { storage: [{ stored: ["a", "b"], referenced: ["a"] }] },
    isSound: false,
  },
  { checker: noLeak, what: "missing", history: { storage: [{ stored: [], referenced: ["a"] }] }, isSound: false },
  {
    checker: liveness,
    what: "in time",
    history: { recoveries: [{ what: "read", tookMs: 5, limitMs: 10 }] },
    isSound: true,
  },
  {
    checker: liveness,
    what: "late",
    history: { recoveries: [{ what: "read", tookMs: 50, limitMs: 10 }] },
    isSound: false,
  },
];

describe("checkers", () => {
  for (const { checker, what, history: own, isSound } of cases) {
    test(`${checker.invariant} ${checker.name}: ${what} is ${isSound ? "sound" : "told"}`, () => {
      expect(checker.check(history(own)).length === 0).toBe(isSound);
    });
  }

  test("an empty history is sound for all, and every checker has a case of each kind", () => {
    for (const checker of allCheckers) {
      expect(checker.check(history({}))).toEqual([]);
      expect(
        cases.some((one) => one.checker === checker && !one.isSound),
        checker.name,
      ).toBe(true);
    }
  });
});
