/**
 * Elanus's engine in a process of its own: elanus.mjs INDEX_TYPE DATA. Speaks the lines of worker.py. Rows become a
 * sealed segment and an index file on disk, both mapped, and every search goes through the addon with Milvus's
 * placeholder message, as in the server: the hop into native code and the reading of the hits are in the time.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { loadAddon } from "../../packages/engine/dist/load.js";
import { plainField } from "../../packages/model/dist/schema.js";
import { readNpy } from "./npy.mjs";
import { systems } from "./elanus-systems.mjs";

const [name, folder] = process.argv.slice(2);
const system = systems[name];
const addon = loadAddon();
/** Without threads: searches run on the calling one. */
const pool = new addon.Pool(0);
const rowsAtOnce = 10_000;
const vectorField = 101;

const queries = readNpy(join(folder, "queries.npy"));
const truth = readNpy(join(folder, "truth.npy"));
const dim = queries.columns;
const schema = new addon.Schema(
  JSON.stringify({
    name: "peer",
    description: "",
    fields: [
      plainField({ id: 100, name: "id", type: 5, primaryKey: true }),
      plainField({ id: vectorField, name: "vector", type: 101, dim, typeParams: { dim: String(dim) } }),
    ],
    dynamicFieldEnabled: false,
    version: 0,
  }),
);
const files = mkdtempSync(join(tmpdir(), "elanus-peer-"));
process.on("exit", () => rmSync(files, { recursive: true, force: true }));
let segment;

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const answer = command.do === "build" ? await build(command) : search(command);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** The time of a build is that of the index alone, over rows that are already in the segment. */
async function build({ threads }) {
  const before = resident();
  segment = await seal();
  let seconds = 0;
  let cpuSeconds = 0;
  if (system.type !== undefined) {
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    const build = { field: vectorField, type: system.type, metric: "L2", params: JSON.stringify(system.build), threads };
    const content = await addon.buildIndex(pool, segment, build, new addon.Progress());
    [seconds, cpuSeconds] = [(performance.now() - began) / 1_000, cpuSecondsSince(cpu)];
    await segment.attachIndex(pool, 1n, { ...stored("index:1", content), field: vectorField });
  }
  globalThis.gc?.();
  const now = resident();
  return {
    seconds,
    cpuSeconds,
    anonymous: Math.max(0, now.anonymous - before.anonymous),
    mapped: Math.max(0, now.mapped - before.mapped),
  };
}

async function seal() {
  const base = readNpy(join(folder, "base.npy"));
  const growing = addon.Segment.growing(schema, 1n);
  for (let start = 0; start < base.rows; start += rowsAtOnce) {
    const end = Math.min(base.rows, start + rowsAtOnce);
    const fields = [keyField(start, end), vectorFieldData(base.values.subarray(start * dim, end * dim))];
    const options = { upsert: false, allowInsertAutoId: false };
    const rows = addon.Rows.fromFieldData(schema, fields, end - start, options);
    growing.append(rows.encode(), 1n);
    rows.close();
  }
  const written = [];
  for (const role of growing.groups()) written.push(stored(role, await growing.encodeGroup(pool, role)));
  growing.close();
  return addon.Segment.open(pool, schema, 1n, written);
}

function stored(role, content) {
  const path = join(files, role.replace(":", "-"));
  writeFileSync(path, content);
  return { role, crc32c: addon.crc32c(content), bytes: content.length, path };
}

/** Milvus's `FieldData` of keys start..end, and of vectors. */
function keyField(start, end) {
  const keys = Buffer.concat(Array.from({ length: end - start }, (_, i) => varint(start + i)));
  return Buffer.concat([
    Buffer.from([0x08, 5]),
    delimited(2, Buffer.from("id")),
    delimited(3, delimited(3, delimited(1, keys))),
  ]);
}

function vectorFieldData(values) {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const vectors = Buffer.concat([Buffer.from([0x08]), varint(dim), delimited(2, delimited(1, bytes))]);
  return Buffer.concat([Buffer.from([0x08, 101]), delimited(2, Buffer.from("vector")), delimited(4, vectors)]);
}

/** Milvus's `PlaceholderGroup` of the queries from `start` on. */
function placeholders(start, count) {
  const values = Array.from({ length: count }, (_, i) => {
    const query = queries.values.subarray((start + i) * dim, (start + i + 1) * dim);
    return delimited(3, Buffer.from(query.buffer, query.byteOffset, query.byteLength));
  });
  return delimited(1, Buffer.concat([delimited(1, Buffer.from("$0")), Buffer.from([0x10, 101]), ...values]));
}

function delimited(field, bytes) {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
  return Buffer.from(bytes);
}

function search({ at, k, seconds }) {
  const batch = system.batch ?? 1;
  const batches = Math.floor(queries.rows / batch);
  const params = JSON.stringify(system.search(at, k));
  const asked = Array.from({ length: batches }, (_, i) => ({
    segments: [segment],
    field: vectorField,
    metric: "L2",
    placeholders: placeholders(i * batch, batch),
    topK: k,
    snapshot: 2n,
    params,
  }));
  const hits = asked.reduce((sum, request, i) => sum + overlap(keysOf(addon.search(pool, request)), i * batch, batch, k), 0);
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  let count = 0;
  while (performance.now() - began < seconds * 1_000) {
    for (let i = 0; i < Math.ceil(32 / batch); i++) keysOf(addon.search(pool, asked[count++ % batches]));
  }
  const wall = (performance.now() - began) / 1_000;
  return {
    recall: hits / (batches * batch * k),
    qps: (count * batch) / wall,
    cpuQps: (count * batch) / cpuSecondsSince(cpu),
  };
}

/** Keys of hits (docs/formats/hits.md): the last section. */
function keysOf(hits) {
  const count = new DataView(hits.buffer, hits.byteOffset).getUint32(12, true);
  const at = hits.byteOffset + hits.byteLength - 8 * count;
  return at % 8 === 0
    ? new BigInt64Array(hits.buffer, at, count)
    : new BigInt64Array(hits.slice(hits.byteLength - 8 * count).buffer);
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
