/** Pages, bounds, iterators, index parameters and ranks from flat parameters: contract/grpc.md 6.2 to 6.5. */
import { describe, expect, it } from "vitest";
import type { Metric } from "@elanus/model/catalog";
import type { CollectionId } from "@elanus/model/id";
import { queryShape } from "./query-shape.ts";
import { rankShape } from "./rank-shape.ts";
import { searchShape } from "./search-shape.ts";

type Flat = Readonly<Record<string, string>>;
const collection = 7n as CollectionId;
const token = "0f0e0d0c-0b0a-4009-8807-060504030201";

function search(params: Flat, index = "HNSW", metric: Metric = "L2"): unknown {
  return searchShape({
    params: new Map(Object.entries(params)),
    collection,
    metric,
    index: { type: index, params: {}, userParams: [] },
  });
}

describe("search shape", () => {
  it("reads page, rounding and parameters; numbers may be text, unknown keys are ignored", () => {
    expect(
      search({ topk: "5", offset: "2", round_decimal: "3", params: '{"ef":"64","mine":1}', ef: "64", nprobe: "9" }),
    ).toEqual({
      ok: true,
      value: {
        limit: 5,
        offset: 2,
        roundDecimal: 3,
        ignoreGrowing: false,
        indexParams: '{"ef":64}',
        bounds: {},
        explain: false,
        filterLate: false,
      },
    });
  });

  it.each<[Flat, string]>([
    [{}, "topk is required"],
    [{ topk: "" }, "topk is required"],
    [{ topk: "0" }, "topk [0] is invalid, it should be in range [1, 16384], but got 0"],
    [{ topk: "x" }, "topk [x] is invalid"],
    [{ topk: "1", offset: "-1" }, "offset [-1] is invalid"],
    [{ topk: "16384", offset: "1" }, "offset+topk [16385] is invalid, it should be in range [1, 16384]"],
    [{ topk: "1", round_decimal: "7" }, "round_decimal [7] is invalid, should be -1 or an integer in range [0, 6]"],
    [{ topk: "1", ignore_growing: "maybe" }, "parse ignore growing field failed"],
    [{ topk: "1", params: "[1]" }, "search params in wrong format"],
    [{ topk: "1", params: '{"ef":1}', ef: "2" }, "ambiguous parameter: ef"],
    [{ topk: "1", hints: "faster" }, "hints: faster not supported"],
    [{ topk: "10", params: '{"ef":9}' }, "ef(9) should be larger than k(10)"],
    [{ topk: "1", params: '{"ef":4.5}' }, "Type conflict in json: param 'ef' (4.5) should be integer"],
    [{ topk: "1", params: '{"ef":"x"}' }, "invalid integer value, key: 'ef', value: 'x'"],
    [{ topk: "1", params: '{"ef":0}' }, "Out of range in json: param 'ef' (0) should be in range [1, 2147483647]"],
    [{ topk: "1", params: '{"range_filter":1}' }, "range_filter requires radius to be set"],
    [{ topk: "1", params: '{"radius":1,"range_filter":2}' }, "range_filter must less than radius except IP/COSINE"],
    [{ topk: "1", params: '{"radius":"far"}' }, "should be a number"],
    [{ topk: "1", iterator: "True", collection_id: "8" }, "collection id:8 in the request is not consistent"],
    [{ topk: "1", search_iter_v2: "True" }, "must be set in the SDK"],
    [{ topk: "1", iterator: "True", search_iter_v2: "True", search_iter_id: "x" }, "invalid token format"],
  ])("refuses %j", (params, text) => {
    expect(search(params)).toMatchObject({ ok: false, error: { message: expect.stringContaining(text) } });
  });

  it("bounds turn round with the metric", () => {
    const params = '{"radius":1,"range_filter":2}';
    expect(search({ topk: "1", params }, "FLAT", "IP")).toMatchObject({
      ok: true,
      value: { bounds: { radius: 1, rangeFilter: 2 } },
    });
    expect(search({ topk: "1", params: '{"radius":2,"range_filter":1}' }, "FLAT", "IP")).toMatchObject({
      ok: false,
      error: { message: "range_filter must more than radius when IP/COSINE" },
    });
  });

  it("an iterator's pages are clamped, and carry token and bound", () => {
    const page = { iterator: "True", search_iter_v2: "True", search_iter_batch_size: "20000", topk: "1" };
    expect(search(page)).toMatchObject({ ok: true, value: { limit: 16_384, iterator: { version: 2 } } });
    expect(search({ ...page, search_iter_id: token, search_iter_last_bound: "1.5" })).toMatchObject({
      ok: true,
      value: { bounds: { afterScore: 1.5 }, iterator: { token, lastBound: 1.5 } },
    });
  });

  it("parameters of other index types are ignored", () => {
    expect(search({ topk: "1", params: '{"ef":0,"nprobe":3}' }, "IVF_FLAT")).toMatchObject({
      value: { indexParams: '{"nprobe":3}' },
    });
    expect(search({ topk: "1", params: '{"drop_ratio_search":1}' }, "SPARSE_INVERTED_INDEX")).toMatchObject({
      ok: false,
    });
  });

  it("sparse and MinHash indexes read their own", () => {
    const sparse = '{"drop_ratio_search":"0.2","refine_factor":2,"search_algo":"sindi","dim_max_score_ratio":1.05}';
    expect(search({ topk: "1", params: sparse }, "SPARSE_WAND", "IP")).toMatchObject({
      value: {
        indexParams: '{"drop_ratio_search":0.2,"dim_max_score_ratio":1.05,"refine_factor":2,"search_algo":"SINDI"}',
      },
    });
    const graph = '{"ef":32,"seed_ef":"64","disable_fallback_brute_force":"True"}';
    expect(search({ topk: "1", params: graph })).toMatchObject({
      value: { indexParams: '{"ef":32,"disable_fallback_brute_force":true}' },
    });
    expect(search({ topk: "1", params: graph, iterator: "True" })).toMatchObject({
      value: { indexParams: '{"ef":64,"disable_fallback_brute_force":true}' },
    });
    expect(search({ topk: "1", search_list_size: "30", beamwidth: "4" }, "DISKANN")).toMatchObject({
      value: { indexParams: '{"search_list":30,"beamwidth":4}' },
    });
    const range = '{"radius":9,"range_search_k":5}';
    expect(search({ topk: "8", params: range })).toMatchObject({ value: { rangeHitsMax: 5 } });
    expect(search({ topk: "8", params: '{"range_search_k":0}' })).toMatchObject({ ok: true });
    const minHash = '{"mh_search_with_jaccard":"True","refine_k":3}';
    expect(search({ topk: "1", params: minHash }, "MINHASH_LSH", "MHJACCARD")).toMatchObject({
      value: { indexParams: '{"mh_search_with_jaccard":true,"refine_k":3}' },
    });
  });

  it("what AUTOINDEX has chosen gets the effort of each type", () => {
    expect(search({ topk: "100", params: '{"ef":7}' }, "AUTOINDEX")).toMatchObject({
      value: { indexParams: '{"ef":100,"nprobe":64}' },
    });
  });

  it.each<[string, string]>([
    ["{}", '{"ef":64}'],
    ['{"itopk_size":100}', '{"ef":128}'],
    ['{"search_width":8}', '{"ef":256}'],
    ['{"ef":70,"team_size":8}', '{"ef":70}'],
    ['{"itopk_size":16,"search_width":1}', "max((itopk_size + 31)// 32, search_width) * 32< topk"],
    ['{"team_size":3}', "team_size(3)"],
    ['{"radius":3}', "range search is not implemented for index GPU_CAGRA"],
  ])("CAGRA's %s is %s", (params, expected) => {
    const index = { type: "HNSW", params: {}, userParams: [{ key: "index_type", value: "GPU_CAGRA" }] };
    const shape = searchShape({
      params: new Map([
        ["topk", "40"],
        ["params", params],
      ]),
      collection,
      metric: "L2",
      index,
    });
    if (shape.ok) expect(shape.value.indexParams).toBe(expected);
    else expect(shape.error).toMatchObject({ message: expect.stringContaining(expected) });
  });

  it.each<[string, string, string]>([
    ["HNSW", '{"radius":1,"range_search_k":0}', "should be -1 or at least 1"],
    ["HNSW", '{"disable_fallback_brute_force":2}', "should be a boolean"],
    ["SPARSE_WAND", '{"search_algo":"best"}', "search_algo best not found or not supported"],
    ["SPARSE_WAND", '{"refine_factor":0}', "Out of range in json: param 'refine_factor' (0)"],
    ["SPARSE_WAND", '{"dim_max_score_ratio":2}', "should be in range [0.500000, 1.300000]"],
    ["BIN_IVF_FLAT", '{"nprobe":0}', "Out of range in json: param 'nprobe' (0) should be in range [1, 65536]"],
    ["MINHASH_LSH", '{"radius":0.5}', "range search is not implemented for index MINHASH_LSH"],
    ["MINHASH_LSH", '{"mh_search_with_jaccard":3}', "should be a boolean"],
  ])("%s refuses %s", (index, params, text) => {
    expect(search({ topk: "1", params }, index, "IP")).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining(text) },
    });
  });
});

describe("query shape", () => {
  const query = (params: Flat, counting = false): unknown =>
    queryShape(new Map(Object.entries(params)), collection, counting);

  it("reads limit and offset; an offset alone counts for nothing", () => {
    expect(query({ limit: "3", offset: "4" })).toMatchObject({ ok: true, value: { limit: 3, offset: 4 } });
    expect(query({ offset: "4" })).toEqual({
      ok: true,
      value: { explain: false, offset: 0, iterator: false, ignoreGrowing: false },
    });
  });

  it.each<[Flat, boolean, string]>([
    [{ limit: "0" }, false, "limit [0] is invalid, should be greater than 0"],
    [{ limit: "1", offset: "-1" }, false, "offset [-1] is invalid, should be gte than 0"],
    [{ limit: "16384", offset: "1" }, false, "should be in range [1, 16384], but got 16385"],
    [{ limit: "1" }, true, "count entities with pagination is not allowed"],
    [{ iterator: "true", collection_id: "8" }, false, "collection id:8 in the request is not consistent"],
  ])("refuses %j", (params, counting, text) => {
    expect(query(params, counting)).toMatchObject({ ok: false, error: { message: expect.stringContaining(text) } });
  });
});

describe("rank shape", () => {
  const rank = (params: Flat): unknown => rankShape(new Map(Object.entries(params)), 2);

  it("is reciprocal rank with k 60 unless asked otherwise", () => {
    expect(rank({ limit: "5" })).toMatchObject({
      ok: true,
      value: { limit: 5, offset: 0, rank: { kind: "rrf", k: 60 } },
    });
    expect(rank({ limit: "5", strategy: "weighted", params: '{"weights":[1,0.5],"norm_score":true}' })).toMatchObject({
      ok: true,
      value: { rank: { kind: "weighted", weights: [1, 0.5], normalise: true } },
    });
  });

  it.each<[Flat, string]>([
    [{}, "limit not found in rank_params"],
    [{ limit: "16384", offset: "1" }, "but got 16385"],
    [{ limit: "1", strategy: "best" }, "unsupported rank type best"],
    [{ limit: "1", params: '{"k":0}' }, "The rank params k should be in range (0, 16384)"],
    [{ limit: "1", strategy: "weighted", params: '{"weights":[2,0]}' }, "rank param weight should be in range [0, 1]"],
    [
      { limit: "1", strategy: "weighted", params: '{"weights":[1]}' },
      "the length of weights param mismatch with ann search requests",
    ],
  ])("refuses %j", (params, text) => {
    expect(rank(params)).toMatchObject({ ok: false, error: { message: expect.stringContaining(text) } });
  });
});
