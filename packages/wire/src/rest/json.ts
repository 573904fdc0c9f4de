/** JSON with exact integers: what a double cannot hold is read as bigint, and a bigint is written as a number. */
import { isSafeNumber, parse } from "lossless-json";

const utf8 = new TextDecoder("utf-8", { fatal: true });

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** Undefined when the bytes are not JSON. */
export function parseExact(bytes: Uint8Array): Json | undefined {
  try {
    const value = parse(utf8.decode(bytes), undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue });
    return value as Json;
  } catch {
    return undefined;
  }
}

function parseNumber(text: string): number | bigint {
  return /^-?\d+$/.test(text) && !isSafeNumber(text) ? BigInt(text) : Number(text);
}

export function stringify(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return JSON.stringify(String(value));
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(stringify).join(",")}]`;
  const parts = Object.entries(value).flatMap(([key, one]) =>
    one === undefined ? [] : [`${JSON.stringify(key)}:${stringify(one)}`],
  );
  return `{${parts.join(",")}}`;
}

/** As Milvus turns a JSON value into the text of a parameter. */
export function textOf(value: Json): string {
  return typeof value === "string" ? value : stringify(value);
}
