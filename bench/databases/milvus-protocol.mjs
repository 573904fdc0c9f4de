/**
 * A server that speaks Milvus's protocol, driven by the light client: milvus-protocol.mjs elanus|milvus DATA FOLDER.
 * Speaks the lines of worker.py.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Connection, decode, encode, measure } from "../grpc-load.mjs";
import { delimited, keyField, vectorFieldData } from "../peers/elanus-messages.mjs";
import { startElanus, startMilvus } from "../servers.mjs";
import { Data, timed, until } from "./data.mjs";

const [name, source, folder] = process.argv.slice(2);
const start = { elanus: startElanus, milvus: startMilvus }[name];
const batch = 1_000;
const data = new Data(source);
const { dim, rows } = data;
const collection = { collection_name: "t" };
let server;
/** The connection that `answerTo` keeps. */
let asking;
let next = rows;

const verbs = { open, reopen, load, index, recall, search, footprint };
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await verbs[command.do](command))}\n`);
}
await server?.stop();

async function open() {
  const seconds = await timed(async () => {
    server = await start(folder);
  });
  await createCollection();
  return { seconds };
}

async function reopen() {
  await server.stop();
  const request = searchRequest(0, { ef: 64, k: 10, below: 0 });
  const seconds = await timed(async () => {
    server = await start(folder);
    if (name === "milvus") await call("LoadCollection", "LoadCollectionRequest", "common.Status", collection);
    await until(async () => (await answerTo(request)).length > 0);
  });
  return { seconds };
}

async function load() {
  const requests = [];
  for (let row = 0; row < rows; row += batch) requests.push([row, Math.min(rows, row + batch)]);
  const seconds = await timed(() =>
    Promise.all(
      [0, 1].map(async (c) => {
        const connection = new Connection(server.address);
        for (let i = c; i < requests.length; i += 2) await insert(connection, ...requests[i]);
        connection.close();
      }),
    ),
  );
  return { seconds, rowsPerSecond: rows / seconds };
}

async function index() {
  const seconds = await timed(async () => {
    await call("Flush", "FlushRequest", "FlushResponse", { collection_names: ["t"] });
    const params = JSON.stringify({ M: 16, efConstruction: 200 });
    const extra = { index_type: "HNSW", metric_type: "L2", params };
    const extra_params = Object.entries(extra).map(([key, value]) => ({ key, value }));
    await call("CreateIndex", "CreateIndexRequest", "common.Status", {
      ...collection,
      field_name: "vector",
      extra_params,
    });
    await until(async () => {
      const told = await call("DescribeIndex", "DescribeIndexRequest", "DescribeIndexResponse", collection);
      const [one] = told.index_descriptions;
      return one.state === "Finished" && (one.indexed_rows ?? 0) >= rows && (one.pending_index_rows ?? 0) === 0;
    });
    await call("LoadCollection", "LoadCollectionRequest", "common.Status", { ...collection, replica_number: 1 });
    await until(async () => {
      const told = await call(
        "GetLoadingProgress",
        "GetLoadingProgressRequest",
        "GetLoadingProgressResponse",
        collection,
      );
      return (told.progress ?? 0) >= 100;
    });
  });
  return { seconds };
}

function recall(command) {
  return data.recall(command.below, command.k, (i) => answerTo(searchRequest(i, command)));
}

async function search(command) {
  const requests = Array.from({ length: data.asked }, (_, i) => searchRequest(i, command));
  let writing = command.writing === true;
  let written = 0;
  const write = async () => {
    if (!writing) return;
    const connection = new Connection(server.address);
    // As with the searches, what can be encoded before is no part of what is measured.
    const starts = Array.from({ length: Math.min(50, rows / 100) }, (_, i) => i * 100);
    const vectors = starts.map((start) => vectorsOf(start, start + 100));
    for (let i = 0; writing; i++, written += 100, next += 100)
      await insertEncoded(connection, vectors[i % vectors.length], next, next + 100);
    connection.close();
  };
  const writer = write();
  const { seconds, clients } = command;
  const found = await measure(server.address, { method: "Search", requests, connections: clients, seconds });
  writing = false;
  await writer;
  return { ...found, writtenPerSecond: written / (seconds + 1) };
}

function footprint() {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  const bytes = (field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]) * 1_024;
  return { anonymous: bytes("RssAnon"), resident: bytes("VmRSS") };
}

// Messages

async function call(method, request, response, value) {
  const full = (type) => (type.startsWith("common.") ? `milvus.proto.${type}` : type);
  const connection = new Connection(server.address);
  const answer = decode(full(response), await connection.call(method, encode(full(request), value)));
  connection.close();
  return checked(method, answer);
}

function checked(method, answer) {
  const status = answer.status ?? answer;
  if ((status.code ?? 0) !== 0) throw new Error(`${method}: ${status.reason}`);
  return answer;
}

async function createCollection() {
  const fields = [
    { name: "id", data_type: 5, is_primary_key: true },
    { name: "part", data_type: 5 },
    { name: "vector", data_type: 101, type_params: [{ key: "dim", value: String(dim) }] },
  ];
  const schema = encode("milvus.proto.schema.CollectionSchema", { name: "t", fields });
  await call("CreateCollection", "CreateCollectionRequest", "common.Status", { ...collection, schema, shards_num: 1 });
}

/** Rows start..end of the base under their numbers. */
function insert(connection, start, end) {
  return insertEncoded(connection, vectorsOf(start, end), start, end);
}

function vectorsOf(start, end) {
  return delimited(5, vectorFieldData(data.vectors(start, end), dim));
}

async function insertEncoded(connection, vectors, first, end) {
  const ids = Array.from({ length: end - first }, (_, i) => first + i);
  const head = encode("InsertRequest", { ...collection, num_rows: ids.length });
  const parts = encode("milvus.proto.schema.FieldData", {
    type: 5,
    field_name: "part",
    scalars: { long_data: { data: ids.map((id) => id % 100) } },
  });
  const fields = [keyField(first, end), parts].map((field) => delimited(5, field));
  const request = Buffer.concat([head, ...fields, vectors]);
  checked("Insert", decode("MutationResult", await connection.call("Insert", request)));
}

function searchRequest(query, { ef, k, below }) {
  const row = data.query(query);
  const values = [Buffer.from(row.buffer, row.byteOffset, row.byteLength)];
  const params = { anns_field: "vector", topk: k, metric_type: "L2", params: JSON.stringify({ ef: Math.max(ef, k) }) };
  return encode("SearchRequest", {
    ...collection,
    dsl: below > 0 ? `part < ${below}` : "",
    dsl_type: 1,
    placeholder_group: encode("milvus.proto.common.PlaceholderGroup", {
      placeholders: [{ tag: "$0", type: 101, values }],
    }),
    nq: 1,
    consistency_level: 3,
    guarantee_timestamp: 1,
    search_params: Object.entries({ ...params, round_decimal: -1 }).map(([key, value]) => ({ key, value: `${value}` })),
  });
}

/** Ids of a search's hits; none while the collection is not loaded. */
async function answerTo(request) {
  if (asking?.address !== server.address)
    asking = { address: server.address, connection: new Connection(server.address) };
  const answer = decode("SearchResults", await asking.connection.call("Search", request));
  return answer.results?.ids?.int_id?.data ?? [];
}
