import { describe, expect, it } from "vitest";
import type { CollectionInfo, LoadState } from "@elanus/model/catalog";
import type { PartitionId } from "@elanus/model/id";
import { deletePartition, readPartitions, writePartitions } from "./partitions.ts";

function collection(names: readonly string[], keyed: boolean, load: LoadState): CollectionInfo {
  return {
    schema: { name: "c", fields: [{ partitionKey: keyed }] },
    load,
    partitions: names.map((name, at) => ({ id: BigInt(at), name })),
  } as unknown as CollectionInfo;
}
const loaded: LoadState = { kind: "loaded", partitions: "all" };
const manual = collection(["_default", "p"], false, loaded);
const half = collection(["_default", "p"], false, { kind: "loaded", partitions: [0n as PartitionId] });
const keyed = collection(["_default_0", "_default_1", "_default_2"], true, loaded);
const refusal = {
  ok: false,
  error: { message: "not support manually specifying the partition names if partition key mode is used" },
};

describe("partitions", () => {
  it("rows go to the named partition, the default one, or where their key says", () => {
    expect(writePartitions(manual, "")).toEqual({ ok: true, value: [0n] });
    expect(writePartitions(manual, "p")).toEqual({ ok: true, value: [1n] });
    expect(writePartitions(manual, "q")).toMatchObject({ ok: false, error: { kind: "partitionNotFound" } });
    expect(writePartitions(keyed, "")).toEqual({ ok: true, value: [0n, 1n, 2n] });
    expect(writePartitions(keyed, "_default_1")).toMatchObject(refusal);
  });

  it("keys die everywhere or in one partition", () => {
    expect(deletePartition(manual, "")).toEqual({ ok: true, value: undefined });
    expect(deletePartition(manual, "p")).toEqual({ ok: true, value: 1n });
    expect(deletePartition(keyed, "_default_0")).toMatchObject(refusal);
  });

  it("reads see what is loaded, named and left by partition keys", () => {
    expect(readPartitions(manual, [], undefined)).toEqual({ ok: true, value: "all" });
    expect(readPartitions(half, [], undefined)).toEqual({ ok: true, value: [0n] });
    expect(readPartitions(half, ["p"], undefined)).toMatchObject({ ok: false, error: { kind: "partitionNotLoaded" } });
    expect(readPartitions(manual, ["q"], undefined)).toMatchObject({
      ok: false,
      error: { message: "partition name q not found" },
    });
    expect(readPartitions(keyed, [], [2])).toEqual({ ok: true, value: [2n] });
    expect(readPartitions(keyed, ["_default_0"], undefined)).toMatchObject(refusal);
    expect(readPartitions(collection([], false, { kind: "released" }), [], undefined)).toMatchObject({
      ok: false,
      error: { kind: "collectionNotLoaded" },
    });
  });
});
