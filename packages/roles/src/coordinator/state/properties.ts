/** Checks of collection and database properties (text to text); unknown keys are stored and echoed. */
import type { Properties } from "@elanus/model/catalog";
import { invalid, type DbError } from "@elanus/model/error";
import { TTL_KEY } from "@elanus/model/expiry";
import type { CollectionSchema } from "@elanus/model/schema";
import type { ConsistencyLevel } from "@elanus/model/time";

export const TIMEZONE_KEY = "timezone";
export const DYNAMIC_KEY = "dynamicfield.enabled";
export const DESCRIPTION_KEY = "collection.description";
export const CONSISTENCY_KEY = "consistency_level";
export const ALLOW_AUTO_ID_KEY = "allow_insert_auto_id";

const TTL_SECONDS_MAX = 3_155_760_000n;
const DESCRIPTION_BYTES_MAX = 1_024;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["1", true],
  ["t", true],
  ["true", true],
  ["0", false],
  ["f", false],
  ["false", false],
]);
const BOOLEAN_KEYS: readonly string[] = [
  "mmap.enabled",
  "partitionkey.isolation",
  "collection.autocompaction.enabled",
  ALLOW_AUTO_ID_KEY,
  DYNAMIC_KEY,
];
const WARMUP_KEYS: readonly string[] = [
  "warmup.scalarField",
  "warmup.scalarIndex",
  "warmup.vectorField",
  "warmup.vectorIndex",
];

export function parseBool(text: string): boolean | undefined {
  return BOOLEANS.get(text.toLowerCase());
}

export function databasePropertyError(properties: Properties): DbError | undefined {
  return timezoneError(properties);
}

export function collectionPropertyError(properties: Properties, schema: CollectionSchema): DbError | undefined {
  return (
    ttlError(properties) ??
    timezoneError(properties) ??
    booleanError(properties) ??
    warmupError(properties) ??
    partitionKeyError(properties, schema) ??
    modeError(properties) ??
    describeError(properties, schema)
  );
}

function ttlError(properties: Properties): DbError | undefined {
  const text = properties[TTL_KEY];
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) return invalid(`collection TTL is not an integer: ${text}`);
  const seconds = BigInt(text);
  if (seconds >= -1n && seconds <= TTL_SECONDS_MAX) return undefined;
  return invalid(`collection TTL is out of range, expect [-1, ${TTL_SECONDS_MAX}], got ${text}`);
}

function timezoneError(properties: Properties): DbError | undefined {
  const zone = properties[TIMEZONE_KEY];
  if (zone === undefined) return undefined;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions() && undefined;
  } catch {
    return invalid(`unknown or invalid IANA Time Zone ID: ${zone}`);
  }
}

function booleanError(properties: Properties): DbError | undefined {
  for (const key of BOOLEAN_KEYS) {
    const text = properties[key];
    if (text !== undefined && parseBool(text) === undefined) {
      if (key === DYNAMIC_KEY) return invalid(`invalid dynamic schema property value: ${text}`);
      return invalid(`invalid ${key} value: ${text}, expected: true, false`);
    }
  }
  return undefined;
}

function warmupError(properties: Properties): DbError | undefined {
  for (const key of WARMUP_KEYS) {
    const text = properties[key];
    if (text !== undefined && !["disable", "sync", "async"].includes(text)) {
      return invalid(`invalid warmup policy: ${text}`);
    }
  }
  return undefined;
}

function partitionKeyError(properties: Properties, schema: CollectionSchema): DbError | undefined {
  const isolated = parseBool(properties["partitionkey.isolation"] ?? "false") === true;
  if (!isolated || schema.fields.some((field) => field.partitionKey)) return undefined;
  return {
    kind: "illegalSchema",
    message:
      "partition key isolation mode is enabled but no partition key field is set. Please set the partition key first",
  };
}

function modeError(properties: Properties): DbError | undefined {
  const mode = properties["query_mode"];
  if (mode === undefined || mode === "large_topk") return undefined;
  return invalid(`invalid query_mode value "${mode}", valid values: [large_topk]`);
}

function describeError(properties: Properties, schema: CollectionSchema): DbError | undefined {
  const description = properties[DESCRIPTION_KEY];
  if (description !== undefined && new TextEncoder().encode(description).length > DESCRIPTION_BYTES_MAX) {
    return invalid(`the length of collection description should not exceed ${DESCRIPTION_BYTES_MAX} bytes`);
  }
  const automatic = schema.fields.some((field) => field.primaryKey && field.autoId);
  if (parseBool(properties[ALLOW_AUTO_ID_KEY] ?? "false") === true && !automatic) {
    return invalid(`the value of ${ALLOW_AUTO_ID_KEY} can only be set when the primary key is autoID`);
  }
  return undefined;
}

const LEVELS: ReadonlyMap<string, ConsistencyLevel> = new Map([
  ["strong", "strong"],
  ["session", "session"],
  ["bounded", "bounded"],
  ["eventually", "eventually"],
  ["customized", "customized"],
  ["0", "strong"],
  ["1", "session"],
  ["2", "bounded"],
  ["3", "eventually"],
  ["4", "customized"],
]);

/** Value of the `consistency_level` property. */
export function parseConsistency(text: string): ConsistencyLevel | undefined {
  return LEVELS.get(text.toLowerCase());
}
