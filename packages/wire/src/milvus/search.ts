/** Search and hybrid search. Parameters pass to the proxy as they came; result bodies come back encoded. */
import type { HybridSearch, Search, SearchParams, SearchResult } from "@elanus/model/contract/proxy";
import type { DbError } from "@elanus/model/error";
import { type SearchReport, totalOf } from "@elanus/model/explain";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type * as milvus from "../gen/milvus.ts";
import type { Init } from "../protobuf/runtime.ts";
import { type Call, databaseOf, type Handler, refOf } from "./call.ts";
import { consistencyOf } from "./consistency.ts";
import { toMap } from "./key-values.ts";
import { type StatusMessage, statusOf, success } from "./status.ts";
import { filterOf } from "./templates.ts";

const SUB_REQUESTS_MAX = 1_024;

export const search: Handler<milvus.SearchRequest, milvus.SearchResults> = async (request, call) => {
  const converted = toSearch(request, call);
  if (!converted.ok) return converted;
  const answer = await call.env.proxy.search(converted.value, "message", call.deadlineMs);
  return found(answer, request.collectionName);
};

export const hybridSearch: Handler<milvus.HybridSearchRequest, milvus.SearchResults> = async (request, call) => {
  const converted = toHybrid(request, call);
  if (!converted.ok) return converted;
  const answer = await call.env.proxy.hybridSearch(converted.value, "message", call.deadlineMs);
  return found(answer, request.collectionName);
};

function found(answer: Outcome<SearchResult>, collectionName: string): Outcome<Init<milvus.SearchResults>> {
  if (!answer.ok) return succeed({ status: statusOf(answer.error, contextOf(answer.error, "failed to search")) });
  const { body, sessionTimestamp, report } = answer.value;
  const status = report === undefined ? success : explained(report);
  return succeed({ status, results: body, collectionName, sessionTs: sessionTimestamp });
}

/** Success with the account of the search: whole for whoever reads it, and two sums that pymilvus shows. */
function explained(report: SearchReport): StatusMessage {
  const distances = totalOf(report, "codeDistances") + totalOf(report, "exactDistances");
  return {
    ...success,
    extraInfo: new Map([
      ["explain", JSON.stringify(report)],
      ["report_value", String(distances)],
      ["scanned_total_bytes", String(totalOf(report, "bytesRead"))],
    ]),
  };
}

/** Reads of what is not loaded say which verb failed. */
export function contextOf(error: DbError, verb: string): string | undefined {
  return error.kind === "collectionNotLoaded" || error.kind === "partitionNotLoaded" ? verb : undefined;
}

function toSearch(request: milvus.SearchRequest, call: Call): Outcome<Search> {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const unsupported = unsupportedPart(request);
  if (unsupported !== undefined) return fail({ kind: "notImplemented", call: unsupported });
  const filter = filterOf(request.dsl, request.exprTemplateValues);
  if (!filter.ok) return filter;
  if (request.nq < 0n || request.nq > BigInt(call.env.limits.nqMax))
    return fail(badNq(request.nq, call.env.limits.nqMax));
  if (request.placeholderGroup === undefined || request.placeholderGroup.length === 0) {
    return fail({ kind: "invalidParameter", message: "the search request holds no query vectors" });
  }
  return succeed({
    database: ref.value.database,
    name: ref.value.name,
    partitions: request.partitionNames,
    filter: filter.value,
    placeholders: { kind: "message", bytes: request.placeholderGroup },
    nq: Number(request.nq),
    outputFields: request.outputFields,
    params: toMap(request.searchParams),
    consistency: consistencyOf(request),
  });
}

function unsupportedPart(request: milvus.SearchRequest): string | undefined {
  if (request.ids !== undefined) return "Search by ids";
  if (request.functionScore !== undefined && request.functionScore.functions.length > 0)
    return "Search with a function score";
  if (request.functionChains.length > 0) return "Search with function chains";
  if (request.highlighter !== undefined) return "Search with a highlighter";
  if (request.searchAggregation !== undefined) return "Search with an aggregation";
  if (request.namespace !== undefined && request.namespace !== "") return "Search in a namespace";
  return undefined;
}

export function badNq(nq: bigint | number, max: number): DbError {
  const range = `nq (number of search vector per search request) should be in range [1, ${max}], but got ${nq}`;
  return { kind: "invalidParameter", message: `nq [${nq}] is invalid, ${range}` };
}

function toHybrid(request: milvus.HybridSearchRequest, call: Call): Outcome<HybridSearch> {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.functionChains.length > 0)
    return fail({ kind: "notImplemented", call: "HybridSearch with function chains" });
  if (request.requests.length === 0)
    return fail({ kind: "invalidParameter", message: "hybrid search holds no requests" });
  if (request.requests.length > SUB_REQUESTS_MAX) {
    return fail({ kind: "invalidParameter", message: `maximum of ann search requests is ${SUB_REQUESTS_MAX}` });
  }
  const rankParams = rankParamsOf(request);
  if (!rankParams.ok) return rankParams;
  const requests: Search[] = [];
  const database = databaseOf(call, request.dbName);
  for (const part of request.requests) {
    const own = { ...part, dbName: database, collectionName: request.collectionName };
    const converted = toSearch(own, call);
    if (!converted.ok) return converted;
    requests.push(converted.value);
  }
  return succeed({
    ...ref.value,
    requests,
    partitions: request.partitionNames,
    rankParams: rankParams.value,
    outputFields: request.outputFields,
    consistency: consistencyOf(request),
  });
}

/** The plain rankers may also come as a function; other rerank functions are not served yet. */
function rankParamsOf(request: milvus.HybridSearchRequest): Outcome<SearchParams> {
  const params = new Map(toMap(request.rankParams));
  const functions = request.functionScore?.functions ?? [];
  const [first] = functions;
  if (first === undefined) return succeed(params);
  const given = toMap(first.params);
  const strategy = given.get("reranker");
  if (strategy === undefined) return fail({ kind: "invalidParameter", message: "reranker name not specified" });
  if (functions.length > 1 || (strategy !== "rrf" && strategy !== "weighted")) {
    const names = functions.map((one) => toMap(one.params).get("reranker")).join(", ");
    return fail({ kind: "notImplemented", call: `HybridSearch with the reranker ${names}` });
  }
  params.set("strategy", strategy);
  params.set("params", rerankJson(given));
  return succeed(params);
}

function rerankJson(given: ReadonlyMap<string, string>): string {
  const parts: string[] = [];
  for (const key of ["k", "weights", "norm_score"]) {
    const text = given.get(key);
    if (text !== undefined) parts.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${parts.join(",")}}`;
}
