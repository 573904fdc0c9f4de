#!/usr/bin/env node
/**
 * `npm run bench:vectordbbench`: VectorDBBench's own runner, with its Milvus client, against Elanus and Milvus, one
 * after the other over one data set.
 *
 *   npm run bench:vectordbbench -- [--data NAME|DIR] [--rows N] [--only elanus] [--seconds 10] [--ef 64] [--json FILE]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setUp } from "../../scripts/setup.mjs";
import { environment } from "../environment.mjs";
import { startElanus, startMilvus } from "../servers.mjs";

const { values: asked } = parseArgs({
  options: {
    data: { type: "string", default: "sentences" },
    rows: { type: "string", default: "0" },
    only: { type: "string", default: "elanus,milvus" },
    seconds: { type: "string", default: "10" },
    ef: { type: "string", default: "64" },
    json: { type: "string" },
  },
});
await setUp({ quiet: true });
const python = environment("vectordbbench", "bench/databases/vectordbbench-requirements.txt");
const results = {};
for (const [name, start] of Object.entries({ elanus: startElanus, milvus: startMilvus })) {
  if (!asked.only.split(",").includes(name)) continue;
  const folder = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  const server = await start(folder);
  try {
    results[name] = await measure(server.address, folder);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(name, JSON.stringify(results[name]));
}
if (asked.json) writeFileSync(asked.json, `${JSON.stringify(results, null, 1)}\n`);

/** What the runner reports of the server at `address`; the runner's log goes to standard error. */
async function measure(address, folder) {
  const script = join(import.meta.dirname, "vectordbbench.py");
  const args = [script, address, asked.data, asked.rows, asked.ef, asked.seconds, join(folder, "results")];
  const runner = spawn(python, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(runner, "close");
  let told = "";
  for await (const part of runner.stdout) told += part;
  const [status] = await ended;
  if (status !== 0) throw new Error(`VectorDBBench ended with status ${status}; its log is above`);
  return JSON.parse(told);
}
