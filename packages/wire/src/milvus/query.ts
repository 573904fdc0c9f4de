/** Query: rows by filter. */
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Query } from "@elanus/model/contract/proxy";
import type { QueryReport } from "@elanus/model/explain";
import type * as milvus from "../gen/milvus.ts";
import { type Call, type Handler, refOf } from "./call.ts";
import { consistencyOf } from "./consistency.ts";
import { toMap } from "./key-values.ts";
import { contextOf } from "./search.ts";
import { type StatusMessage, statusOf, success } from "./status.ts";
import { filterOf } from "./templates.ts";

export const query: Handler<milvus.QueryRequest, milvus.QueryResults> = async (request, call) => {
  const converted = toQuery(request, call);
  if (!converted.ok) return converted;
  const answer = await call.env.proxy.query(converted.value, "message", call.deadlineMs);
  if (!answer.ok) return succeed({ status: statusOf(answer.error, contextOf(answer.error, "failed to query")) });
  const { columns, outputFields, primaryField, sessionTimestamp, report } = answer.value;
  return succeed({
    status: report === undefined ? success : explained(report),
    fieldsData: columns,
    collectionName: request.collectionName,
    outputFields,
    sessionTs: sessionTimestamp,
    primaryFieldName: primaryField,
  });
};

/** Success with the account of the query. */
function explained(report: QueryReport): StatusMessage {
  return { ...success, extraInfo: new Map([["explain", JSON.stringify(report)]]) };
}

function toQuery(request: milvus.QueryRequest, call: Call): Outcome<Query> {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.namespace !== undefined && request.namespace !== "")
    return fail({ kind: "notImplemented", call: "Query in a namespace" });
  const filter = filterOf(request.expr, request.exprTemplateValues);
  if (!filter.ok) return filter;
  return succeed({
    ...ref.value,
    partitions: request.partitionNames,
    filter: filter.value,
    outputFields: request.outputFields,
    params: toMap(request.queryParams),
    consistency: consistencyOf(request),
  });
}
