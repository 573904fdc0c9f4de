/** Reads one search parameter of an index: Milvus's ranges and refusals; absent and empty ones are undefined. */
import { succeed, type Outcome } from "@elanus/model/outcome";
import { refuse } from "./flat-params.ts";

export const INT_MAX = 2_147_483_647;

export type Given = Readonly<Record<string, unknown>>;
export type Checked = Readonly<Record<string, number | boolean | string>>;

export function integerParam(given: Given, key: string, low: number, high: number): Outcome<number | undefined> {
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

/** `openEnd`: `high` itself is outside. */
export function numberInRange(
  given: Given,
  key: string,
  low: number,
  high: number,
  { openEnd = false }: { readonly openEnd?: boolean } = {},
): Outcome<number | undefined> {
  const value = given[key];
  if (value === undefined || value === "") return succeed(undefined);
  const number = typeof value === "boolean" ? Number.NaN : Number(value);
  if (Number.isNaN(number)) {
    return refuse(`Type conflict in json: param '${key}' (${JSON.stringify(value)}) should be a number`);
  }
  if (number >= low && (openEnd ? number < high : number <= high)) return succeed(number);
  const range = `[${low.toFixed(6)}, ${high.toFixed(6)}${openEnd ? ")" : "]"}`;
  return refuse(`Out of range in json: param '${key}' (${number}) should be in range ${range}`);
}

export function flagParam(given: Given, key: string): Outcome<boolean | undefined> {
  const value = given[key];
  if (value === undefined || value === "") return succeed(undefined);
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(String(value))) {
    return succeed(String(value).toLowerCase() === "true");
  }
  return refuse(`Type conflict in json: param '${key}' (${JSON.stringify(value)}) should be a boolean`);
}
