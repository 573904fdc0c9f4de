/** Databases. */
import { databaseNameError } from "@elanus/model/names";
import { fail, succeed } from "@elanus/model/outcome";
import type * as common from "../gen/common.ts";
import type * as milvus from "../gen/milvus.ts";
import { DEFAULT_DATABASE, type Handler } from "./call.ts";
import { toPairs, toRecord } from "./key-values.ts";
import { success } from "./status.ts";

export const createDatabase: Handler<milvus.CreateDatabaseRequest, common.Status> = async (request, call) => {
  const name = request.dbName.trim();
  const bad = databaseNameError(name);
  if (bad !== undefined) return fail(bad);
  const created = await call.env.proxy.catalog.createDatabase(name, toRecord(request.properties));
  return created.ok ? succeed(success) : created;
};

/** Dropping what is not there succeeds. */
export const dropDatabase: Handler<milvus.DropDatabaseRequest, common.Status> = async (request, call) => {
  const name = request.dbName.trim();
  const bad = databaseNameError(name);
  if (bad !== undefined) return fail(bad);
  if (name === DEFAULT_DATABASE) return fail({ kind: "invalidParameter", message: "can not drop default database" });
  const dropped = await call.env.proxy.catalog.dropDatabase(name);
  return dropped.ok || dropped.error.kind === "databaseNotFound" ? succeed(success) : dropped;
};

export const listDatabases: Handler<milvus.ListDatabasesRequest, milvus.ListDatabasesResponse> = async (
  _request,
  call,
) => {
  const listed = await call.env.proxy.catalog.listDatabases();
  if (!listed.ok) return listed;
  return succeed({
    status: success,
    dbNames: listed.value.map((d) => d.name),
    createdTimestamp: listed.value.map((d) => d.createdAt),
    dbIds: listed.value.map((d) => d.id),
  });
};

export const describeDatabase: Handler<milvus.DescribeDatabaseRequest, milvus.DescribeDatabaseResponse> = async (
  request,
  call,
) => {
  const found = await call.env.proxy.catalog.describeDatabase(
    request.dbName === "" ? DEFAULT_DATABASE : request.dbName,
  );
  if (!found.ok) return found;
  const { name, id, createdAt, properties } = found.value;
  return succeed({
    status: success,
    dbName: name,
    dbID: id,
    createdTimestamp: createdAt,
    properties: toPairs(properties),
  });
};

export const alterDatabase: Handler<milvus.AlterDatabaseRequest, common.Status> = async (request, call) => {
  const { properties, deleteKeys } = request;
  if (properties.length === 0 && deleteKeys.length === 0) {
    const message =
      "alter database with empty properties and delete keys, expected to set either properties or delete keys";
    return fail({ kind: "invalidParameter", message });
  }
  if (properties.length > 0 && deleteKeys.length > 0) {
    return fail({
      kind: "invalidParameter",
      message: "alter database cannot modify properties and delete keys at the same time",
    });
  }
  const name = request.dbName === "" ? DEFAULT_DATABASE : request.dbName;
  const altered = await call.env.proxy.catalog.alterDatabase(name, toRecord(properties), deleteKeys);
  return altered.ok ? succeed(success) : altered;
};
