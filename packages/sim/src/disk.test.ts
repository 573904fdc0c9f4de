/** The simulated disk answers to the same contract as the real one, and forgets as it should. */
import { diskContract } from "@elanus/platform/contract/disk-contract";
import { bytesOf, textOf, valueOf } from "@elanus/platform/contract/outcomes";
import type { Disk } from "@elanus/platform/ports/disk";
import { expect, test } from "vitest";
import { DiskImage, type IoGate, simDisk } from "./disk.ts";
import { SeededRandom } from "./random.ts";

const atOnce: IoGate = { perform: async (_call, apply) => apply() };

function make(seed = 1): { image: DiskImage; disk: Disk } {
  const random = new SeededRandom(seed);
  const image = new DiskImage(random);
  return { image, disk: simDisk(image, atOnce, random) };
}

diskContract("simulated", async () => make().disk);

test("a crash drops unsynced bytes and names, and keeps synced ones", async () => {
  const { image, disk } = make();
  const file = await valueOf(disk.open("a", "create"));
  await valueOf(file.write(0, [bytesOf("kept")]));
  await valueOf(file.sync());
  await valueOf(disk.syncFolder(""));
  await valueOf(file.write(4, [bytesOf(" lost")]));
  await valueOf(disk.open("b", "create"));
  await valueOf(disk.rename("a", "c"));
  image.crash("dropped");
  expect(await valueOf(disk.list(""))).toEqual(["a"]);
  expect(textOf(await valueOf((await valueOf(disk.open("a", "read"))).read(0, 100)))).toBe("kept");
});

test("a name that was synced without its bytes is an empty file", async () => {
  const { image, disk } = make();
  const file = await valueOf(disk.open("a", "create"));
  await valueOf(file.write(0, [bytesOf("lost")]));
  await valueOf(disk.syncFolder(""));
  image.crash("dropped");
  expect(await valueOf((await valueOf(disk.open("a", "read"))).size())).toBe(0);
});

test("a torn write leaves a prefix, a reordered one any sectors", async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 60; seed += 1) {
    const { image, disk } = make(seed);
    const file = await valueOf(disk.open("a", "create"));
    await valueOf(file.sync());
    await valueOf(disk.syncFolder(""));
    await valueOf(file.write(0, [new Uint8Array(1_024).fill(1)]));
    image.crash(seed % 2 === 0 ? "torn" : "reordered");
    const bytes = await valueOf((await valueOf(disk.open("a", "read"))).read(0, 2_000));
    if (seed % 2 === 0) expect(bytes.every((byte) => byte === 1)).toBe(true);
    else outcomes.add(`${bytes[0] ?? "-"}${bytes[600] ?? "-"}`);
  }
  expect([...outcomes].sort()).toEqual(["--", "01", "11", "1-"].sort());
});
