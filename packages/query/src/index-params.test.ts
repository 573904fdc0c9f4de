/** CreateIndex: what resolves to what, and the refusals with Milvus's words. */
import type { Metric } from "@elanus/model/catalog";
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import type { FieldId } from "@elanus/model/id";
import { DataType } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { expect, test } from "vitest";
import { resolveIndex } from "./index-params.ts";

function field(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  const flags = { primaryKey: false, autoId: false, partitionKey: false, clusteringKey: false, nullable: false };
  return { id: id as FieldId, name, description: "", type, dynamic: false, typeParams: {}, ...flags, ...more };
}

const schema: CollectionSchema = {
  name: "c",
  description: "",
  dynamicFieldEnabled: false,
  version: 0,
  fields: [
    field(100, "id", DataType.int64, { primaryKey: true }),
    field(101, "v", DataType.floatVector, { dim: 8 }),
    field(102, "bin", DataType.binaryVector, { dim: 64 }),
    field(103, "sparse", DataType.sparseFloatVector),
    field(104, "i8v", DataType.int8Vector, { dim: 8 }),
    field(105, "s", DataType.varChar),
    field(106, "j", DataType.json),
    field(107, "a", DataType.array, { elementType: DataType.float }),
    field(108, "f", DataType.float),
  ],
};

function resolve(name: string, type: string, metric?: string, params: CreateIndex["params"] = {}): unknown {
  const outcome = resolveIndex(schema, {
    database: "default",
    name: "c",
    field: name,
    index: "",
    type,
    ...(metric === undefined ? {} : { metric: metric as Metric }),
    params,
    userParams: [],
  });
  if (!outcome.ok) return outcome.error.kind === "invalidParameter" ? outcome.error.message : outcome.error;
  const { type: real, metric: m, params: p, index } = outcome.value;
  expect(index).toBe(name);
  return m === undefined ? [real, p] : [real, m, p];
}

test("automatic indexes", () => {
  expect(resolve("v", "")).toEqual(["AUTOINDEX", "COSINE", {}]);
  expect(resolve("v", "AUTOINDEX", "L2")).toEqual(["AUTOINDEX", "L2", {}]);
  expect(resolve("sparse", "AUTOINDEX")).toEqual(["SPARSE_INVERTED_INDEX", "IP", {}]);
  expect(resolve("bin", "AUTOINDEX")).toEqual(["AUTOINDEX", "HAMMING", {}]);
  expect(resolve("s", "")).toEqual(["HYBRID", { bitmap_cardinality_limit: 100 }]);
  expect(resolve("v", "AUTOINDEX", "L2", { M: "8" })).toBe("only metric type can be passed when use AutoIndex");
  expect(resolve("v", "AUTOINDEX", "L2", { "mmap.enabled": "true" })).toEqual(["AUTOINDEX", "L2", {}]);
});

test("named indexes with defaults and numbers", () => {
  expect(resolve("v", "HNSW", "ip")).toEqual(["HNSW", "IP", { M: 30, efConstruction: 360 }]);
  expect(resolve("v", "HNSW", "IP", { M: "16", efConstruction: "200", other: "x" })).toEqual([
    "HNSW",
    "IP",
    { M: 16, efConstruction: 200 },
  ]);
  expect(resolve("v", "IVF_FLAT", "L2", { nlist: 64 })).toEqual(["IVF_FLAT", "L2", { nlist: 64 }]);
  expect(resolve("v", "GPU_CAGRA", "L2")).toEqual(["HNSW", "L2", { M: 32, efConstruction: 128 }]);
  const degrees = { graph_degree: "32", intermediate_graph_degree: 90 };
  expect(resolve("bin", "GPU_CAGRA", "HAMMING", degrees)).toEqual(["HNSW", "HAMMING", { M: 16, efConstruction: 90 }]);
  expect(resolve("v", "IVF_SQ8", "L2", { sq_type: "sq6", refine: true, refine_type: "SQ6" })).toMatchObject({
    2: { refine: true, refine_type: "sq6" },
  });
  expect(resolve("v", "FLAT", "L2")).toEqual(["FLAT", "L2", {}]);
  expect(resolve("bin", "BIN_FLAT", "JACCARD")).toEqual(["BIN_FLAT", "JACCARD", {}]);
  expect(resolve("sparse", "SPARSE_WAND", "IP", { drop_ratio_build: "0.2" })).toEqual([
    "SPARSE_WAND",
    "IP",
    { inverted_index_algo: "DAAT_WAND" },
  ]);
  expect(resolve("sparse", "SPARSE_INVERTED_INDEX", "IP", { inverted_index_algo: "block_max_wand" })).toEqual([
    "SPARSE_INVERTED_INDEX",
    "IP",
    { inverted_index_algo: "BLOCK_MAX_WAND" },
  ]);
  expect(resolve("bin", "BIN_IVF_FLAT", "JACCARD")).toEqual(["BIN_IVF_FLAT", "JACCARD", { nlist: 128 }]);
  expect(resolve("bin", "BIN_FLAT", "substructure")).toEqual(["BIN_FLAT", "SUBSTRUCTURE", {}]);
  expect(resolve("bin", "BIN_FLAT", "MHJACCARD", { mh_element_bit_width: "32" })).toEqual([
    "BIN_FLAT",
    "MHJACCARD",
    { mh_element_bit_width: 32 },
  ]);
  expect(resolve("bin", "MINHASH_LSH", "MHJACCARD", { mh_lsh_band: 4, with_raw_data: "true" })).toEqual([
    "MINHASH_LSH",
    "MHJACCARD",
    { mh_element_bit_width: 8, mh_lsh_band: 4 },
  ]);
  expect(resolve("bin", "AUTOINDEX", "MHJACCARD")).toMatchObject({ 0: "MINHASH_LSH", 1: "MHJACCARD" });
  expect(resolve("a", "INVERTED")).toEqual(["INVERTED", {}]);
});

test("quantised graphs with defaults and numbers", () => {
  const graph = { M: 30, efConstruction: 360 };
  expect(resolve("v", "HNSW_SQ", "L2")).toEqual(["HNSW_SQ", "L2", { ...graph, sq_type: "SQ8" }]);
  const refined = { sq_type: "sq4u", refine: "true", refine_type: "fp16" };
  expect(resolve("i8v", "HNSW_SQ", "IP", refined)).toEqual(["HNSW_SQ", "IP", { ...graph, sq_type: "SQ4U" }]);
  expect(resolve("v", "HNSW_PQ", "L2", { m: "4" })).toEqual(["HNSW_PQ", "L2", { ...graph, m: 4, nbits: 8 }]);
  expect(resolve("v", "HNSW_PRQ", "L2")).toEqual(["HNSW_PRQ", "L2", { ...graph, m: 2, nbits: 8, nrq: 2 }]);
});

test.each([
  ["v", "HNSW", "L2", { refine: true }, "refine is not supported for this index"],
  ["v", "HNSW_SQ", "L2", { sq_type: "SQ5" }, "invalid scalar quantizer type"],
  [
    "v",
    "HNSW_SQ",
    "L2",
    { sq_type: "SQ8", refine: true, refine_type: "SQ6" },
    "invalid refine type : SQ6, optional types are [FP16, BF16, FP32, FLAT]",
  ],
  [
    "v",
    "HNSW_PQ",
    "L2",
    { m: 3 },
    "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). Dimension: 8, m: 3",
  ],
  ["v", "HNSW_PQ", "L2", { m: 4, nbits: 25 }, "Out of range in json: param 'nbits' (25) should be in range [1, 24]"],
  ["v", "HNSW_PRQ", "L2", { nrq: 17 }, "Out of range in json: param 'nrq' (17) should be in range [1, 16]"],
  [
    "v",
    "GPU_CAGRA",
    "L2",
    { graph_degree: 0 },
    "Out of range in json: param 'graph_degree' (0) should be in range [1, 4096]",
  ],
  [
    "v",
    "GPU_CAGRA",
    "L2",
    { graph_degree: 64, intermediate_graph_degree: 32 },
    "intermediate_graph_degree(32) should not be less than graph_degree(64)",
  ],
  ["v", "GPU_CAGRA", "L2", { build_algo: "X" }, "build_algo X not supported, supported: [NN_DESCENT IVF_PQ ITERATIVE]"],
  ["bin", "GPU_CAGRA", "JACCARD", {}, "metric type JACCARD not found or not supported, supported: [HAMMING]"],
  [
    "v",
    "IVF_SQ8",
    "L2",
    { refine: true, refine_type: "sq6" },
    "invalid refine type : sq6, optional types are [sq8, fp16, bf16, fp32, flat]",
  ],
  ["x", "HNSW", "L2", {}, "cannot create index on non-exist field: x"],
  ["v", "NOPE", "L2", {}, "invalid index type: NOPE"],
  ["s", "HYBRID", undefined, {}, "invalid index type: HYBRID"],
  ["i8v", "IVF_FLAT", "L2", {}, "data type Int8Vector can't build with this index IVF_FLAT"],
  ["v", "HNSW", undefined, {}, "metric type not set for vector index"],
  ["v", "HNSW", "HAMMING", {}, "float vector index does not support metric type: HAMMING"],
  ["bin", "BIN_FLAT", "L2", {}, "binary vector index does not support metric type: L2"],
  ["sparse", "SPARSE_WAND", "BM25", {}, "only BM25 Function output field support BM25 metric type"],
  [
    "sparse",
    "SPARSE_WAND",
    "IP",
    { inverted_index_algo: "x" },
    "sparse inverted index algo x not found or not supported, " +
      "supported: [TAAT_NAIVE DAAT_WAND DAAT_MAXSCORE BLOCK_MAX_MAXSCORE BLOCK_MAX_WAND SINDI]",
  ],
  [
    "sparse",
    "SPARSE_WAND",
    "IP",
    { quant_type: "u16" },
    "quant_type for IP metric must be 'fp16' or 'fp32', got 'u16'",
  ],
  [
    "sparse",
    "SPARSE_WAND",
    "IP",
    { sindi_window_size: "1" },
    "Out of range in json: param 'sindi_window_size' (1) should be in range [1024, 65535]",
  ],
  [
    "bin",
    "BIN_IVF_FLAT",
    "MHJACCARD",
    {},
    "metric type MHJACCARD not found or not supported, supported: [HAMMING JACCARD]",
  ],
  [
    "bin",
    "BIN_IVF_FLAT",
    "HAMMING",
    { nlist: 0 },
    "Out of range in json: param 'nlist' (0) should be in range [1, 65536]",
  ],
  [
    "bin",
    "MINHASH_LSH",
    "MHJACCARD",
    { mh_lsh_band: "0" },
    "Out of range in json: param 'mh_lsh_band' (0) should be in range [1, 2147483647]",
  ],
  [
    "bin",
    "MINHASH_LSH",
    "MHJACCARD",
    { mh_element_bit_width: 12 },
    "Out of range in json: param 'mh_element_bit_width' (12) should be in range [8, 256] and a multiple of 8",
  ],
  [
    "bin",
    "MINHASH_LSH",
    "MHJACCARD",
    { mh_lsh_code_in_mem: "maybe" },
    "Type conflict in json: param 'mh_lsh_code_in_mem' (maybe) should be a boolean",
  ],
  ["sparse", "SPARSE_WAND", "L2", {}, "only IP&BM25 is the supported metric type for sparse index"],
  ["v", "IVF_FLAT", "L2", { nlist: "0" }, "Out of range in json: param 'nlist' (0) should be in range [1, 65536]"],
  [
    "v",
    "IVF_FLAT",
    "L2",
    { nlist: "65537" },
    "Out of range in json: param 'nlist' (65537) should be in range [1, 65536]",
  ],
  ["v", "IVF_FLAT", "L2", { nlist: "4.0" }, "Type conflict in json: param 'nlist' (4.0) should be integer"],
  ["v", "IVF_FLAT", "L2", { nlist: "abc" }, "invalid integer value, key: 'nlist', value: 'abc'"],
  ["v", "HNSW", "L2", { M: "1" }, "Out of range in json: param 'M' (1) should be in range [2, 2048]"],
  [
    "sparse",
    "SPARSE_WAND",
    "IP",
    { drop_ratio_build: "1" },
    "Out of range in json: param 'drop_ratio_build' (1) should be in range [0, 1)",
  ],
  ["v", "HNSW", "L2", { dim: "9" }, "dimension mismatch, dimension in schema: 8, dimension: 9"],
  ["v", "INVERTED", undefined, {}, "INVERTED are not supported on FloatVector field"],
  ["s", "HNSW", "L2", {}, "index HNSW only supports vector data type"],
  ["id", "BITMAP", undefined, {}, "create bitmap index on primary key not supported"],
  ["f", "BITMAP", undefined, {}, "bitmap index are only supported on bool, int, string and array field"],
  ["f", "Trie", undefined, {}, "TRIE are only supported on varchar field"],
  ["v", "HNSW", "L2", { "mmap.enabled": "maybe" }, "invalid mmap.enabled value: maybe, expected: true, false"],
] as const)("%s %s %s %o is refused", (name, type, metric, params, message) => {
  expect(resolve(name, type, metric, params)).toBe(message);
});

test("the IVF family and its names on a GPU", () => {
  expect(resolve("v", "IVF_SQ8", "L2", { sq_type: "SQ6" })).toEqual(["IVF_SQ8", "L2", { nlist: 128, sq_type: "sq6" }]);
  expect(resolve("v", "IVF_PQ", "L2", { m: "4", refine: "true", refine_type: "FP16" })).toEqual([
    "IVF_PQ",
    "L2",
    { nlist: 128, m: 4, nbits: 8, refine: true, refine_type: "fp16" },
  ]);
  expect(resolve("v", "IVF_RABITQ", "IP")).toEqual(["IVF_RABITQ", "IP", { nlist: 128, rbq_bits: 1 }]);
  expect(resolve("v", "SCANN", "IP")).toEqual(["SCANN", "IP", { nlist: 128, sub_dim: 2 }]);
  expect(resolve("v", "GPU_BRUTE_FORCE", "L2")).toEqual(["FLAT", "L2", {}]);
  expect(resolve("v", "GPU_IVF_PQ", "L2", { m: 0 })).toEqual(["IVF_PQ", "L2", { nlist: 128, m: 2, nbits: 8 }]);
  expect(resolve("v", "IVF_PQ", "L2")).toBe("param 'm' not exist in json");
  expect(resolve("v", "IVF_PQ", "L2", { m: 3 })).toBe(
    "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). Dimension: 8, m: 3",
  );
  expect(resolve("v", "IVF_RABITQ", "L2", { refine: true, refine_type: "x" })).toBe(
    "invalid refine type : x, optional types are [sq6, sq8, fp16, bf16, fp32, flat]",
  );
});

test("the graphs on disk", () => {
  const preset = { max_degree: 56, search_list_size: 100, pq_code_budget_gb_ratio: 0.125 };
  expect(resolve("v", "DISKANN", "L2")).toEqual(["DISKANN", "L2", preset]);
  expect(resolve("v", "AISAQ", "COSINE", { inline_pq: "-1", rearrange: "true", pq_code_budget_gb_ratio: "1" })).toEqual(
    ["AISAQ", "COSINE", { ...preset, pq_code_budget_gb_ratio: 1 }],
  );
  expect(
    resolve("v", "DISKANN", "IP", { max_degree: "32", search_list_size: 80, search_cache_budget_gb_ratio: "0.1" }),
  ).toEqual(["DISKANN", "IP", { ...preset, max_degree: 32, search_list_size: 80 }]);
});

test.each([
  ["DISKANN", { max_degree: 0 }, "Out of range in json: param 'max_degree' (0) should be in range [1, 2048]"],
  ["DISKANN", { search_list_size: "x" }, "invalid integer value, key: 'search_list_size', value: 'x'"],
  [
    "DISKANN",
    { pq_code_budget_gb_ratio: 0.3 },
    "Out of range in json: param 'pq_code_budget_gb_ratio' (0.3) should be in range [0, 0.25]",
  ],
  [
    "DISKANN",
    { search_cache_budget_gb_ratio: "0.3" },
    "Out of range in json: param 'search_cache_budget_gb_ratio' (0.3) should be in range [0, 0.3)",
  ],
  ["AISAQ", { inline_pq: -2 }, "Out of range in json: param 'inline_pq' (-2) should be in range [-1, 2048]"],
  ["AISAQ", { rearrange: "maybe" }, "Type conflict in json: param 'rearrange' (maybe) should be a boolean"],
  ["DISKANN", { "mmap.enabled": "true" }, "index type DISKANN does not support mmap"],
] as const)("%s with %o is refused", (type, params, message) => {
  expect(resolve("v", type, "L2", params)).toBe(message);
});

test("graphs on disk are for floats", () => {
  expect(resolve("i8v", "DISKANN", "L2")).toBe("data type Int8Vector can't build with this index DISKANN");
});
