import { describe, expect, it } from "vitest";
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import { exportIsDue, loadStep, newerMeta } from "./residency.ts";

function meta(deletedCount: number, deleteFile?: string): SealedSegmentMeta {
  const deletes = { key: deleteFile ?? "", role: "deletes", bytes: 1, crc32c: 1 };
  return { deletedCount, files: deleteFile === undefined ? [] : [deletes] } as unknown as SealedSegmentMeta;
}

describe("loadStep", () => {
  it("opens what is not open", () => {
    expect(loadStep(undefined, meta(0))).toEqual({ kind: "open" });
  });

  it("imports a delete file that was neither read nor written here", () => {
    const open = { meta: meta(1, "a"), exported: undefined };
    expect(loadStep(open, meta(1, "a"))).toEqual({ kind: "refresh", deletes: undefined });
    expect(loadStep(open, meta(1))).toEqual({ kind: "refresh", deletes: undefined });
    expect(loadStep(open, meta(2, "b"))).toMatchObject({ kind: "refresh", deletes: { key: "b" } });
    const exported = { crc32c: 1, bytes: 1 };
    expect(loadStep({ ...open, exported }, meta(2, "b"))).toMatchObject({ deletes: undefined });
  });
});

it("an export is due until a manifest names a delete file with as many tombstones", () => {
  expect(exportIsDue({ meta: meta(3), deletedCount: 4 })).toBe(true);
  expect(exportIsDue({ meta: meta(4), deletedCount: 4 })).toBe(false);
});

it("a late answer does not bring an older manifest entry back", () => {
  expect(newerMeta(meta(5, "new"), meta(4, "old"))).toEqual(meta(5, "new"));
  expect(newerMeta(meta(5), meta(5, "index"))).toEqual(meta(5, "index"));
});
