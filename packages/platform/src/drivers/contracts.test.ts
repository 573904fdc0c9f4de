/** Every driver against its port's contract. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { diskContract } from "../contract/disk-contract.ts";
import { logContract } from "../contract/log-contract.ts";
import { metaContract } from "../contract/meta-contract.ts";
import { objectsContract } from "../contract/objects-contract.ts";
import { valueOf } from "../contract/outcomes.ts";
import type { Disk } from "../ports/disk.ts";
import { nodeDisk } from "./disk/node.ts";
import { fileLog } from "./log/file.ts";
import { memoryLog } from "./log/memory.ts";
import { openJournalMeta } from "./meta/journal.ts";
import { openLmdbMeta } from "./meta/lmdb.ts";
import { memoryMeta } from "./meta/memory.ts";
import { openFileObjects } from "./objects/file.ts";
import { memoryObjects } from "./objects/memory.ts";

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "elanus-drivers-"));
  folders.push(folder);
  return folder;
}

diskContract("node", async () => nodeDisk(newFolder()));

logContract("memory", async () => ({ store: memoryLog() }));
for (const segmentBytesMax of [100, 1_000_000]) {
  logContract(`files of ${segmentBytesMax} bytes`, async () => {
    const disk = nodeDisk(newFolder());
    const open = () => fileLog(disk, "log", { segmentBytesMax });
    return { store: open(), reopen: async () => open() };
  });
}

objectsContract("memory", async () => ({ store: memoryObjects() }));
objectsContract("files", async () => {
  const disk = nodeDisk(newFolder());
  const open = () => valueOf(openFileObjects(disk, "objects"));
  return { store: await open(), reopen: open };
});

metaContract("memory", async () => ({ store: memoryMeta() }));
metaContract("lmdb", async () => {
  const path = join(newFolder(), "catalog.mdb");
  const open = () => valueOf(openLmdbMeta(path));
  return { store: await open(), reopen: open };
});
for (const snapshotEvery of [1, 3, 1_000]) {
  metaContract(`journal with a snapshot every ${snapshotEvery}`, async () => {
    const disk = nodeDisk(newFolder());
    const open = () => openJournal(disk, snapshotEvery);
    return { store: await open(), reopen: open };
  });
}

async function openJournal(disk: Disk, snapshotEvery: number) {
  const objects = await valueOf(openFileObjects(disk, "catalog"));
  return valueOf(openJournalMeta({ log: fileLog(disk, "log", { segmentBytesMax: 200 }), objects, snapshotEvery }));
}

test("a staged file is met once it is placed; what was not placed is gone after a restart", async () => {
  const disk = nodeDisk(newFolder());
  const store = await valueOf(openFileObjects(disk, "objects"));
  const staged = ["a/b", "a/c", "a/d"].map((key) => store.stage(key));
  for (const one of staged) writeFileSync(one?.path ?? "", "whole");
  expect(await valueOf(store.list(""))).toEqual([]);
  await staged[0]?.place();
  await staged[1]?.discard();
  const again = await valueOf(openFileObjects(disk, "objects"));
  expect(await valueOf(again.list(""))).toEqual(["a/b"]);
  expect(await valueOf(again.get("a/b"))).toEqual(new TextEncoder().encode("whole"));
  expect(staged.map((one) => existsSync(one?.path ?? ""))).toEqual([false, false, false]);
  expect(() => store.stage("../x")).toThrow("broken invariant");
});
