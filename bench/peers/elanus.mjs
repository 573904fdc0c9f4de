/**
 * Elanus's engine in a process of its own: elanus.mjs INDEX_TYPE DATA. Speaks the lines of worker.py. Rows become a
 * sealed segment and an index file on disk, both mapped. A setting is a prepared search, as it is an attribute or an
 * object of the peers; every search goes through the addon with Milvus's placeholder message, and the hop into native
 * code and the writing of the hits to the caller's array are in the time.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { loadAddon } from "../../packages/engine/dist/load.js";
import { delimited, schemaOf, vectorField } from "./elanus-messages.mjs";
import { systems } from "./elanus-systems.mjs";
import { readNpy } from "./npy.mjs";

const [name, folder] = process.argv.slice(2);
const system = systems[name];
const addon = loadAddon();
/** Without threads: searches run on the calling one. */
const pool = new addon.Pool(0);

const queries = readNpy(join(folder, "queries.npy"));
const truth = readNpy(join(folder, "truth.npy"));
const dim = queries.columns;
const schema = schemaOf(addon, dim);
const files = mkdtempSync(join(tmpdir(), "elanus-peer-"));
process.on("exit", () => rmSync(files, { recursive: true, force: true }));
let segment;

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const answer = command.do === "build" ? await build(command) : search(command);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Files are made in a process of their own, so that the memory told is that of the opened segment alone. */
async function build({ threads }) {
  const maker = [join(import.meta.dirname, "elanus-build.mjs"), name, folder, files, String(threads)];
  const made = spawnSync(process.execPath, maker, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (made.status !== 0) process.exit(1);
  const { seconds, cpuSeconds, parts, index } = JSON.parse(made.stdout);
  const before = resident();
  segment = await addon.Segment.open(pool, schema, 1n, parts);
  if (index !== undefined) await segment.attachIndex(pool, 1n, index);
  const now = resident();
  return {
    seconds,
    cpuSeconds,
    anonymous: Math.max(0, now.anonymous - before.anonymous),
    mapped: Math.max(0, now.mapped - before.mapped),
  };
}

/** Milvus's `PlaceholderGroup` of the queries from `start` on. */
function placeholders(start, count) {
  const values = Array.from({ length: count }, (_, i) => {
    const query = queries.values.subarray((start + i) * dim, (start + i + 1) * dim);
    return delimited(3, Buffer.from(query.buffer, query.byteOffset, query.byteLength));
  });
  return delimited(1, Buffer.concat([delimited(1, Buffer.from("$0")), Buffer.from([0x10, 101]), ...values]));
}

function search({ at, k, seconds }) {
  const batch = system.batch ?? 1;
  const batches = Math.floor(queries.rows / batch);
  const prepared = new addon.PreparedSearch({
    segments: [segment],
    field: vectorField,
    metric: "L2",
    topK: k,
    snapshot: 2n,
    params: JSON.stringify(system.search(at, k)),
  });
  const out = new Uint8Array(64 + batch * (8 + 24 * k));
  const asked = Array.from({ length: batches }, (_, i) => placeholders(i * batch, batch));
  const hits = asked.reduce(
    (sum, message, i) => sum + overlap(keysOf(out, prepared.search(message, out)), i * batch, batch, k),
    0,
  );
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  let count = 0;
  while (performance.now() - began < seconds * 1_000) {
    for (let i = 0; i < Math.ceil(32 / batch); i++) prepared.search(asked[count++ % batches], out);
  }
  const wall = (performance.now() - began) / 1_000;
  const answer = {
    recall: hits / (batches * batch * k),
    qps: (count * batch) / wall,
    cpuQps: (count * batch) / cpuSecondsSince(cpu),
  };
  prepared.close();
  return answer;
}

/** Keys of hits of `bytes` bytes (docs/formats/hits.md): the last section. */
function keysOf(out, bytes) {
  const count = new Uint32Array(out.buffer, 12, 1)[0];
  return new BigInt64Array(out.buffer, bytes - 8 * count, count);
}

function overlap(keys, start, count, k) {
  let found = 0;
  for (let i = 0; i < count; i++) {
    const wanted = new Set(truth.values.subarray((start + i) * truth.columns, (start + i) * truth.columns + k));
    for (const key of keys.subarray(i * k, (i + 1) * k)) if (wanted.has(key)) found++;
  }
  return found;
}

function cpuSecondsSince(start) {
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1e6;
}

/** Bytes of this process in memory: its own, and of mapped files. */
function resident() {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) * 1_024;
  return { anonymous: bytes("RssAnon"), mapped: bytes("RssFile") };
}
