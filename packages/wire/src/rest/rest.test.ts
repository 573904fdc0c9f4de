/** REST v2 as its clients meet it, over a proxy in memory. */
import type { HybridSearch, Insert, Query, Search } from "@elanus/model/contract/proxy";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { TestClient } from "../testing/client.ts";
import { restGaps } from "./answer.ts";
import { catalogEndpoints } from "./catalog.ts";
import { collectionEndpoints } from "./collections.ts";
import { entityEndpoints } from "./entities.ts";
import { searchEndpoints } from "./search.ts";

const served = Object.keys({ ...collectionEndpoints, ...catalogEndpoints, ...entityEndpoints, ...searchEndpoints });
const textIn = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const utf8 = new TextEncoder();

let client: TestClient;

beforeEach(async () => {
  client = new TestClient();
  expect((await client.rest("collections/create", { collectionName: "c", dimension: 4 })).json).toEqual({
    code: 0,
    data: {},
  });
});

describe("envelope", () => {
  test("an unknown path and another method are not found", async () => {
    expect(await client.rest("nope", {})).toMatchObject({ status: 404, text: "404 page not found" });
    const request = {
      query: "",
      headers: new Map<string, string>(),
      body: utf8.encode("{}"),
      signal: new AbortController().signal,
    };
    expect(await client.wire.http({ ...request, method: "GET", path: "/v2/vectordb/collections/list" })).toMatchObject({
      status: 404,
    });
    const preflight = await client.wire.http({ ...request, method: "OPTIONS", path: "/v2/vectordb/collections/list" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers["access-control-allow-origin"]).toBe("*");
  });

  test("calls not served yet say so", async () => {
    for (const path of restGaps) {
      expect((await client.rest(path, {})).json).toMatchObject({
        code: 10,
        message: expect.stringContaining(`${path} is not implemented yet`),
      });
    }
  });

  test("no, broken and incomplete bodies have their codes", async () => {
    for (const path of served) {
      expect((await client.rest(path, "")).json).toMatchObject({ code: 1801 });
      expect((await client.rest(path, "{")).json).toMatchObject({ code: 1801 });
      expect((await client.rest(path, "[]")).json).toMatchObject({ code: 1801 });
    }
    const { json } = await client.rest("entities/insert", { collectionName: "c" });
    expect(json).toEqual({
      code: 1802,
      message:
        "missing required parameters, error: Key: 'EntitiesInsertReq.Data' " +
        "Error:Field validation for 'Data' failed on the 'required' tag",
    });
    expect((await client.rest("collections/has", { collectionName: 5 })).json).toMatchObject({ code: 1801 });
  });

  test("a timeout must be a number; a passed deadline is 408", async () => {
    expect((await client.rest("collections/list", {}, { "request-timeout": "x" })).json).toMatchObject({ code: 1100 });
    client.proxy.failure = { kind: "deadlineExceeded", message: "late" };
    expect(await client.rest("entities/query", { collectionName: "c" })).toMatchObject({
      status: 408,
      json: { code: 10001, message: "request timeout" },
    });
  });

  test("the database comes from the body, then the header", async () => {
    await client.rest("databases/create", { dbName: "d" });
    expect((await client.rest("collections/list", {}, { "db-name": "d" })).json.data).toEqual([]);
    expect((await client.rest("collections/list", { dbName: "default" }, { "db-name": "d" })).json.data).toEqual(["c"]);
    expect((await client.rest("collections/has", { collectionName: "c", dbName: "nope" })).json).toMatchObject({
      code: 800,
    });
  });

  test("any JSON to any call is answered in the envelope", async () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>("c", "", 0, -1, true, null, [], {}, ["a"], [[1]], { a: 1 }, 1e300),
      fc.jsonValue(),
    );
    const keys = [
      "collectionName",
      "dbName",
      "data",
      "id",
      "ids",
      "filter",
      "limit",
      "offset",
      "outputFields",
      "search",
      "rerank",
      "schema",
      "indexParams",
      "params",
      "searchParams",
      "exprParams",
      "partitionName",
      "partitionNames",
      "indexName",
      "aliasName",
      "properties",
      "dimension",
      "idType",
      "consistencyLevel",
      "annsField",
      "jobID",
      "propertyKeys",
    ];
    const bodies = fc.dictionary(fc.constantFrom(...keys), value);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...served.filter((path) => !path.endsWith("/drop"))),
        bodies,
        async (path, body) => {
          const { status, json } = await client.rest(path, { collectionName: "c", ...body });
          expect(status).toBe(200);
          expect(typeof json.code).toBe("number");
          expect(json.code).not.toBe(5);
          expect(json.code === 0 ? "data" in json : typeof json.message === "string").toBe(true);
        },
      ),
      { numRuns: 1_500 },
    );
  });
});

describe("collections", () => {
  test("a quick one is ready to search", async () => {
    const { json } = await client.rest("collections/describe", { collectionName: "c" });
    expect(json.data).toMatchObject({
      collectionName: "c",
      load: "LoadStateLoaded",
      shardsNum: 1,
      enableDynamicField: true,
      consistencyLevel: "Bounded",
      autoId: false,
      fields: [
        { name: "id", type: "Int64", primaryKey: true, id: 100 },
        { name: "vector", type: "FloatVector", params: [{ key: "dim", value: "4" }] },
      ],
      indexes: [{ indexName: "vector", fieldName: "vector", metricType: "COSINE" }],
    });
    expect((await client.rest("collections/get_load_state", { collectionName: "c" })).json.data).toEqual({
      loadState: "LoadStateLoaded",
      loadProgress: 100,
    });
    expect((await client.rest("collections/get_stats", { collectionName: "c" })).json.data).toEqual({ rowCount: 0 });
  });

  test.each([
    [{ dimension: 0 }, "dimension is required for quickly create collection(default metric type: COSINE)"],
    [{ dimension: 4, vectorFieldType: "X" }, "vectorFieldType can only be"],
    [
      { dimension: 4, vectorFieldType: "SparseFloatVector" },
      "dimension should not be specified for SparseFloatVector quick create",
    ],
    [{ dimension: 8, vectorFieldType: "BinaryVector", metricType: "L2" }, "does not support metric type"],
    [{ dimension: 4, idType: "Float" }, "idType can only be [Int64, VarChar], default: Int64"],
    [{ dimension: 4, consistencyLevel: "x" }, "consistencyLevel can only be"],
    [
      { dimension: 4, consistencyLevel: "Strong", params: { consistencyLevel: "Session" } },
      "top-level consistencyLevel conflicts",
    ],
    [{ schema: { fields: [{ fieldName: "a", dataType: "int64" }] } }, "data type int64 is invalid(case sensitive)."],
    [{ schema: { fields: [{ dataType: "Int64" }] } }, "missing required parameters"],
  ])("refused: %j", async (body, text) => {
    expect((await client.rest("collections/create", { collectionName: "x", ...body })).json.message).toContain(text);
  });

  test("a whole schema with indexes is loaded, without them it is not", async () => {
    const fields = [
      { fieldName: "pk", dataType: "VarChar", isPrimary: true, elementTypeParams: { max_length: 10 } },
      { fieldName: "v", dataType: "FloatVector", elementTypeParams: { dim: "4" } },
      { fieldName: "n", dataType: "Int64", defaultValue: 5, nullable: true },
    ];
    const schema = { fields, enableDynamicField: true };
    await client.rest("collections/create", { collectionName: "x", schema });
    expect((await client.rest("collections/get_load_state", { collectionName: "x" })).json.data).toEqual({
      loadState: "LoadStateNotLoad",
    });
    const indexParams = [{ fieldName: "v", metricType: "L2", params: { index_type: "HNSW", M: 8 } }];
    expect((await client.rest("collections/create", { collectionName: "y", schema, indexParams })).json.code).toBe(0);
    expect((await client.rest("collections/describe", { collectionName: "y" })).json.data).toMatchObject({
      load: "LoadStateLoaded",
      indexes: [{ indexName: "v", metricType: "L2" }],
      fields: [{}, {}, { defaultValue: 5, nullable: true }],
    });
    expect(client.proxy.lastCall("createIndex")?.[0]).toMatchObject({ type: "HNSW", params: { M: "8" } });
    const wrong = await client.rest("collections/create", {
      collectionName: "z",
      schema,
      indexParams: [{ fieldName: "q" }],
    });
    expect(wrong.json).toMatchObject({ code: 1802, message: expect.stringContaining("hasn't defined in schema") });
  });

  test("partitions, indexes, aliases and databases", async () => {
    const named = { collectionName: "c" };
    await client.rest("partitions/create", { ...named, partitionName: "p" });
    expect((await client.rest("partitions/list", named)).json.data).toEqual(["_default", "p"]);
    expect((await client.rest("partitions/has", { ...named, partitionName: "p" })).json.data).toEqual({ has: true });
    expect((await client.rest("indexes/list", named)).json.data).toEqual(["vector"]);
    expect((await client.rest("indexes/describe", { ...named, indexName: "vector" })).json.data).toMatchObject([
      { indexState: "Finished" },
    ]);
    await client.rest("indexes/drop", { ...named, indexName: "vector" });
    expect((await client.rest("indexes/list", named)).json.data).toEqual([]);
    await client.rest("aliases/create", { ...named, aliasName: "a" });
    expect((await client.rest("aliases/describe", { aliasName: "a" })).json.data).toEqual({
      dbName: "default",
      collectionName: "c",
      aliasName: "a",
    });
    expect((await client.rest("databases/list", {})).json.data).toEqual(["default"]);
    expect((await client.rest("collections/drop", { collectionName: "nope" })).json).toEqual({ code: 0, data: {} });
  });
});

describe("rows", () => {
  test("go to native code byte for byte", async () => {
    const data = '[ {"id": 9007199254740993, "vector":[0.1, 2,3e-1,4], "ä\\u00e4": "x\\"]" } ]';
    const { json } = await client.rest(
      "entities/insert",
      `{"collectionName":"c","data":${data} , "partitionName": "p"}`,
    );
    expect(json).toEqual({ code: 0, cost: 0, data: { insertCount: 1, insertIds: [0] } });
    const insert = client.proxy.lastRequest<Insert>("insert");
    expect(insert.partition).toBe("p");
    expect(insert.rows.kind === "json" ? textIn(insert.rows.rows) : "").toBe(data);
  });

  test("ids are text when the caller wants them so", async () => {
    const body = { collectionName: "c", data: [{}] };
    expect((await client.rest("entities/upsert", body, { "accept-type-allow-int64": "false" })).json.data).toEqual({
      upsertCount: 1,
      upsertIds: ["0"],
    });
    await client.rest("entities/query", { collectionName: "c" }, { "accept-type-allow-int64": "false" });
    expect(client.proxy.lastCall("query")?.[1]).toBe("jsonText");
  });

  test("must be a list, and what is wrong with them has a code of its own", async () => {
    expect((await client.rest("entities/insert", { collectionName: "c", data: { id: 1 } })).json).toMatchObject({
      code: 1801,
    });
    client.proxy.failure = { kind: "invalidParameter", message: "missing vector field: vector" };
    expect((await client.rest("entities/insert", { collectionName: "c", data: [{}] })).json).toMatchObject({
      code: 1804,
      message: expect.stringContaining("fail to deal the insert data, error: missing vector field: vector"),
    });
  });

  test("a query answers the rows as they come", async () => {
    client.proxy.queryColumns = [utf8.encode('[{"id":9007199254740993}]')];
    const answer = await client.rest("entities/query", {
      collectionName: "c",
      filter: "id in {x}",
      exprParams: { x: [1, 2] },
    });
    expect(answer.text).toBe('{"code":0,"cost":0,"data":[{"id":9007199254740993}]}');
    const query = client.proxy.lastRequest<Query>("query");
    expect(query).toMatchObject({ outputFields: ["*"], consistency: { level: undefined } });
    expect([...query.params]).toEqual([
      ["limit", "100"],
      ["offset", "0"],
    ]);
    await client.rest("entities/query", { collectionName: "c", outputFields: ["count(*)"] });
    expect(client.proxy.lastRequest<Query>("query").params.size).toBe(0);
  });

  test("get asks by key, through a template", async () => {
    await client.rest("entities/get", '{"collectionName":"c","id":[1,"2",9007199254740993]}');
    const { filter } = client.proxy.lastRequest<Query>("query");
    expect(filter.text).toBe("id in {ids}");
    expect(filter.templates.get("ids")).toEqual({
      kind: "array",
      value: [
        { kind: "int", value: 1n },
        { kind: "int", value: 2n },
        { kind: "int", value: 9007199254740993n },
      ],
    });
    expect((await client.rest("entities/get", { collectionName: "c", id: "x" })).json).toMatchObject({ code: 1806 });
    expect((await client.rest("entities/get", { collectionName: "c" })).json).toMatchObject({ code: 1802 });
  });

  test("delete wants a filter and tells how many", async () => {
    expect((await client.rest("entities/delete", { collectionName: "c", id: [1] })).json).toMatchObject({ code: 1802 });
    expect((await client.rest("entities/delete", { collectionName: "c", filter: "id == 1" })).json.data).toEqual({
      deleteCount: 1,
    });
  });
});

async function searchProblem(body: object): Promise<unknown> {
  return (await client.rest("entities/search", { collectionName: "c", ...body })).json.message;
}

describe("search", () => {
  beforeEach(() => {
    client.proxy.searchBody = utf8.encode(
      '[[{"id":1,"distance":0.5},{"id":2,"distance":0.4}],[],[{"id":3,"distance":0.1}]]',
    );
  });

  test("hits are one list with counts", async () => {
    const answer = await client.rest("entities/search", {
      collectionName: "c",
      data: [[1, 2, 3, 4]],
      annsField: "vector",
    });
    expect(answer.json).toEqual({
      code: 0,
      cost: 0,
      topks: [2, 0, 1],
      data: [
        { id: 1, distance: 0.5 },
        { id: 2, distance: 0.4 },
        { id: 3, distance: 0.1 },
      ],
    });
  });

  test.each([[{ metricType: "L2", ef: 64, radius: 0.5 }], [{ metric_type: "L2", params: { ef: 64, radius: 0.5 } }]])(
    "flat and nested parameters are the same",
    async (searchParams) => {
      await client.rest("entities/search", { collectionName: "c", data: [[1]], limit: 5, offset: 2, searchParams });
      const search = client.proxy.lastRequest<Search>("search");
      expect(Object.fromEntries(search.params)).toEqual({
        metric_type: "L2",
        params: '{"ef":64,"radius":0.5}',
        round_decimal: "-1",
        topk: "5",
        offset: "2",
      });
      expect(search.placeholders.kind === "json" ? textIn(search.placeholders.vectors) : "").toBe("[[1]]");
    },
  );

  test("contradictions are refused", async () => {
    expect(await searchProblem({})).toContain(
      "either 'ids' (for primary key search) or 'data' (for vector search) must be provided",
    );
    expect(await searchProblem({ data: [[1]], ids: [1] })).toContain("mutually exclusive");
    expect(await searchProblem({ data: [[1]], searchParams: { ef: 1, params: { ef: 2 } } })).toContain(
      "ambiguous parameter: ef",
    );
    expect(await searchProblem({ data: [[1]], searchParams: { params: 5 } })).toContain(
      "searchParams.params must be a dict",
    );
    expect(await searchProblem({ data: 5 })).toContain("can only accept json format request");
  });

  test("hybrid search carries its parts and ranking", async () => {
    const { json } = await client.rest("entities/hybrid_search", {
      collectionName: "c",
      limit: 3,
      outputFields: ["a"],
      search: [
        { data: [[1]], annsField: "v", limit: 5, filter: "a > 1", params: { ef: 9 } },
        { data: [[2]], annsField: "w", limit: 6 },
      ],
      rerank: { strategy: "weighted", params: { weights: [0.2, 0.8] } },
    });
    expect(json).toMatchObject({ code: 0, topks: [2, 0, 1] });
    const request = client.proxy.lastRequest<HybridSearch>("hybridSearch");
    expect(
      request.requests.map((r) => [r.name, r.params.get("anns_field"), r.params.get("topk"), r.filter.text]),
    ).toEqual([
      ["c", "v", "5", "a > 1"],
      ["c", "w", "6", ""],
    ]);
    expect(Object.fromEntries(request.rankParams)).toEqual({
      strategy: "weighted",
      params: '{"weights":[0.2,0.8]}',
      limit: "3",
      offset: "0",
      round_decimal: "-1",
    });
  });
});
