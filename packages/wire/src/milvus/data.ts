/** Insert, upsert and delete. Column payloads pass through as bytes. */
import type { Insert, MutationAnswer } from "@elanus/model/contract/proxy";
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type * as milvus from "../gen/milvus.ts";
import type { Init } from "../protobuf/runtime.ts";
import { type Call, type Handler, refOf } from "./call.ts";
import { consistencyOf } from "./consistency.ts";
import { statusOf, success } from "./status.ts";
import { filterOf } from "./templates.ts";

type WriteRequest = milvus.InsertRequest | milvus.UpsertRequest;

export const insert: Handler<milvus.InsertRequest, milvus.MutationResult> = async (request, call) => {
  const write = toInsert(request, call);
  const answer = write.ok ? await call.env.proxy.insert(write.value, call.deadlineMs) : write;
  return answer.ok ? succeed(written(answer.value, false)) : succeed(refused(answer.error, request));
};

export const upsert: Handler<milvus.UpsertRequest, milvus.MutationResult> = async (request, call) => {
  const write = upsertProblem(request) ?? toInsert(request, call);
  const answer = write.ok ? await call.env.proxy.upsert(write.value, call.deadlineMs) : write;
  return answer.ok ? succeed(written(answer.value, true)) : succeed(refused(answer.error, request));
};

function upsertProblem(request: milvus.UpsertRequest): Outcome<never> | undefined {
  if (request.partialUpdate || request.fieldOps.some((op) => op.op !== 0))
    return fail({ kind: "notImplemented", call: "Upsert with partial update" });
  return undefined;
}

function toInsert(request: WriteRequest, call: Call): Outcome<Insert> {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.namespace !== undefined && request.namespace !== "")
    return fail({ kind: "notImplemented", call: "writing to a namespace" });
  if (request.numRows === 0) {
    const expected = "num_rows should be greater than 0";
    return fail({ kind: "invalidParameter", message: expected, expected: "greater than 0", actual: "0" });
  }
  return succeed({
    ...ref.value,
    partition: request.partitionName,
    rows: { kind: "fieldData", fields: request.fieldsData, rowCount: request.numRows },
    schemaTimestamp: request.schemaTimestamp as Timestamp,
  });
}

function written(answer: MutationAnswer, upserted: boolean): Init<milvus.MutationResult> {
  const count = BigInt(answer.count);
  return {
    status: success,
    IDs: answer.ids,
    succIndex: upTo(answer.count),
    insertCnt: count,
    upsertCnt: upserted ? count : 0n,
    deleteCnt: upserted ? count : 0n,
    timestamp: answer.at,
  };
}

/** A failed write names every row as failed. The count is a claim: no more rows than bytes are believed. */
function refused(error: DbError, request: WriteRequest): Init<milvus.MutationResult> {
  const bytes = request.fieldsData.reduce((sum, field) => sum + field.length, 0);
  return { status: statusOf(error), errIndex: upTo(Math.min(request.numRows, bytes)) };
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}

export const remove: Handler<milvus.DeleteRequest, milvus.MutationResult> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const filter = filterOf(request.expr, request.exprTemplateValues);
  if (!filter.ok) return filter;
  if (request.expr.trim() === "")
    return fail({ kind: "invalidParameter", message: `delete plan can't be empty or always true : ${request.expr}` });
  const consistency = consistencyOf({
    consistencyLevel: request.consistencyLevel,
    useDefaultConsistency: false,
    guaranteeTimestamp: 0n,
  });
  const answer = await call.env.proxy.delete(
    { ...ref.value, partition: request.partitionName, filter: filter.value, consistency },
    call.deadlineMs,
  );
  if (!answer.ok) return answer;
  return succeed({ status: success, deleteCnt: BigInt(answer.value.count), timestamp: answer.value.at });
};
