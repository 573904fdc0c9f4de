import { describe, expect, it } from "vitest";
import type { LoadState, SealedSegmentMeta } from "@elanus/model/catalog";
import type { PartitionId, SegmentId } from "@elanus/model/id";
import { type GrowingRef, type SealedEntry, targetsOf, type View, ViewKeeper } from "./view.ts";

const LOADED: LoadState = { kind: "loaded", partitions: "all" };
const EVERYTHING = { partitions: "all", ignoreGrowing: false } as const;

function growing(id: number, partition = 1): GrowingRef {
  return { identity: { id: BigInt(id) as SegmentId, partition: BigInt(partition) as PartitionId } };
}

function sealed(id: number, live = true, partition = 1): SealedEntry {
  const meta = { id: BigInt(id), partition: BigInt(partition) } as SealedSegmentMeta;
  return { meta, live };
}

describe("ViewKeeper", () => {
  it("closes a replaced segment at once when nobody reads", () => {
    const keeper = new ViewKeeper<GrowingRef>();
    const old = growing(1);
    keeper.replace({ growing: [old], sealed: [] });
    expect(keeper.replace({ growing: [], sealed: [sealed(1)] }).growing).toEqual([old]);
  });

  it("keeps segments of held views until the last reader lets go", () => {
    const keeper = new ViewKeeper<GrowingRef>();
    const old = growing(1);
    keeper.replace({ growing: [old], sealed: [sealed(7)] });
    const first = keeper.hold();
    const second = keeper.hold();
    expect(keeper.replace({ growing: [], sealed: [sealed(8)] })).toEqual({ growing: [], sealed: [] });
    expect(keeper.release(first)).toEqual({ growing: [], sealed: [] });
    expect(keeper.names(7n as SegmentId)).toBe(true);
    expect(keeper.release(second)).toEqual({ growing: [old], sealed: [7n] });
    expect(keeper.names(7n as SegmentId)).toBe(false);
  });

  it("does not close what a newer view names again", () => {
    const keeper = new ViewKeeper<GrowingRef>();
    const kept = growing(1);
    keeper.replace({ growing: [kept], sealed: [sealed(7)] });
    const held = keeper.hold();
    keeper.replace({ growing: [kept], sealed: [sealed(7, false)] });
    keeper.replace({ growing: [kept], sealed: [sealed(7)] });
    expect(keeper.release(held)).toEqual({ growing: [], sealed: [] });
  });
});

describe("targetsOf", () => {
  const view: View<GrowingRef> = {
    growing: [growing(1, 1), growing(2, 2)],
    sealed: [sealed(3, true, 1), sealed(4, false, 2)],
  };

  it("waits while a wanted segment is not open, but not for other partitions", () => {
    expect(targetsOf(view, LOADED, EVERYTHING).kind).toBe("opening");
    const partitions = [1n as PartitionId];
    expect(targetsOf(view, LOADED, { partitions, ignoreGrowing: false })).toEqual({
      kind: "ready",
      growing: [view.growing[0]],
      sealed: [3n],
    });
    expect(targetsOf(view, { kind: "loaded", partitions }, EVERYTHING).kind).toBe("ready");
  });

  it("leaves growing rows out on request", () => {
    const partitions = [1n as PartitionId];
    expect(targetsOf(view, LOADED, { partitions, ignoreGrowing: true })).toMatchObject({ growing: [] });
  });

  it("names the damaged segment instead of leaving its rows out", () => {
    const failure = { kind: "fileCorrupt", file: "segments/1/0/4/scalars.parquet", message: "checksum" } as const;
    const damaged = { ...view, sealed: [{ ...sealed(4, false), failure }] };
    expect(targetsOf(damaged, LOADED, EVERYTHING)).toEqual({ kind: "failed", error: failure });
  });

  it("refuses released collections", () => {
    expect(targetsOf(view, { kind: "released" }, EVERYTHING).kind).toBe("released");
  });
});
