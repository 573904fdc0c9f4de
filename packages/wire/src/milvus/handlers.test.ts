/** What clients see of the calls, over a proxy in memory. */
import type { HybridSearch, Insert, Query, Search } from "@elanus/model/contract/proxy";
import { beforeEach, describe, expect, test } from "vitest";
import { ConsistencyLevel } from "../gen/common.ts";
import { CollectionSchemaCodec, DataType, IDsCodec } from "../gen/schema.ts";
import { decode, encode } from "../protobuf/runtime.ts";
import { TestClient } from "../testing/client.ts";

let client: TestClient;

const fields = [
  { name: "id", isPrimaryKey: true, dataType: DataType.Int64 },
  { name: "v", dataType: DataType.FloatVector, typeParams: [{ key: "dim", value: "4" }] },
];
const schema = encode(CollectionSchemaCodec, { fields, enableDynamicField: true });

beforeEach(async () => {
  client = new TestClient();
  await client.call("CreateCollection", { collectionName: "c", schema, consistencyLevel: ConsistencyLevel.Bounded });
});

function create(more: object): Promise<{ reason: string }> {
  return client.call("CreateCollection", { collectionName: "x", schema, ...more });
}

describe("connection", () => {
  test("Connect gives an identifier and the version of GetVersion", async () => {
    const answer = await client.call("Connect", {});
    expect(answer.identifier).toBeGreaterThan(0n);
    expect(answer.serverInfo).toMatchObject({ buildTags: "v2.6.22-test", deployMode: "STANDALONE" });
    expect((await client.call("GetVersion", {})).version).toBe("v2.6.22-test");
  });

  test("Connect checks the database of the connection", async () => {
    client.metadata.set("dbname", "nope");
    expect((await client.call("Connect", {})).status).toMatchObject({
      code: 800,
      reason: "database not found[database=nope]",
    });
  });

  test("timestamps grow", async () => {
    const first = await client.call("AllocTimestamp", {});
    expect((await client.call("AllocTimestamp", {})).timestamp).toBeGreaterThan(first.timestamp);
  });
});

describe("collections", () => {
  test("DescribeCollection shows the schema without the dynamic field", async () => {
    const answer = await client.call("DescribeCollection", { collectionName: "c" });
    expect(answer.schema?.fields.map((f) => [f.fieldID, f.name])).toEqual([
      [100n, "id"],
      [101n, "v"],
    ]);
    expect(answer.schema?.enableDynamicField).toBe(true);
    expect(answer.updateTimestampStr).toBe(answer.updateTimestamp.toString());
    expect(answer.consistencyLevel).toBe(ConsistencyLevel.Bounded);
    expect(answer.properties).toContainEqual({ key: "timezone", value: "UTC" });
    expect(answer.virtualChannelNames[0]).toMatch(/^p0_\d+v0$/);
    expect(answer.physicalChannelNames).toEqual(["p0"]);
    const byId = await client.call("DescribeCollection", { collectionID: answer.collectionID });
    expect(byId.collectionName).toBe("c");
  });

  test("a missing collection is told as clients look for it", async () => {
    const answer = await client.call("DescribeCollection", { collectionName: "nope" });
    expect(answer.status).toMatchObject({
      code: 100,
      errorCode: 4,
      reason: "can't find collection[database=default][collection=nope]",
    });
    const other = await client.call("GetCollectionStatistics", { collectionName: "nope" });
    expect(other.status).toMatchObject({
      code: 100,
      reason: "collection not found[database=default][collection=nope]",
    });
    expect(await client.call("HasCollection", { collectionName: "nope" })).toMatchObject({
      value: false,
      status: { code: 0 },
    });
    expect(await client.call("DropCollection", { collectionName: "nope" })).toMatchObject({ code: 0 });
  });

  test("the database comes from the request, else from the connection", async () => {
    await client.call("CreateDatabase", { dbName: "d" });
    client.metadata.set("dbname", "d");
    expect((await client.call("DescribeCollection", { collectionName: "c" })).status?.reason).toContain("database=d");
    expect((await client.call("DescribeCollection", { dbName: "default", collectionName: "c" })).status?.code).toBe(0);
  });

  test.each([
    ["", "collection name should not be empty: invalid parameter"],
    [
      "1c",
      "Invalid collection name: 1c. the first character of a collection name must be an underscore or letter: invalid",
    ],
    ["a-b", "Invalid collection name: a-b. collection name can only contain numbers, letters and underscores: invalid"],
    ["x".repeat(256), "the length of a collection name must be less than 255 characters"],
  ])("the name %j is refused", async (collectionName, reason) => {
    expect((await client.call("CreateCollection", { collectionName, schema })).reason).toContain(reason);
    expect((await client.call("HasCollection", { collectionName })).status).toMatchObject({ code: 1100 });
  });

  test("counts of shards and partitions are bounded", async () => {
    expect((await create({ shardsNum: 17 })).reason).toContain("maximum shards's number should be limited to 16");
    expect((await create({ numPartitions: 4n })).reason).toContain(
      "num_partitions should only be specified with partition key field enabled",
    );
    expect((await create({ schema: new Uint8Array([1, 2, 3]) })).reason).toContain("the schema cannot be read");
  });

  test("alter wants exactly one kind of change", async () => {
    const pair = [{ key: "a", value: "1" }];
    expect((await client.call("AlterCollection", { collectionName: "c" })).reason).toContain(
      "no properties or delete keys provided",
    );
    expect(
      (await client.call("AlterCollection", { collectionName: "c", properties: pair, deleteKeys: ["b"] })).reason,
    ).toContain("cannot provide both DeleteKeys and ExtraParams");
    expect((await client.call("AlterCollection", { collectionName: "c", properties: pair })).code).toBe(0);
  });

  test("batch describe answers one by one", async () => {
    const answer = await client.call("BatchDescribeCollection", { collectionName: ["c", "nope"] });
    expect(answer.responses.map((r) => r.status?.code)).toEqual([0, 100]);
    expect((await client.call("BatchDescribeCollection", {})).status).toMatchObject({ code: 1101 });
  });
});

describe("loading and indexes", () => {
  test("states and progress", async () => {
    expect((await client.call("GetLoadState", { collectionName: "nope" })).state).toBe(0);
    expect((await client.call("GetLoadState", { collectionName: "c" })).state).toBe(1);
    expect((await client.call("GetLoadingProgress", { collectionName: "c" })).status).toMatchObject({ code: 101 });
    const early = await client.call("LoadCollection", { collectionName: "c", refresh: true });
    expect(early.reason).toContain("collection not fully loaded");
    await client.call("LoadCollection", { collectionName: "c" });
    expect((await client.call("LoadCollection", { collectionName: "c", refresh: true })).code).toBe(0);
    expect((await client.call("GetLoadState", { collectionName: "c" })).state).toBe(3);
    expect((await client.call("GetLoadingProgress", { collectionName: "c" })).progress).toBe(100n);
    const replicas = await client.call("GetReplicas", { collectionName: "c", withShardNodes: true });
    expect(replicas.replicas[0]?.shardReplicas).toHaveLength(1);
  });

  test("index parameters are taken apart and echoed as sent", async () => {
    const extraParams = [
      { key: "index_type", value: "HNSW" },
      { key: "metric_type", value: "l2" },
      { key: "params", value: '{"M":16,"efConstruction":"200"}' },
    ];
    expect(
      (await client.call("CreateIndex", { collectionName: "c", fieldName: "v", indexName: "i", extraParams })).code,
    ).toBe(0);
    expect(client.proxy.lastCall("createIndex")?.[0]).toMatchObject({
      name: "c",
      index: "i",
      field: "v",
      type: "HNSW",
      metric: "L2",
      params: { M: "16", efConstruction: "200" },
    });
    const described = await client.call("DescribeIndex", { collectionName: "c" });
    expect(described.indexDescriptions[0]).toMatchObject({
      indexName: "i",
      fieldName: "v",
      params: extraParams,
      state: 3,
    });
    expect((await client.call("GetIndexState", { collectionName: "c" })).state).toBe(3);
    expect((await client.call("DescribeIndex", { collectionName: "c", indexName: "x" })).status).toMatchObject({
      code: 700,
      errorCode: 25,
      reason: "index not found[indexName=x]",
    });
  });

  test.each([
    [[{ key: "params", value: "{" }], "are not a JSON object"],
    [
      [
        { key: "M", value: "1" },
        { key: "params", value: '{"M":2}' },
      ],
      "duplicated index param, key=M",
    ],
    [[{ key: "M", value: "x".repeat(200_000) }], "exceeds the limit"],
  ])("bad index parameters: %#", async (extraParams, reason) => {
    expect((await client.call("CreateIndex", { collectionName: "c", fieldName: "v", extraParams })).reason).toContain(
      reason,
    );
  });
});

describe("writes", () => {
  test("an insert passes its payload through and lists its rows", async () => {
    const payload = new Uint8Array([1, 2, 3]);
    const answer = await client.call("Insert", {
      collectionName: "c",
      fieldsData: [payload],
      numRows: 3,
      schemaTimestamp: 5n,
    });
    const insert = client.proxy.lastRequest<Insert>("insert");
    expect(insert).toMatchObject({ database: "default", name: "c", partition: "", schemaTimestamp: 5n });
    expect(insert.rows.kind === "fieldData" ? insert.rows.fields.map((f) => [...f]) : []).toEqual([[1, 2, 3]]);
    expect(answer).toMatchObject({
      succIndex: [0, 1, 2],
      insertCnt: 3n,
      upsertCnt: 0n,
      deleteCnt: 0n,
      acknowledged: false,
    });
    expect(decode(IDsCodec, answer.IDs ?? new Uint8Array(0)).intId?.data).toEqual([0n, 1n, 2n]);
    expect(answer.timestamp).toBeGreaterThan(0n);
  });

  test("an upsert counts in all three ways", async () => {
    const answer = await client.call("Upsert", { collectionName: "c", fieldsData: [new Uint8Array(1)], numRows: 2 });
    expect(answer).toMatchObject({ insertCnt: 2n, upsertCnt: 2n, deleteCnt: 2n });
  });

  test("a failed write names its rows and has no ids", async () => {
    const answer = await client.call("Insert", { collectionName: "nope", numRows: 2, fieldsData: [new Uint8Array(2)] });
    expect(answer).toMatchObject({ status: { code: 100 }, errIndex: [0, 1], insertCnt: 0n });
    expect(answer.IDs).toBeUndefined();
    expect((await client.call("Insert", { collectionName: "c" })).status?.reason).toContain(
      "num_rows should be greater than 0",
    );
  });

  test("a huge claimed row count costs nothing", async () => {
    const answer = await client.call("Insert", { collectionName: "nope", numRows: 4_294_967_295 });
    expect(answer.status?.code).toBe(100);
    expect(answer.errIndex).toEqual([]);
  });

  test("delete carries filter and templates", async () => {
    const exprTemplateValues = new Map([["ids", { arrayVal: { longData: { data: [1n, 2n ** 60n] } } }]]);
    const answer = await client.call("Delete", { collectionName: "c", expr: "id in {ids}", exprTemplateValues });
    expect(answer).toMatchObject({ deleteCnt: 1n, status: { code: 0 } });
    const [request] = client.proxy.lastCall("delete") ?? [];
    expect(request).toMatchObject({ filter: { text: "id in {ids}" }, consistency: { level: "strong" } });
    expect((request as { filter: { templates: ReadonlyMap<string, unknown> } }).filter.templates.get("ids")).toEqual({
      kind: "array",
      value: [
        { kind: "int", value: 1n },
        { kind: "int", value: 2n ** 60n },
      ],
    });
    expect((await client.call("Delete", { collectionName: "c", expr: " " })).status?.reason).toContain(
      "delete plan can't be empty or always true",
    );
  });
});

describe("reads", () => {
  const placeholderGroup = new Uint8Array([9]);

  test("a search passes its parameters as they came, empty ones excepted", async () => {
    client.proxy.searchBody = new Uint8Array([1, 2]);
    const answer = await client.call("Search", {
      collectionName: "c",
      dsl: "a > 1",
      placeholderGroup,
      nq: 2n,
      outputFields: ["*"],
      partitionNames: ["p"],
      searchParams: [
        { key: "topk", value: "3" },
        { key: "metric_type", value: "" },
        { key: "params", value: '{"ef":9}' },
      ],
      consistencyLevel: ConsistencyLevel.Session,
      guaranteeTimestamp: 77n,
    });
    expect([...(answer.results ?? [])]).toEqual([1, 2]);
    const request = client.proxy.lastRequest<Search>("search");
    expect(request).toMatchObject({
      nq: 2,
      outputFields: ["*"],
      partitions: ["p"],
      consistency: { level: "session", guarantee: 77n },
    });
    expect([...request.params]).toEqual([
      ["topk", "3"],
      ["params", '{"ef":9}'],
    ]);
  });

  test.each([
    [
      { useDefaultConsistency: true, guaranteeTimestamp: 1n },
      { level: undefined, guarantee: 1n },
    ],
    [{ consistencyLevel: 0 }, { level: "strong", guarantee: 0n }],
    [
      { consistencyLevel: 0, guaranteeTimestamp: 2n },
      { level: "bounded", guarantee: 2n },
    ],
    [
      { consistencyLevel: 0, guaranteeTimestamp: 99n },
      { level: "customized", guarantee: 99n },
    ],
    [{ consistencyLevel: 3 }, { level: "eventually", guarantee: 0n }],
  ])("consistency, case %#", async (given, wanted) => {
    await client.call("Query", { collectionName: "c", expr: "id > 0", ...given });
    expect(client.proxy.lastRequest<Query>("query").consistency).toEqual(wanted);
  });

  test("reads of what is not loaded say which verb failed", async () => {
    client.proxy.failure = { kind: "collectionNotLoaded", collection: "c" };
    const searched = await client.call("Search", { collectionName: "c", placeholderGroup });
    expect(searched.status).toMatchObject({
      code: 101,
      reason: "failed to search: collection not loaded[collection=c]",
    });
    const queried = await client.call("Query", { collectionName: "c" });
    expect(queried.status?.reason).toBe("failed to query: collection not loaded[collection=c]");
  });

  test("nq is bounded and vectors must be there", async () => {
    const many = await client.call("Search", { collectionName: "c", placeholderGroup, nq: 16_385n });
    expect(many.status?.reason).toContain("nq [16385] is invalid");
    expect((await client.call("Search", { collectionName: "c" })).status?.reason).toContain("no query vectors");
  });

  test("hybrid search hands its parts on with the outer names", async () => {
    const part = { placeholderGroup, nq: 1n, searchParams: [{ key: "anns_field", value: "v" }] };
    await client.call("HybridSearch", {
      collectionName: "c",
      requests: [part, part],
      rankParams: [{ key: "strategy", value: "rrf" }],
    });
    const request = client.proxy.lastRequest<HybridSearch>("hybridSearch");
    expect(request.requests.map((r) => r.name)).toEqual(["c", "c"]);
    expect([...request.rankParams]).toEqual([["strategy", "rrf"]]);
    expect((await client.call("HybridSearch", { collectionName: "c" })).status).toMatchObject({ code: 1100 });
  });

  test("a plain ranker may come as a function", async () => {
    const part = { placeholderGroup, nq: 1n };
    const functions = [
      {
        name: "r",
        type: 3,
        params: [
          { key: "reranker", value: "weighted" },
          { key: "weights", value: "[0.1,0.9]" },
        ],
      },
    ];
    await client.call("HybridSearch", { collectionName: "c", requests: [part, part], functionScore: { functions } });
    const request = client.proxy.lastRequest<HybridSearch>("hybridSearch");
    expect([...request.rankParams]).toEqual([
      ["strategy", "weighted"],
      ["params", '{"weights":[0.1,0.9]}'],
    ]);
  });

  test("what a search cannot do yet is named", async () => {
    const answer = await client.call("Search", { collectionName: "c", ids: { intId: { data: [1n] } } });
    expect(answer.status).toMatchObject({
      code: 10,
      reason: "Search by ids is not implemented yet: service unimplemented",
    });
  });
});

describe("flush, compaction and metrics", () => {
  test("flush fills its maps for every name", async () => {
    const answer = await client.call("Flush", { collectionNames: ["c"] });
    expect(answer.collSegIDs.get("c")).toEqual({ data: [] });
    expect(answer.collFlushTs.get("c")).toBeGreaterThan(0n);
    expect(answer.collSealTimes.get("c")).toBe(1_700_000_000n);
    expect((await client.call("GetFlushState", {})).flushed).toBe(true);
    expect((await client.call("Flush", { collectionNames: ["nope"] })).status).toMatchObject({ code: 100 });
    expect((await client.call("FlushAll", {})).flushAllTs).toBeGreaterThan(0n);
    expect((await client.call("GetFlushAllState", {})).status?.reason).toContain(
      "FlushAllTss or FlushAllTs is required",
    );
  });

  test("compaction", async () => {
    expect(await client.call("ManualCompaction", { collectionName: "c" })).toMatchObject({
      compactionID: 7n,
      compactionPlanCount: 1,
    });
    expect(await client.call("GetCompactionState", { compactionID: 7n })).toMatchObject({ state: 2 });
  });

  test("system info names every role", async () => {
    const answer = await client.call("GetMetrics", { request: '{"metric_type":"system_info"}' });
    const types = (JSON.parse(answer.response) as { nodes_info: { infos: { type: string } }[] }).nodes_info.map(
      (n) => n.infos.type,
    );
    expect(types).toEqual(
      expect.arrayContaining(["proxy", "rootcoord", "datacoord", "querycoord", "querynode", "datanode"]),
    );
    expect((await client.call("GetMetrics", { request: "{}" })).status?.reason).toContain(
      "metric_type or req_type not found in request",
    );
    expect((await client.call("GetMetrics", { request: '{"metric_type":"x"}' })).status?.code).toBe(1_200);
  });
});
