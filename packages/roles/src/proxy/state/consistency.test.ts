import { describe, expect, it } from "vitest";
import type { ConsistencyLevel, Timestamp } from "@elanus/model/time";
import { timestampOf } from "@elanus/model/time";
import { guaranteeOf, iteratorSnapshot } from "./consistency.ts";

const nowMs = 1_700_000_100_000;
const updatedAt = timestampOf(1_700_000_000_000);
const bounded = timestampOf(nowMs - 5_000);
const later = timestampOf(nowMs - 10);

function guarantee(
  level: ConsistencyLevel | undefined,
  asked: bigint,
  collectionLevel: ConsistencyLevel = "bounded",
): unknown {
  const found = guaranteeOf({
    asked: { level, guarantee: asked as Timestamp },
    collectionLevel,
    updatedAt,
    nowMs,
    stalenessMsMax: 5_000,
  });
  return found.kind === "now" ? "now" : found.at;
}

describe("guarantee", () => {
  it.each<[ConsistencyLevel | undefined, bigint, unknown]>([
    ["strong", 0n, "now"],
    // Old clients: level 0 with a timestamp.
    ["strong", 2n, bounded],
    ["strong", 1n, updatedAt],
    ["strong", later, later],
    ["session", later, later],
    ["session", 1n, updatedAt],
    ["bounded", 2n, bounded],
    ["bounded", 0n, bounded],
    ["eventually", 1n, updatedAt],
    ["customized", later, later],
    [undefined, 0n, bounded],
    [undefined, later, bounded],
  ])("of %s at %s", (level, asked, wanted) => {
    expect(guarantee(level, asked)).toBe(wanted);
  });

  it("takes the collection's level when none is asked for", () => {
    expect(guarantee(undefined, 0n, "strong")).toBe("now");
    expect(guarantee(undefined, later, "session")).toBe(later);
  });

  it("an iterator's later pages read exactly at their timestamp", () => {
    expect(iteratorSnapshot(0n as Timestamp)).toBeUndefined();
    expect(iteratorSnapshot(2n as Timestamp)).toBeUndefined();
    expect(iteratorSnapshot(later)).toBe(later);
  });
});
