/** Scalar indexes: what resolves to what, and the refusals with Milvus's words. */
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import type { FieldId } from "@elanus/model/id";
import { DataType, dynamicField, plainField } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { expect, test } from "vitest";
import { resolveIndex } from "./index-params.ts";
import { parseJsonPath } from "./json-path.ts";

function field(id: number, name: string, type: DataType, more: Partial<FieldSchema> = {}): FieldSchema {
  return { ...plainField({ id: id as FieldId, name, description: "", type }), ...more };
}

const schema: CollectionSchema = {
  name: "c",
  description: "",
  dynamicFieldEnabled: true,
  version: 0,
  fields: [
    field(100, "id", DataType.int64, { primaryKey: true }),
    field(101, "s", DataType.varChar),
    field(102, "n", DataType.int32),
    field(103, "f", DataType.double),
    field(104, "b", DataType.bool),
    field(105, "j", DataType.json),
    field(106, "floats", DataType.array, { elementType: DataType.float }),
    field(107, "texts", DataType.array, { elementType: DataType.varChar }),
    field(109, "place", DataType.geometry),
    dynamicField(108 as FieldId),
  ],
};

function resolve(name: string, type: string, params: CreateIndex["params"] = {}): unknown {
  const request = { database: "default", name: "c", field: name, index: "", type, params, userParams: [] };
  const outcome = resolveIndex(schema, request);
  if (!outcome.ok) return "message" in outcome.error ? outcome.error.message : outcome.error;
  const { field: own, index, type: real, params: kept } = outcome.value;
  return [own, index, real, kept];
}

test("each type on the fields it takes", () => {
  for (const type of ["INVERTED", "STL_SORT", "BITMAP", "Trie", "TRIE", "marisa-trie"]) {
    expect(resolve("s", type)).toEqual(["s", "s", type, {}]);
  }
  expect(resolve("place", "RTREE")).toEqual(["place", "place", "RTREE", {}]);
  expect(resolve("place", "AUTOINDEX")).toEqual(["place", "place", "RTREE", {}]);
  expect(resolve("place", "INVERTED")).toBe("INVERTED are not supported on Geometry field");
  expect(resolve("f", "STL_SORT")).toEqual(["f", "f", "STL_SORT", {}]);
  expect(resolve("texts", "BITMAP")).toEqual(["texts", "texts", "BITMAP", {}]);
  expect(resolve("floats", "INVERTED")).toEqual(["floats", "floats", "INVERTED", {}]);
  const grams = { min_gram: "2", max_gram: 3 };
  expect(resolve("s", "NGRAM", grams)).toEqual(["s", "s", "NGRAM", { min_gram: 2, max_gram: 3 }]);
  expect(resolve("b", "AUTOINDEX")).toEqual(["b", "b", "BITMAP", {}]);
  expect(resolve("n", "", { bitmap_cardinality_limit: "7" })).toEqual([
    "n",
    "n",
    "HYBRID",
    { bitmap_cardinality_limit: 7 },
  ]);
});

function json(name: string, params: CreateIndex["params"], type = "INVERTED"): unknown {
  return resolve(name, type, { json_cast_type: "DOUBLE", ...params });
}

function kept(path: string, cast = "DOUBLE"): unknown {
  return { json_path: path, json_cast_type: cast };
}

test("JSON indexes: path, cast and name", () => {
  expect(json("j", { json_path: `j["a"]['b'][0]` })).toEqual(["j", "j/a/b/0", "INVERTED", kept('["a","b",0]')]);
  expect(json("j", {})).toEqual(["j", "j", "INVERTED", kept("[]")]);
  expect(json("j", { json_cast_type: "json", json_path: "j" })).toEqual(["j", "j", "INVERTED", kept("[]", "JSON")]);
  expect(json("color", {}, "")).toEqual(["$meta", "$meta/color", "INVERTED", kept('["color"]')]);
  expect(json("color", { json_path: `color["x"]` })).toEqual([
    "$meta",
    "$meta/color/x",
    "INVERTED",
    kept('["color","x"]'),
  ]);
  expect(json("$meta", { json_path: `$meta["k"]` })).toEqual(["$meta", "$meta/k", "INVERTED", kept('["k"]')]);
  const grams = { json_cast_type: "VARCHAR", json_path: `j["a"]`, min_gram: 1, max_gram: 2 };
  expect(json("j", grams, "NGRAM")).toEqual([
    "j",
    "j/a",
    "NGRAM",
    { json_path: '["a"]', json_cast_type: "VARCHAR", min_gram: 1, max_gram: 2 },
  ]);
  expect(json("j", { json_cast_function: "STRING_TO_DOUBLE" })).toEqual([
    "j",
    "j",
    "INVERTED",
    { json_path: "[]", json_cast_type: "DOUBLE", json_cast_function: "STRING_TO_DOUBLE" },
  ]);
});

test.each([
  ["id", "BITMAP", {}, "create bitmap index on primary key not supported"],
  ["f", "BITMAP", {}, "bitmap index are only supported on bool, int, string and array field"],
  ["floats", "BITMAP", {}, "bitmap index are only supported on bool, int, string for array field"],
  ["b", "STL_SORT", {}, "STL_SORT are only supported on numeric, varchar or timestamptz field, got Bool"],
  ["n", "TRIE", {}, "TRIE are only supported on varchar field"],
  ["n", "NGRAM", { min_gram: 1, max_gram: 2 }, "NGRAM are only supported on varchar or json field"],
  ["s", "NGRAM", { min_gram: 1 }, "Ngram index must specify both min_gram and max_gram"],
  ["s", "NGRAM", { min_gram: "x", max_gram: 2 }, "min_gram for Ngram index must be an integer, got: x"],
  [
    "s",
    "NGRAM",
    { min_gram: 3, max_gram: 2 },
    "invalid min_gram or max_gram value for Ngram index, min_gram: 3, max_gram: 2",
  ],
  ["s", "RTREE", {}, "RTREE index can only be built on geometry field, got VarChar"],
  ["s", "HYBRID", {}, "invalid index type: HYBRID"],
  ["s", "trie", {}, "invalid index type: trie"],
  [
    "n",
    "AUTOINDEX",
    { bitmap_cardinality_limit: 0 },
    "failed to check bitmap cardinality limit, should be larger than 0 and smaller than 1000",
  ],
  ["j", "INVERTED", {}, "json index must specify cast type"],
  ["j", "INVERTED", { json_cast_type: "INT64" }, "json_cast_type INT64 is not supported"],
  ["j", "BITMAP", { json_cast_type: "DOUBLE" }, "index BITMAP do not support data type: DOUBLE"],
  ["j", "INVERTED", { json_cast_type: "BOOL", json_path: "other" }, "cannot parse json path: other"],
  ["j", "INVERTED", { json_cast_type: "BOOL", json_path: `j["a]` }, `cannot parse json path: j["a]`],
  [
    "j",
    "INVERTED",
    { json_cast_type: "BOOL", json_cast_function: "STRING_TO_DOUBLE" },
    "json_cast_function STRING_TO_DOUBLE is not supported",
  ],
  ["color", "INVERTED", {}, "cannot create index on non-exist field: color"],
] as const)("%s %s %o is refused", (name, type, params, message) => {
  expect(resolve(name, type, params)).toBe(message);
});

test("paths", () => {
  expect(parseJsonPath(`j["a\\"b"][12]`)).toEqual({ name: "j", steps: ['a"b', 12] });
  for (const bad of ["", "[1]", "j[", "j[x]", `j["a"]x`, `j["a"`]) expect(parseJsonPath(bad)).toBeUndefined();
});
