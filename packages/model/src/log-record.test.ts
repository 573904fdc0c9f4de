import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CollectionId, PartitionId, ShardId, Term } from "./id.ts";
import { decodeLogRecord, encodeLogRecord, type LogEntry, type LogRecord } from "./log-record.ts";
import type { Timestamp } from "./time.ts";

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const shard = fc.string({ unit: "grapheme" }).map((s) => s as ShardId);
const partition = u64.map((id) => id as PartitionId);
/** Short ones are put together with their neighbours, long ones are pieces of their own. */
const blob = fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ minLength: 1_024, maxLength: 1_100 }));

const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  fc.record({ kind: fc.constant("insert" as const), shard, partition, rows: blob }),
  fc.record({
    kind: fc.constant("delete" as const),
    shard,
    partition: fc.option(partition, { nil: undefined }),
    keys: blob,
  }),
  fc.record({
    kind: fc.constant("createShard" as const),
    shard,
    collection: u64.map((id) => id as CollectionId),
    schema: fc.string({ unit: "grapheme" }),
  }),
  fc.record({ kind: fc.constant("dropShard" as const), shard }),
  fc.record({ kind: fc.constant("dropPartition" as const), shard, partition }),
);

const record: fc.Arbitrary<LogRecord> = fc.record({
  at: u64.map((at) => at as Timestamp),
  term: fc.nat().map((term) => term as Term),
  entries: fc.array(entry, { maxLength: 5 }),
});

/** The frame as a log gives it back. */
function frameOf(record: LogRecord): Uint8Array {
  return Uint8Array.from(Buffer.concat(encodeLogRecord(record)));
}

describe("log record", () => {
  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(record, (value) => {
        const decoded = decodeLogRecord(frameOf(value), "log");
        expect(decoded).toEqual({ ok: true, value });
      }),
    );
  });

  it("refuses every truncation", () => {
    fc.assert(
      fc.property(record, fc.double({ min: 0, max: 0.999, noNaN: true }), (value, share) => {
        const bytes = frameOf(value);
        const cut = bytes.subarray(0, Math.floor(bytes.length * share));
        expect(decodeLogRecord(cut, "log").ok).toBe(false);
      }),
    );
  });

  it("answers any bytes with a record or a named failure", () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.nat({ max: 255 }), (value, position, replacement) => {
        const bytes = frameOf(value);
        bytes[position % bytes.length] = replacement;
        const decoded = decodeLogRecord(bytes, "log");
        if (!decoded.ok) expect(decoded.error).toMatchObject({ kind: "fileCorrupt", file: "log" });
      }),
    );
  });

  it("refuses bytes after the last entry", () => {
    const bytes = frameOf({ at: 1n as Timestamp, term: 1 as Term, entries: [] });
    expect(decodeLogRecord(Uint8Array.of(...bytes, 0), "log").ok).toBe(false);
  });
});
