/** Checks the search parameters that the field's index reads; those of other index types are ignored. */
import type { IndexInfo } from "@elanus/model/catalog";
import { succeed, type Outcome } from "@elanus/model/outcome";
import { refuse } from "./flat-params.ts";

const INT_MAX = 2_147_483_647;
const NPROBE_MAX = 65_536;
type Given = Readonly<Record<string, unknown>>;
type Checked = Readonly<Record<string, number>>;

export function indexSearchParams(
  index: Pick<IndexInfo, "type" | "userParams">,
  given: Given,
  topK: number,
): Outcome<Checked> {
  const automatic = index.userParams.some((param) => param.key === "index_type" && param.value === "AUTOINDEX");
  // The engine chooses the effort of an index that it has chosen.
  if (automatic) return succeed({});
  switch (index.type) {
    case "HNSW":
      return graphParams(given, topK);
    case "IVF_FLAT":
      return optional(integerParam(given, "nprobe", 1, NPROBE_MAX), "nprobe");
    case "SPARSE_INVERTED_INDEX":
    case "SPARSE_WAND":
      return optional(shareParam(given, "drop_ratio_search"), "drop_ratio_search");
    default:
      return succeed({});
  }
}

function graphParams(given: Given, topK: number): Outcome<Checked> {
  const ef = integerParam(given, "ef", 1, INT_MAX);
  if (ef.ok && ef.value !== undefined && ef.value < topK) {
    return refuse(`ef(${ef.value}) should be larger than k(${topK})`);
  }
  return optional(ef, "ef");
}

function optional(value: Outcome<number | undefined>, key: string): Outcome<Checked> {
  if (!value.ok) return value;
  return succeed(value.value === undefined ? {} : { [key]: value.value });
}

function integerParam(given: Given, key: string, low: number, high: number): Outcome<number | undefined> {
  const value = given[key];
  if (value === undefined || value === "") return succeed(undefined);
  const isInteger = typeof value === "number" ? Number.isInteger(value) : /^\s*-?\d+\s*$/.test(String(value));
  if (typeof value === "string" && !isInteger) {
    return refuse(`invalid integer value, key: '${key}', value: '${value}'`);
  }
  if (!isInteger) return refuse(`Type conflict in json: param '${key}' (${JSON.stringify(value)}) should be integer`);
  const number = Number(value);
  if (number < low || number > high) {
    return refuse(`Out of range in json: param '${key}' (${number}) should be in range [${low}, ${high}]`);
  }
  return succeed(number);
}

function shareParam(given: Given, key: string): Outcome<number | undefined> {
  const value = given[key];
  if (value === undefined || value === "") return succeed(undefined);
  const number = typeof value === "boolean" ? Number.NaN : Number(value);
  if (Number.isNaN(number)) {
    return refuse(`Type conflict in json: param '${key}' (${JSON.stringify(value)}) should be a number`);
  }
  if (number >= 0 && number < 1) return succeed(number);
  return refuse(`Out of range in json: param '${key}' (${number}) should be in range [0.000000, 1.000000)`);
}
