import { describe, expect, it } from "vitest";
import type { LogPosition } from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import type { Timestamp } from "@elanus/model/time";
import { noteRecord, retryDelayMs, sealReason, truncatablePosition, type Unflushed } from "./generation.ts";

function unflushed(first: number, sinceMs = 0): Unflushed {
  return noteRecord(undefined, { position: BigInt(first) as LogPosition, at: 1n as Timestamp }, sinceMs);
}

describe("sealReason", () => {
  const limits = { ...defaultLimits, segmentBytesMax: 100, segmentAgeMsMax: 1_000 };

  it("seals by size, by age and when memory is short", () => {
    const young = { unflushed: unflushed(1), nowMs: 10, memoryIsShort: false };
    expect(sealReason({ ...young, bytes: 99 }, limits)).toBeUndefined();
    expect(sealReason({ ...young, bytes: 100 }, limits)).toBe("size");
    expect(sealReason({ ...young, bytes: 1, nowMs: 1_000 }, limits)).toBe("age");
    expect(sealReason({ ...young, bytes: 1, memoryIsShort: true }, limits)).toBe("memory");
  });

  it("seals deletes without rows by age, so that the log can be cut", () => {
    expect(sealReason({ unflushed: unflushed(1), bytes: 0, nowMs: 1_000, memoryIsShort: false }, limits)).toBe("age");
  });

  it("leaves a shard alone that has nothing to flush", () => {
    expect(sealReason({ unflushed: undefined, bytes: 0, nowMs: 9e9, memoryIsShort: true }, limits)).toBeUndefined();
  });
});

describe("truncatablePosition", () => {
  it("keeps everything from the first record that a shard has not flushed", () => {
    const applied = 50n as LogPosition;
    expect(truncatablePosition(applied, [undefined, unflushed(40), unflushed(12)])).toBe(11n);
    expect(truncatablePosition(applied, [undefined])).toBe(50n);
    expect(truncatablePosition(applied, [])).toBe(50n);
  });
});

it("noteRecord keeps the first record and moves the last", () => {
  const later = { position: 9n as LogPosition, at: 3n as Timestamp };
  expect(noteRecord(unflushed(2, 7), later, 99)).toMatchObject({ first: { position: 2n }, last: later, sinceMs: 7 });
});

it("retryDelayMs grows and stays bounded", () => {
  const delays = Array.from({ length: 40 }, (_, index) => retryDelayMs(index + 1));
  expect(delays[0]).toBe(50);
  expect([...delays].sort((a, b) => a - b)).toEqual(delays);
  expect(Math.max(...delays)).toBe(5_000);
});
