/** Decisions on aliases. Names of aliases and collections share one space in a database. */
import type { CollectionRef } from "@elanus/model/contract/coordinator";
import { aliasNameError } from "@elanus/model/names";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { collectionMissing, NO_CHANGE, type Catalog, type Change, type CollectionRecord } from "./catalog.ts";

export function createAlias(catalog: Catalog, ref: CollectionRef, alias: string): Outcome<Change> {
  const target = aliasTarget(catalog, ref, alias);
  if (!target.ok) return target;
  const { record } = target.value;
  const holder = catalog.aliased(record.databaseId, alias);
  if (holder?.id === record.id) return succeed(NO_CHANGE);
  if (holder !== undefined) {
    const message = `${alias} is alias to another collection: ${holder.schema.name}`;
    return fail({ kind: "aliasExists", database: ref.database, alias, message });
  }
  return succeed({ putCollections: [withAlias(record, alias)] });
}

export function alterAlias(catalog: Catalog, ref: CollectionRef, alias: string): Outcome<Change> {
  const target = aliasTarget(catalog, ref, alias);
  if (!target.ok) return target;
  const { record } = target.value;
  const holder = catalog.aliased(record.databaseId, alias);
  if (holder === undefined) return fail({ kind: "aliasNotFound", database: ref.database, alias });
  if (holder.id === record.id) return succeed(NO_CHANGE);
  return succeed({ putCollections: [withoutAlias(holder, alias), withAlias(record, alias)] });
}

export function dropAlias(catalog: Catalog, database: string, alias: string): Outcome<Change> {
  const bad = aliasNameError(alias);
  if (bad !== undefined) return fail(bad);
  const found = catalog.database(database);
  if (!found.ok) return found;
  const holder = catalog.aliased(found.value.id, alias);
  return succeed(holder === undefined ? NO_CHANGE : { putCollections: [withoutAlias(holder, alias)] });
}

/** The alias' target must be named by its real name. */
function aliasTarget(catalog: Catalog, ref: CollectionRef, alias: string): Outcome<{ record: CollectionRecord }> {
  const bad = aliasNameError(alias);
  if (bad !== undefined) return fail(bad);
  const database = catalog.database(ref.database);
  if (!database.ok) return database;
  if (catalog.named(database.value.id, alias) !== undefined) {
    return fail({ kind: "aliasCollectionConflict", database: ref.database, alias });
  }
  const record = catalog.named(database.value.id, ref.name);
  return record === undefined ? fail(collectionMissing(ref)) : succeed({ record });
}

function withAlias(record: CollectionRecord, alias: string): CollectionRecord {
  return { ...record, aliases: [...record.aliases, alias] };
}

function withoutAlias(record: CollectionRecord, alias: string): CollectionRecord {
  return { ...record, aliases: record.aliases.filter((other) => other !== alias) };
}
