/** Collections: create, drop, describe, list, alter, rename, count. */
import type { CollectionInfo } from "@elanus/model/catalog";
import type { DbError } from "@elanus/model/error";
import type { CollectionId } from "@elanus/model/id";
import { collectionNameError } from "@elanus/model/names";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type * as common from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import { CollectionSchemaCodec } from "../gen/schema.ts";
import { decode, type Init, MalformedMessage } from "../protobuf/runtime.ts";
import { type Call, databaseOf, type Handler, refOf } from "./call.ts";
import { levelOf } from "./consistency.ts";
import { utcOf } from "./connect.ts";
import { type KeyValues, toRecord } from "./key-values.ts";
import { toCollectionSchema } from "./schema-decode.ts";
import { describedCollection } from "./schema-encode.ts";
import { failureStatus, statusOf, success } from "./status.ts";

const SHARDS_DEFAULT = 1;
const PARTITIONS_OF_KEY_DEFAULT = 16;
const IN_MEMORY = 1;

export const createCollection: Handler<milvus.CreateCollectionRequest, common.Status> = async (request, call) => {
  const { limits, proxy } = call.env;
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  if (request.shardsNum < 0 || request.shardsNum > limits.shardsMax) {
    return invalid(`maximum shards's number should be limited to ${limits.shardsMax}`);
  }
  const message = decodeSchema(request.schema);
  if (!message.ok) return message;
  const schema = toCollectionSchema(message.value, request.collectionName);
  if (!schema.ok) return schema;
  const keyed = schema.value.fields.some((f) => f.partitionKey);
  const partitions = partitionCount(request.numPartitions, keyed, limits.partitionsMax);
  if (!partitions.ok) return partitions;
  const consistency = levelOf(request.consistencyLevel);
  if (consistency === undefined) return invalid(`invalid consistency level: ${request.consistencyLevel}`);
  const created = await proxy.catalog.createCollection({
    ...ref.value,
    schema: schema.value,
    shards: request.shardsNum === 0 ? SHARDS_DEFAULT : request.shardsNum,
    ...(partitions.value === undefined ? {} : { partitions: partitions.value }),
    consistency,
    properties: toRecord(request.properties),
  });
  return created.ok ? succeed(success) : created;
};

function decodeSchema(bytes: Uint8Array): Outcome<ReturnType<typeof CollectionSchemaCodec.decode>> {
  try {
    return succeed(decode(CollectionSchemaCodec, bytes));
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return fail({ kind: "invalidParameter", message: `the schema cannot be read: ${error.message}` });
  }
}

function partitionCount(asked: bigint, keyed: boolean, max: number): Outcome<number | undefined> {
  if (!keyed) {
    return asked === 0n
      ? succeed(undefined)
      : invalid("num_partitions should only be specified with partition key field enabled");
  }
  if (asked < 0n || asked > BigInt(max))
    return invalid(`partition number (${asked}) exceeds max configuration (${max})`);
  return succeed(asked === 0n ? PARTITIONS_OF_KEY_DEFAULT : Number(asked));
}

/** Dropping what is not there succeeds. */
export const dropCollection: Handler<milvus.DropCollectionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const dropped = await call.env.proxy.catalog.dropCollection(ref.value);
  if (dropped.ok || dropped.error.kind === "collectionNotFound" || dropped.error.kind === "databaseNotFound")
    return succeed(success);
  return dropped;
};

export const hasCollection: Handler<milvus.HasCollectionRequest, milvus.BoolResponse> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const found = await call.env.proxy.catalog.describeCollection(ref.value);
  if (found.ok) return succeed({ status: success, value: true });
  return found.error.kind === "collectionNotFound" ? succeed({ status: success, value: false }) : found;
};

export const describeCollection: Handler<milvus.DescribeCollectionRequest, milvus.DescribeCollectionResponse> = async (
  request,
  call,
) => describeOne(call, databaseOf(call, request.dbName), request.collectionName, request.collectionID);

async function describeOne(
  call: Call,
  database: string,
  name: string,
  id: bigint,
): Promise<Outcome<Init<milvus.DescribeCollectionResponse>>> {
  const { catalog } = call.env.proxy;
  const byId = name === "" && id !== 0n;
  if (!byId) {
    const bad = collectionNameError(name);
    if (bad !== undefined) return fail(bad);
  }
  const found = byId
    ? await catalog.describeCollectionById(id as CollectionId)
    : await catalog.describeCollection({ database, name });
  if (!found.ok) return byId ? found : missing(found.error, database, name);
  const now = await catalog.allocateTimestamps(1);
  if (!now.ok) return now;
  return succeed({ status: success, ...describedCollection(found.value, name, now.value.first) });
}

/** DescribeCollection has its own words for a missing collection: clients look for them. */
function missing(error: DbError, database: string, name: string): Outcome<Init<milvus.DescribeCollectionResponse>> {
  if (error.kind !== "collectionNotFound") return fail(error);
  const reason = `can't find collection[database=${database}][collection=${name}]`;
  return succeed({ status: failureStatus(100, reason, { input: true }) });
}

export const batchDescribeCollection: Handler<
  milvus.BatchDescribeCollectionRequest,
  milvus.BatchDescribeCollectionResponse
> = async (request, call) => {
  if (request.collectionName.length === 0)
    return fail({ kind: "missingParameter", message: "collection names cannot be empty" });
  const database = databaseOf(call, request.dbName);
  const responses: Init<milvus.DescribeCollectionResponse>[] = [];
  for (const name of request.collectionName) {
    const one = await describeOne(call, database, name, 0n);
    responses.push(one.ok ? one.value : { status: statusOf(one.error) });
  }
  return succeed({ status: success, responses });
};

export const showCollections: Handler<milvus.ShowCollectionsRequest, milvus.ShowCollectionsResponse> = async (
  request,
  call,
) => {
  const listed = await call.env.proxy.catalog.listCollections(databaseOf(call, request.dbName));
  if (!listed.ok) return listed;
  const inMemory = request.type === IN_MEMORY;
  const named = new Set(request.collectionNames);
  const wanted = listed.value.filter((c) => named.size === 0 || named.has(c.schema.name));
  const released = wanted.find((c) => c.load.kind === "released");
  if (inMemory && named.size > 0 && released !== undefined) {
    return fail({ kind: "collectionNotLoaded", collection: released.schema.name });
  }
  const shown = inMemory ? wanted.filter((c) => c.load.kind !== "released") : wanted;
  return succeed({ status: success, ...listing(shown), ...(inMemory ? memoryColumns(shown) : {}) });
};

function listing(shown: readonly CollectionInfo[]): Init<milvus.ShowCollectionsResponse> {
  return {
    collectionNames: shown.map((c) => c.schema.name),
    collectionIds: shown.map((c) => c.id),
    createdTimestamps: shown.map((c) => c.createdAt),
    createdUtcTimestamps: shown.map((c) => utcOf(c.createdAt)),
    shardsNum: shown.map((c) => c.shards.length),
  };
}

function memoryColumns(shown: readonly CollectionInfo[]): Init<milvus.ShowCollectionsResponse> {
  return {
    inMemoryPercentages: shown.map((c) => (c.load.kind === "loading" ? BigInt(Math.floor(c.load.percent)) : 100n)),
    queryServiceAvailable: shown.map((c) => c.load.kind === "loaded"),
  };
}

export const alterCollection: Handler<milvus.AlterCollectionRequest, common.Status> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const change = propertyChange(request.properties, request.deleteKeys);
  if (!change.ok) return change;
  const altered = await call.env.proxy.catalog.alterCollection(ref.value, change.value, request.deleteKeys);
  return altered.ok ? succeed(success) : altered;
};

function propertyChange(set: KeyValues, remove: readonly string[]): Outcome<Readonly<Record<string, string>>> {
  if (set.length > 0 && remove.length > 0) return invalid("cannot provide both DeleteKeys and ExtraParams");
  if (set.length === 0 && remove.length === 0) return invalid("no properties or delete keys provided");
  return succeed(toRecord(set));
}

export const renameCollection: Handler<milvus.RenameCollectionRequest, common.Status> = async (request, call) => {
  const bad = collectionNameError(request.newName);
  if (bad !== undefined) return fail(bad);
  const database = databaseOf(call, request.dbName);
  const target = request.newDBName === "" ? database : request.newDBName;
  if (request.oldName === request.newName && target === database) {
    return invalid("collection name or database name should be different");
  }
  const { catalog } = call.env.proxy;
  const renamed = await catalog.renameCollection(
    { database, name: request.oldName },
    { database: target, name: request.newName },
  );
  return renamed.ok ? succeed(success) : renamed;
};

export const getCollectionStatistics: Handler<
  milvus.GetCollectionStatisticsRequest,
  milvus.GetCollectionStatisticsResponse
> = async (request, call) => {
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const rows = await call.env.proxy.rowCount(ref.value);
  return rows.ok ? succeed({ status: success, stats: [{ key: "row_count", value: String(rows.value) }] }) : rows;
};

function invalid(message: string): Outcome<never> {
  return fail({ kind: "invalidParameter", message });
}
