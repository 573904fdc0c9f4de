/** Milvus's lists of text pairs. */
import type * as common from "../gen/common.ts";

export type KeyValues = readonly common.KeyValuePair[];

/** A later pair wins; an empty value counts as absent. */
export function toMap(pairs: KeyValues): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const { key, value } of pairs) if (value !== "") map.set(key, value);
  return map;
}

/** Every pair, empty values too. */
export function toRecord(pairs: KeyValues): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

export function toPairs(record: Readonly<Record<string, string>>): common.KeyValuePair[] {
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

export function parseInteger(text: string): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}
