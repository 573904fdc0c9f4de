import type { DbError } from "@elanus/model/error";
import { expect, test } from "vitest";
import { statusOf } from "./status.ts";

/** code, legacy enum, reason. */
const cases: readonly (readonly [DbError, number, number, string])[] = [
  [
    { kind: "collectionNotFound", database: "d", collection: "c" },
    100,
    4,
    "collection not found[database=d][collection=c]",
  ],
  [{ kind: "collectionNotFound", database: "", collection: "7" }, 100, 4, "collection not found[collection=7]"],
  [{ kind: "collectionNotLoaded", collection: "c" }, 101, 1, "collection not loaded[collection=c]"],
  [{ kind: "collectionSchemaMismatch", collection: "c" }, 109, 62, "collection schema mismatch[collection=c]"],
  [{ kind: "partitionNotFound", partition: "p" }, 200, 15, "partition not found[partition=p]"],
  [{ kind: "databaseNotFound", database: "d" }, 800, 1, "database not found[database=d]"],
  [{ kind: "databaseLimit", limit: 64 }, 801, 1, "exceeded the limit number of database[limit=64]"],
  [{ kind: "invalidDatabaseName", database: "1", message: "why" }, 802, 1, "why: invalid database name[database=1]"],
  [{ kind: "aliasNotFound", database: "d", alias: "a" }, 1600, 1, "alias not found[database=d][alias=a]"],
  [
    { kind: "aliasExists", database: "d", alias: "a", message: "a is alias to another collection: c" },
    1602,
    1,
    "a is alias to another collection: c: alias already exist[database=d][alias=a]",
  ],
  [{ kind: "indexNotFound", collection: "c" }, 700, 25, "index not found[collection=c]"],
  [{ kind: "indexNotFound", collection: "c", index: "i" }, 700, 25, "index not found[indexName=i]"],
  [
    { kind: "indexOnLoadedCollection", collection: "c", message: "release first" },
    104,
    1,
    "release first: collection already loaded[collection=c]",
  ],
  [{ kind: "invalidParameter", message: "no" }, 1100, 5, "no: invalid parameter"],
  [
    { kind: "invalidParameter", message: "no", expected: "A", actual: "B" },
    1100,
    5,
    "no: invalid parameter[expected=A][actual=B]",
  ],
  [{ kind: "missingParameter", message: "no" }, 1101, 5, "no: missing parameter"],
  [
    { kind: "planFailed", message: "failed to create query plan: x" },
    1100,
    5,
    "failed to create query plan: x: query plan failed: invalid parameter",
  ],
  [{ kind: "notReady", message: "starting" }, 1, 56, "starting: service not ready"],
  [{ kind: "overloaded", what: "growing data" }, 8, 49, "growing data: rate limit exceeded"],
  [{ kind: "memoryLimit", message: "x" }, 3, 52, "x: memory limit exceeded"],
  [{ kind: "notImplemented", call: "X" }, 10, 1, "X is not implemented yet: service unimplemented"],
];

test.each(cases)("%j", (error, code, errorCode, reason) => {
  expect(statusOf(error)).toMatchObject({ code, errorCode, reason, detail: reason });
});

test("a caller's mistake is marked and never retriable, a passing state is retriable", () => {
  expect(statusOf({ kind: "invalidParameter", message: "x" })).toMatchObject({
    extraInfo: new Map([["is_input_error", "true"]]),
  });
  expect(statusOf({ kind: "invalidParameter", message: "x" }).retriable ?? false).toBe(false);
  expect(statusOf({ kind: "overloaded", what: "x" }).retriable).toBe(true);
});

test("context goes in front", () => {
  expect(statusOf({ kind: "collectionNotLoaded", collection: "c" }, "failed to search").reason).toBe(
    "failed to search: collection not loaded[collection=c]",
  );
});
