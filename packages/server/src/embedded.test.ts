import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ElanusError, type EmbeddedDatabase, openEmbedded } from "./embedded.ts";

const open: EmbeddedDatabase[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const db of open.splice(0)) await db.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "elanus-embedded-"));
  folders.push(folder);
  return join(folder, "data");
}

async function openAt(data: string): Promise<EmbeddedDatabase> {
  const db = await openEmbedded({ data, threads: 1, logLevel: "silent" });
  open.push(db);
  return db;
}

const rows = Array.from({ length: 50 }, (_, i) => ({
  id: i,
  vector: [Math.cos(i), Math.sin(i), 0, 1],
  text: `row ${i}`,
}));

describe("openEmbedded", () => {
  it("creates, inserts, searches, queries, upserts and deletes without a socket", async () => {
    const db = await openAt(newFolder());
    await db.createCollection({ collectionName: "notes", dimension: 4, metricType: "L2" });
    expect(await db.hasCollection({ collectionName: "notes" })).toBe(true);
    const inserted = await db.insert({ collectionName: "notes", data: rows });
    expect(inserted.insertCount).toBe(50);
    const hits = await db.search({
      collectionName: "notes",
      data: [rows[7]?.vector ?? []],
      limit: 2,
      outputFields: ["text"],
      consistencyLevel: "Strong",
    });
    expect(hits[0]).toMatchObject({ id: 7, distance: 0, text: "row 7" });
    expect(hits).toHaveLength(2);
    await db.upsert({ collectionName: "notes", data: [{ id: 7, vector: [9, 9, 9, 9], text: "moved" }] });
    await db.delete({ collectionName: "notes", filter: "id in [8, 9]" });
    const seen = await db.query({
      collectionName: "notes",
      filter: "id >= 6 and id <= 10",
      outputFields: ["text"],
      consistencyLevel: "Strong",
    });
    expect(seen.map((row) => [row["id"], row["text"]])).toEqual([
      [6, "row 6"],
      [7, "moved"],
      [10, "row 10"],
    ]);
    expect(await db.get({ collectionName: "notes", id: [3], outputFields: ["text"] })).toMatchObject([
      { text: "row 3" },
    ]);
  });

  it("finds everything again after it was closed and opened", async () => {
    const data = newFolder();
    const first = await openAt(data);
    await first.createCollection({ collectionName: "notes", dimension: 4 });
    await first.insert({ collectionName: "notes", data: rows });
    await first.close();
    const second = await openAt(data);
    const counted = await second.query({
      collectionName: "notes",
      filter: "",
      outputFields: ["count(*)"],
      consistencyLevel: "Strong",
    });
    expect(counted).toEqual([{ "count(*)": 50 }]);
  });

  it("refuses a folder that is open already, in words", async () => {
    const data = newFolder();
    await openAt(data);
    await expect(openEmbedded({ data, threads: 1, logLevel: "silent" })).rejects.toThrow(
      /in use by another Elanus process/,
    );
  });

  it("fails with Milvus's code and words", async () => {
    const db = await openAt(newFolder());
    const refused = await db.insert({ collectionName: "nothing", data: rows }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ElanusError);
    expect(refused).toMatchObject({ code: 100, message: expect.stringContaining("nothing") as string });
  });

  it("can also listen", async () => {
    const db = await openAt(newFolder());
    await db.createCollection({ collectionName: "notes", dimension: 4 });
    const { port, metricsPort } = await db.listen({ port: 0, metricsPort: 0 });
    const answer = await fetch(`http://127.0.0.1:${port}/v2/vectordb/collections/list`, { method: "POST", body: "{}" });
    expect(await answer.json()).toEqual({ code: 0, data: ["notes"] });
    expect((await fetch(`http://127.0.0.1:${metricsPort}/healthz`)).status).toBe(200);
  });
});
