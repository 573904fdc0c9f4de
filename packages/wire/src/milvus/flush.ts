/** Flush. The proxy answers once all is durable in segments, so a state asked for later is always reached. */
import { fail, succeed } from "@elanus/model/outcome";
import { physicalMsOf } from "@elanus/model/time";
import type * as milvus from "../gen/milvus.ts";
import type * as schema from "../gen/schema.ts";
import { databaseOf, type Handler, refOf } from "./call.ts";
import { success } from "./status.ts";

export const flush: Handler<milvus.FlushRequest, milvus.FlushResponse> = async (request, call) => {
  if (request.collectionNames.length === 0)
    return fail({ kind: "missingParameter", message: "collection names cannot be empty" });
  for (const name of request.collectionNames) {
    const ref = refOf(call, request.dbName, name);
    if (!ref.ok) return ref;
  }
  const dbName = databaseOf(call, request.dbName);
  const flushed = await call.env.proxy.flush(dbName, request.collectionNames);
  if (!flushed.ok) return flushed;
  const collSegIDs = new Map<string, schema.LongArray>();
  const flushCollSegIDs = new Map<string, schema.LongArray>();
  const collSealTimes = new Map<string, bigint>();
  const collFlushTs = new Map<string, bigint>();
  for (const [name, one] of flushed.value) {
    collSegIDs.set(name, { data: one.flushing });
    flushCollSegIDs.set(name, { data: one.flushed });
    collSealTimes.set(name, BigInt(Math.floor(physicalMsOf(one.at) / 1_000)));
    collFlushTs.set(name, one.at);
  }
  return succeed({ status: success, dbName, collSegIDs, flushCollSegIDs, collSealTimes, collFlushTs });
};

export const getFlushState: Handler<milvus.GetFlushStateRequest, milvus.GetFlushStateResponse> = async () =>
  succeed({ status: success, flushed: true });

export const flushAll: Handler<milvus.FlushAllRequest, milvus.FlushAllResponse> = async (_request, call) => {
  const { catalog } = call.env.proxy;
  const databases = await catalog.listDatabases();
  if (!databases.ok) return databases;
  for (const database of databases.value) {
    const collections = await catalog.listCollections(database.name);
    if (!collections.ok) return collections;
    const names = collections.value.map((c) => c.schema.name);
    const flushed = names.length === 0 ? undefined : await call.env.proxy.flush(database.name, names);
    if (flushed !== undefined && !flushed.ok) return flushed;
  }
  const now = await catalog.allocateTimestamps(1);
  return now.ok ? succeed({ status: success, flushAllTs: now.value.first }) : now;
};

export const getFlushAllState: Handler<milvus.GetFlushAllStateRequest, milvus.GetFlushAllStateResponse> = async (
  request,
) => {
  if (request.flushAllTs === 0n && request.flushAllTss.size === 0) {
    return fail({ kind: "missingParameter", message: "FlushAllTss or FlushAllTs is required" });
  }
  return succeed({ status: success, flushed: true });
};
