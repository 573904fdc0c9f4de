/** Decisions on databases. */
import type { DatabaseInfo, Properties } from "@elanus/model/catalog";
import type { DatabaseId } from "@elanus/model/id";
import { invalid } from "@elanus/model/error";
import { databaseNameError } from "@elanus/model/names";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import { DEFAULT_DATABASE, NO_CHANGE, type Catalog, type Change } from "./catalog.ts";
import { databasePropertyError } from "./properties.ts";

export interface DatabaseRequest {
  readonly name: string;
  readonly properties: Properties;
  readonly id: DatabaseId;
  readonly at: Timestamp;
  readonly databasesMax: number;
}

export function createDatabase(catalog: Catalog, request: DatabaseRequest): Outcome<Change> {
  const name = request.name.trim();
  const bad = databaseNameError(name) ?? databasePropertyError(request.properties);
  if (bad !== undefined) return fail(bad);
  if (catalog.database(name).ok) return fail(invalid(`database already exist: ${name}`));
  if (catalog.databases.size >= request.databasesMax) {
    return fail({ kind: "databaseLimit", limit: request.databasesMax });
  }
  const database: DatabaseInfo = { id: request.id, name, createdAt: request.at, properties: request.properties };
  return succeed({ putDatabases: [database] });
}

export function dropDatabase(catalog: Catalog, given: string): Outcome<Change> {
  const name = given.trim();
  if (name === DEFAULT_DATABASE) return fail(invalid("can not drop default database"));
  const found = catalog.database(name);
  if (!found.ok) return succeed(NO_CHANGE);
  if (catalog.inDatabase(found.value.id).length > 0) {
    return fail(invalid(`database:${name} not empty, must drop all collections before drop database`));
  }
  return succeed({ removeDatabases: [found.value.id] });
}

export function alterDatabase(
  catalog: Catalog,
  name: string,
  set: Properties,
  remove: readonly string[],
): Outcome<Change> {
  const setCount = Object.keys(set).length;
  if (setCount === 0 && remove.length === 0) {
    return fail(
      invalid("alter database with empty properties and delete keys, expected to set either properties or delete keys"),
    );
  }
  if (setCount > 0 && remove.length > 0) {
    return fail(invalid("alter database cannot modify properties and delete keys at the same time"));
  }
  const bad = databasePropertyError(set);
  if (bad !== undefined) return fail(bad);
  const found = catalog.database(name);
  if (!found.ok) return found;
  const kept = Object.entries(found.value.properties).filter(([key]) => !remove.includes(key));
  const properties = { ...Object.fromEntries(kept), ...set };
  return succeed({ putDatabases: [{ ...found.value, properties }] });
}
