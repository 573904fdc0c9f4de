/** REST: the `indexParams` list of `collections/create` and `indexes/create`. */
import type * as common from "../gen/common.ts";
import * as milvus from "../gen/milvus.ts";
import type { Handler } from "../milvus/call.ts";
import { nothing, type RestCall, runVoid } from "./endpoint.ts";
import { done, notJson, type RestOutcome, refuse } from "./failure.ts";
import { type Json, textOf } from "./json.ts";

export interface IndexParam {
  readonly fieldName: string;
  readonly indexName: string;
  readonly params: readonly { readonly key: string; readonly value: string }[];
}

export function readIndexParams(list: readonly Json[]): RestOutcome<readonly IndexParam[]> {
  const read: IndexParam[] = [];
  for (const one of list) {
    if (typeof one !== "object" || one === null || Array.isArray(one))
      return notJson("an index parameter is not an object");
    const param = readOne(one as { readonly [key: string]: Json | undefined });
    if (!param.ok) return param;
    read.push(param.value);
  }
  return done(read);
}

/** The type may stand beside `params`, in it, or be left out: AUTOINDEX. */
function readOne(given: { readonly [key: string]: Json | undefined }): RestOutcome<IndexParam> {
  const fieldName = given["fieldName"];
  if (typeof fieldName !== "string" || fieldName === "") {
    const why = "Key: 'IndexParam.FieldName' Error:Field validation for 'FieldName' failed on the 'required' tag";
    return refuse(1_802, `missing required parameters, error: ${why}`);
  }
  const params = new Map<string, string>();
  const nested = given["params"];
  if (typeof nested === "object" && nested !== null && !Array.isArray(nested)) {
    for (const [key, value] of Object.entries(nested)) if (value !== undefined) params.set(key, textOf(value as Json));
  }
  const type = text(given["indexType"]) ?? params.get("index_type") ?? "AUTOINDEX";
  params.set("index_type", type);
  const metric = text(given["metricType"]);
  if (metric !== undefined) params.set("metric_type", metric);
  return done({
    fieldName,
    indexName: text(given["indexName"]) ?? fieldName,
    params: [...params].map(([key, value]) => ({ key, value })),
  });
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** One after the other; the first failure stops. */
export async function runIndexes(
  indexes: readonly IndexParam[],
  dbName: string,
  collectionName: string,
  create: Handler<milvus.CreateIndexRequest, common.Status>,
  call: RestCall,
): Promise<RestOutcome<typeof nothing>> {
  for (const { fieldName, indexName, params } of indexes) {
    const request = { dbName, collectionName, fieldName, indexName, extraParams: params };
    const built = await runVoid(create, milvus.CreateIndexRequestCodec, request, call);
    if (!built.ok) return built;
  }
  return done(nothing);
}
