/** Partitions. */
import type { CollectionInfo, PartitionInfo } from "@elanus/model/catalog";
import type { CollectionId } from "@elanus/model/id";
import { partitionNameError } from "@elanus/model/names";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type * as common from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import { type Call, type Handler, refOf } from "./call.ts";
import { utcOf } from "./connect.ts";
import { success } from "./status.ts";

const IN_MEMORY = 1;

export const createPartition: Handler<milvus.CreatePartitionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const name = request.partitionName.trim();
  const bad = partitionNameError(name);
  if (bad !== undefined) return fail(bad);
  const created = await call.env.proxy.catalog.createPartition(ref.value, name);
  return created.ok ? succeed(success) : created;
};

/** Dropping what is not there succeeds. */
export const dropPartition: Handler<milvus.DropPartitionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const name = request.partitionName.trim();
  const bad = partitionNameError(name);
  if (bad !== undefined) return fail(bad);
  const dropped = await call.env.proxy.catalog.dropPartition(ref.value, name);
  return dropped.ok || dropped.error.kind === "partitionNotFound" ? succeed(success) : dropped;
};

export const hasPartition: Handler<milvus.HasPartitionRequest, milvus.BoolResponse> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const name = request.partitionName.trim();
  const bad = partitionNameError(name);
  if (bad !== undefined) return fail(bad);
  const found = await call.env.proxy.catalog.describeCollection(ref.value);
  if (!found.ok) return found;
  return succeed({ status: success, value: found.value.partitions.some((p) => p.name === name) });
};

export const showPartitions: Handler<milvus.ShowPartitionsRequest, milvus.ShowPartitionsResponse> = async (
  request,
  call,
) => {
  const found = await findCollection(call, request.dbName, request.collectionName, request.collectionID);
  if (!found.ok) return found;
  const info = found.value;
  for (const name of request.partitionNames) {
    if (!info.partitions.some((p) => p.name === name)) return fail({ kind: "partitionNotFound", partition: name });
  }
  const named = new Set(request.partitionNames);
  const inMemory = request.type === IN_MEMORY;
  const shown = info.partitions.filter(
    (p) => (named.size === 0 || named.has(p.name)) && (!inMemory || percentOf(info, p) !== undefined),
  );
  return succeed({
    status: success,
    partitionNames: shown.map((p) => p.name),
    partitionIDs: shown.map((p) => p.id),
    createdTimestamps: shown.map((p) => p.createdAt),
    createdUtcTimestamps: shown.map((p) => utcOf(p.createdAt)),
    ...(inMemory ? { inMemoryPercentages: shown.map((p) => BigInt(percentOf(info, p) ?? 0)) } : {}),
  });
};

/** Undefined while the partition is released. */
function percentOf(info: CollectionInfo, partition: PartitionInfo): number | undefined {
  const { load } = info;
  if (load.kind === "released") return undefined;
  if (load.partitions !== "all" && !load.partitions.includes(partition.id)) return undefined;
  return load.kind === "loaded" ? 100 : Math.floor(load.percent);
}

export async function findCollection(
  call: Call,
  database: string,
  name: string,
  id: bigint,
): Promise<Outcome<CollectionInfo>> {
  const { catalog } = call.env.proxy;
  if (name === "" && id !== 0n) return catalog.describeCollectionById(id as CollectionId);
  const ref = refOf(call, database, name);
  return ref.ok ? catalog.describeCollection(ref.value) : ref;
}

export const getPartitionStatistics: Handler<
  milvus.GetPartitionStatisticsRequest,
  milvus.GetPartitionStatisticsResponse
> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const bad = partitionNameError(request.partitionName);
  if (bad !== undefined) return fail(bad);
  const rows = await call.env.proxy.rowCount(ref.value, request.partitionName);
  return rows.ok ? succeed({ status: success, stats: [{ key: "row_count", value: String(rows.value) }] }) : rows;
};
