/** Decisions on collections: create, drop, rename, alter. */
import type { PartitionInfo, Properties } from "@elanus/model/catalog";
import { invalid, type DbError } from "@elanus/model/error";
import type { CollectionRef, CreateCollection } from "@elanus/model/contract/coordinator";
import { shardIdOf, type ChannelName, type CollectionId, type PartitionId, type ShardId } from "@elanus/model/id";
import type { Limits } from "@elanus/model/limits";
import { collectionNameError } from "@elanus/model/names";
import { fail, invariant, succeed, type Outcome } from "@elanus/model/outcome";
import { encodeSchema, type CollectionSchema } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import {
  collectionMissing,
  DEFAULT_PARTITION,
  NO_CHANGE,
  touched,
  usesPartitionKey,
  type Catalog,
  type Change,
  type CollectionRecord,
  type DdlEntry,
} from "./catalog.ts";
import {
  collectionPropertyError,
  CONSISTENCY_KEY,
  DESCRIPTION_KEY,
  DYNAMIC_KEY,
  parseBool,
  parseConsistency,
  TIMEZONE_KEY,
} from "./properties.ts";
import { checkSchema } from "./schema-rules.ts";

/** Partitions of a partition-key collection when the client names no number. */
const KEY_PARTITIONS_DEFAULT = 16;

export interface Allotment {
  readonly id: CollectionId;
  /** First of as many ids as `partitionCount` says. */
  readonly firstPartition: bigint;
  readonly at: Timestamp;
  /** Channels for the shards, the least loaded first. */
  readonly channels: readonly ChannelName[];
}

/** How many partition ids a creation needs. */
export function partitionCount(request: CreateCollection): number {
  if (!request.schema.fields.some((field) => field.partitionKey)) return 1;
  return request.partitions === undefined || request.partitions === 0 ? KEY_PARTITIONS_DEFAULT : request.partitions;
}

/** The change, or the collection that is there already when the request equals it. */
export function createCollection(
  catalog: Catalog,
  request: CreateCollection,
  allotment: Allotment,
  limits: Limits,
): Outcome<{ readonly change: Change; readonly id: CollectionId }> {
  const checked = checkCreation(catalog, request, limits);
  if (!checked.ok) return checked;
  const { schema, databaseId, properties, shards } = checked.value;
  const existing = catalog.named(databaseId, request.name);
  if (existing !== undefined) {
    if (sameCollection(existing, { ...request, schema, properties, shards })) {
      return succeed({ change: NO_CHANGE, id: existing.id });
    }
    return fail(invalid(`create duplicate collection with different parameters, collection: ${request.name}`));
  }
  if (catalog.collections.size >= limits.collectionsMax) {
    return fail({ kind: "collectionLimit", limit: limits.collectionsMax });
  }
  const record: CollectionRecord = {
    id: allotment.id,
    databaseId,
    schema,
    properties,
    shards: shardNames(allotment, shards),
    partitions: firstPartitions(request, allotment),
    aliases: [],
    indexes: [],
    consistency: request.consistency,
    createdAt: allotment.at,
    updatedAt: allotment.at,
    load: { kind: "released" },
  };
  const entries = createEntries(record);
  return succeed({ change: { putCollections: [record], entries: { collection: record.id, entries } }, id: record.id });
}

interface CheckedCreation {
  readonly schema: CollectionSchema;
  readonly databaseId: CollectionRecord["databaseId"];
  readonly properties: Properties;
  readonly shards: number;
}

function checkCreation(catalog: Catalog, request: CreateCollection, limits: Limits): Outcome<CheckedCreation> {
  const bad = collectionNameError(request.name);
  if (bad !== undefined) return fail(bad);
  const shards = request.shards === 0 ? 1 : request.shards;
  if (!Number.isInteger(shards) || shards < 0 || shards > limits.shardsMax) {
    return fail(invalid(`maximum shards's number should be limited to ${limits.shardsMax}`));
  }
  const schema = checkSchema({ ...request.schema, name: request.name, version: 0 }, limits);
  if (!schema.ok) return schema;
  const partitions = checkPartitionCount(request, limits);
  if (!partitions.ok) return partitions;
  const database = catalog.database(request.database);
  if (!database.ok) return database;
  if (catalog.aliased(database.value.id, request.name) !== undefined) {
    return fail({ kind: "aliasCollectionConflict", database: request.database, alias: request.name });
  }
  const timezone = request.properties[TIMEZONE_KEY] ?? database.value.properties[TIMEZONE_KEY] ?? "UTC";
  const properties = { ...request.properties, [TIMEZONE_KEY]: timezone };
  const badProperty = collectionPropertyError(properties, schema.value);
  if (badProperty !== undefined) return fail(badProperty);
  return succeed({ schema: schema.value, databaseId: database.value.id, properties, shards });
}

function checkPartitionCount(request: CreateCollection, limits: Limits): Outcome<void> {
  const wanted = request.partitions ?? 0;
  const keyed = request.schema.fields.some((field) => field.partitionKey);
  if (wanted === 0) return succeed(undefined);
  if (!keyed) {
    return fail(invalid("num_partitions should only be specified with partition key field enabled"));
  }
  if (!Number.isInteger(wanted) || wanted < 0) {
    return fail(invalid("the specified partitions should be greater than 0 if partition key is used"));
  }
  if (wanted <= limits.partitionsMax) return succeed(undefined);
  return fail(invalid(`partition number (${wanted}) exceeds max configuration (${limits.partitionsMax})`));
}

function sameCollection(
  existing: CollectionRecord,
  request: Pick<CreateCollection, "schema" | "properties" | "shards" | "consistency">,
): boolean {
  return (
    schemaText(existing.schema) === schemaText(request.schema) &&
    existing.shards.length === request.shards &&
    existing.consistency === request.consistency &&
    sameProperties(existing.properties, request.properties)
  );
}

function schemaText(schema: CollectionSchema): string {
  return encodeSchema({ ...schema, version: 0 });
}

function sameProperties(left: Properties, right: Properties): boolean {
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}

function shardNames(allotment: Allotment, shards: number): ShardId[] {
  invariant(allotment.channels.length > 0, "there is a channel for a shard");
  return Array.from({ length: shards }, (_, ordinal) => {
    const channel = allotment.channels[ordinal % allotment.channels.length];
    invariant(channel !== undefined, "ordinal within the channels");
    return shardIdOf(channel, allotment.id, ordinal);
  });
}

function firstPartitions(request: CreateCollection, allotment: Allotment): PartitionInfo[] {
  const keyed = request.schema.fields.some((field) => field.partitionKey);
  return Array.from({ length: partitionCount(request) }, (_, ordinal) => ({
    id: (allotment.firstPartition + BigInt(ordinal)) as PartitionId,
    name: keyed ? `${DEFAULT_PARTITION}_${ordinal}` : DEFAULT_PARTITION,
    createdAt: allotment.at,
  }));
}

/** The records that begin the collection's shards. */
function createEntries(record: CollectionRecord): DdlEntry[] {
  const schema = encodeSchema(record.schema);
  return record.shards.map((shard) => ({ kind: "createShard", shard, collection: record.id, schema }));
}

export function dropCollection(catalog: Catalog, ref: CollectionRef): Outcome<Change> {
  const bad = collectionNameError(ref.name);
  if (bad !== undefined) return fail(bad);
  const database = catalog.database(ref.database);
  if (!database.ok) return succeed(NO_CHANGE);
  if (catalog.aliased(database.value.id, ref.name) !== undefined) {
    return fail(invalid(`cannot drop the collection via alias = ${ref.name}`));
  }
  const found = catalog.named(database.value.id, ref.name);
  if (found === undefined) return succeed(NO_CHANGE);
  if (found.aliases.length > 0) {
    return fail(
      invalid(
        `unable to drop the collection [${ref.name}] because it has associated aliases ` +
          `[${found.aliases.join(" ")}], please remove all aliases before dropping the collection`,
      ),
    );
  }
  const entries = found.shards.map((shard): DdlEntry => ({ kind: "dropShard", shard }));
  return succeed({ removeCollections: [found.id], entries: { collection: found.id, entries } });
}

export function renameCollection(
  catalog: Catalog,
  from: CollectionRef,
  to: CollectionRef,
  at: Timestamp,
): Outcome<Change> {
  const bad = collectionNameError(to.name);
  if (bad !== undefined) return fail(bad);
  if (from.database === to.database && from.name === to.name) {
    return fail(invalid("collection name or database name should be different"));
  }
  const source = catalog.database(from.database);
  if (!source.ok) return source;
  const target = catalog.database(to.database);
  if (!target.ok) return target;
  if (catalog.aliased(source.value.id, from.name) !== undefined) {
    return fail(invalid(`unsupported use an alias to rename collection, alias:${from.name}`));
  }
  const found = catalog.named(source.value.id, from.name);
  if (catalog.aliased(target.value.id, to.name) !== undefined) {
    return fail({ kind: "aliasCollectionConflict", database: to.database, alias: to.name });
  }
  if (catalog.named(target.value.id, to.name) !== undefined) {
    return fail(
      invalid(`duplicated new collection name ${to.database}:${to.name} with other collection name or alias`),
    );
  }
  if (found === undefined) return fail(collectionMissing(from));
  if (source.value.id !== target.value.id && found.aliases.length > 0) {
    return fail(invalid("fail to rename db name, must drop all aliases of this collection before rename"));
  }
  const renamed = { ...found, databaseId: target.value.id, schema: { ...found.schema, name: to.name } };
  return succeed({ putCollections: [touched(renamed, at)] });
}

export function alterCollection(
  catalog: Catalog,
  ref: CollectionRef,
  alteration: { readonly set: Properties; readonly remove: readonly string[]; readonly at: Timestamp },
): Outcome<Change> {
  const { set, remove, at } = alteration;
  const keys = Object.keys(set);
  if (keys.length > 0 && remove.length > 0) return fail(invalid("cannot provide both DeleteKeys and ExtraParams"));
  if (keys.length === 0 && remove.length === 0) return fail(invalid("no properties or delete keys provided"));
  const found = catalog.resolve(ref);
  if (!found.ok) return found;
  const record = found.value;
  const bad = collectionPropertyError(set, record.schema) ?? alterError(record, set, remove);
  if (bad !== undefined) return fail(bad);
  if (set[DYNAMIC_KEY] !== undefined) {
    if (parseBool(set[DYNAMIC_KEY]) === record.schema.dynamicFieldEnabled) return succeed(NO_CHANGE);
    // Shards keep one schema for life until growing segments can take a new one.
    return fail({ kind: "notImplemented", call: `AlterCollection ${DYNAMIC_KEY}` });
  }
  return succeed({ putCollections: [touched(withProperties(record, set, remove), at)] });
}

function alterError(record: CollectionRecord, set: Properties, remove: readonly string[]): DbError | undefined {
  if (remove.includes(DYNAMIC_KEY)) return invalid(`cannot delete key ${DYNAMIC_KEY}`);
  const keys = Object.keys(set);
  if (set[DYNAMIC_KEY] !== undefined && keys.length > 1) {
    return invalid("cannot alter dynamic schema with other properties at the same time");
  }
  const level = set[CONSISTENCY_KEY];
  if (level !== undefined && parseConsistency(level) === undefined) {
    return invalid(`invalid consistency level: ${level}`);
  }
  if (set["partitionkey.isolation"] !== undefined && !usesPartitionKey(record)) {
    return {
      kind: "illegalSchema",
      message: "partition key isolation mode is enabled but no partition key field is set",
    };
  }
  return record.load.kind === "released" ? undefined : alterLoadedError(record, keys, remove);
}

function alterLoadedError(
  record: CollectionRecord,
  keys: readonly string[],
  remove: readonly string[],
): DbError | undefined {
  const refuse = (message: string): DbError => ({
    kind: "indexOnLoadedCollection",
    collection: record.schema.name,
    message,
  });
  if (touches("mmap.enabled", keys)) return refuse("can not alter mmap properties if collection loaded");
  if (touches("mmap.enabled", remove)) return refuse("can not delete mmap properties if collection loaded");
  if (touches("warmup.", [...keys, ...remove])) return refuse("can not alter warmup properties if collection loaded");
  return undefined;
}

function touches(prefix: string, keys: readonly string[]): boolean {
  return keys.some((key) => key.startsWith(prefix));
}

function withProperties(record: CollectionRecord, set: Properties, remove: readonly string[]): CollectionRecord {
  const { [CONSISTENCY_KEY]: level, [DESCRIPTION_KEY]: description, ...plain } = set;
  const kept = Object.entries(record.properties).filter(([key]) => !remove.includes(key));
  const consistency = (level === undefined ? undefined : parseConsistency(level)) ?? record.consistency;
  const schema = description === undefined ? record.schema : { ...record.schema, description };
  return { ...record, schema, consistency, properties: { ...Object.fromEntries(kept), ...plain } };
}
