/** Random commits against a naive list of live segments; repeated ones change nothing. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SealedSegmentMeta, SegmentFile } from "@elanus/model/catalog";
import type { ManifestCommit } from "@elanus/model/contract/coordinator";
import type { IndexId, LogPosition, SegmentId, ShardId } from "@elanus/model/id";
import { invariant } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import { committed, emptyManifest, objectsOf, withIndexState, withoutIndexes } from "./manifest.ts";

const shard = "p0_1v0" as ShardId;

function segment(id: number): SealedSegmentMeta {
  return {
    id: BigInt(id),
    shard,
    rowCount: 1,
    deletedCount: 0,
    indexes: [],
    files: [{ key: `${id}/scalars`, role: "scalars", bytes: 1, crc32c: 1 }],
  } as unknown as SealedSegmentMeta;
}

function commit(parts: Partial<ManifestCommit>): ManifestCommit {
  return { shard, add: [], remove: [], deletes: [], ...parts };
}

function deleteFile(key: string): SegmentFile {
  return { key, role: "deletes", bytes: 1, crc32c: 1 };
}

const step = fc.record({
  add: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
  remove: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 2 }),
  position: fc.integer({ min: 1, max: 30 }),
});

describe("manifest", () => {
  it("is the list that its accepted commits make", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let manifest = emptyManifest(shard);
        const live = new Set<number>();
        let newest = 0;
        let fresh = 0;
        for (const one of steps) {
          // Ids are never used twice: the numbers of a step only choose among the live ones.
          const add = one.add.map(() => (fresh += 1));
          const remove = one.remove.filter((id) => !add.includes(id));
          const at = { position: BigInt(one.position) as LogPosition, at: BigInt(one.position) as Timestamp };
          const request = commit({
            add: add.map(segment),
            remove: remove.map((id) => BigInt(id) as SegmentId),
            checkpoint: at,
          });
          const allowed =
            remove.every((id) => live.has(id)) && one.position > newest && (add.length > 0 || remove.length > 0);
          const done = committed(manifest, request);
          if (add.length + remove.length > 0) expect(done.ok).toBe(allowed);
          if (!allowed || !done.ok) continue;
          for (const id of remove) live.delete(id);
          for (const id of add) live.add(id);
          newest = one.position;
          expect(done.value.version).toBe(manifest.version + 1);
          expect(new Set(done.value.segments.map((held) => Number(held.id)))).toEqual(live);
          expect(done.value.checkpoint).toBe(BigInt(newest));
          if (add.length > 0) expect(committed(done.value, request)).toEqual({ ok: true, value: done.value });
          manifest = done.value;
        }
      }),
    );
  });

  it("a flush whose answer was lost does not bring back what a compaction has merged since", () => {
    const checkpoint = { position: 5n as LogPosition, at: 5n as Timestamp };
    const flush = commit({ add: [segment(1)], checkpoint });
    const flushed = committed(emptyManifest(shard), flush);
    invariant(flushed.ok, "adds");
    expect(committed(flushed.value, flush)).toEqual(flushed);
    const merged = committed(flushed.value, commit({ add: [segment(2)], remove: [1n as SegmentId] }));
    invariant(merged.ok, "merges");
    expect(committed(merged.value, flush)).toMatchObject({ ok: false, error: { kind: "overtaken" } });
  });

  it("a delete file replaces the older one and goes with its segment only", () => {
    const first = committed(emptyManifest(shard), commit({ add: [segment(1), segment(2)] }));
    invariant(first.ok, "adds");
    const once = committed(
      first.value,
      commit({ deletes: [{ segment: 1n as SegmentId, file: deleteFile("d1"), deletedCount: 1 }] }),
    );
    invariant(once.ok, "deletes");
    const twice = committed(
      once.value,
      commit({ deletes: [{ segment: 1n as SegmentId, file: deleteFile("d2"), deletedCount: 2 }] }),
    );
    invariant(twice.ok, "deletes again");
    expect(twice.value.segments.map((held) => [held.deletedCount, objectsOf(held)])).toEqual([
      [2, ["1/scalars", "d2"]],
      [0, ["2/scalars"]],
    ]);
    // A compaction that read segment 1 before `d2` must not replace it.
    const merged = commit({ add: [segment(3)], remove: [1n as SegmentId] });
    expect(committed(twice.value, merged, once.value.segments.slice(0, 1)).ok).toBe(false);
    expect(committed(twice.value, merged, twice.value.segments.slice(0, 1)).ok).toBe(true);
  });

  it("index files come and go with their definition", () => {
    const first = committed(emptyManifest(shard), commit({ add: [segment(1)] }));
    invariant(first.ok, "adds");
    const file = { key: "i", role: "index:7", bytes: 1, crc32c: 1 };
    const state = { kind: "finished", build: 9n, file } as Parameters<typeof withIndexState>[3];
    const built = withIndexState(first.value, 1n as SegmentId, 7n as IndexId, state);
    invariant(built !== undefined, "the segment is there");
    expect(objectsOf(built.segments[0] ?? segment(0))).toContain("i");
    expect(withIndexState(first.value, 2n as SegmentId, 7n as IndexId, state)).toBeUndefined();
    expect(withoutIndexes(built, new Set([7n as IndexId]))).toBeUndefined();
    expect(withoutIndexes(built, new Set())?.segments[0]?.indexes).toEqual([]);
  });
});
