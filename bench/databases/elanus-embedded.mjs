/**
 * Elanus inside the process that asks it, through the package `elanus`: elanus-embedded.mjs DATA FOLDER. Speaks the
 * lines of worker.py. A client is a loop that awaits one search after the other.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openEmbedded } from "../../packages/server/dist/embedded.js";
import { Data, timed, until } from "./data.mjs";

const [folder, place] = process.argv.slice(2);
const data = new Data(folder);
const batch = 1_000;
const collection = { collectionName: "t" };
let db;
let next = data.rows;

const verbs = { open, reopen, load, index, recall, search, footprint };
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await verbs[command.do](command))}\n`);
}
await db?.close();

async function open() {
  const seconds = await timed(openFolder);
  const fields = [
    { fieldName: "id", dataType: "Int64", isPrimary: true },
    { fieldName: "part", dataType: "Int64" },
    { fieldName: "vector", dataType: "FloatVector", elementTypeParams: { dim: data.dim } },
  ];
  await db.createCollection({ ...collection, schema: { fields } });
  return { seconds };
}

async function openFolder() {
  db = await openEmbedded({ data: join(place, "data") });
}

async function reopen() {
  await db.close();
  const seconds = await timed(async () => {
    await openFolder();
    await nearest(0, { ef: 64, k: 10, below: 0 });
  });
  return { seconds };
}

async function load() {
  const seconds = await timed(() =>
    Promise.all(
      [0, 1].map(async (c) => {
        for (let row = c * batch; row < data.rows; row += 2 * batch)
          await insert(row, Math.min(data.rows, row + batch));
      }),
    ),
  );
  return { seconds, rowsPerSecond: data.rows / seconds };
}

/** Rows start..end under ids from `first` on. */
function insert(start, end, first = start) {
  const id = Array.from({ length: end - start }, (_, i) => first + i);
  const part = id.map((one) => one % 100);
  return db.insert({ ...collection, columns: { id, part, vector: data.vectors(start, end) } });
}

async function index() {
  const seconds = await timed(async () => {
    await db.call("collections/flush", collection);
    const params = { M: 16, efConstruction: 200 };
    const own = { fieldName: "vector", indexName: "vector", metricType: "L2", indexType: "HNSW", params };
    await db.createIndex({ ...collection, indexParams: [own] });
    await until(async () => {
      const [one] = await db.call("indexes/describe", { ...collection, indexName: "vector" });
      return one.indexState === "Finished" && one.indexedRows >= data.rows && one.pendingRows === 0;
    });
    await db.loadCollection(collection);
    await until(async () => {
      const told = await db.call("collections/get_load_state", collection);
      return told.loadProgress >= 100;
    });
  });
  return { seconds };
}

async function nearest(i, { ef, k, below }) {
  const found = await db.search({
    ...collection,
    data: [data.query(i)],
    annsField: "vector",
    limit: k,
    filter: below > 0 ? `part < ${below}` : "",
    searchParams: { metricType: "L2", params: { ef: Math.max(ef, k) } },
    consistencyLevel: "Eventually",
  });
  return found.map((hit) => hit.id);
}

function recall(command) {
  return data.recall(command.below, command.k, (i) => nearest(i, command));
}

/** Calls per second after one second of warm-up. */
async function search(command) {
  const { clients, seconds } = command;
  const latencies = [];
  const start = performance.now() + 1_000;
  const end = start + seconds * 1_000;
  let written = 0;
  const read = async (client) => {
    for (let i = client; performance.now() < end; i += clients) {
      const began = performance.now();
      await nearest(i % data.asked, command);
      if (began >= start) latencies.push(performance.now() - began);
    }
  };
  const write = async () => {
    for (; performance.now() < end; written += 100, next += 100) {
      const from = next % Math.min(5_000, data.rows - 100);
      await insert(from, from + 100, next);
    }
  };
  const clientLoops = Array.from({ length: clients }, (_, client) => read(client));
  await Promise.all(command.writing === true ? [...clientLoops, write()] : clientLoops);
  latencies.sort((a, b) => a - b);
  const at = (share) =>
    Number(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))].toFixed(2));
  const perSecond = Math.round(latencies.length / seconds);
  return { perSecond, p50: at(0.5), p99: at(0.99), writtenPerSecond: written / (seconds + 1) };
}

function footprint() {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]) * 1_024;
  return { anonymous: bytes("RssAnon"), resident: bytes("VmRSS") };
}
