/** Page, bounds, index parameters, rounding and iterator of a search, from its flat parameters. */
import { largerIsBetter, type IndexInfo, type Metric } from "@elanus/model/catalog";
import type { SearchParams } from "@elanus/model/contract/proxy";
import type { CollectionId } from "@elanus/model/id";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { SearchPlan } from "@elanus/model/plan";
import {
  innerParams,
  isTrue,
  numberParam,
  parseFlag,
  refuse,
  roundDecimalOf,
  textParam,
  WINDOW_MAX,
} from "./flat-params.ts";
import { indexSearchParams } from "./index-search-params.ts";
import { INT_MAX, integerParam } from "./index-search-values.ts";

export interface SearchShape {
  readonly limit: number;
  readonly offset: number;
  /** -1: none. */
  readonly roundDecimal: number;
  readonly ignoreGrowing: boolean;
  /** `hints: iterative_filter`. */
  readonly filterLate: boolean;
  readonly explain: boolean;
  /** Range search: most hits of one query (`range_search_k`). */
  readonly rangeHitsMax: number | undefined;
  /** Checked index parameters as JSON. */
  readonly indexParams: string;
  readonly bounds: Pick<SearchPlan, "radius" | "rangeFilter" | "afterScore">;
  readonly iterator: IteratorShape | undefined;
}

export interface IteratorShape {
  readonly version: 1 | 2;
  /** Absent on the first page. */
  readonly token?: string;
  readonly lastBound?: number;
}

export interface ShapeInput {
  readonly params: SearchParams;
  readonly collection: CollectionId;
  readonly index: Pick<IndexInfo, "type" | "params" | "userParams">;
  readonly metric: Metric;
}

/** Index parameters that clients also send outside `params`. */
const INDEX_KEYS = [
  "radius",
  "range_filter",
  "range_search_k",
  "ef",
  "seed_ef",
  "disable_fallback_brute_force",
  "nprobe",
  "drop_ratio_search",
  "dim_max_score_ratio",
  "refine_factor",
  "search_algo",
  "mh_search_with_jaccard",
  "mh_lsh_batch_search",
  "refine_k",
  "hints",
  "search_list",
  "search_list_size",
  "beamwidth",
  "vectors_beamwidth",
  "reorder_k",
  "itopk_size",
  "search_width",
];
const TOKEN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function searchShape(input: ShapeInput): Outcome<SearchShape> {
  const { params } = input;
  const iterator = iteratorOf(params, input.collection);
  if (!iterator.ok) return iterator;
  const page = pageOf(params, iterator.value);
  if (!page.ok) return page;
  const roundDecimal = roundDecimalOf(params);
  if (!roundDecimal.ok) return roundDecimal;
  const ignoreGrowing = parseFlag(textParam(params, "ignore_growing") ?? "false");
  if (ignoreGrowing === undefined) return refuse("parse ignore growing field failed");
  const inner = mergedParams(params);
  if (!inner.ok) return inner;
  const bounds = boundsOf(inner.value, input.metric, iterator.value?.lastBound);
  if (!bounds.ok) return bounds;
  const rangeHits = rangeHitsMax(inner.value);
  if (!rangeHits.ok) return rangeHits;
  const topK = page.value.limit + page.value.offset;
  const checked = indexSearchParams(input.index, inner.value, topK, iterator.value !== undefined);
  if (!checked.ok) return checked;
  return succeed({
    limit: page.value.limit,
    offset: page.value.offset,
    roundDecimal: roundDecimal.value,
    ignoreGrowing,
    filterLate: inner.value["hints"] === "iterative_filter",
    explain: explainOf(params, inner.value),
    indexParams: JSON.stringify(checked.value),
    bounds: bounds.value,
    rangeHitsMax: rangeHits.value,
    iterator: iterator.value,
  });
}

function pageOf(params: SearchParams, iterator: IteratorShape | undefined): Outcome<{ limit: number; offset: number }> {
  const batch = iterator?.version === 2 ? textParam(params, "search_iter_batch_size") : undefined;
  const text = batch ?? textParam(params, "topk") ?? textParam(params, "limit");
  if (text === undefined) {
    return fail({
      kind: "missingParameter",
      message: iterator?.version === 2 ? "batch size is required" : "topk is required",
    });
  }
  const asked = Number(text);
  if (!Number.isInteger(asked)) return refuse(`topk [${text}] is invalid`);
  const limit = iterator === undefined ? asked : Math.min(asked, WINDOW_MAX);
  if (limit < 1 || limit > WINDOW_MAX) {
    return refuse(`topk [${limit}] is invalid, it should be in range [1, ${WINDOW_MAX}], but got ${limit}`);
  }
  const offset = numberParam(params, "offset") ?? 0;
  if (!Number.isInteger(offset)) return refuse(`offset [${params.get("offset")}] is invalid`);
  if (offset < 0 || offset > WINDOW_MAX) {
    return refuse(`offset [${offset}] is invalid, it should be in range [0, ${WINDOW_MAX}], but got ${offset}`);
  }
  if (offset + limit > WINDOW_MAX) {
    const sum = offset + limit;
    return refuse(`offset+topk [${sum}] is invalid, it should be in range [1, ${WINDOW_MAX}], but got ${sum}`);
  }
  return succeed({ limit, offset });
}

function iteratorOf(params: SearchParams, collection: CollectionId): Outcome<IteratorShape | undefined> {
  const isSecond = isTrue(params, "search_iter_v2");
  if (!isTrue(params, "iterator")) {
    return isSecond ? refuse("both iterator and search_iter_v2 must be set in the SDK") : succeed(undefined);
  }
  const same = sameCollection(params, collection, "search");
  if (!same.ok) return same;
  if (!isSecond) return succeed({ version: 1 });
  const token = textParam(params, "search_iter_id");
  if (token !== undefined && !TOKEN.test(token)) return refuse("invalid token format");
  const lastBound = numberParam(params, "search_iter_last_bound");
  if (Number.isNaN(lastBound))
    return refuse(`failed to parse input last bound: ${params.get("search_iter_last_bound")}`);
  return succeed({
    version: 2,
    ...(token === undefined ? {} : { token }),
    ...(lastBound === undefined ? {} : { lastBound }),
  });
}

/** An iterator's pages must stay in one collection, whatever its alias points to meanwhile. */
export function sameCollection(
  params: SearchParams,
  collection: CollectionId,
  what: "search" | "query",
): Outcome<void> {
  const id = textParam(params, "collection_id");
  if (id === undefined || id === "0" || id === String(collection)) return succeed(undefined);
  return refuse(
    `collection id:${id} in the request is not consistent to that in the ${what} context,` +
      `alias or database may have been changed: ${collection}`,
  );
}

/** `params` with the same keys of the top level; a key that says two things is refused. */
function mergedParams(params: SearchParams): Outcome<Readonly<Record<string, unknown>>> {
  const inner = innerParams(params, "search params");
  if (!inner.ok) return inner;
  const merged: Record<string, unknown> = { ...inner.value };
  for (const key of INDEX_KEYS) {
    const outer = textParam(params, key);
    if (outer === undefined) continue;
    const given = inner.value[key];
    if (given !== undefined && !sameValue(given, outer)) {
      return refuse(
        `ambiguous parameter: ${key}, in search_param: ${outer}, in search_param.params: ${JSON.stringify(given)}`,
      );
    }
    merged[key] = given ?? outer;
  }
  const hints = merged["hints"];
  if (hints !== undefined && !["", "disable", "iterative_filter"].includes(String(hints))) {
    return refuse(`hints: ${String(hints)} not supported`);
  }
  return succeed(merged);
}

/** -1, the default, is no bound; searches without a radius do not read it. */
function rangeHitsMax(inner: Readonly<Record<string, unknown>>): Outcome<number | undefined> {
  if (inner["radius"] === undefined) return succeed(undefined);
  const most = integerParam(inner, "range_search_k", -1, INT_MAX);
  if (!most.ok || most.value === undefined || most.value === -1) return most.ok ? succeed(undefined) : most;
  if (most.value === 0) return refuse("Out of range in json: param 'range_search_k' (0) should be -1 or at least 1");
  return most;
}

/** `explain` is ours, so it may stand wherever a client can put a parameter. */
function explainOf(params: SearchParams, inner: Readonly<Record<string, unknown>>): boolean {
  return isTrue(params, "explain") || String(inner["explain"]).toLowerCase() === "true";
}

function sameValue(inner: unknown, outer: string): boolean {
  return String(inner) === outer || Number(inner) === Number(outer);
}

function boundsOf(
  inner: Readonly<Record<string, unknown>>,
  metric: Metric,
  afterScore: number | undefined,
): Outcome<SearchShape["bounds"]> {
  const radius = inner["radius"] === undefined ? undefined : Number(inner["radius"]);
  const rangeFilter = inner["range_filter"] === undefined ? undefined : Number(inner["range_filter"]);
  if (Number.isNaN(radius))
    return refuse(`Type conflict in json: param 'radius' (${text(inner["radius"])}) should be a number`);
  if (Number.isNaN(rangeFilter)) {
    return refuse(`Type conflict in json: param 'range_filter' (${text(inner["range_filter"])}) should be a number`);
  }
  if (rangeFilter !== undefined) {
    if (radius === undefined) return refuse("range_filter requires radius to be set");
    if (largerIsBetter(metric) && rangeFilter <= radius) {
      return refuse("range_filter must more than radius when IP/COSINE");
    }
    if (!largerIsBetter(metric) && rangeFilter >= radius) {
      return refuse("range_filter must less than radius except IP/COSINE");
    }
  }
  return succeed({ radius, rangeFilter, afterScore });
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
