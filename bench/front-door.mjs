#!/usr/bin/env node
/**
 * What the front door costs: the server's own CPU per call, apart from the client's, for both transports. Writes
 * `bench/results/front-door.json`.
 *
 *   node bench/front-door.mjs [--seconds 4] [--only echo|search|insert|idle|proxies] [--transport native|node]
 *                             [--dim 768] [--proxies 1,2] [--rounds 3]
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { writeFileSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startServer } from "../conformance/node/server.mjs";
import { compileSchema } from "../packages/engine/dist/rows.js";
import { loadAddon } from "../packages/engine/dist/load.js";
import { Connection, decode, encode, measure, round } from "./grpc-load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const seconds = Number(option("seconds", 4));
const only = option("only", "");
const transports = option("transport", "native,node").split(",");
const dim = Number(option("dim", 768));
const rowCount = 1_000;
const ticksPerSecond = 100;
const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

const results = {};
if (only === "" || only === "search") results.engine = { searchMicros: engineMicros() };
if (only === "" || only === "proxies") results.proxies = await proxies();
if (only === "" || only === "insert") results.disk = { sequentialMBps: diskSpeed() };
for (const transport of only === "proxies" ? [] : transports) {
  const result = (results[transport] = {});
  if (only === "" || only === "echo") result.echo = await echo(transport);
  if (only === "" || only === "idle") result.idle = await idle(transport);
  if (only === "" || only === "search") result.search = await search(transport);
  if (only === "" || only === "insert") result.insert = await insert(transport);
  process.stdout.write(`${transport} ${JSON.stringify(result)}\n`);
}
process.stdout.write(`${JSON.stringify({ ...results, native: undefined, node: undefined })}\n`);
if (only === "") {
  mkdirSync(join(root, "bench/results"), { recursive: true });
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
  const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version };
  const text = { commit, date: new Date().toISOString().slice(0, 10), machine, workload: { dim, seconds }, results };
  writeFileSync(join(root, "bench/results/front-door.json"), `${JSON.stringify(text, null, 2)}\n`);
}

/** CPU per request of a server that only reads the request, and latencies at 70 % of what it can take. */
async function echo(transport) {
  const server = await echoServer(transport);
  const requests = [searchRequest("c")];
  const byConnections = {};
  for (const connections of [1, 8, 64]) {
    const before = cpuSeconds(server.pid);
    const { calls, perSecond } = await measure(server.address, { method: "Search", requests, connections, seconds });
    const cpuMicros = ((cpuSeconds(server.pid) - before) / calls) * 1e6;
    byConnections[connections] = { cpuMicros: round(cpuMicros), perSecond };
  }
  const at70 = await paced(server.address, requests[0], byConnections[8].perSecond * 0.7);
  await server.stop();
  return { byConnections, at70 };
}

/** Memory of ten thousand connections that say nothing, and a call beside them. */
async function idle(transport) {
  const server = await echoServer(transport);
  const before = residentKiB(server.pid);
  const began = performance.now();
  const sockets = [];
  const [host, port] = server.address.split(":");
  for (let at = 0; at < 10_000; at += 500) {
    const some = Array.from({ length: 500 }, async () => {
      const socket = connect(Number(port), host);
      await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
      socket.write(preface);
      await new Promise((resolve) => socket.once("data", resolve));
      return socket;
    });
    sockets.push(...(await Promise.all(some)));
  }
  const openSeconds = (performance.now() - began) / 1_000;
  const connection = new Connection(server.address);
  await connection.call("Search", searchRequest("c"));
  const kiBEach = (residentKiB(server.pid) - before) / sockets.length;
  connection.close();
  for (const socket of sockets) socket.destroy();
  await server.stop();
  return { connections: sockets.length, openSeconds: round(openSeconds, 1), kiBEach: round(kiBEach, 1) };
}

/** CPU of the whole server per search of 1,000 growing rows; the engine's own stands beside it. */
async function search(transport) {
  return withServer(transport, async ({ address, child }) => {
    await createCollection(address);
    const connection = new Connection(address);
    await checked(connection, "Insert", "MutationResult", insertRequest(0));
    connection.close();
    const before = cpuSeconds(child.pid);
    const found = await measure(address, {
      method: "Search",
      requests: [searchRequest("front")],
      connections: 8,
      seconds,
    });
    const cpuMicros = ((cpuSeconds(child.pid) - before) / found.calls) * 1e6;
    return { cpuMicros: round(cpuMicros), perSecond: found.perSecond, p50: found.p50, p99: found.p99 };
  });
}

/**
 * CPU per search of servers with so many proxies, asked in turn: of the whole process, and of its main thread, which is
 * what bounds the searches per second where there are cores enough. Medians of the rounds.
 */
async function proxies() {
  const counts = option("proxies", "1,2").split(",");
  const rounds = Number(option("rounds", 3));
  const found = {};
  await withServers(
    counts.map((count) => ["--proxies", count]),
    async (servers) => {
      for (const { address } of servers) {
        await createCollection(address);
        const connection = new Connection(address);
        await checked(connection, "Insert", "MutationResult", insertRequest(0));
        connection.close();
      }
      for (let round = 0; round < rounds; round++) {
        for (const connections of [8, 64]) {
          for (const [at, { address, child }] of servers.entries()) {
            const key = `${counts[at]} proxies, ${connections} callers`;
            (found[key] ??= []).push(await searchShares(address, child.pid, connections));
          }
        }
      }
    },
  );
  return Object.fromEntries(Object.entries(found).map(([key, all]) => [key, medians(all)]));
}

async function searchShares(address, pid, connections) {
  const before = [cpuSeconds(pid), cpuSeconds(pid, pid)];
  const load = { method: "Search", requests: [searchRequest("front")], connections, seconds };
  const { calls, perSecond, p50 } = await measure(address, load);
  const used = [cpuSeconds(pid), cpuSeconds(pid, pid)].map((after, at) => ((after - before[at]) / calls) * 1e6);
  return { cpuMicros: round(used[0], 1), mainMicros: round(used[1], 1), perSecond, p50 };
}

function medians(all) {
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  return Object.fromEntries(Object.keys(all[0]).map((key) => [key, middle(all.map((one) => one[key]))]));
}

/** MB of vectors per second of the server's CPU, and of time, with two connections and group commit. */
async function insert(transport) {
  return withServer(transport, async ({ address, child }) => {
    await createCollection(address);
    const requests = Array.from({ length: 100 }, (_, at) => insertRequest(at * rowCount));
    const connections = [new Connection(address), new Connection(address)];
    for (const connection of connections) await checked(connection, "Insert", "MutationResult", requests[0]);
    const before = cpuSeconds(child.pid);
    const began = performance.now();
    await Promise.all(
      connections.map(async (connection, c) => {
        for (let at = c; at < requests.length; at += 2)
          await checked(connection, "Insert", "MutationResult", requests[at]);
      }),
    );
    const wall = (performance.now() - began) / 1_000;
    const cpu = cpuSeconds(child.pid) - before;
    connections.forEach((connection) => connection.close());
    const megabytes = (requests.length * rowCount * dim * 4) / 1e6;
    return {
      MBpCpuSecond: Math.round(megabytes / cpu),
      MBps: Math.round(megabytes / wall),
      cpuMsPerInsert: round((cpu / requests.length) * 1e3),
    };
  });
}

// Load

/** Calls at a steady rate over 8 connections, whatever the answers take; latencies count from when they were due. */
async function paced(address, request, perSecond) {
  const open = Array.from({ length: 8 }, () => new Connection(address));
  const latencies = [];
  const running = [];
  const began = performance.now();
  for (let sent = 0; ; ) {
    const now = performance.now();
    if (now - began > seconds * 1_000) break;
    for (; began + (sent / perSecond) * 1_000 <= now; sent++) {
      const due = began + (sent / perSecond) * 1_000;
      const call = open[sent % open.length].call("Search", request);
      running.push(call.then(() => latencies.push(performance.now() - due)));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(running);
  open.forEach((connection) => connection.close());
  latencies.sort((a, b) => a - b);
  const at = (share) => round(latencies[Math.floor(latencies.length * share)]);
  return { p50: at(0.5), p99: at(0.99) };
}

/** The same search without a server, one after the other on this thread. */
function engineMicros() {
  const addon = loadAddon();
  const pool = new addon.Pool(0);
  const plain = { description: "", autoId: false, partitionKey: false, clusteringKey: false, nullable: false };
  const field = { ...plain, dynamic: false, typeParams: {} };
  const schema = compileSchema(addon, {
    name: "front",
    description: "",
    fields: [
      { ...field, id: 100, name: "id", type: 5, primaryKey: true },
      { ...field, id: 101, name: "vector", type: 101, dim, primaryKey: false },
    ],
    dynamicFieldEnabled: false,
    version: 0,
  });
  const segment = addon.Segment.growing(schema, 1n);
  const rows = Array.from({ length: rowCount }, (_, id) => ({ id, vector: [...vectorOf(id)] }));
  const options = { upsert: false, allowInsertAutoId: false };
  segment.append(addon.Rows.fromJson(schema, Buffer.from(JSON.stringify(rows)), options).encode(), 1n);
  const request = {
    segments: [segment],
    field: 101,
    metric: "L2",
    placeholders: placeholders(),
    topK: 10,
    snapshot: 9n,
    params: "{}",
  };
  for (let at = 0; at < 2_000; at++) addon.search(pool, request);
  const before = process.cpuUsage();
  for (let at = 0; at < 20_000; at++) addon.search(pool, request);
  const used = process.cpuUsage(before);
  return round((used.user + used.system) / 20_000);
}

/** Megabytes per second that this disk takes, 3 MB and one sync at a time. */
function diskSpeed() {
  const folder = mkdtempSync(join(tmpdir(), "bench-disk-"));
  const file = openSync(join(folder, "file"), "w");
  const piece = Buffer.alloc(rowCount * dim * 4, 7);
  const began = performance.now();
  for (let at = 0; at < 100; at++) {
    writeSync(file, piece, 0, piece.length, at * piece.length);
    fdatasyncSync(file);
  }
  const speed = (100 * piece.length) / 1e6 / ((performance.now() - began) / 1_000);
  closeSync(file);
  rmSync(folder, { recursive: true });
  return Math.round(speed);
}

// Requests

function vectorOf(seed) {
  return Float32Array.from({ length: dim }, (_, at) => Math.sin(seed * 31 + at));
}

function placeholders() {
  return encode("milvus.proto.common.PlaceholderGroup", {
    placeholders: [{ tag: "$0", type: 101, values: [Buffer.from(vectorOf(5).buffer)] }],
  });
}

function searchRequest(name) {
  return encode("SearchRequest", {
    collection_name: name,
    dsl_type: 1,
    placeholder_group: placeholders(),
    nq: 1,
    consistency_level: 3,
    guarantee_timestamp: 1,
    search_params: [
      { key: "anns_field", value: "vector" },
      { key: "topk", value: "10" },
      { key: "metric_type", value: "L2" },
      { key: "params", value: "{}" },
    ],
  });
}

function insertRequest(first) {
  const vectors = new Float32Array(rowCount * dim);
  for (let row = 0; row < rowCount; row++) vectors.set(vectorOf(row), row * dim);
  return encode("InsertRequest", {
    collection_name: "front",
    num_rows: rowCount,
    fields_data: [
      {
        type: 5,
        field_name: "id",
        scalars: { long_data: { data: Array.from({ length: rowCount }, (_, i) => first + i) } },
      },
      { type: 101, field_name: "vector", vectors: { dim, float_vector: { data: [...vectors] } } },
    ],
  });
}

async function createCollection(address) {
  const connection = new Connection(address);
  const call = (method, response, request, value) =>
    checked(connection, method, response, encode(request, { collection_name: "front", ...value }));
  const schema = encode("milvus.proto.schema.CollectionSchema", {
    name: "front",
    fields: [
      { name: "id", data_type: 5, is_primary_key: true },
      { name: "vector", data_type: 101, type_params: [{ key: "dim", value: String(dim) }] },
    ],
  });
  const status = "milvus.proto.common.Status";
  await call("CreateCollection", status, "CreateCollectionRequest", { schema, shards_num: 1 });
  const params = [
    { key: "index_type", value: "FLAT" },
    { key: "metric_type", value: "L2" },
  ];
  await call("CreateIndex", status, "CreateIndexRequest", { field_name: "vector", extra_params: params });
  await call("LoadCollection", status, "LoadCollectionRequest", { replica_number: 1 });
  connection.close();
}

async function checked(connection, method, response, request) {
  const answer = decode(response, await connection.call(method, request));
  const status = answer.status ?? answer;
  if ((status.code ?? 0) !== 0) throw new Error(`${method}: ${status.reason}`);
}

// Servers

function withServer(transport, work) {
  return withServers([["--transport", transport]], ([server]) => work(server));
}

/** A server for each list of options, all at once. */
async function withServers(lists, work) {
  const folder = mkdtempSync(join(tmpdir(), "bench-front-"));
  const servers = [];
  try {
    for (const options of lists) servers.push(await startServer(join(folder, `data-${servers.length}`), { options }));
    return await work(servers);
  } finally {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function echoServer(transport) {
  const child = spawn(process.execPath, [join(root, "bench/echo-server.mjs"), transport], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise((resolve) => createInterface({ input: child.stdout }).once("line", resolve));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill();
    await gone;
  };
  return { address: `127.0.0.1:${port}`, pid: child.pid, stop };
}

/** Of the process, or of one of its threads; the main thread has the process's number. */
function cpuSeconds(pid, thread) {
  const fields = readFileSync(thread === undefined ? `/proc/${pid}/stat` : `/proc/${pid}/task/${thread}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function residentKiB(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
