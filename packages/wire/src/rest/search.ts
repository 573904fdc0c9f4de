/** REST: search and hybrid search. */
import type { Search, SearchResult } from "@elanus/model/contract/proxy";
import { refOf } from "../milvus/call.ts";
import { Body } from "./body.ts";
import type { Endpoint, RestCall } from "./endpoint.ts";
import type { RestReply } from "./envelope.ts";
import { besideRows, consistencyIn, filterIn } from "./entities.ts";
import { done, failed, invalid, notJson, refuse, type RestOutcome } from "./failure.ts";
import { flattenHits } from "./flatten.ts";
import { type Json, stringify, textOf } from "./json.ts";
import { looksLikeArray, scanArray, slice } from "./scan.ts";

export const LIMIT_DEFAULT = 100;

type Fields = { readonly [key: string]: Json | undefined };
type Part = Omit<Search, "database" | "name" | "consistency" | "partitions" | "outputFields">;

const search: Endpoint = (body, call) => {
  const collection = body.required("collectionName");
  const part = readPart(body, "searchParams", LIMIT_DEFAULT);
  const partitions = body.texts("partitionNames");
  const outputFields = body.texts("outputFields");
  const consistency = consistencyIn(body);
  const unsupported = ["functionScore", "functionChains", "searchAggregation", "orderByFields"].find(
    (key) => body.raw(key) !== undefined,
  );
  return async () => {
    if (!part.ok) return part;
    if (!consistency.ok) return consistency;
    if (unsupported !== undefined)
      return failed({ kind: "notImplemented", call: `entities/search with ${unsupported}` });
    const ref = refOf(call, call.database, collection);
    if (!ref.ok) return failed(ref.error);
    const request = { ...ref.value, ...part.value, partitions, outputFields, consistency: consistency.value };
    const answer = await call.env.proxy.search(request, encodingOf(call), call.deadlineMs);
    return answer.ok ? found(answer.value) : failed(answer.error);
  };
};

function encodingOf(call: RestCall): "json" | "jsonText" {
  return call.int64AsText ? "jsonText" : "json";
}

/** Milvus lists the hits of all queries in one array, and says apart how many belong to each. */
function found({ body, report }: SearchResult): RestOutcome<RestReply> {
  const flat = flattenHits(body);
  if (flat === undefined) return refuse(1_805, "fail to parse search result, error: the result is not a list of lists");
  return done({ data: { raw: flat.parts }, extra: { ...besideRows(report), topks: flat.counts } });
}

/** `paramsKey`: searches keep their parameters in `searchParams`, parts of a hybrid search in `params`. */
function readPart(body: Body, paramsKey: string, limitDefault: number): RestOutcome<Part> {
  const vectors = body.raw("data");
  const ids = body.raw("ids");
  const filterText = body.text("filter");
  const exprParams = body.object("exprParams");
  const limit = body.integer("limit", limitDefault);
  const params = paramsOf(body, paramsKey);
  if (!params.ok) return params;
  if (body.problem !== undefined) return { ok: false, failure: body.problem };
  if (vectors !== undefined && ids !== undefined) {
    return invalid(
      "primary keys (ids) and query vectors (data) are mutually exclusive. Please provide only one of them",
    );
  }
  if (ids !== undefined) return failed({ kind: "notImplemented", call: "entities/search by ids" });
  if (vectors === undefined) {
    const why = "either 'ids' (for primary key search) or 'data' (for vector search) must be provided";
    return refuse(1_802, `missing required parameters, error: ${why}`);
  }
  if (!looksLikeArray(vectors)) return notJson("data must be an array of vectors");
  const filter = filterIn(filterText, exprParams);
  if (!filter.ok) return filter;
  const all = new Map(params.value);
  all.set("topk", String(limit));
  return done({ filter: filter.value, placeholders: { kind: "json", vectors }, nq: 0, params: all });
}

function paramsOf(body: Body, key: string): RestOutcome<ReadonlyMap<string, string>> {
  const params = searchParamsOf(body.object(key), body.text("metricType"));
  if (params.ok) addPlain(body, params.value);
  return params;
}

/** The flat spelling and the nested one come to the same map; the same key twice must agree. */
export function searchParamsOf(given: Fields, metricType: string): RestOutcome<Map<string, string>> {
  const nested = given["params"];
  if (nested !== undefined && (typeof nested !== "object" || nested === null || Array.isArray(nested))) {
    return invalid("searchParams.params must be a dict");
  }
  const inner = new Map<string, Json>();
  for (const [name, value] of [...Object.entries(given), ...Object.entries((nested ?? {}) as Fields)]) {
    if (value === undefined || name === "params") continue;
    const known = inner.get(name);
    if (known !== undefined && textOf(known) !== textOf(value))
      return invalid(
        `ambiguous parameter: ${name}, in search_param: ${textOf(known)}, in search_param.params: ${textOf(value)}`,
      );
    inner.set(name, value);
  }
  const params = new Map<string, string>();
  const metric = inner.get("metricType") ?? inner.get("metric_type") ?? metricType;
  if (textOf(metric) !== "") params.set("metric_type", textOf(metric));
  const growing = inner.get("ignoreGrowing") ?? inner.get("ignore_growing");
  if (growing !== undefined) params.set("ignore_growing", textOf(growing));
  for (const name of ["metricType", "metric_type", "ignoreGrowing", "ignore_growing"]) inner.delete(name);
  params.set("params", stringify(Object.fromEntries(inner)));
  params.set("round_decimal", "-1");
  return done(params);
}

function addPlain(body: Body, params: Map<string, string>): void {
  const field = body.text("annsField");
  if (field !== "") params.set("anns_field", field);
  const offset = body.integer("offset");
  if (offset !== 0) params.set("offset", String(offset));
  if (body.boolean("explain")) params.set("explain", "true");
  const group = body.text("groupingField");
  if (group === "") return;
  params.set("group_by_field", group);
  params.set("group_size", String(body.integer("groupSize", 1)));
  params.set("strict_group_size", String(body.boolean("strictGroupSize")));
}

const hybridSearch: Endpoint = (body, call) => {
  const collection = body.required("collectionName");
  const list = body.raw("search");
  if (list === undefined) body.missing("search");
  const partitions = body.texts("partitionNames");
  const outputFields = body.texts("outputFields");
  const rankParams = readRank(body);
  const consistency = consistencyIn(body);
  const unsupported = ["functionScore", "functionChains", "searchAggregation"].find(
    (key) => body.raw(key) !== undefined,
  );
  return async () => {
    if (!consistency.ok) return consistency;
    if (unsupported === "searchAggregation") return invalid("searchAggregation is not supported for hybrid search");
    if (unsupported === "functionChains") return invalid("functionChains is not supported for hybrid search yet");
    if (unsupported !== undefined)
      return failed({ kind: "notImplemented", call: `entities/hybrid_search with ${unsupported}` });
    const ref = refOf(call, call.database, collection);
    if (!ref.ok) return failed(ref.error);
    const parts = readParts(list ?? new Uint8Array(0));
    if (!parts.ok) return parts;
    const common = { ...ref.value, partitions, outputFields, consistency: consistency.value };
    const request = { ...common, requests: parts.value.map((part) => ({ ...common, ...part })), rankParams };
    const answer = await call.env.proxy.hybridSearch(request, encodingOf(call), call.deadlineMs);
    return answer.ok ? found(answer.value) : failed(answer.error);
  };
};

function readParts(list: Uint8Array): RestOutcome<readonly Part[]> {
  const ranges = scanArray(list);
  if (ranges === undefined) return notJson("search must be an array");
  const parts: Part[] = [];
  for (const range of ranges) {
    const body = new Body(slice(list, range), "SubSearchReq");
    const part =
      body.problem === undefined ? readPart(body, "params", 0) : { ok: false as const, failure: body.problem };
    if (!part.ok) return part;
    parts.push(part.value);
  }
  return done(parts);
}

function readRank(body: Body): ReadonlyMap<string, string> {
  const rerank = body.object("rerank");
  const params = new Map<string, string>();
  if (typeof rerank["strategy"] === "string") params.set("strategy", rerank["strategy"]);
  if (rerank["params"] !== undefined) params.set("params", textOf(rerank["params"]));
  params.set("limit", String(body.integer("limit", LIMIT_DEFAULT)));
  if (body.boolean("explain")) params.set("explain", "true");
  params.set("offset", String(body.integer("offset")));
  params.set("round_decimal", "-1");
  return params;
}

export const searchEndpoints: Readonly<Record<string, Endpoint>> = {
  "entities/search": search,
  "entities/hybrid_search": hybridSearch,
  "entities/advanced_search": hybridSearch,
};
