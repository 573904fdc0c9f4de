/** From `[[hit,…],[hit,…]]`, one list a query, to one list and the counts, without parsing the hits. */
import { scanArray, slice } from "./scan.ts";

export interface FlatHits {
  /** To be sent one after the other. */
  readonly parts: readonly Uint8Array[];
  readonly counts: readonly number[];
}

const utf8 = new TextEncoder();
const open = utf8.encode("[");
const close = utf8.encode("]");
const comma = utf8.encode(",");

export function flattenHits(text: Uint8Array): FlatHits | undefined {
  const queries = scanArray(text);
  if (queries === undefined) return undefined;
  const parts: Uint8Array[] = [open];
  const counts: number[] = [];
  for (const range of queries) {
    const list = slice(text, range);
    const hits = scanArray(list);
    if (hits === undefined) return undefined;
    counts.push(hits.length);
    const [first] = hits;
    const last = hits.at(-1);
    if (first === undefined || last === undefined) continue;
    if (parts.length > 1) parts.push(comma);
    parts.push(list.subarray(first.start, last.end));
  }
  parts.push(close);
  return { parts, counts };
}
