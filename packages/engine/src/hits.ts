/** What searches and queries found: merged, fused, cut and encoded by native code. */
import type { Encoding } from "@elanus/model/contract/proxy";
import type { Outcome } from "@elanus/model/outcome";
import type { Addon, EncodeOptions, NativeRank, NativeSchema, QueryEncodeOptions } from "./addon.ts";
import { attemptNow } from "./native-error.ts";

/** The best `topK` of each query over hits of disjoint rows. */
export function reduceHits(
  addon: Addon,
  parts: readonly Uint8Array[],
  topK: number,
  metric: string,
): Outcome<Uint8Array> {
  return attemptNow(() => addon.reduceHits(parts, topK, metric));
}

/** Fuses the hits of several searches over the same collection. */
export function rankHits(addon: Addon, parts: readonly Uint8Array[], rank: NativeRank): Outcome<Uint8Array> {
  return attemptNow(() => addon.rankHits(parts, rank));
}

/** The answer of a search in the asked encoding. */
export function encodeSearch(
  addon: Addon,
  schema: NativeSchema,
  hits: Uint8Array,
  rows: readonly Uint8Array[],
  encoding: Encoding,
  options: EncodeOptions,
): Outcome<Uint8Array> {
  return attemptNow(() =>
    encoding === "message"
      ? addon.encodeSearchResult(schema, hits, rows, options)
      : addon.encodeSearchJson(schema, hits, rows, options),
  );
}

/** The columns of a query's answer in the asked encoding: messages, or one JSON text. */
export function encodeQuery(
  addon: Addon,
  schema: NativeSchema,
  rows: readonly Uint8Array[],
  encoding: Encoding,
  options: Omit<QueryEncodeOptions, "int64AsText">,
): Outcome<readonly Uint8Array[]> {
  const full = { ...options, int64AsText: encoding === "jsonText" };
  return attemptNow(() =>
    encoding === "message" ? addon.encodeQueryResult(schema, rows, full) : [addon.encodeQueryJson(schema, rows, full)],
  );
}
