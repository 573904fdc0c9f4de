/** A damaged log is told from a torn one, names its file, and never yields a record that nobody wrote. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { bytesOf, kindOf, textOf, valueOf } from "../../contract/outcomes.ts";
import type { LogStore } from "../../ports/log.ts";
import { nodeDisk } from "../disk/node.ts";
import { fileLog } from "./file.ts";
import { HEADER_BYTES } from "./segment-file.ts";

const channel = "p0" as ChannelName;
const term = 1 as Term;
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Written {
  readonly open: () => LogStore;
  readonly texts: readonly string[];
  readonly paths: () => readonly string[];
}

/** Ten records, each written and synced alone. */
async function tenRecords(segmentBytesMax: number): Promise<Written> {
  const root = mkdtempSync(join(tmpdir(), "elanus-log-"));
  folders.push(root);
  const open = (): LogStore => fileLog(nodeDisk(root), "log", { segmentBytesMax });
  const writer = await valueOf(open().open(channel, term));
  const texts = Array.from({ length: 10 }, (_, index) => `record ${index} ${"x".repeat(index * 3)}`);
  for (const text of texts) await valueOf(writer.append([bytesOf(text)]));
  await writer.close();
  const folder = join(root, "log", channel);
  const paths = (): readonly string[] =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name));
  return { open, texts, paths };
}

async function readAll(store: LogStore): Promise<{ texts: string[]; failure: string | undefined }> {
  const texts: string[] = [];
  for await (const frame of store.read(channel, 0n as LogPosition)) {
    if (!frame.ok) return { texts, failure: frame.error.kind };
    texts.push(textOf(frame.value.bytes));
  }
  return { texts, failure: undefined };
}

function flipBit(path: string, bit: number): void {
  const bytes = readFileSync(path);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  writeFileSync(path, bytes);
}

describe("a damaged log", () => {
  test("cut anywhere in its last record loses that record only", async () => {
    const { open, texts, paths } = await tenRecords(1_000_000);
    const [path] = paths();
    if (path === undefined) throw new Error("no file");
    truncateSync(path, readFileSync(path).length - 5);
    const writer = await valueOf(open().open(channel, term));
    expect(writer.last).toBe(9n);
    expect((await readAll(open())).texts).toEqual(texts.slice(0, 9));
    expect(await valueOf(writer.append([bytesOf("again")]))).toBe(10n);
  });

  test("with a flipped bit before its end is refused, naming file and offset", async () => {
    const { open, paths } = await tenRecords(1_000_000);
    const [path] = paths();
    if (path === undefined) throw new Error("no file");
    flipBit(path, (HEADER_BYTES + 5) * 8);
    const opened = await open().open(channel, term);
    expect(opened).toMatchObject({
      ok: false,
      error: { kind: "fileCorrupt", file: "log/p0/00000000000000000001.log" },
    });
    expect(opened.ok ? "" : JSON.stringify(opened.error)).toContain(`offset ${HEADER_BYTES}`);
  });

  test("with a damaged header is refused", async () => {
    for (const bit of [3, 40, 70, 130, 190]) {
      const { open, paths } = await tenRecords(1_000_000);
      flipBit(paths()[0] ?? "", bit);
      expect(await kindOf(open().open(channel, term))).toBe("fileCorrupt");
      expect((await readAll(open())).failure).toBe("fileCorrupt");
    }
  });

  test("with a file missing in the middle is refused when it is read", async () => {
    const { open, paths } = await tenRecords(60);
    rmSync(paths()[1] ?? "");
    const read = await readAll(open());
    expect(read.failure).toBe("fileCorrupt");
  });

  test("never yields what was not written, whichever bit is flipped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 60, max: 700 }), fc.nat(), fc.nat(), async (segmentBytesMax, file, bit) => {
        const { open, texts, paths } = await tenRecords(segmentBytesMax);
        const all = paths();
        const path = all[file % all.length] ?? "";
        flipBit(path, bit % (readFileSync(path).length * 8));
        const opened = await open().open(channel, term);
        const { texts: seen, failure } = await readAll(open());
        expect(texts.slice(0, seen.length)).toEqual(seen);
        // Only the newest write may look torn; everything else must be named.
        if (opened.ok && failure === undefined) expect(seen.length).toBeGreaterThanOrEqual(texts.length - 1);
      }),
      { numRuns: 60 },
    );
  });
});
