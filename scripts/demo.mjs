#!/usr/bin/env node
/**
 * `npm run demo`: loads 10,000 sentences with their embeddings into Elanus through the ordinary Milvus client,
 * builds an HNSW index and asks what means something similar, with and without filters.
 *
 *   npm run demo                            over its own server and a temporary folder
 *   npm run demo -- --address 127.0.0.1:19530   over one that runs
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { styleText } from "node:util";
import { gunzipSync } from "node:zlib";
import { root, setUp } from "./setup.mjs";

const collection = "elanus_demo_sentences";
const rowsPerRequest = 500;

await setUp();
const require = createRequire(join(root, "packages/wire/package.json"));
const { DataType, MilvusClient } = require("@zilliz/milvus2-sdk-node");

const given = process.argv.indexOf("--address");
const server = given < 0 ? await startServer() : undefined;
const client = new MilvusClient({ address: server?.address ?? process.argv[given + 1] });
try {
  await client.connectPromise;
  const rows = readRows();
  await load(rows);
  await buildIndex();
  await ask(rows.length);
} finally {
  await client.closeConnection();
  await server?.stop();
}

async function load(rows) {
  await check(client.dropCollection({ collection_name: collection }));
  await check(
    client.createCollection({
      collection_name: collection,
      fields: [
        { name: "id", data_type: DataType.Int64, is_primary_key: true },
        { name: "words", data_type: DataType.VarChar, max_length: 1_000 },
        { name: "gloss", data_type: DataType.VarChar, max_length: 2_000 },
        { name: "part_of_speech", data_type: DataType.VarChar, max_length: 10 },
        { name: "vector", data_type: DataType.FloatVector, dim: 384 },
      ],
    }),
  );
  const started = performance.now();
  for (let i = 0; i < rows.length; i += rowsPerRequest) {
    await check(client.insert({ collection_name: collection, data: rows.slice(i, i + rowsPerRequest) }));
    showProgress("loading", Math.min(1, (i + rowsPerRequest) / rows.length));
  }
  const seconds = (performance.now() - started) / 1_000;
  say(
    `${rows.length.toLocaleString("en")} sentences in ${seconds.toFixed(1)} s, ` +
      "each durable before its request was answered\n",
  );
}

async function buildIndex() {
  await check(client.flushSync({ collection_names: [collection] }));
  await check(
    client.createIndex({
      collection_name: collection,
      field_name: "vector",
      index_type: "HNSW",
      metric_type: "COSINE",
      params: { M: 16, efConstruction: 200 },
    }),
  );
  for (;;) {
    const described = await check(client.describeIndex({ collection_name: collection }));
    const [index] = described.index_descriptions;
    showProgress(
      "indexing",
      Number(index.total_rows) === 0 ? 1 : Number(index.indexed_rows) / Number(index.total_rows),
    );
    if (index.state === "Finished") break;
    if (index.state === "Failed") throw new Error(index.index_state_fail_reason);
    await new Promise((wake) => setTimeout(wake, 200));
  }
  await check(client.loadCollectionSync({ collection_name: collection }));
}

async function ask(count) {
  const queries = JSON.parse(readFileSync(join(root, "fixtures/queries.json"), "utf8"));
  for (const query of queries) {
    say(
      styleText("bold", `\n“${query.gloss}”`) +
        styleText("dim", `   (${query.word}, not among the ${count.toLocaleString("en")})`),
    );
    await show(query, "");
  }
  const [query] = queries;
  for (const filter of ['part_of_speech == "verb"', 'words like "%boat%" and id > 100']) {
    say(styleText("bold", `\n“${query.gloss}”`) + styleText("cyan", `   where ${filter}`));
    await show(query, filter);
  }
}

async function show(query, filter) {
  const started = performance.now();
  const answer = await check(
    client.search({
      collection_name: collection,
      anns_field: "vector",
      data: [query.vector],
      limit: 3,
      filter,
      output_fields: ["words", "gloss"],
      params: { ef: 64 },
    }),
  );
  const milliseconds = performance.now() - started;
  const hits = Array.isArray(answer.results[0]) ? answer.results[0] : answer.results;
  for (const hit of hits) say(`  ${hit.score.toFixed(3)}  ${styleText("green", hit.words)}: ${hit.gloss}`);
  say(styleText("dim", `  ${hits.length} answers in ${milliseconds.toFixed(1)} ms`));
}

function readRows() {
  const vectors = readHalfFloats(join(root, "fixtures/wordnet-10k.f16.npy"), 384);
  const lines = gunzipSync(readFileSync(join(root, "fixtures/wordnet-10k.jsonl.gz")))
    .toString("utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line, i) => {
    const { id, words, gloss, part_of_speech } = JSON.parse(line);
    return { id, words: words.join(", "), gloss, part_of_speech, vector: vectors[i] };
  });
}

/** Rows of a NumPy file of little-endian half floats. */
function readHalfFloats(path, dim) {
  const file = readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  const values = Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits));
  const rows = [];
  for (let at = start; at < file.length; at += dim * 2) {
    rows.push(Array.from({ length: dim }, (_, i) => values[file.readUInt16LE(at + i * 2)]));
  }
  return rows;
}

function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

async function startServer() {
  const data = mkdtempSync(join(tmpdir(), "elanus-demo-"));
  const args = ["serve", "--data", data, "--port", "0", "--metrics-port", "0", "--log-level", "warn"];
  const child = spawn(process.execPath, [join(root, "packages/cli/dist/main.js"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /grpc=http:\/\/(\S+)/.exec(line);
      if (match) resolve(match[1]);
    });
    child.once("exit", (code) => reject(new Error(`the server stopped (exit ${code}); its words are above`)));
  });
  const stop = async () => {
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await gone;
    rmSync(data, { recursive: true, force: true });
  };
  return { address, stop };
}

async function check(call) {
  const answer = await call;
  const status = answer.status ?? answer;
  if (status.error_code !== undefined && status.error_code !== "Success") throw new Error(status.reason);
  return answer;
}

function showProgress(what, fraction) {
  if (!process.stdout.isTTY) return fraction >= 1 ? say(`${what}: done`) : undefined;
  const filled = Math.round(fraction * 40);
  process.stdout.write(
    `\r${what.padEnd(9)} ${"█".repeat(filled)}${"░".repeat(40 - filled)} ${Math.round(fraction * 100)} %` +
      (fraction >= 1 ? "\n" : ""),
  );
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
