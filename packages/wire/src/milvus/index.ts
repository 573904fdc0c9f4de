/** Indexes. What an index type accepts is the proxy's knowledge; here parameters are only taken apart. */
import type { CollectionInfo, IndexInfo, Metric } from "@elanus/model/catalog";
import type { IndexProgress } from "@elanus/model/contract/coordinator";
import { indexNameError } from "@elanus/model/names";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { servingNote } from "@elanus/model/served-by";
import type { Timestamp } from "@elanus/model/time";
import type * as common from "../gen/common.ts";
import { IndexState } from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import type { Init } from "../protobuf/runtime.ts";
import { type Call, type Handler, refOf } from "./call.ts";
import type { KeyValues } from "./key-values.ts";
import { success } from "./status.ts";

const PARAMETER_BYTES_MAX = 100 * 1024;

export const createIndex: Handler<milvus.CreateIndexRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const bad = indexNameError(request.indexName);
  if (bad !== undefined) return fail(bad);
  const params = flatten(request.extraParams);
  if (!params.ok) return params;
  const { index_type: type = "", metric_type: metric, ...rest } = params.value;
  const created = await call.env.proxy.catalog.createIndex({
    ...ref.value,
    field: request.fieldName,
    index: request.indexName,
    type,
    ...(metric === undefined || metric === "" ? {} : { metric: metric.toUpperCase() as Metric }),
    params: rest,
    userParams: request.extraParams,
  });
  return created.ok ? succeed(success) : created;
};

/** Top-level keys and those of the `params` JSON in one record of texts. A key may occur once. */
export function flatten(pairs: KeyValues): Outcome<Readonly<Record<string, string>>> {
  const flat = new Map<string, string>();
  const add = (key: string, value: string): boolean => {
    if (flat.has(key) && flat.get(key) !== value) return false;
    flat.set(key, value);
    return true;
  };
  let bytes = 0;
  for (const { key, value } of pairs) {
    bytes += key.length + value.length;
    if (bytes > PARAMETER_BYTES_MAX)
      return invalid(`the sum of parameter sizes exceeds the limit of ${PARAMETER_BYTES_MAX} bytes`);
    const entries = key === "params" ? nested(value) : [[key, value] as const];
    if (entries === undefined) return invalid(`the params of the index are not a JSON object: ${value}`);
    for (const [name, text] of entries) if (!add(name, text)) return invalid(`duplicated index param, key=${name}`);
  }
  return succeed(Object.fromEntries(flat));
}

function nested(text: string): (readonly [string, string])[] | undefined {
  if (text.trim() === "") return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) return undefined;
  return Object.entries(parsed).map(
    ([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)] as const,
  );
}

export const dropIndex: Handler<milvus.DropIndexRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const dropped = await call.env.proxy.catalog.dropIndex(ref.value, request.indexName);
  return dropped.ok || dropped.error.kind === "indexNotFound" ? succeed(success) : dropped;
};

export const alterIndex: Handler<milvus.AlterIndexRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const { indexName, extraParams, deleteKeys } = request;
  if (indexName === "") return invalid("index name is empty");
  if (extraParams.length > 0 && deleteKeys.length > 0) {
    return invalid("cannot provide both DeleteKeys and ExtraParams");
  }
  const set = flatten(extraParams);
  if (!set.ok) return set;
  const altered = await call.env.proxy.catalog.alterIndex(ref.value, indexName, set.value, deleteKeys);
  return altered.ok ? succeed(success) : altered;
};

export const describeIndex: Handler<milvus.DescribeIndexRequest, milvus.DescribeIndexResponse> = async (
  request,
  call,
) => {
  const found = await findIndexes(call, request.dbName, request.collectionName, request.indexName, request.timestamp);
  return found.ok ? succeed({ status: success, indexDescriptions: found.value }) : found;
};

export const getIndexStatistics: Handler<milvus.GetIndexStatisticsRequest, milvus.GetIndexStatisticsResponse> = async (
  request,
  call,
) => {
  const found = await findIndexes(call, request.dbName, request.collectionName, request.indexName, request.timestamp);
  return found.ok ? succeed({ status: success, indexDescriptions: found.value }) : found;
};

export const getIndexState: Handler<milvus.GetIndexStateRequest, milvus.GetIndexStateResponse> = async (
  request,
  call,
) => {
  const found = await findIndex(call, request.dbName, request.collectionName, request.indexName);
  if (!found.ok) return found;
  return succeed({
    status: success,
    state: found.value.state ?? 0,
    failReason: found.value.indexStateFailReason ?? "",
  });
};

export const getIndexBuildProgress: Handler<
  milvus.GetIndexBuildProgressRequest,
  milvus.GetIndexBuildProgressResponse
> = async (request, call) => {
  const found = await findIndex(call, request.dbName, request.collectionName, request.indexName);
  if (!found.ok) return found;
  return succeed({
    status: success,
    indexedRows: found.value.indexedRows ?? 0n,
    totalRows: found.value.totalRows ?? 0n,
  });
};

/** The only one: the deprecated calls describe a single index. */
async function findIndex(
  call: Call,
  database: string,
  collection: string,
  index: string,
): Promise<Outcome<Init<milvus.IndexDescription>>> {
  const found = await findIndexes(call, database, collection, index, 0n);
  if (!found.ok) return found;
  const [first] = found.value;
  if (first === undefined) return fail({ kind: "indexNotFound", collection, index });
  if (found.value.length === 1) return succeed(first);
  return fail({ kind: "indexDuplicate", message: "there are multiple indexes, please specify the index_name" });
}

async function findIndexes(
  call: Call,
  database: string,
  collection: string,
  index: string,
  at: bigint,
): Promise<Outcome<Init<milvus.IndexDescription>[]>> {
  const ref = refOf(call, database, collection);
  if (!ref.ok) return ref;
  const { catalog } = call.env.proxy;
  const info = await catalog.describeCollection(ref.value);
  if (!info.ok) return info;
  const found = await catalog.describeIndexes(ref.value, index, at as Timestamp);
  if (!found.ok) return found;
  if (found.value.length === 0) return fail({ kind: "indexNotFound", collection, index });
  return succeed(found.value.map((progress) => describe(progress, info.value)));
}

const states: Readonly<Record<IndexProgress["state"], number>> = {
  unissued: IndexState.InProgress,
  inProgress: IndexState.InProgress,
  finished: IndexState.Finished,
  failed: IndexState.Failed,
};

function describe(progress: IndexProgress, info: CollectionInfo): Init<milvus.IndexDescription> {
  const { index } = progress;
  return {
    indexName: index.name,
    indexID: index.id,
    params: withNote(index),
    fieldName: info.schema.fields.find((f) => f.id === index.field)?.name ?? "",
    indexedRows: BigInt(progress.indexedRows),
    totalRows: BigInt(progress.totalRows),
    pendingIndexRows: BigInt(progress.pendingRows),
    state: states[progress.state],
    indexStateFailReason: progress.failReason,
  };
}

function withNote({ type, userParams }: IndexInfo): IndexInfo["userParams"] {
  const asked = userParams.find((param) => param.key === "index_type")?.value ?? "";
  const note = servingNote(asked, type);
  return note === undefined ? userParams : [...userParams, { key: "note", value: note }];
}

function invalid(message: string): Outcome<never> {
  return fail({ kind: "invalidParameter", message });
}
