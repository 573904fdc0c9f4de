/** What CreateIndex asks for, checked and resolved to the index that is built (contract/grpc.md 9.3, indexes.md). */
import type { Metric } from "@elanus/model/catalog";
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { fail, succeed } from "@elanus/model/outcome";
import type { Failure, Outcome } from "@elanus/model/outcome";
import { DataType, isVector } from "@elanus/model/schema";
import type { CollectionSchema, FieldSchema } from "@elanus/model/schema";
import { servedBy } from "@elanus/model/served-by";
import { checkBinaryMetric, elementWidth, minHashParams } from "./binary-index-params.ts";
import { refuse, type Sent } from "./build-param.ts";
import { diskParams } from "./disk-params.ts";
import { typeName } from "./filter/program.ts";
import { cagraParams, graphParams } from "./graph-params.ts";
import { ivfParams, withAutomaticSplits } from "./ivf-params.ts";
import { pointerOf, resolveScalar, SCALAR_TYPES } from "./scalar-index.ts";
import { sparseParams } from "./sparse-index-params.ts";

type BuildParams = CreateIndex["params"];

/** Keys that say how an index is loaded, not how it is built. */
const LOAD_KEYS: readonly string[] = ["mmap.enabled", "indexoffsetcache.enabled", "warmup"];

const DENSE_METRICS: readonly string[] = ["L2", "IP", "COSINE"];
const BINARY_METRICS: readonly string[] = ["HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE", "MHJACCARD"];
const SPARSE_METRICS: readonly string[] = ["IP"];

type Family = "dense" | "int8" | "binary" | "sparse";

/** Vector index types by the fields they take. */
const VECTOR_TYPES: ReadonlyMap<string, readonly Family[]> = new Map<string, readonly Family[]>([
  ["FLAT", ["dense", "int8"]],
  ["HNSW", ["dense", "int8", "binary"]],
  ["IVF_FLAT", ["dense"]],
  ["BIN_FLAT", ["binary"]],
  ["SPARSE_INVERTED_INDEX", ["sparse"]],
  ["SPARSE_WAND", ["sparse"]],
  ["IVF_SQ8", ["dense"]],
  ["IVF_PQ", ["dense"]],
  ["IVF_RABITQ", ["dense"]],
  ["HNSW_SQ", ["dense", "int8"]],
  ["HNSW_PQ", ["dense", "int8"]],
  ["HNSW_PRQ", ["dense", "int8"]],
  ["SCANN", ["dense"]],
  ["DISKANN", ["dense"]],
  ["AISAQ", ["dense"]],
  ["GPU_BRUTE_FORCE", ["dense"]],
  ["GPU_CAGRA", ["dense", "int8", "binary"]],
  ["GPU_IVF_FLAT", ["dense"]],
  ["GPU_IVF_PQ", ["dense"]],
  ["BIN_IVF_FLAT", ["binary"]],
  ["MINHASH_LSH", ["binary"]],
]);

/** Index types that decide themselves what is mapped. */
export const NOT_MAPPED: readonly string[] = ["STL_SORT", "DISKANN", "AISAQ"];

/**
 * The index that answers the request: a missing type and AUTOINDEX on scalars resolved, parameters as numbers with
 * their defaults, the name filled in. What the client sent stays in `userParams`.
 */
export function resolveIndex(schema: CollectionSchema, request: CreateIndex): Outcome<CreateIndex> {
  const field = fieldOf(schema, request);
  if (field === undefined) return refuse(`cannot create index on non-exist field: ${request.field}`);
  const load = checkLoadKeys(request.type, request.params);
  if (!load.ok) return load;
  const resolved = isVector(field.type) ? resolveVector(field, request) : checkedScalar(field, request);
  if (!resolved.ok) return resolved;
  const { metric: _, ...rest } = request;
  const path = field.type === DataType.json ? pointerOf(resolved.value.params) : "";
  const index = request.index === "" ? `${field.name}${path}` : request.index;
  return succeed({ ...rest, field: field.name, index, ...resolved.value });
}

/** A name that is no field may be a key of the dynamic field, when the request is for a JSON index. */
function fieldOf(schema: CollectionSchema, request: CreateIndex): FieldSchema | undefined {
  const named = schema.fields.find((candidate) => candidate.name === request.field);
  if (named !== undefined || request.params["json_cast_type"] === undefined) return named;
  return schema.fields.find((candidate) => candidate.dynamic);
}

function checkedScalar(field: FieldSchema, request: CreateIndex): Outcome<Resolved> {
  const { type } = request;
  if (VECTOR_TYPES.has(type)) return refuse(`index ${type} only supports vector data type`);
  if (type !== "" && type !== "AUTOINDEX" && !SCALAR_TYPES.has(type)) return unknownType(type);
  return resolveScalar(field, request);
}

interface Resolved {
  readonly type: string;
  readonly metric?: Metric;
  readonly params: BuildParams;
}

function unknownType(type: string): Failure {
  const actual = `invalid index type: ${type}`;
  return fail({ kind: "invalidParameter", message: actual, expected: "valid index", actual });
}

function checkLoadKeys(type: string, params: Sent): Outcome<void> {
  const mmap = params["mmap.enabled"];
  if (mmap !== undefined && !/^(true|false)$/i.test(String(mmap))) {
    return refuse(`invalid mmap.enabled value: ${mmap}, expected: true, false`);
  }
  if (mmap !== undefined && NOT_MAPPED.includes(type)) return refuse(`index type ${type} does not support mmap`);
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
  if (!known.includes(family)) {
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
  const served = servedBy(type);
  if (type === "GPU_CAGRA") {
    const graph = cagraParams(params);
    return graph.ok ? succeed({ type: served, metric: checked.value, params: graph.value }) : graph;
  }
  const build = buildParams(served, checked.value, withAutomaticSplits(type, params, field.dim ?? 0), field.dim ?? 0);
  return build.ok ? succeed({ type: served, metric: checked.value, params: build.value }) : build;
}

/** Dense and binary indexes stay AUTOINDEX: what they are is chosen for each segment when it is built. */
function automaticIndex(family: Family, metric: string | undefined): Resolved & { readonly metric: Metric } {
  switch (family) {
    case "sparse":
      return { type: "SPARSE_INVERTED_INDEX", metric: "IP", params: {} };
    case "binary":
      return metric === "MHJACCARD"
        ? { type: "MINHASH_LSH", metric, params: { mh_element_bit_width: 8, mh_lsh_band: 1 } }
        : { type: "AUTOINDEX", metric: "HAMMING", params: {} };
    default:
      return { type: "AUTOINDEX", metric: "COSINE", params: {} };
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

function buildParams(type: string, metric: Metric, sent: Sent, dim: number): Outcome<BuildParams> {
  switch (type) {
    case "HNSW":
    case "HNSW_SQ":
    case "HNSW_PQ":
    case "HNSW_PRQ":
      return graphParams(type, sent, dim);
    case "BIN_IVF_FLAT":
    case "IVF_FLAT":
    case "IVF_SQ8":
    case "IVF_PQ":
    case "IVF_RABITQ":
    case "SCANN":
      return ivfParams(type, sent, dim);
    case "DISKANN":
    case "AISAQ":
      return diskParams(type, sent);
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
