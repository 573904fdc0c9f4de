/** Scalar indexes: which type takes which field, with which parameters (contract/indexes.md 22 and 23). */
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { fail, succeed } from "@elanus/model/outcome";
import type { Failure, Outcome } from "@elanus/model/outcome";
import { DataType } from "@elanus/model/schema";
import type { FieldSchema } from "@elanus/model/schema";
import { typeName } from "./filter/program.ts";
import { parseJsonPath } from "./json-path.ts";
import type { JsonStep } from "./json-path.ts";

type Params = CreateIndex["params"];
type Resolved = Pick<CreateIndex, "type" | "params">;

export const SCALAR_TYPES: ReadonlySet<string> = new Set([
  "INVERTED",
  "BITMAP",
  "STL_SORT",
  "Trie",
  "TRIE",
  "marisa-trie",
  "NGRAM",
  "RTREE",
]);

const NUMBERS: readonly DataType[] = [
  DataType.int8,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.float,
  DataType.double,
];
const INTEGERS: readonly DataType[] = [DataType.int8, DataType.int16, DataType.int32, DataType.int64];

/** Types of index by what a JSON value is cast to. */
const CASTS: ReadonlyMap<string, readonly string[]> = new Map([
  ["BOOL", ["INVERTED", "BITMAP"]],
  ["DOUBLE", ["INVERTED", "STL_SORT"]],
  ["VARCHAR", ["INVERTED", "BITMAP", "STL_SORT", "NGRAM"]],
  ["ARRAY_BOOL", ["INVERTED"]],
  ["ARRAY_DOUBLE", ["INVERTED"]],
  ["ARRAY_VARCHAR", ["INVERTED"]],
  ["JSON", ["INVERTED"]],
]);

/** AUTOINDEX keeps bitmaps up to so many distinct values. */
const CARDINALITY_LIMIT = 100;
const CARDINALITY_LIMIT_MAX = 1000;
const GRAM_KEYS = ["min_gram", "max_gram"] as const;
const INT_MAX = 2_147_483_647;

/**
 * The scalar index that is built: AUTOINDEX and a missing type resolved. Of a JSON index the parameters are `json_path`
 * (the steps as a JSON array), `json_cast_type`, and `json_cast_function` when one was asked for.
 */
export function resolveScalar(field: FieldSchema, request: CreateIndex): Outcome<Resolved> {
  const { type, params } = request;
  const automatic = type === "" || type === "AUTOINDEX";
  if (field.type === DataType.json) return resolveJson(field, automatic ? "INVERTED" : type, request);
  if (automatic) return resolveAutomatic(field, params);
  const fits = checkType(type, field);
  if (!fits.ok) return fits;
  if (type !== "NGRAM") return succeed({ type, params: {} });
  const grams = gramParams(params);
  return grams.ok ? succeed({ type, params: grams.value }) : grams;
}

function refuse(message: string): Failure {
  return fail({ kind: "invalidParameter", message });
}

function resolveAutomatic(field: FieldSchema, params: Params): Outcome<Resolved> {
  if (field.type === DataType.geometry) return succeed({ type: "RTREE", params: {} });
  const fits = checkType("INVERTED", field);
  if (!fits.ok) return fits;
  if (field.type === DataType.bool) return succeed({ type: "BITMAP", params: {} });
  const limit = Number(params["bitmap_cardinality_limit"] ?? CARDINALITY_LIMIT);
  if (!Number.isInteger(limit) || limit <= 0 || limit > CARDINALITY_LIMIT_MAX) {
    const bounds = `should be larger than 0 and smaller than ${CARDINALITY_LIMIT_MAX}`;
    return refuse(`failed to check bitmap cardinality limit, ${bounds}`);
  }
  return succeed({ type: "HYBRID", params: { bitmap_cardinality_limit: limit } });
}

function checkType(type: string, field: FieldSchema): Outcome<void> {
  const own = field.type;
  const value = own === DataType.array ? field.elementType : own;
  const small = value === DataType.bool || value === DataType.varChar;
  const ok = succeed(undefined);
  switch (type) {
    case "INVERTED":
      if (small || (value !== undefined && NUMBERS.includes(value))) return ok;
      return refuse(`INVERTED are not supported on ${typeName(own)} field`);
    case "BITMAP":
      if (field.primaryKey) return refuse("create bitmap index on primary key not supported");
      if (small || (value !== undefined && INTEGERS.includes(value))) return ok;
      return own === DataType.array
        ? refuse("bitmap index are only supported on bool, int, string for array field")
        : refuse("bitmap index are only supported on bool, int, string and array field");
    case "STL_SORT":
      if (NUMBERS.includes(own) || own === DataType.varChar) return ok;
      return refuse(`STL_SORT are only supported on numeric, varchar or timestamptz field, got ${typeName(own)}`);
    case "NGRAM":
      return own === DataType.varChar ? ok : refuse("NGRAM are only supported on varchar or json field");
    case "RTREE":
      if (own === DataType.geometry) return ok;
      return refuse(`RTREE index can only be built on geometry field, got ${typeName(own)}`);
    default:
      return own === DataType.varChar ? ok : refuse("TRIE are only supported on varchar field");
  }
}

function gramParams(params: Params): Outcome<Params> {
  const [least, most] = GRAM_KEYS.map((key) => params[key]);
  if (least === undefined || most === undefined) return refuse("Ngram index must specify both min_gram and max_gram");
  for (const key of GRAM_KEYS) {
    if (/^[+-]?\d+$/.test(String(params[key]))) continue;
    return refuse(`${key} for Ngram index must be an integer, got: ${params[key]}`);
  }
  const [min, max] = [Number(least), Number(most)];
  if (min > 0 && min <= max && max <= INT_MAX) return succeed({ min_gram: min, max_gram: max });
  return refuse(`invalid min_gram or max_gram value for Ngram index, min_gram: ${least}, max_gram: ${most}`);
}

function resolveJson(field: FieldSchema, type: string, request: CreateIndex): Outcome<Resolved> {
  const { params } = request;
  if (params["json_cast_type"] === undefined) {
    return fail({ kind: "missingParameter", message: "json index must specify cast type" });
  }
  const cast = String(params["json_cast_type"]).toUpperCase();
  const types = CASTS.get(cast);
  if (types === undefined) return refuse(`json_cast_type ${params["json_cast_type"]} is not supported`);
  if (type === "NGRAM" && cast !== "VARCHAR")
    return refuse("Ngram index can only be built with json cast type VARCHAR");
  if (type === "RTREE") return refuse(`RTREE index can only be built on geometry field, got ${typeName(field.type)}`);
  if (!types.includes(type)) return refuse(`index ${type} do not support data type: ${cast}`);
  const castFunction = params["json_cast_function"];
  if (castFunction !== undefined && !(castFunction === "STRING_TO_DOUBLE" && cast === "DOUBLE")) {
    return refuse(`json_cast_function ${castFunction} is not supported`);
  }
  const steps = stepsOf(field, request);
  if (steps === undefined) return refuse(`cannot parse json path: ${params["json_path"]}`);
  const grams = type === "NGRAM" ? gramParams(params) : succeed({});
  if (!grams.ok) return grams;
  const path = {
    json_path: JSON.stringify(steps),
    json_cast_type: cast,
    ...(castFunction === undefined ? {} : { json_cast_function: castFunction }),
  };
  return succeed({ type, params: { ...path, ...grams.value } });
}

/** Steps from the document of the field; without a path the field's name is the path, or the dynamic key. */
function stepsOf(field: FieldSchema, request: CreateIndex): readonly JsonStep[] | undefined {
  const sent = request.params["json_path"];
  const parsed = parseJsonPath(sent === undefined || sent === "" ? request.field : String(sent));
  if (parsed === undefined) return undefined;
  if (parsed.name === field.name) return parsed.steps;
  return field.dynamic ? [parsed.name, ...parsed.steps] : undefined;
}

/** Where a JSON index begins, as it is added to the name of its field: `/a/0`. */
export function pointerOf(params: Params): string {
  const steps = JSON.parse(String(params["json_path"] ?? "[]")) as readonly JsonStep[];
  return steps.map((step) => `/${step}`).join("");
}
