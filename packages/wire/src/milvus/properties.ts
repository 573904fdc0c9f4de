/** Collection properties that Milvus checks (contract 4.9); any other key is stored and echoed. */
import type { DbError } from "@elanus/model/error";
import { type CollectionSchema, primaryKeyOf } from "@elanus/model/schema";
import { parseBool } from "./key-values.ts";

const TTL_SECONDS_MAX = 3_155_760_000;

const booleans = [
  "mmap.enabled",
  "collection.autocompaction.enabled",
  "partitionkey.isolation",
  "allow_insert_auto_id",
];

export function collectionPropertyProblem(
  properties: Readonly<Record<string, string>>,
  schema: CollectionSchema,
): DbError | undefined {
  return (
    ttlProblem(properties["collection.ttl.seconds"]) ??
    booleanProblem(properties) ??
    schemaProblem(properties, schema) ??
    timezoneProblem(properties["timezone"])
  );
}

function ttlProblem(text: string | undefined): DbError | undefined {
  if (text === undefined) return undefined;
  const seconds = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(seconds)) return invalid(`collection TTL is not an integer: ${text}`);
  if (seconds >= -1 && seconds <= TTL_SECONDS_MAX) return undefined;
  return invalid(`collection TTL is out of range, expect [-1, ${TTL_SECONDS_MAX}], got ${text}`);
}

function booleanProblem(properties: Readonly<Record<string, string>>): DbError | undefined {
  for (const key of booleans) {
    const text = properties[key];
    if (text !== undefined && parseBool(text) === undefined)
      return invalid(`invalid ${key} value: ${text}, expected: true, false`);
  }
  return undefined;
}

function schemaProblem(properties: Readonly<Record<string, string>>, schema: CollectionSchema): DbError | undefined {
  const isolation = properties["partitionkey.isolation"];
  if (isolation !== undefined && parseBool(isolation) === true && !schema.fields.some((f) => f.partitionKey)) {
    return {
      kind: "illegalSchema",
      message:
        "partition key isolation mode is enabled but no partition key field is set. Please set the partition key first",
    };
  }
  const allowed = properties["allow_insert_auto_id"];
  if (allowed !== undefined && parseBool(allowed) === true && !primaryKeyOf(schema).autoId) {
    return invalid(
      "the value for allow_insert_auto_id can only be true when the primary key is generated automatically",
    );
  }
  return undefined;
}

function timezoneProblem(zone: string | undefined): DbError | undefined {
  if (zone === undefined || isTimezone(zone)) return undefined;
  return invalid(`unknown or invalid IANA Time Zone ID: ${zone}`);
}

function isTimezone(zone: string): boolean {
  try {
    return Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

function invalid(message: string): DbError {
  return { kind: "invalidParameter", message };
}
