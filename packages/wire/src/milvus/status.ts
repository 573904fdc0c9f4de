/**
 * The one map from what went wrong to what Milvus's clients read: code, legacy enum, words. Texts follow
 * `CONTEXT: SENTINEL[key=value]`; clients match on parts of them.
 */
import type { DbError, DbErrorKind } from "@elanus/model/error";
import type * as common from "../gen/common.ts";
import type { Init } from "../protobuf/runtime.ts";

export type StatusMessage = Init<common.Status>;

export const success: StatusMessage = {};

/** gRPC's own status numbers, as far as this server gives them. */
export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  unimplemented: 12,
} as const;

interface Rule {
  readonly code: number;
  readonly retriable?: true;
  /** The caller's mistake: marked so, and never retriable. */
  readonly input?: true;
}

const rules: Readonly<Record<DbErrorKind, Rule>> = {
  collectionNotFound: { code: 100, input: true },
  collectionNotLoaded: { code: 101 },
  collectionNotFullyLoaded: { code: 103, retriable: true },
  collectionSchemaMismatch: { code: 109, input: true },
  collectionLimit: { code: 102, input: true },
  illegalSchema: { code: 105, input: true },
  partitionNotFound: { code: 200, input: true },
  partitionNotLoaded: { code: 201 },
  databaseNotFound: { code: 800, input: true },
  databaseLimit: { code: 801, input: true },
  invalidDatabaseName: { code: 802, input: true },
  aliasNotFound: { code: 1600, input: true },
  aliasCollectionConflict: { code: 1601, input: true },
  aliasExists: { code: 1602, input: true },
  indexNotFound: { code: 700 },
  indexDuplicate: { code: 702, input: true },
  indexOnLoadedCollection: { code: 104, input: true },
  fieldNotFound: { code: 1700, input: true },
  fieldNameInvalid: { code: 1701, input: true },
  invalidParameter: { code: 1100, input: true },
  missingParameter: { code: 1101, input: true },
  parameterTooLarge: { code: 1102, input: true },
  planFailed: { code: 1100, input: true },
  notImplemented: { code: 10 },
  notReady: { code: 1, retriable: true },
  // Clients retry code 8 only, so every passing refusal carries it.
  overloaded: { code: 8, retriable: true },
  rateLimited: { code: 8, retriable: true },
  memoryLimit: { code: 3 },
  diskLimit: { code: 7 },
  fileCorrupt: { code: 1009 },
  ioFailed: { code: 1001 },
  fenced: { code: 507, retriable: true },
  overtaken: { code: 1, retriable: true },
  objectCollected: { code: 1, retriable: true },
  deadlineExceeded: { code: 10_001 },
  cancelled: { code: 10_000 },
  internal: { code: 5 },
};

const UNEXPECTED_ERROR = 1;

/** Legacy `error_code` by code; anything else is UnexpectedError. */
const legacyCodes: Readonly<Record<number, number>> = {
  1: 56,
  110: 56,
  100: 4,
  1100: 5,
  1101: 5,
  1102: 5,
  904: 50,
  200: 15,
  400: 15,
  501: 15,
  401: 46,
  503: 46,
  506: 46,
  905: 46,
  3: 52,
  7: 54,
  11: 55,
  505: 55,
  8: 49,
  9: 48,
  700: 25,
  600: 47,
  109: 62,
};

export function codeOf(error: DbError): number {
  return rules[error.kind].code;
}

/** `context` goes in front, outermost first. */
export function statusOf(error: DbError, context?: string): StatusMessage {
  const rule = rules[error.kind];
  const text = reasonOf(error);
  return failureStatus(rule.code, context === undefined ? text : `${context}: ${text}`, rule);
}

/** A status that has no `DbError`: codes which only the edge knows. */
export function failureStatus(code: number, reason: string, rule: Omit<Rule, "code"> = {}): StatusMessage {
  const status = { code, errorCode: legacyCodes[code] ?? UNEXPECTED_ERROR, reason, detail: reason };
  if (rule.input === true) return { ...status, extraInfo: new Map([["is_input_error", "true"]]) };
  return { ...status, retriable: rule.retriable === true };
}

type Fields = readonly (readonly [key: string, value: string | number | undefined])[];

function sentinel(message: string | undefined, text: string, fields: Fields = []): string {
  const tail = fields.map(([key, value]) => (value === undefined ? "" : `[${key}=${value}]`)).join("");
  return `${message === undefined || message === "" ? "" : `${message}: `}${text}${tail}`;
}

/** Milvus's sentence for an error. */
export function reasonOf(error: DbError): string {
  return nameReason(error) ?? parameterReason(error) ?? stateReason(error);
}

/** Errors about a named thing of the catalog. */
function nameReason(e: DbError): string | undefined {
  switch (e.kind) {
    case "collectionNotFound":
      return sentinel("", "collection not found", [
        ["database", e.database === "" ? undefined : e.database],
        ["collection", e.collection],
      ]);
    case "collectionNotLoaded":
      return sentinel("", "collection not loaded", [["collection", e.collection]]);
    case "collectionNotFullyLoaded":
      return sentinel("", "collection not fully loaded", [["collection", e.collection]]);
    case "collectionSchemaMismatch":
      return sentinel("", "collection schema mismatch", [["collection", e.collection]]);
    case "collectionLimit":
      return sentinel("", "exceeded the limit number of collections", [["limit", e.limit]]);
    case "partitionNotFound":
      return sentinel("", "partition not found", [["partition", e.partition]]);
    case "partitionNotLoaded":
      return sentinel("", "partition not loaded", [["partition", e.partition]]);
    case "databaseNotFound":
      return sentinel("", "database not found", [["database", e.database]]);
    case "databaseLimit":
      return sentinel("", "exceeded the limit number of database", [["limit", e.limit]]);
    case "invalidDatabaseName":
      return sentinel(e.message, "invalid database name", [["database", e.database]]);
    case "aliasNotFound":
      return sentinel("", "alias not found", [
        ["database", e.database],
        ["alias", e.alias],
      ]);
    case "aliasCollectionConflict":
      return sentinel("", "alias and collection name conflict", [
        ["database", e.database],
        ["alias", e.alias],
      ]);
    case "aliasExists":
      return sentinel(e.message, "alias already exist", [
        ["database", e.database],
        ["alias", e.alias],
      ]);
    case "indexNotFound":
      return e.index === undefined || e.index === ""
        ? sentinel("", "index not found", [["collection", e.collection]])
        : sentinel("", "index not found", [["indexName", e.index]]);
    case "indexDuplicate":
      return sentinel(e.message, "index duplicates");
    case "indexOnLoadedCollection":
      return sentinel(e.message, "collection already loaded", [["collection", e.collection]]);
    case "fieldNotFound":
      return sentinel(e.message, "field not found", [["field", e.field]]);
    case "fieldNameInvalid":
      return sentinel(e.message, "field name invalid", [["field", e.field]]);
    default:
      return undefined;
  }
}

/** Errors about what the caller sent. */
function parameterReason(e: DbError): string | undefined {
  switch (e.kind) {
    case "illegalSchema":
      return sentinel(e.message, "illegal collection schema");
    case "invalidParameter":
      return sentinel(e.message, "invalid parameter", [
        ["expected", e.expected],
        ["actual", e.actual],
      ]);
    case "missingParameter":
      return sentinel(e.message, "missing parameter");
    case "parameterTooLarge":
      return sentinel("", "parameter too large", [["message", e.message]]);
    case "planFailed":
      return sentinel(e.message, "query plan failed: invalid parameter");
    case "notImplemented":
      return sentinel(`${e.call} is not implemented yet`, "service unimplemented");
    default:
      return undefined;
  }
}

/** Errors about the state of the server. */
function stateReason(e: DbError): string {
  switch (e.kind) {
    case "notReady":
    case "overtaken":
      return sentinel(e.message, "service not ready");
    case "objectCollected":
      return sentinel(`object ${e.key} was collected as garbage`, "service not ready");
    case "overloaded":
      return sentinel(e.what, "rate limit exceeded");
    case "rateLimited":
      return sentinel(e.message, "rate limit exceeded");
    case "memoryLimit":
      return sentinel(e.message, "memory limit exceeded");
    case "diskLimit":
      return sentinel(e.message, "disk limit exceeded");
    case "fileCorrupt":
      return sentinel(e.message, "data integrity check failed", [["file", e.file]]);
    case "ioFailed":
      return sentinel(e.message, "IO failed");
    case "fenced":
      return sentinel("", "channel misrouted", [["channel", e.channel]]);
    case "deadlineExceeded":
      return sentinel(e.message, "request deadline passed");
    case "cancelled":
      return sentinel(e.message, "request cancelled");
    case "internal":
      return sentinel(e.message, "service internal error");
    default:
      return e.kind;
  }
}
