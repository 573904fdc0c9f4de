#!/usr/bin/env node
/**
 * How long a start takes: over a million sealed rows to the first search, and with 100,000 unsealed rows to replay.
 * Also the price of a strong read right after an insert. Writes bench/results/startup.json.
 *
 *   node bench/startup.mjs [--sealed 1000000] [--unsealed 100000]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startServer } from "../conformance/node/server.mjs";
import { Connection, decode, encode, round } from "./grpc-load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const dim = 128;
const batch = 5_000;
const result = {};

for (const [kind, rows] of [
  ["sealed", option("sealed", 1_000_000)],
  ["unsealed", option("unsealed", 100_000)],
]) {
  const folder = mkdtempSync(join(tmpdir(), "elanus-startup-"));
  try {
    let server = await startServer(join(folder, "data"));
    await fill(server.address, rows);
    if (kind === "sealed") {
      await checked(server.address, "Flush", "FlushRequest", "FlushResponse", { collection_names: ["t"] });
      result.strongRead = await strongRead(server.address);
      const stopped = performance.now();
      await server.stop();
      result.stopSeconds = round((performance.now() - stopped) / 1_000);
    } else {
      await server.kill();
    }
    const began = performance.now();
    server = await startServer(join(folder, "data"));
    const ready = performance.now();
    await firstSearch(server.address);
    result[kind] = {
      rows,
      readySeconds: round((ready - began) / 1_000),
      firstSearchSeconds: round((performance.now() - began) / 1_000),
    };
    process.stdout.write(`${kind}: ${JSON.stringify(result[kind])}\n`);
    await server.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.stdout.write(`${JSON.stringify(result)}\n`);
mkdirSync(join(root, "bench/results"), { recursive: true });
writeFileSync(join(root, "bench/results/startup.json"), `${JSON.stringify(result, null, 2)}\n`);

async function checked(address, method, request, response, value) {
  const connection = new Connection(address);
  const answer = decode(response, await connection.call(method, encode(request, value)));
  connection.close();
  const status = answer.status ?? answer;
  if ((status.code ?? 0) !== 0) throw new Error(`${method}: ${status.reason}`);
  return answer;
}

async function fill(address, rows) {
  const schema = encode("milvus.proto.schema.CollectionSchema", {
    name: "t",
    fields: [
      { name: "id", data_type: 5, is_primary_key: true },
      { name: "vector", data_type: 101, type_params: [{ key: "dim", value: String(dim) }] },
    ],
  });
  await checked(address, "CreateCollection", "CreateCollectionRequest", "milvus.proto.common.Status", {
    collection_name: "t",
    schema,
  });
  await checked(address, "CreateIndex", "CreateIndexRequest", "milvus.proto.common.Status", {
    collection_name: "t",
    field_name: "vector",
    extra_params: [
      { key: "index_type", value: "FLAT" },
      { key: "metric_type", value: "L2" },
    ],
  });
  await checked(address, "LoadCollection", "LoadCollectionRequest", "milvus.proto.common.Status", {
    collection_name: "t",
  });
  const connection = new Connection(address);
  for (let start = 0; start < rows; start += batch) {
    const answer = decode(
      "MutationResult",
      await connection.call("Insert", insert(start, Math.min(batch, rows - start))),
    );
    if ((answer.status?.code ?? 0) !== 0) throw new Error(answer.status.reason);
  }
  connection.close();
}

function insert(start, count) {
  return encode("InsertRequest", {
    collection_name: "t",
    num_rows: count,
    fields_data: [
      {
        type: 5,
        field_name: "id",
        scalars: { long_data: { data: Array.from({ length: count }, (_, i) => start + i) } },
      },
      {
        type: 101,
        field_name: "vector",
        vectors: { dim, float_vector: { data: Array.from({ length: count * dim }, () => Math.random()) } },
      },
    ],
  });
}

function search(level) {
  const vector = Buffer.from(Float32Array.from({ length: dim }, () => Math.random()).buffer);
  return encode("SearchRequest", {
    collection_name: "t",
    dsl_type: 1,
    nq: 1,
    consistency_level: level,
    guarantee_timestamp: level === 0 ? 0 : 1,
    placeholder_group: encode("milvus.proto.common.PlaceholderGroup", {
      placeholders: [{ tag: "$0", type: 101, values: [vector] }],
    }),
    search_params: [
      { key: "topk", value: "10" },
      { key: "params", value: "{}" },
    ],
  });
}

async function firstSearch(address) {
  const connection = new Connection(address);
  for (;;) {
    const answer = decode("SearchResults", await connection.call("Search", search(0)));
    if (answer.results?.scores?.length === 10) break;
    // Still loading: asked again at once, as a client would.
    if ((answer.status?.code ?? 0) === 0) throw new Error("a search found fewer than ten of the rows");
  }
  connection.close();
}

/** Medians of a strong and of an eventual search, each right after an insert of one row. */
async function strongRead(address) {
  const connection = new Connection(address);
  const times = { 0: [], 3: [] };
  for (let i = 0; i < 60; i++) {
    await connection.call("Insert", insert(10_000_000 + i, 1));
    const level = i % 2 === 0 ? 0 : 3;
    const request = search(level);
    const began = performance.now();
    await connection.call("Search", request);
    times[level].push(performance.now() - began);
  }
  connection.close();
  const median = (values) => round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]);
  return { strongMs: median(times[0]), eventuallyMs: median(times[3]) };
}
