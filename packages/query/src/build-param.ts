/** Numbers and switches among build parameters: Milvus's ranges and refusals (contract/indexes.md 1 and 4). */
import { fail, succeed } from "@elanus/model/outcome";
import type { Failure, Outcome } from "@elanus/model/outcome";

export type Sent = Readonly<Record<string, string | number | boolean>>;

const INT_MAX = 2_147_483_647;

export function refuse(message: string): Failure {
  return fail({ kind: "invalidParameter", message });
}

export function outOfRange(key: string, value: string | number | boolean, range: string): Failure {
  return refuse(`Out of range in json: param '${key}' (${value}) should be in range ${range}`);
}

export function integer(
  sent: Sent,
  key: string,
  [low, high]: readonly [number, number],
  preset: number,
): Outcome<number> {
  const value = sent[key];
  if (value === undefined) return succeed(preset);
  const text = String(value).trim();
  if (!/^[+-]?\d+$/.test(text)) {
    const numeric = text !== "" && !Number.isNaN(Number(text));
    if (numeric || value === true || value === false) {
      return refuse(`Type conflict in json: param '${key}' (${text}) should be integer`);
    }
    return refuse(`invalid integer value, key: '${key}', value: '${text}'`);
  }
  const number = Number(text);
  if (Math.abs(number) > INT_MAX) return refuse(`integer value out of range, key: '${key}', value: '${text}'`);
  return number < low || number > high ? outOfRange(key, number, `[${low}, ${high}]`) : succeed(number);
}

/** `range` as it is written; a round bracket excludes its end. */
export function float(
  sent: Sent,
  key: string,
  range: `[${number}, ${number}${"]" | ")"}`,
): Outcome<number | undefined> {
  const value = sent[key];
  if (value === undefined) return succeed(undefined);
  const number = String(value).trim() === "" ? Number.NaN : Number(value);
  if (Number.isNaN(number)) return refuse(`invalid float value, key: '${key}', value: '${value}'`);
  const [low = 0, high = 0] = range.slice(1, -1).split(",").map(Number);
  const inside = number >= low && (range.endsWith(")") ? number < high : number <= high);
  return inside ? succeed(number) : outOfRange(key, value, range);
}

export function flag(sent: Sent, key: string): Outcome<boolean> {
  const text = String(sent[key] ?? "false");
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(text)) return succeed(text.toLowerCase() === "true");
  return refuse(`Type conflict in json: param '${key}' (${text}) should be a boolean`);
}
