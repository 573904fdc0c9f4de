/** What CreateIndex asks for, checked and resolved to the index that is built (contract/grpc.md 9.3, indexes.md). */
import type { Metric } from "@elanus/model/catalog";
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { fail, succeed } from "@elanus/model/outcome";
import type { Failure, Outcome } from "@elanus/model/outcome";
import { DataType, isVector } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { checkBinaryMetric, elementWidth, minHashParams } from "./binary-index-params.ts";
import { integer, refuse, type Sent } from "./build-param.ts";
import { typeName } from "./filter/program.ts";
import { sparseParams } from "./sparse-index-params.ts";

type BuildParams = Record<string, string | number | boolean>;

/** Keys that say how an index is loaded, not how it is built. */
const LOAD_KEYS: readonly string[] = ["mmap.enabled", "indexoffsetcache.enabled", "warmup"];

const DENSE_METRICS: readonly string[] = ["L2", "IP", "COSINE"];
const BINARY_METRICS: readonly string[] = ["HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE", "MHJACCARD"];
const SPARSE_METRICS: readonly string[] = ["IP"];

type Family = "dense" | "int8" | "binary" | "sparse";

/** Vector index types by the fields they take; the second list is for versions to come. */
const VECTOR_TYPES: ReadonlyMap<string, { readonly families: readonly Family[]; readonly built: boolean }> = new Map([
  ["FLAT", { families: ["dense", "int8"], built: true }],
  ["HNSW", { families: ["dense", "int8", "binary"], built: true }],
  ["IVF_FLAT", { families: ["dense"], built: true }],
  ["BIN_FLAT", { families: ["binary"], built: true }],
  ["SPARSE_INVERTED_INDEX", { families: ["sparse"], built: true }],
  ["SPARSE_WAND", { families: ["sparse"], built: true }],
  ["IVF_SQ8", { families: ["dense"], built: false }],
  ["IVF_PQ", { families: ["dense"], built: false }],
  ["IVF_RABITQ", { families: ["dense"], built: false }],
  ["HNSW_SQ", { families: ["dense", "int8"], built: false }],
  ["HNSW_PQ", { families: ["dense", "int8"], built: false }],
  ["HNSW_PRQ", { families: ["dense", "int8"], built: false }],
  ["SCANN", { families: ["dense"], built: false }],
  ["DISKANN", { families: ["dense"], built: false }],
  ["AISAQ", { families: ["dense"], built: false }],
  ["BIN_IVF_FLAT", { families: ["binary"], built: true }],
  ["MINHASH_LSH", { families: ["binary"], built: true }],
]);

const SCALAR_TYPES: ReadonlySet<string> = new Set([
  "INVERTED",
  "BITMAP",
  "STL_SORT",
  "Trie",
  "TRIE",
  "marisa-trie",
  "NGRAM",
  "RTREE",
]);

const INT_MAX = 2_147_483_647;

/**
 * The index that answers the request: AUTOINDEX and a missing type resolved, parameters as numbers with their
 * defaults, the name filled in. What the client sent stays in `userParams`.
 */
export function resolveIndex(schema: CollectionSchema, request: CreateIndex): Outcome<CreateIndex> {
  const field = schema.fields.find((candidate) => candidate.name === request.field);
  if (field === undefined) return unknownField(schema, request);
  const load = checkLoadKeys(request.type, request.params);
  if (!load.ok) return load;
  const resolved = isVector(field.type) ? resolveVector(field, request) : resolveScalar(field, request);
  if (!resolved.ok) return resolved;
  const { metric: _, ...rest } = request;
  const index = request.index === "" ? field.name : request.index;
  return succeed({ ...rest, index, ...resolved.value });
}

interface Resolved {
  readonly type: string;
  readonly metric?: Metric;
  readonly params: BuildParams;
}

function notYet(what: string): Failure {
  return fail({ kind: "notImplemented", call: `index ${what}` });
}

function unknownType(type: string): Failure {
  const actual = `invalid index type: ${type}`;
  return fail({ kind: "invalidParameter", message: actual, expected: "valid index", actual });
}

function unknownField(schema: CollectionSchema, request: CreateIndex): Failure {
  if (schema.dynamicFieldEnabled && request.params["json_path"] !== undefined) return notYet("on a JSON path");
  return refuse(`cannot create index on non-exist field: ${request.field}`);
}

function checkLoadKeys(type: string, params: Sent): Outcome<void> {
  const mmap = params["mmap.enabled"];
  if (mmap !== undefined && !/^(true|false)$/i.test(String(mmap))) {
    return refuse(`invalid mmap.enabled value: ${mmap}, expected: true, false`);
  }
  if (params["indexoffsetcache.enabled"] !== undefined && type !== "BITMAP") {
    return refuse("only bitmap index support indexoffsetcache.enabled now");
  }
  return succeed(undefined);
}

function familyOf(type: DataType): Family {
  if (type === DataType.binaryVector) return "binary";
  if (type === DataType.sparseFloatVector) return "sparse";
  return type === DataType.int8Vector ? "int8" : "dense";
}

function resolveVector(field: FieldSchema, request: CreateIndex): Outcome<Resolved> {
  const { type, params } = request;
  const family = familyOf(field.type);
  const metric = request.metric === undefined ? undefined : String(request.metric).toUpperCase();
  if (type === "" || type === "AUTOINDEX") {
    const extra = Object.keys(params).find((key) => !LOAD_KEYS.includes(key));
    if (extra !== undefined) return refuse("only metric type can be passed when use AutoIndex");
    const automatic = automaticIndex(family, metric);
    const checked = checkMetric(family, metric ?? automatic.metric);
    return checked.ok ? succeed({ ...automatic, metric: checked.value }) : checked;
  }
  const known = VECTOR_TYPES.get(type);
  if (known === undefined) {
    return SCALAR_TYPES.has(type)
      ? refuse(`${type} are not supported on ${typeName(field.type)} field`)
      : unknownType(type);
  }
  if (!known.families.includes(family)) {
    return refuse(`data type ${typeName(field.type)} can't build with this index ${type}`);
  }
  if (metric === undefined) return refuse("metric type not set for vector index");
  const checked = checkMetric(family, metric);
  if (!checked.ok) return checked;
  const fits = family === "binary" ? checkBinaryMetric(type, metric) : succeed(undefined);
  if (!fits.ok) return fits;
  const dimension = params["dim"];
  if (dimension !== undefined && field.dim !== undefined && String(dimension) !== String(field.dim)) {
    return refuse(`dimension mismatch, dimension in schema: ${field.dim}, dimension: ${dimension}`);
  }
  if (!known.built) return notYet(`type ${type}`);
  const build = buildParams(type, checked.value, params);
  return build.ok ? succeed({ type, metric: checked.value, params: build.value }) : build;
}

function automaticIndex(family: Family, metric: string | undefined): Resolved & { readonly metric: Metric } {
  switch (family) {
    case "sparse":
      return { type: "SPARSE_INVERTED_INDEX", metric: "IP", params: {} };
    case "binary":
      return metric === "MHJACCARD"
        ? { type: "MINHASH_LSH", metric, params: { mh_element_bit_width: 8, mh_lsh_band: 1 } }
        : { type: "BIN_FLAT", metric: "HAMMING", params: {} };
    default:
      return { type: "HNSW", metric: "COSINE", params: { M: 18, efConstruction: 240 } };
  }
}

function checkMetric(family: Family, metric: string): Outcome<Metric> {
  switch (family) {
    case "sparse":
      if (metric === "BM25") return refuse("only BM25 Function output field support BM25 metric type");
      if (SPARSE_METRICS.includes(metric)) return succeed(metric as Metric);
      return refuse("only IP&BM25 is the supported metric type for sparse index");
    case "binary":
      if (BINARY_METRICS.includes(metric)) return succeed(metric as Metric);
      return refuse(`binary vector index does not support metric type: ${metric}`);
    default:
      if (DENSE_METRICS.includes(metric)) return succeed(metric as Metric);
      return refuse(`float vector index does not support metric type: ${metric}`);
  }
}

function buildParams(type: string, metric: Metric, sent: Sent): Outcome<BuildParams> {
  switch (type) {
    case "HNSW": {
      if (/^true$/i.test(String(sent["refine"] ?? "false"))) return refuse("refine is not supported for this index");
      const links = integer(sent, "M", [2, 2048], 30);
      if (!links.ok) return links;
      const width = integer(sent, "efConstruction", [1, INT_MAX], 360);
      return width.ok ? succeed({ M: links.value, efConstruction: width.value }) : width;
    }
    case "BIN_IVF_FLAT":
    case "IVF_FLAT": {
      const lists = integer(sent, "nlist", [1, 65_536], 128);
      return lists.ok ? succeed({ nlist: lists.value }) : lists;
    }
    case "SPARSE_INVERTED_INDEX":
    case "SPARSE_WAND":
      return sparseParams(type, metric, sent);
    case "BIN_FLAT":
      return elementWidth(metric, sent);
    case "MINHASH_LSH":
      return minHashParams(sent);
    default:
      return succeed({});
  }
}

const NUMBERS: readonly DataType[] = [
  DataType.int8,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.float,
  DataType.double,
];
const INTEGERS: readonly DataType[] = [DataType.int8, DataType.int16, DataType.int32, DataType.int64];

function resolveScalar(field: FieldSchema, request: CreateIndex): Outcome<Resolved> {
  const { type } = request;
  if (VECTOR_TYPES.has(type)) return refuse(`index ${type} only supports vector data type`);
  const automatic = type === "" || type === "AUTOINDEX";
  if (!automatic && !SCALAR_TYPES.has(type)) return unknownType(type);
  const fits = checkScalarType(automatic ? "INVERTED" : type, field, request.params);
  if (!fits.ok) return fits;
  if (field.type === DataType.json) return checkJsonIndex(request.params);
  return automatic || type === "INVERTED" ? succeed({ type: "INVERTED", params: {} }) : notYet(`type ${type}`);
}

function checkScalarType(type: string, field: FieldSchema, params: Sent): Outcome<void> {
  const own = field.type;
  const value = own === DataType.array ? (field.elementType ?? DataType.json) : own;
  const ok = succeed(undefined);
  switch (type) {
    case "INVERTED":
      if (value === DataType.bool || value === DataType.varChar || NUMBERS.includes(value)) return ok;
      return own === DataType.json ? ok : refuse(`INVERTED are not supported on ${typeName(own)} field`);
    case "BITMAP":
      if (field.primaryKey) return refuse("create bitmap index on primary key not supported");
      if (value === DataType.bool || value === DataType.varChar || INTEGERS.includes(value)) return ok;
      if (own === DataType.array) return refuse("bitmap index are only supported on bool, int, string for array field");
      return own === DataType.json
        ? ok
        : refuse("bitmap index are only supported on bool, int, string and array field");
    case "STL_SORT":
      if (NUMBERS.includes(own) || own === DataType.varChar || own === DataType.json) return ok;
      return refuse(`STL_SORT are only supported on numeric, varchar or timestamptz field, got ${typeName(own)}`);
    case "NGRAM":
      return own === DataType.varChar || own === DataType.json
        ? checkGrams(params)
        : refuse("NGRAM are only supported on varchar or json field");
    case "RTREE":
      return refuse(`RTREE index can only be built on geometry field, got ${typeName(own)}`);
    default:
      return own === DataType.varChar ? ok : refuse("TRIE are only supported on varchar field");
  }
}

function checkGrams(params: Sent): Outcome<void> {
  const [least, most] = [params["min_gram"], params["max_gram"]];
  if (least === undefined || most === undefined) return refuse("Ngram index must specify both min_gram and max_gram");
  for (const [key, value] of [
    ["min_gram", least],
    ["max_gram", most],
  ] as const) {
    if (!/^[+-]?\d+$/.test(String(value))) return refuse(`${key} for Ngram index must be an integer, got: ${value}`);
  }
  if (Number(least) > 0 && Number(least) <= Number(most)) return succeed(undefined);
  return refuse(`invalid min_gram or max_gram value for Ngram index, min_gram: ${least}, max_gram: ${most}`);
}

const CAST_TYPES: readonly string[] = [
  "BOOL",
  "DOUBLE",
  "VARCHAR",
  "ARRAY_BOOL",
  "ARRAY_DOUBLE",
  "ARRAY_VARCHAR",
  "JSON",
];

function checkJsonIndex(params: Sent): Failure {
  const cast = params["json_cast_type"];
  if (cast === undefined) return fail({ kind: "missingParameter", message: "json index must specify cast type" });
  if (!CAST_TYPES.includes(String(cast).toUpperCase())) return refuse(`json_cast_type ${cast} is not supported`);
  return notYet("on a JSON path");
}
