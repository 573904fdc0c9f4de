import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Column } from "./columns.ts";
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

  it("answers typed vectors as it answers lists of numbers", async () => {
    const db = await openAt(newFolder());
    await db.createCollection({ collectionName: "notes", dimension: 4, metricType: "L2" });
    const typed = rows.map((row) => ({ ...row, vector: Float32Array.from(row.vector) }));
    expect(await db.insert({ collectionName: "notes", data: typed })).toMatchObject({ insertCount: 50 });
    const asked = [3, 11].map((row) => rows[row]?.vector ?? []);
    const request = {
      collectionName: "notes",
      filter: "id != 3",
      limit: 3,
      offset: 1,
      outputFields: ["text"],
      searchParams: { params: { level: 2 } },
      consistencyLevel: "Strong",
    };
    const found = await db.search({ ...request, data: asked.map((vector) => Float32Array.from(vector)) });
    expect(found).toHaveLength(6);
    expect(found).toEqual(await db.search({ ...request, data: asked }));
    const grouped = await db.call("entities/search", { ...request, data: asked.map((v) => Float32Array.from(v)) });
    expect(grouped).toEqual(found);
  });

  it("finds typed vectors in fields that are not of 32-bit floats", async () => {
    const db = await openAt(newFolder());
    await createTyped(db);
    const vector = new Float32Array([1, 2, 3, 4]);
    const found = await db.search({
      collectionName: "typed",
      data: [vector],
      annsField: "half",
      limit: 1,
      outputFields: ["name"],
      consistencyLevel: "Strong",
    });
    expect(found).toEqual([{ id: 1, distance: 0, name: "one" }]);
  });

  it("refuses typed vectors with the words and codes of lists", async () => {
    const db = await openAt(newFolder());
    await db.createCollection({ collectionName: "notes", dimension: 4, metricType: "L2" });
    const refusal = async (request: Parameters<typeof db.search>[0]): Promise<unknown> =>
      db.search(request).then(
        () => undefined,
        (error: unknown) => error,
      );
    const wrong = [
      { collectionName: "notes", data: [[1, 2, 3, 4]], limit: 0 },
      { collectionName: "notes", data: [[1, 2, 3, 4]], filter: "nothing >" },
      { collectionName: "notes", data: [[1, 2, 3, 4]], consistencyLevel: "Sometimes" },
      { collectionName: "absent", data: [[1, 2, 3, 4]] },
      { collectionName: "not a name", data: [[1, 2, 3, 4]] },
    ];
    for (const request of wrong) {
      const listed = await refusal(request);
      expect(listed).toBeInstanceOf(ElanusError);
      expect(await refusal({ ...request, data: request.data.map((v) => Float32Array.from(v)) })).toEqual(listed);
    }
    const short = await refusal({ collectionName: "notes", data: [new Float32Array(3)] });
    expect(short).toMatchObject({ code: 1100 });
  });

  it("writes columns as it writes rows", async () => {
    const db = await openAt(newFolder());
    const columns = await createTyped(db);
    const request = { collectionName: "typed", filter: "id >= 0", outputFields: ["*"], consistencyLevel: "Strong" };
    const written = await db.query(request);
    expect(written).toEqual([
      { id: 1, name: "one", share: 0.5, flag: true, count: 7, vector: [1, 0], half: "ADwAQABCAEQ=", bits: "oA==" },
      { id: 2, name: "two", share: 0.25, flag: false, count: -7, vector: [0, 1], half: "AEQAQgBAADw=", bits: "Dw==" },
    ]);
    const moved = { ...columns, vector: new Float32Array([5, 6, 7, 8]) };
    const upserted = await db.upsert({ collectionName: "typed", columns: moved });
    expect(upserted).toEqual({ upsertCount: 2, upsertIds: [1, 2] });
    expect((await db.query(request)).map((row) => row["vector"])).toEqual([
      [5, 6],
      [7, 8],
    ]);
  });

  it("refuses columns that do not fit, by the names of their fields", async () => {
    const db = await openAt(newFolder());
    const columns = await createTyped(db);
    const cases: [Readonly<Record<string, Column>>, string][] = [
      [{ nowhere: [1, 2] }, "no field nowhere"],
      [{ vector: new Float64Array(4) }, "vector cannot be given as a column in Float64Array"],
      [{ vector: new Float32Array(3) }, "vector does not hold whole vectors of 2"],
      [{ name: ["one"] }, "name has 1 rows"],
      [{ name: [1, 2] }, "name cannot be given as a column in Array"],
    ];
    for (const [changed, words] of cases) {
      const write = db.insert({ collectionName: "typed", columns: { ...columns, ...changed } });
      const error = await write.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ElanusError);
      expect(error).toMatchObject({ message: expect.stringContaining(words) as string });
    }
  });
});

const typedFields = [
  { fieldName: "id", dataType: "Int64", isPrimary: true },
  { fieldName: "name", dataType: "VarChar", elementTypeParams: { max_length: "32" } },
  { fieldName: "share", dataType: "Double" },
  { fieldName: "flag", dataType: "Bool" },
  { fieldName: "count", dataType: "Int16" },
  { fieldName: "vector", dataType: "FloatVector", elementTypeParams: { dim: "2" } },
  { fieldName: "half", dataType: "Float16Vector", elementTypeParams: { dim: "4" } },
  { fieldName: "bits", dataType: "BinaryVector", elementTypeParams: { dim: "8" } },
];

/** A loaded collection `typed` with two rows, given as these columns. */
async function createTyped(db: EmbeddedDatabase) {
  const indexed = [
    ["vector", "L2"],
    ["half", "L2"],
    ["bits", "HAMMING"],
  ];
  await db.createCollection({
    collectionName: "typed",
    schema: { fields: typedFields },
    indexParams: indexed.map(([fieldName, metricType]) => ({ fieldName, metricType, indexType: "AUTOINDEX" })),
  });
  const columns = {
    id: new BigInt64Array([1n, 2n]),
    name: ["one", "two"],
    share: new Float64Array([0.5, 0.25]),
    flag: [true, false],
    count: new Int16Array([7, -7]),
    vector: new Float32Array([1, 0, 0, 1]),
    // The values of 16 bits of 1, 2, 3, 4 and the other way round.
    half: new Uint8Array(new Uint16Array([0x3c00, 0x4000, 0x4200, 0x4400, 0x4400, 0x4200, 0x4000, 0x3c00]).buffer),
    bits: new Uint8Array([0b1010_0000, 15]),
  };
  await db.insert({ collectionName: "typed", columns });
  return columns;
}
