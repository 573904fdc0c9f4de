/**
 * Whatever clients send, a real server answers: Milvus's code and a reason, never a crash, a hang or an internal
 * error. Messages are random but well-formed, and near to what real ones look like, so that they get deep.
 * RUNS=500 makes it longer; a failure prints its seed, SEED=… repeats it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { messageArbitrary, protocolRoot } from "../../packages/wire/dist/testing/random-messages.js";
import { startServer } from "./server.mjs";

const runs = Number(process.env.RUNS ?? 30);
const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) };
const root = protocolRoot();
const service = root.lookupService("milvus.proto.milvus.MilvusService");
const typeOf = (name) => root.lookupType(`milvus.proto.${name}`);

let folder, server, session;

function call(name, message) {
  const method = service.methods[name].resolve();
  const body = method.resolvedRequestType.encode(message).finish();
  const frame = Buffer.alloc(5 + body.length);
  frame.writeUInt32BE(body.length, 1);
  frame.set(body, 5);
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/milvus.proto.milvus.MilvusService/${name}`,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "20S",
    });
    const chunks = [];
    let status;
    const read = (headers) => {
      status = headers["grpc-status"] ?? status;
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      const answer = status === "0" ? method.resolvedResponseType.decode(Buffer.concat(chunks).subarray(5)) : undefined;
      resolve({ grpc: status, status: answer?.status ?? answer?.alterStatus ?? answer });
    });
    stream.end(frame);
  });
}

/** gRPC itself may refuse malformed and unknown calls; a Status may have any code but those of bugs. */
async function expectAnswer(name, message) {
  const { grpc, status } = await call(name, message);
  assert.ok(["0", "3", "12"].includes(grpc), `${name} ended with gRPC status ${grpc}`);
  if (status?.code === undefined) return;
  assert.ok(![5, 65_535].includes(status.code), `${name}: ${status.code} ${status.reason}`);
  assert.ok(status.code === 0 || status.reason !== "", `${name}: code ${status.code} without a reason`);
}

const fields = [
  { name: "id", isPrimaryKey: true, dataType: 5 },
  { name: "v", dataType: 101, typeParams: [{ key: "dim", value: "4" }] },
  { name: "sparse", dataType: 104, nullable: true },
  { name: "text", dataType: 21, nullable: true, typeParams: [{ key: "max_length", value: "20" }] },
  { name: "json", dataType: 23, nullable: true },
  { name: "list", dataType: 22, elementType: 5, nullable: true, typeParams: [{ key: "max_capacity", value: "5" }] },
];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "elanus-bad-input-"));
  server = await startServer(join(folder, "data"));
  session = connect(`http://${server.address}`);
  const schema = typeOf("schema.CollectionSchema").encode({ name: "c", enableDynamicField: true, fields }).finish();
  await call("CreateCollection", { collectionName: "c", schema });
  for (const [fieldName, type, metric] of [
    ["v", "HNSW", "L2"],
    ["sparse", "SPARSE_INVERTED_INDEX", "IP"],
  ]) {
    const extraParams = [
      { key: "index_type", value: type },
      { key: "metric_type", value: metric },
    ];
    await call("CreateIndex", { collectionName: "c", fieldName, extraParams });
  }
  await call("LoadCollection", { collectionName: "c" });
});
after(async () => {
  session?.destroy();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const known = { collectionName: "c", dbName: "default", alias: "a", partitionName: "_default" };

function withKnownNames(type, message) {
  const plain = ([name]) => type.fields[name]?.type === "string" && !type.fields[name].repeated;
  return { ...message, ...Object.fromEntries(Object.entries(known).filter(plain)) };
}

/** Those that would take the collection away, or make many. */
const spared = /^(Drop|Rename|Release)|^Create(Database|Collection)$/;

const expressions = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "id > 0",
    "id in [1,2]",
    "id in {x}",
    "id < 1e400",
    "id % 0 == 1",
    "not not not id > 1",
    "((((((((",
    "x == 1",
    "",
    "json['a'] == 1",
    "$meta['k'] > 2",
    "text like 'a%'",
    "array_contains(list, 1)",
    "list[99999999999] == 1",
  ),
);
const settings = fc.dictionary(
  fc.constantFrom(
    "topk",
    "offset",
    "limit",
    "anns_field",
    "metric_type",
    "params",
    "round_decimal",
    "hints",
    "ignore_growing",
    "group_by_field",
    "iterator",
    "collection_id",
    "search_iter_v2",
    "search_iter_batch_size",
    "search_iter_last_bound",
    "search_iter_id",
  ),
  fc.oneof(
    fc.constantFrom(
      "v",
      "sparse",
      "10",
      "-1",
      "L2",
      "IP",
      '{"ef":10}',
      '{"radius":1e400}',
      '{"radius":"x"}',
      "{",
      "true",
      "NaN",
    ),
    fc.string(),
  ),
);

describe("a real server, whatever it is sent", () => {
  it("answers random messages to every call", async () => {
    for (const name of Object.keys(service.methods).filter((one) => !spared.test(one))) {
      const method = service.methods[name].resolve();
      if (method.requestStream || method.responseStream) continue;
      const type = method.resolvedRequestType;
      const property = fc.asyncProperty(messageArbitrary(type), (message) =>
        expectAnswer(name, withKnownNames(type, message)),
      );
      await fc.assert(property, { numRuns: Math.ceil(runs / 5), ...seed });
    }
  });

  it("answers writes whose columns are nearly right", async () => {
    const names = [...fields.map((field) => field.name), "$meta", "x", ""];
    const column = fc
      .tuple(messageArbitrary(typeOf("schema.FieldData")), fc.constantFrom(...names))
      .map(([data, fieldName]) => ({ ...data, fieldName }));
    const right = [
      { type: 5, fieldName: "id", scalars: { longData: { data: [1, 2] } } },
      { type: 101, fieldName: "v", vectors: { dim: 4, floatVector: { data: [1, 2, 3, 4, 5, 6, 7, 8] } } },
    ];
    const property = fc.asyncProperty(fc.array(column, { maxLength: 4 }), async (columns) => {
      const message = { collectionName: "c", numRows: 2, fieldsData: [...right, ...columns] };
      await expectAnswer("Insert", message);
      await expectAnswer("Upsert", message);
    });
    await fc.assert(property, { numRuns: runs * 5, ...seed });
  });

  it("answers reads and deletes whose parameters are nearly right", async () => {
    const group = typeOf("common.PlaceholderGroup");
    const value = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer);
    const right = group.encode({ placeholders: [{ tag: "$0", type: 101, values: [value] }] }).finish();
    const vectors = fc.oneof(
      fc.constant(right),
      messageArbitrary(group).map((message) => group.encode(message).finish()),
    );
    const property = fc.asyncProperty(vectors, settings, expressions, async (placeholderGroup, given, expr) => {
      const params = Object.entries(given).map(([key, text]) => ({ key, value: text }));
      const plain = [
        { key: "topk", value: "5" },
        { key: "anns_field", value: "v" },
      ];
      const searchParams = [...plain, ...params];
      await expectAnswer("Search", {
        collectionName: "c",
        dsl: expr,
        placeholderGroup,
        searchParams,
        outputFields: ["*"],
      });
      await expectAnswer("Query", {
        collectionName: "c",
        expr,
        queryParams: params,
        outputFields: ["id", "json", "$meta"],
      });
      await expectAnswer("Delete", { collectionName: "c", expr });
    });
    await fc.assert(property, { numRuns: runs * 5, ...seed });
  });

  it("is still there afterwards", async () => {
    assert.equal((await call("GetVersion", {})).status.code, 0);
  });
});
