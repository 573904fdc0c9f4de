/**
 * Calls of the embedded database whose vectors are typed arrays: they go to the proxy as bytes, without text and
 * without a request of HTTP. Parameters, defaults and refusals are those of the REST API.
 */
import type { Insert, Search } from "@elanus/model/contract/proxy";
import { collectionNameError } from "@elanus/model/names";
import type { Timestamp } from "@elanus/model/time";
import type { CollectionSchema } from "@elanus/model/schema";
import { DEFAULT_DATABASE } from "@elanus/wire/milvus/call";
import { consistencyNamed } from "@elanus/wire/rest/entities";
import { done, failed, type RestOutcome } from "@elanus/wire/rest/failure";
import type { Json } from "@elanus/wire/rest/json";
import { LIMIT_DEFAULT, searchParamsOf } from "@elanus/wire/rest/search";
import { columnData } from "./columns.ts";
import type { CollectionName, ColumnsRequest, SearchRequest } from "./embedded-requests.ts";

const SEARCH_KEYS: ReadonlySet<string> = new Set<keyof SearchRequest>([
  "collectionName",
  "dbName",
  "data",
  "annsField",
  "limit",
  "offset",
  "filter",
  "outputFields",
  "partitionNames",
  "searchParams",
  "consistencyLevel",
]);

/** Undefined when the vectors are not typed, or something is asked that only the REST call knows. */
export function directSearch(request: SearchRequest): RestOutcome<Search> | undefined {
  const { data, limit = LIMIT_DEFAULT, offset = 0 } = request;
  const plain = Object.keys(request).every((key) => SEARCH_KEYS.has(key));
  if (!plain || !isFloats(data) || !Number.isInteger(limit) || !Number.isInteger(offset)) return undefined;
  const ref = refOf(request);
  if (!ref.ok) return ref;
  // Values that are no JSON were refused by their types.
  const params = searchParamsOf((request.searchParams ?? {}) as { readonly [key: string]: Json | undefined }, "");
  if (!params.ok) return params;
  const consistency = consistencyNamed(request.consistencyLevel ?? "");
  if (!consistency.ok) return consistency;
  params.value.set("topk", String(limit));
  if (offset !== 0) params.value.set("offset", String(offset));
  if (request.annsField !== undefined && request.annsField !== "") params.value.set("anns_field", request.annsField);
  return done({
    ...ref.value,
    partitions: request.partitionNames ?? [],
    filter: { text: request.filter ?? "", templates: new Map() },
    placeholders: { kind: "floats", vectors: data },
    nq: 0,
    outputFields: request.outputFields ?? [],
    params: params.value,
    consistency: consistency.value,
  });
}

/** A write of whole columns. */
export function directWrite(request: ColumnsRequest, schema: CollectionSchema): RestOutcome<Insert> {
  const ref = refOf(request);
  if (!ref.ok) return ref;
  const columns = columnData(request.columns, schema);
  if (!columns.ok) return columns;
  const { fields, rowCount } = columns.value;
  return done({
    ...ref.value,
    partition: request.partitionName ?? "",
    rows: { kind: "fieldData", fields, rowCount },
    schemaTimestamp: 0n as Timestamp,
  });
}

export function refOf(request: CollectionName): RestOutcome<{ readonly database: string; readonly name: string }> {
  const { collectionName: name, dbName = DEFAULT_DATABASE } = request;
  const bad = collectionNameError(name);
  return bad === undefined ? done({ database: dbName === "" ? DEFAULT_DATABASE : dbName, name }) : failed(bad);
}

function isFloats(data: SearchRequest["data"]): data is readonly Float32Array[] {
  return data.length > 0 && data.every((vector) => vector instanceof Float32Array);
}
