/**
 * Makes the files of a sealed segment and of its index: elanus-build.mjs INDEX_TYPE DATA INTO THREADS. Prints what
 * they are, and the time of the index alone, over rows that are already in the segment.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAddon } from "../../packages/engine/dist/load.js";
import { keyField, schemaOf, vectorField, vectorFieldData } from "./elanus-messages.mjs";
import { systems } from "./elanus-systems.mjs";
import { readNpy } from "./npy.mjs";

const [name, data, into, threads] = process.argv.slice(2);
const addon = loadAddon();
const pool = new addon.Pool(0);
const rowsAtOnce = 10_000;
const base = readNpy(join(data, "base.npy"));
const dim = base.columns;
const schema = schemaOf(addon, dim);

const parts = await seal();
const made = { parts, seconds: 0, cpuSeconds: 0 };
const { type, build } = systems[name];
if (type !== undefined) {
  const segment = await addon.Segment.open(pool, schema, 1n, parts);
  const began = performance.now();
  const cpu = process.cpuUsage();
  const how = { field: vectorField, type, metric: "L2", params: JSON.stringify(build), threads: Number(threads) };
  const content = await addon.buildIndex(pool, segment, how, new addon.Progress());
  const used = process.cpuUsage(cpu);
  made.seconds = (performance.now() - began) / 1_000;
  made.cpuSeconds = (used.user + used.system) / 1e6;
  made.index = { ...stored("index:1", content), field: vectorField };
}
process.stdout.write(JSON.stringify(made));

async function seal() {
  const growing = addon.Segment.growing(schema, 1n);
  for (let start = 0; start < base.rows; start += rowsAtOnce) {
    const end = Math.min(base.rows, start + rowsAtOnce);
    const fields = [keyField(start, end), vectorFieldData(base.values.subarray(start * dim, end * dim), dim)];
    const options = { upsert: false, allowInsertAutoId: false };
    const rows = addon.Rows.fromFieldData(schema, fields, end - start, options);
    growing.append(rows.encode(), 1n);
    rows.close();
  }
  const written = [];
  for (const role of growing.groups()) written.push(stored(role, await growing.encodeGroup(pool, role)));
  growing.close();
  return written;
}

function stored(role, content) {
  const path = join(into, role.replace(":", "-"));
  writeFileSync(path, content);
  return { role, crc32c: addon.crc32c(content), bytes: content.length, path };
}
