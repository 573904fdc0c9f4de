/** Aliases. */
import { aliasNameError } from "@elanus/model/names";
import { fail, succeed } from "@elanus/model/outcome";
import type * as common from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import { databaseOf, type Handler, refOf } from "./call.ts";
import { success } from "./status.ts";

export const createAlias: Handler<milvus.CreateAliasRequest, common.Status> = async (request, call) => {
  const bad = aliasNameError(request.alias);
  if (bad !== undefined) return fail(bad);
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const created = await call.env.proxy.catalog.createAlias(ref.value, request.alias);
  return created.ok ? succeed(success) : created;
};

/** Dropping what is not there succeeds. */
export const dropAlias: Handler<milvus.DropAliasRequest, common.Status> = async (request, call) => {
  const bad = aliasNameError(request.alias);
  if (bad !== undefined) return fail(bad);
  const dropped = await call.env.proxy.catalog.dropAlias(databaseOf(call, request.dbName), request.alias);
  return dropped.ok || dropped.error.kind === "aliasNotFound" ? succeed(success) : dropped;
};

export const alterAlias: Handler<milvus.AlterAliasRequest, common.Status> = async (request, call) => {
  const bad = aliasNameError(request.alias);
  if (bad !== undefined) return fail(bad);
  const ref = refOf(call, request.dbName, request.collectionName);
  if (!ref.ok) return ref;
  const altered = await call.env.proxy.catalog.alterAlias(ref.value, request.alias);
  return altered.ok ? succeed(success) : altered;
};

export const describeAlias: Handler<milvus.DescribeAliasRequest, milvus.DescribeAliasResponse> = async (
  request,
  call,
) => {
  const bad = aliasNameError(request.alias);
  if (bad !== undefined) return fail(bad);
  const dbName = databaseOf(call, request.dbName);
  const found = await call.env.proxy.catalog.describeAlias(dbName, request.alias);
  return found.ok
    ? succeed({ status: success, dbName, alias: found.value.alias, collection: found.value.collection })
    : found;
};

export const listAliases: Handler<milvus.ListAliasesRequest, milvus.ListAliasesResponse> = async (request, call) => {
  const dbName = databaseOf(call, request.dbName);
  const { collectionName } = request;
  const listed = await call.env.proxy.catalog.listAliases(dbName, collectionName);
  return listed.ok ? succeed({ status: success, dbName, collectionName, aliases: listed.value }) : listed;
};
