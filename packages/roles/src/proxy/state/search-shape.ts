/** Page, bounds, rounding and iterator of a search, from its flat parameters. */
import type { SearchParams } from "@elanus/model/contract/proxy";
import type { CollectionId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { SearchPlan } from "@elanus/model/plan";

export interface SearchShape {
  readonly limit: number;
  readonly offset: number;
  /** -1: none. */
  readonly roundDecimal: number;
  /** Index parameters as JSON. */
  readonly indexParams: string;
  readonly bounds: Pick<SearchPlan, "radius" | "rangeFilter" | "afterScore">;
  readonly iterator?: {
    readonly version: 1 | 2;
    readonly token?: string;
    readonly lastBound?: number;
    /** No page came before. */
    readonly first: boolean;
  };
}

const WINDOW_MAX = 16_384;

export function searchShape(params: SearchParams, collection: CollectionId): Outcome<SearchShape> {
  const iterator = iteratorOf(params, collection);
  if (!iterator.ok) return iterator;
  const page = pageOf(params, iterator.value !== undefined);
  if (!page.ok) return page;
  const roundDecimal = integer(params, "round_decimal") ?? -1;
  if (!Number.isInteger(roundDecimal) || roundDecimal < -1 || roundDecimal > 6) {
    return refuse(`round_decimal [${params.get("round_decimal")}] is invalid, should be -1 or an integer in range [0, 6]`);
  }
  const inner = innerParams(params);
  if (!inner.ok) return inner;
  const bounds = boundsOf(inner.value, iterator.value?.lastBound);
  if (!bounds.ok) return bounds;
  return succeed({
    ...page.value, roundDecimal, indexParams: JSON.stringify(inner.value), bounds: bounds.value,
    ...(iterator.value === undefined ? {} : { iterator: iterator.value }),
  });
}

function pageOf(params: SearchParams, iterating: boolean): Outcome<{ limit: number; offset: number }> {
  const text = value(params, "search_iter_batch_size") ?? value(params, "topk") ?? value(params, "limit");
  if (text === undefined) return fail({ kind: "missingParameter", message: "topk is required" });
  let limit = Number(text);
  if (!Number.isInteger(limit)) return refuse(`topk [${text}] is invalid`);
  if (iterating) limit = Math.min(limit, WINDOW_MAX);
  if (limit < 1 || limit > WINDOW_MAX) {
    return refuse(`topk [${limit}] is invalid, it should be in range [1, ${WINDOW_MAX}], but got ${limit}`);
  }
  const offset = integer(params, "offset") ?? 0;
  if (!Number.isInteger(offset) || offset < 0 || offset > WINDOW_MAX) {
    return refuse(`offset [${params.get("offset")}] is invalid, it should be in range [0, ${WINDOW_MAX}], but got ${offset}`);
  }
  if (offset + limit > WINDOW_MAX) {
    return refuse(`offset+topk [${offset + limit}] is invalid, it should be in range [1, ${WINDOW_MAX}]`);
  }
  return succeed({ limit, offset });
}

function iteratorOf(params: SearchParams, collection: CollectionId): Outcome<SearchShape["iterator"]> {
  if (!/^(1|t|true)$/i.test(params.get("iterator") ?? "")) return succeed(undefined);
  const id = value(params, "collection_id");
  if (id !== undefined && id !== "0" && id !== String(collection)) {
    return refuse(
      `collection id:${id} in the request is not consistent to that in the search context,` +
        `alias or database may have been changed: ${collection}`,
    );
  }
  const version = /^(1|t|true)$/i.test(params.get("search_iter_v2") ?? "") ? 2 : 1;
  const token = value(params, "search_iter_id");
  const bound = value(params, "search_iter_last_bound");
  const lastBound = bound === undefined ? undefined : Number(bound);
  if (lastBound !== undefined && Number.isNaN(lastBound)) return refuse(`invalid search_iter_last_bound: ${bound}`);
  if (token !== undefined && !/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(token)) {
    return refuse("invalid token format");
  }
  return succeed({
    version, first: token === undefined,
    ...(token === undefined ? {} : { token }),
    ...(lastBound === undefined ? {} : { lastBound }),
  });
}

type InnerParams = Record<string, unknown>;

function innerParams(params: SearchParams): Outcome<InnerParams> {
  const text = value(params, "params");
  const inner: InnerParams = {};
  for (const key of ["radius", "range_filter", "ef", "nprobe", "drop_ratio_search"]) {
    const outer = value(params, key);
    if (outer !== undefined) inner[key] = Number(outer);
  }
  if (text === undefined) return succeed(inner);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return succeed({ ...inner, ...(parsed as InnerParams) });
    }
  } catch {
    // Falls through to the refusal.
  }
  return refuse(`failed to create query plan: search params in wrong format: ${text}`);
}

function boundsOf(inner: InnerParams, lastBound: number | undefined): Outcome<SearchShape["bounds"]> {
  const radius = inner["radius"] === undefined ? undefined : Number(inner["radius"]);
  const rangeFilter = inner["range_filter"] === undefined ? undefined : Number(inner["range_filter"]);
  if (rangeFilter !== undefined && radius === undefined) return refuse("range_filter requires radius to be set");
  if (Number.isNaN(radius) || Number.isNaN(rangeFilter)) return refuse("radius and range_filter must be numbers");
  return succeed({
    ...(radius === undefined ? {} : { radius }),
    ...(rangeFilter === undefined ? {} : { rangeFilter }),
    ...(lastBound === undefined ? {} : { afterScore: lastBound }),
  });
}

function value(params: SearchParams, key: string): string | undefined {
  const text = params.get(key);
  return text === undefined || text === "" ? undefined : text;
}

function integer(params: SearchParams, key: string): number | undefined {
  const text = value(params, key);
  return text === undefined ? undefined : Number(text);
}

function refuse(message: string): ReturnType<typeof fail> {
  return fail({ kind: "invalidParameter", message });
}
