#!/usr/bin/env node
/**
 * `npm run bench`: Elanus beside a real Milvus standalone (its server binary is in the PyPI package `milvus`), one
 * after the other on the same machine, same data, same clients. Writes `bench/results/NAME.json` and prints ratios.
 *
 *   npm run bench -- [--rows 100000] [--dim 768] [--seconds 8] [--name FILE] [--only elanus]
 *
 * Each server is started fresh, measured alone, and stopped. Client and server share the machine's cores, as they do
 * for a user on one machine; so the client's own cost narrows every ratio.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setUp } from "../scripts/setup.mjs";
import { Connection, decode, encode, measure, round } from "./grpc-load.mjs";
import { startElanus, startMilvus } from "./servers.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const rows = Number(option("rows", 100_000));
const dim = Number(option("dim", 768));
const seconds = Number(option("seconds", 8));
const only = option("only", "");
const batch = 1_000;
const queries = 200;
const k = 10;
const collection = "bench";

await setUp({ forTests: true, quiet: true });
const data = makeData();
const systems = [
  { name: "milvus", start: startMilvus },
  { name: "elanus", start: startElanus },
].filter(({ name }) => only === "" || only === name);

const results = {};
for (const { name, start } of systems) {
  process.stdout.write(`\n${name}\n`);
  const folder = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  const server = await start(folder);
  try {
    results[name] = await measureSystem(server, folder);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
report();

async function measureSystem(server, folder) {
  const result = {};
  const note = (key, value) => {
    result[key] = value;
    process.stdout.write(`  ${key}: ${JSON.stringify(value)}\n`);
  };
  note("insertPymilvus", insertWithPymilvus(server.address));
  await createCollection(server.address);
  note("insertEncoded", await insertEncoded(server.address));
  note("searchableAfterMs", await timeToSearchable(server.address));
  note("indexSeconds", await buildIndex(server.address));
  note("search", await searchAtRecall(server.address));
  note("queryByKey", await queryByKey(server.address));
  note("residentMiB", residentMiB(server.pid));
  note("diskMiB", diskMiB(folder));
  return result;
}

// Verbs

async function call(address, method, type, value) {
  const connection = new Connection(address);
  try {
    const [request, response] = type;
    return decode(response, await connection.call(method, encode(request, value)));
  } finally {
    connection.close();
  }
}

async function checked(address, method, type, value) {
  const answer = await call(address, method, type, value);
  const status = answer.status ?? answer;
  if ((status.code ?? 0) !== 0) throw new Error(`${method}: ${status.reason}`);
  return answer;
}

async function createCollection(address) {
  const schema = encode("milvus.proto.schema.CollectionSchema", {
    name: collection,
    fields: [
      { name: "id", data_type: 5, is_primary_key: true },
      { name: "vector", data_type: 101, type_params: [{ key: "dim", value: String(dim) }] },
    ],
  });
  await checked(address, "CreateCollection", ["CreateCollectionRequest", "common.Status"].map(full), {
    collection_name: collection,
    schema,
    shards_num: 1,
    consistency_level: 2,
  });
}

function full(name) {
  return name.startsWith("common.") ? `milvus.proto.${name}` : name;
}

function insertWithPymilvus(address) {
  const count = Math.min(rows, 30_000);
  const args = [
    join(root, "bench/insert_client.py"),
    `http://${address}`,
    "bench_pymilvus",
    String(count),
    String(dim),
    String(batch),
  ];
  const ran = spawnSync(join(root, ".elanus/python-2.5/bin/python"), args, { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout.trim().split("\n").at(-1));
}

async function insertEncoded(address) {
  const requests = [];
  for (let start = 0; start < rows; start += batch) requests.push(insertRequest(start, Math.min(rows, start + batch)));
  const began = performance.now();
  await Promise.all(
    [0, 1].map(async (c) => {
      const connection = new Connection(address);
      for (let i = c; i < requests.length; i += 2) {
        const answer = decode("MutationResult", await connection.call("Insert", requests[i]));
        if ((answer.status?.code ?? 0) !== 0) throw new Error(answer.status.reason);
      }
      connection.close();
    }),
  );
  return { rowsPerSecond: Math.round(rows / ((performance.now() - began) / 1_000)) };
}

function insertRequest(start, end) {
  const ids = Array.from({ length: end - start }, (_, i) => start + i);
  return encode("InsertRequest", {
    collection_name: collection,
    num_rows: end - start,
    fields_data: [
      { type: 5, field_name: "id", scalars: { long_data: { data: ids } } },
      {
        type: 101,
        field_name: "vector",
        vectors: { dim, float_vector: { data: Array.from(data.base.subarray(start * dim, end * dim)) } },
      },
    ],
  });
}

/** From an insert's answer until a strong search finds the row; median of 30 (only while the collection is loaded). */
async function timeToSearchable(address) {
  const name = "bench_fresh";
  const schema = encode("milvus.proto.schema.CollectionSchema", {
    name,
    fields: [
      { name: "id", data_type: 5, is_primary_key: true },
      { name: "vector", data_type: 101, type_params: [{ key: "dim", value: "8" }] },
    ],
  });
  await checked(address, "CreateCollection", ["CreateCollectionRequest", "common.Status"].map(full), {
    collection_name: name,
    schema,
    shards_num: 1,
  });
  await createIndex(address, name, "FLAT", {});
  await load(address, name);
  const connection = new Connection(address);
  const times = [];
  const quick = [];
  for (let i = 0; i < 30; i++) {
    const vector = Float32Array.from({ length: 8 }, () => Math.random() + i);
    const insert = encode("InsertRequest", {
      collection_name: name,
      num_rows: 1,
      fields_data: [
        { type: 5, field_name: "id", scalars: { long_data: { data: [i] } } },
        { type: 101, field_name: "vector", vectors: { dim: 8, float_vector: { data: [...vector] } } },
      ],
    });
    await connection.call("Insert", insert);
    const strong = searchRequest(name, Buffer.from(vector.buffer), {}, 0);
    const began = performance.now();
    for (;;) {
      const answer = decode("SearchResults", await connection.call("Search", strong));
      if (answer.results?.ids?.int_id?.data?.[0] === i || (i === 0 && answer.results?.scores?.length > 0)) break;
    }
    times.push(performance.now() - began);
    const eventually = searchRequest(name, Buffer.from(vector.buffer), {}, 3);
    const again = performance.now();
    await connection.call("Search", eventually);
    quick.push(performance.now() - again);
  }
  connection.close();
  await checked(address, "DropCollection", ["DropCollectionRequest", "common.Status"].map(full), {
    collection_name: name,
  });
  return { strong: round(median(times)), eventually: round(median(quick)) };
}

async function buildIndex(address) {
  const began = performance.now();
  await checked(address, "Flush", ["FlushRequest", "FlushResponse"], { collection_names: [collection] });
  await createIndex(address, collection, "HNSW", { M: 16, efConstruction: 200 });
  for (;;) {
    const answer = await checked(address, "DescribeIndex", ["DescribeIndexRequest", "DescribeIndexResponse"], {
      collection_name: collection,
    });
    const [index] = answer.index_descriptions;
    if (index.state === "Finished" && (index.indexed_rows ?? 0) >= rows && (index.pending_index_rows ?? 0) === 0) break;
    await new Promise((wake) => setTimeout(wake, 200));
  }
  await load(address, collection);
  return round((performance.now() - began) / 1_000, 1);
}

async function createIndex(address, name, type, params) {
  await checked(address, "CreateIndex", ["CreateIndexRequest", "common.Status"].map(full), {
    collection_name: name,
    field_name: "vector",
    extra_params: [
      { key: "index_type", value: type },
      { key: "metric_type", value: "L2" },
      { key: "params", value: JSON.stringify(params) },
    ],
  });
}

async function load(address, name) {
  await checked(address, "LoadCollection", ["LoadCollectionRequest", "common.Status"].map(full), {
    collection_name: name,
    replica_number: 1,
  });
  for (;;) {
    const answer = await checked(
      address,
      "GetLoadingProgress",
      ["GetLoadingProgressRequest", "GetLoadingProgressResponse"],
      { collection_name: name },
    );
    if ((answer.progress ?? 0) >= 100) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

function searchRequest(name, vector, params, level) {
  const placeholder_group = encode("milvus.proto.common.PlaceholderGroup", {
    placeholders: [{ tag: "$0", type: 101, values: [vector] }],
  });
  return encode("SearchRequest", {
    collection_name: name,
    dsl_type: 1,
    placeholder_group,
    nq: 1,
    consistency_level: level,
    // Markers of the levels, as clients send them.
    guarantee_timestamp: { 0: 0, 1: 1, 2: 2, 3: 1 }[level],
    search_params: [
      { key: "anns_field", value: "vector" },
      { key: "topk", value: String(k) },
      { key: "metric_type", value: "L2" },
      { key: "params", value: JSON.stringify(params) },
      { key: "round_decimal", value: "-1" },
      { key: "offset", value: "0" },
    ],
  });
}

/** The smallest ef whose recall is at least 0.99, and the throughput there with 8 clients. */
async function searchAtRecall(address) {
  for (const ef of [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]) {
    const requests = data.queries.map((vector) => searchRequest(collection, Buffer.from(vector.buffer), { ef }, 3));
    const connection = new Connection(address);
    let found = 0;
    for (const [i, request] of requests.entries()) {
      const answer = decode("SearchResults", await connection.call("Search", request));
      if ((answer.status?.code ?? 0) !== 0) throw new Error(answer.status.reason);
      const ids = new Set(answer.results.ids?.int_id?.data ?? []);
      found += data.truth[i].filter((id) => ids.has(id)).length;
    }
    connection.close();
    const recall = round(found / (queries * k), 4);
    if (recall < 0.99) continue;
    const eight = await measure(address, { method: "Search", requests, connections: 8, seconds });
    const one = await measure(address, {
      method: "Search",
      requests,
      connections: 1,
      seconds: Math.max(2, seconds / 2),
    });
    return { ef, recall, eight, one };
  }
  throw new Error("no ef up to 512 reaches recall 0.99");
}

async function queryByKey(address) {
  const requests = Array.from({ length: 1_000 }, (_, i) =>
    encode("QueryRequest", {
      collection_name: collection,
      expr: `id in [${(i * 7_919) % rows}]`,
      output_fields: ["id"],
      consistency_level: 3,
      guarantee_timestamp: 1,
    }),
  );
  return measure(address, { method: "Query", requests, connections: 8, seconds });
}

function residentMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const anonymous = /RssAnon:\s+(\d+)/.exec(status)?.[1];
  const all = /VmRSS:\s+(\d+)/.exec(status)?.[1];
  return { all: Math.round(Number(all) / 1_024), anonymous: Math.round(Number(anonymous) / 1_024) };
}

function diskMiB(folder) {
  const ran = spawnSync("du", ["-sm", "--exclude=bin", folder], { encoding: "utf8" });
  return Number(ran.stdout.split("\t")[0]);
}

// Data

/** Clustered vectors, as embeddings are, and exact neighbours of held-out queries. */
function makeData() {
  const next = generator(42);
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const centres = Array.from({ length: 256 }, () => Float32Array.from({ length: dim }, gaussian));
  const draw = (target) => {
    const centre = centres[Math.floor(next() * centres.length)];
    for (let i = 0; i < dim; i++) target[i] = centre[i] + gaussian();
    return target;
  };
  const base = new Float32Array(rows * dim);
  for (let row = 0; row < rows; row++) draw(base.subarray(row * dim, (row + 1) * dim));
  const asked = Array.from({ length: queries }, () => draw(new Float32Array(dim)));
  return { base, queries: asked, truth: asked.map((query) => nearest(base, query)) };
}

function nearest(base, query) {
  const best = [];
  for (let row = 0; row < rows; row++) {
    let distance = 0;
    const at = row * dim;
    for (let i = 0; i < dim; i++) {
      const d = base[at + i] - query[i];
      distance += d * d;
    }
    if (best.length < k || distance < best.at(-1).distance) {
      const place = best.findIndex((one) => one.distance > distance);
      best.splice(place < 0 ? best.length : place, 0, { row, distance });
      if (best.length > k) best.pop();
    }
  }
  return best.map((one) => one.row);
}

function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

// Report

function report() {
  const { milvus, elanus } = results;
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
  const ratios =
    milvus && elanus
      ? {
          insertPymilvus: round(elanus.insertPymilvus.rowsPerSecond / milvus.insertPymilvus.rowsPerSecond),
          insertEncoded: round(elanus.insertEncoded.rowsPerSecond / milvus.insertEncoded.rowsPerSecond),
          queryByKey: round(elanus.queryByKey.perSecond / milvus.queryByKey.perSecond),
          searchEightClients: round(elanus.search.eight.perSecond / milvus.search.eight.perSecond),
          searchOneClient: round(elanus.search.one.perSecond / milvus.search.one.perSecond),
          indexBuild: round(milvus.indexSeconds / elanus.indexSeconds),
          searchable: round(milvus.searchableAfterMs.strong / elanus.searchableAfterMs.strong),
          memory: round(elanus.residentMiB.anonymous / milvus.residentMiB.anonymous),
          memoryWithMappedFiles: round(elanus.residentMiB.all / milvus.residentMiB.all),
          disk: round(elanus.diskMiB / milvus.diskMiB),
        }
      : {};
  const text = {
    commit,
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0].model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
    peer: "Milvus standalone 2.3.5 (PyPI package milvus)",
    workload: { rows, dim, batch, queries, k, seconds, index: "HNSW M=16 efConstruction=200 L2" },
    ratios,
    results,
  };
  mkdirSync(join(root, "bench/results"), { recursive: true });
  const file = join(root, "bench/results", `${option("name", "standalone")}.json`);
  writeFileSync(file, `${JSON.stringify(text, null, 2)}\n`);
  process.stdout.write(`\nElanus over Milvus (memory, disk: smaller is better; the rest: larger)\n`);
  for (const [key, ratio] of Object.entries(ratios)) process.stdout.write(`  ${key.padEnd(20)} ${ratio}\n`);
  process.stdout.write(`\nwritten to ${file.slice(root.length + 1)}\n`);
}
