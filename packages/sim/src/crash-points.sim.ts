/** Every I/O call of the workload is a crash point (three ways, before and after) and a failing call. */
import type { Disk, DiskFile } from "@elanus/platform/ports/disk";
import { succeed } from "@elanus/model/outcome";
import { expect, test } from "vitest";
import { type CrashPoint, type DriverWrap, runCrashPoint } from "./crash-points.ts";
import type { CrashMode } from "./disk.ts";

const ROUNDS = 40;
const MODES: readonly CrashMode[] = ["dropped", "torn", "reordered"];

async function violationsOver(points: Iterable<CrashPoint>, rounds: number, wrap?: DriverWrap): Promise<string[]> {
  const found: string[] = [];
  for (const point of points) {
    const result = await runCrashPoint(point, rounds, wrap);
    for (const violation of result.violations) found.push(`${JSON.stringify(point)}: ${violation}`);
    if (found.length > 10) break;
  }
  return found;
}

function* crashPoints(calls: number, modes: readonly CrashMode[] = MODES): Iterable<CrashPoint> {
  for (let call = 1; call <= calls; call += 1) {
    for (const mode of modes) {
      for (const when of ["before", "after"] as const) yield { kind: "crash", call, when, mode };
    }
  }
}

function* failPoints(calls: number): Iterable<CrashPoint> {
  for (let call = 1; call <= calls; call += 1) yield { kind: "fail", call };
}

test("the workload is large enough and sound without faults", async () => {
  const result = await runCrashPoint({ kind: "none" }, ROUNDS);
  expect(result.violations).toEqual([]);
  expect(result.calls).toBeGreaterThan(1_000);
});

test("a crash before or after any call loses nothing", { timeout: 240_000 }, async () => {
  const { calls } = await runCrashPoint({ kind: "none" }, ROUNDS);
  expect(await violationsOver(crashPoints(calls), ROUNDS)).toEqual([]);
});

test("any call failing once loses nothing", { timeout: 120_000 }, async () => {
  const { calls } = await runCrashPoint({ kind: "none" }, ROUNDS);
  expect(await violationsOver(failPoints(calls), ROUNDS)).toEqual([]);
});

/** Drivers that skip one of their duties; each must be noticed. */
const planted: Readonly<Record<string, DriverWrap>> = {
  "fsync of files skipped": (disk) => ({
    ...methodsOf(disk),
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      return file.ok ? succeed({ ...fileMethodsOf(file.value), sync: async () => succeed(undefined) }) : file;
    },
  }),
  "fsync of folders skipped": (disk) => ({ ...methodsOf(disk), syncFolder: async () => succeed(undefined) }),
};

for (const [name, wrap] of Object.entries(planted)) {
  test(`finds planted: ${name}`, { timeout: 60_000 }, async () => {
    const { calls } = await runCrashPoint({ kind: "none" }, 12);
    expect(await violationsOver(crashPoints(calls, ["dropped"]), 12, wrap)).not.toEqual([]);
  });
}

function methodsOf(disk: Disk): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    exists: (path) => disk.exists(path),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
    absolutePath: (path) => disk.absolutePath(path),
  };
}

function fileMethodsOf(file: DiskFile): DiskFile {
  return {
    write: (offset, chunks) => file.write(offset, chunks),
    read: (offset, length) => file.read(offset, length),
    size: () => file.size(),
    truncate: (size) => file.truncate(size),
    sync: () => file.sync(),
    close: () => file.close(),
  };
}
