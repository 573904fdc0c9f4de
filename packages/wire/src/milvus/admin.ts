/** Segments, compaction and metrics. */
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { CompactionState, SegmentLevel, SegmentState } from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import type { Init } from "../protobuf/runtime.ts";
import { type Call, databaseOf, type Handler, refOf } from "./call.ts";
import { systemInfo } from "./metrics.ts";
import { findCollection } from "./partition.ts";
import { failureStatus, success } from "./status.ts";

export const getPersistentSegmentInfo: Handler<
  milvus.GetPersistentSegmentInfoRequest,
  milvus.GetPersistentSegmentInfoResponse
> = async (request, call) => {
  const segments = await segmentsOf(call, request.dbName, request.collectionName);
  if (!segments.ok) return segments;
  return succeed({ status: success, infos: segments.value.map(persistentInfo) });
};

/**
 * Clients (VectorDBBench) wait for this flag before they measure: in Milvus a job sorts a sealed segment after its
 * flush. Here no such job is ever outstanding, so a sealed segment has nothing left to wait for.
 */
const SEALED_IS_SORTED = true;

async function segmentsOf(
  call: Call,
  database: string,
  collection: string,
): Promise<Outcome<readonly SealedSegmentMeta[]>> {
  const ref = refOf(call, database, collection);
  return ref.ok ? call.env.proxy.catalog.listSegments(ref.value) : ref;
}

function persistentInfo(segment: SealedSegmentMeta): Init<milvus.PersistentSegmentInfo> {
  return {
    segmentID: segment.id,
    collectionID: segment.collection,
    partitionID: segment.partition,
    numRows: BigInt(segment.rowCount),
    state: SegmentState.Flushed,
    level: SegmentLevel.L1,
    isSorted: SEALED_IS_SORTED,
  };
}

export const getQuerySegmentInfo: Handler<
  milvus.GetQuerySegmentInfoRequest,
  milvus.GetQuerySegmentInfoResponse
> = async (request, call) => {
  const found = await findCollection(call, databaseOf(call, request.dbName), request.collectionName, 0n);
  if (!found.ok) return found;
  const { load, indexes } = found.value;
  if (load.kind === "released") return succeed({ status: success });
  const segments = await segmentsOf(call, request.dbName, request.collectionName);
  if (!segments.ok) return segments;
  const node = BigInt(call.env.nodeId);
  const loaded = segments.value.filter((s) => load.partitions === "all" || load.partitions.includes(s.partition));
  const infos = loaded.map((segment) => {
    const index = indexes.find((i) => segment.indexes.some((s) => s.index === i.id && s.state.kind === "finished"));
    return {
      segmentID: segment.id,
      collectionID: segment.collection,
      partitionID: segment.partition,
      memSize: BigInt(segment.bytes),
      numRows: BigInt(segment.rowCount),
      indexName: index?.name ?? "",
      indexID: index?.id ?? 0n,
      nodeID: node,
      nodeIds: [node],
      state: SegmentState.Sealed,
      level: SegmentLevel.L1,
      isSorted: SEALED_IS_SORTED,
    };
  });
  return succeed({ status: success, infos });
};

/** Nothing to do is told by the id -1. */
export const manualCompaction: Handler<milvus.ManualCompactionRequest, milvus.ManualCompactionResponse> = async (
  request,
  call,
) => {
  const found = await findCollection(
    call,
    databaseOf(call, request.dbName),
    request.collectionName,
    request.collectionID,
  );
  if (!found.ok) return found;
  if (request.majorCompaction) return fail({ kind: "notImplemented", call: "ManualCompaction by clustering key" });
  const { database, schema } = found.value;
  const started = await call.env.proxy.catalog.compact({ database, name: schema.name });
  if (!started.ok) return started;
  const { compaction, plans } = started.value;
  return succeed({ status: success, compactionID: plans === 0 ? -1n : compaction, compactionPlanCount: plans });
};

export const getCompactionState: Handler<milvus.GetCompactionStateRequest, milvus.GetCompactionStateResponse> = async (
  request,
  call,
) => {
  const state = await call.env.proxy.catalog.compactionState(request.compactionID);
  if (!state.ok) return state;
  const count = BigInt(state.value.plans.length);
  if (state.value.done) return succeed({ status: success, state: CompactionState.Completed, completedPlanNo: count });
  return succeed({ status: success, state: CompactionState.Executing, executingPlanNo: count });
};

export const getCompactionStateWithPlans: Handler<
  milvus.GetCompactionPlansRequest,
  milvus.GetCompactionPlansResponse
> = async (request, call) => {
  const state = await call.env.proxy.catalog.compactionState(request.compactionID);
  if (!state.ok) return state;
  return succeed({
    status: success,
    state: state.value.done ? CompactionState.Completed : CompactionState.Executing,
    mergeInfos: state.value.plans.map(({ sources, target }) => ({ sources, target })),
  });
};

export const getMetrics: Handler<milvus.GetMetricsRequest, milvus.GetMetricsResponse> = async (request, call) => {
  const asked = metricType(request.request);
  if (!asked.ok) return asked;
  if (asked.value !== "system_info") {
    return succeed({
      status: failureStatus(
        1_200,
        `sorry, but this metric request type is not implemented: ${asked.value}: metric not found`,
      ),
    });
  }
  return succeed({ status: success, response: systemInfo(call.env), componentName: `proxy${call.env.nodeId}` });
};

function metricType(text: string): Outcome<string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail({ kind: "invalidParameter", message: `failed to decode the request, req: ${text}` });
  }
  const fields = parsed !== null && typeof parsed === "object" ? (parsed as Record<string, unknown>) : {};
  const type = fields["metric_type"] ?? fields["req_type"];
  if (typeof type === "string" && type !== "") return succeed(type);
  return fail({ kind: "invalidParameter", message: "metric_type or req_type not found in request" });
}

export const dummy: Handler<milvus.DummyRequest, milvus.DummyResponse> = async () =>
  succeed({ response: '{"status": "fail"}' });
