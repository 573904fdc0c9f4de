#!/usr/bin/env node
/**
 * Searches of growing rows, by lists and exactly, and what the lists cost inserts: `node bench/growing.mjs DATA
 * [JSON]`. DATA holds base.npy and queries.npy (f32), as for `bench:peers`; figures are printed and written to JSON.
 * One process, one thread that appends and searches; the lists are made on another. Searches alone are told in
 * processor time of the whole process, which other work on the machine does not blur.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { loadAddon } from "../packages/engine/dist/load.js";
import { delimited, keyField, schemaOf, vectorField, vectorFieldData } from "./peers/elanus-messages.mjs";
import { readNpy } from "./peers/npy.mjs";

const [folder, file] = process.argv.slice(2);
if (folder === undefined) throw new Error("say where base.npy and queries.npy are");
const base = readNpy(join(folder, "base.npy"));
const queries = readNpy(join(folder, "queries.npy"));
const dim = base.columns;
const batchRows = 1_000;
const rounds = 3;
const addon = loadAddon();
const pool = new addon.Pool(0);
const schema = schemaOf(addon, dim);
const batches = Array.from({ length: Math.floor(base.rows / batchRows) }, (_, i) => {
  const values = base.values.subarray(i * batchRows * dim, (i + 1) * batchRows * dim);
  const fields = [keyField(i * batchRows, (i + 1) * batchRows), vectorFieldData(values, dim)];
  return addon.Rows.fromFieldData(schema, fields, batchRows, { upsert: false, allowInsertAutoId: false }).encode();
});

const request = (segment, query, topK, exact) => ({
  segments: [segment],
  field: vectorField,
  metric: "COSINE",
  placeholders: placeholder(query % queries.rows),
  topK,
  snapshot: 2n ** 62n,
  params: "{}",
  exact,
});

const segment = addon.Segment.growing(schema, 1n);
batches.forEach((batch, i) => segment.append(batch, BigInt(i + 1)));
const rowBytes = segment.byteSize;
const madeIn = await lists(segment);
const figures = {
  cpu: cpus()[0]?.model,
  rows: segment.rowCount,
  dim,
  bytesOfRows: rowBytes,
  bytesOfLists: segment.byteSize - rowBytes,
  listsReadyAfterSeconds: madeIn,
  search: [10, 100].map((topK) => ({ topK, recall: recall(topK), ...rates(topK) })),
  insert: inserts(),
};
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, undefined, 2)}\n`);

/** Asks for lists and waits until searches go by them; gives the seconds. */
async function lists(of) {
  const began = performance.now();
  for (;;) {
    const { report } = addon.explainSearch(pool, request(of, 0, 10, false));
    if (JSON.parse(report)[0].plans[0] === "growing lists") return (performance.now() - began) / 1_000;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function recall(topK) {
  let found = 0;
  for (let query = 0; query < queries.rows; query++) {
    const wanted = new Set(rowsOf(addon.search(pool, request(segment, query, topK, true))));
    for (const key of rowsOf(addon.search(pool, request(segment, query, topK, false)))) if (wanted.has(key)) found++;
  }
  return found / (queries.rows * topK);
}

/** Queries a second of processor time, the median of rounds that take turns. */
function rates(topK) {
  const taken = { exact: [], lists: [] };
  for (let round = 0; round < rounds; round++) {
    taken.exact.push(rate(topK, true, 50));
    taken.lists.push(rate(topK, false, 1_000));
  }
  const [exact, byLists] = [median(taken.exact), median(taken.lists)];
  return { exactQps: exact, listsQps: byLists, ratio: byLists / exact };
}

function rate(topK, exact, count) {
  const before = process.cpuUsage();
  for (let query = 0; query < count; query++) addon.search(pool, request(segment, query, topK, exact));
  const { user, system } = process.cpuUsage(before);
  return count / ((user + system) / 1e6);
}

/** Rows appended a second, with no searches and with one search after every batch. */
function inserts() {
  const taken = { alone: [], besideExact: [], besideLists: [] };
  for (let round = 0; round < rounds; round++) {
    taken.alone.push(fill(undefined));
    taken.besideExact.push(fill(true));
    taken.besideLists.push(fill(false));
  }
  const of = (rowsPerSecond) => ({
    appendRowsPerSecond: median(rowsPerSecond.map((turn) => turn.append)),
    seconds: median(rowsPerSecond.map((turn) => turn.seconds)),
  });
  return Object.fromEntries(Object.entries(taken).map(([name, turns]) => [name, of(turns)]));
}

/** `append`: rows a second of the appends alone; `seconds`: of everything. */
function fill(exact) {
  const growing = addon.Segment.growing(schema, 2n);
  const began = performance.now();
  let appending = 0;
  batches.forEach((batch, i) => {
    const before = performance.now();
    growing.append(batch, BigInt(i + 1));
    appending += performance.now() - before;
    if (exact !== undefined) addon.search(pool, request(growing, i, 10, exact));
  });
  const seconds = (performance.now() - began) / 1_000;
  const append = growing.rowCount / (appending / 1_000);
  growing.close();
  return { append, seconds };
}

function median(values) {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
}

/** Milvus's `PlaceholderGroup` of one query. */
function placeholder(query) {
  const values = queries.values.subarray(query * dim, (query + 1) * dim);
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const tagged = [delimited(1, Buffer.from("$0")), Buffer.from([0x10, 101]), delimited(3, bytes)];
  return delimited(1, Buffer.concat(tagged));
}

/** Keys of hits (docs/formats/hits.md): the last section. */
function rowsOf(hits) {
  const count = new DataView(hits.buffer, hits.byteOffset).getUint32(12, true);
  return new BigInt64Array(hits.slice(hits.byteLength - 8 * count).buffer);
}
